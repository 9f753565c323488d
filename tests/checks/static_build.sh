#!/bin/bash
# 'make static' makes a refork that needs nothing of the machine: in a root folder with only it and a program of musl's, it records,
# explains and replays.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || skip "chroot needs root"
in_work
cd "$root" || exit 1
# Debian has no static Zydis; its sources come from Debian's mirror.
make --no-print-directory BUILD="$build" -o all static >"$work/make.log" 2>&1 ||
    { grep -q 'E: \|apt-get' "$work/make.log" && skip "no source package of Zydis: $(grep -m 1 'E: ' "$work/make.log")"; fail "$(tail -n 5 "$work/make.log")"; }
cage=$work/cage
mkdir -p "$cage"/{bin,tmp,proc,dev}
cp "$build/refork-static" "$cage/bin/refork"
cp "$build/samples/musl_mutex" "$cage/bin/"
# A mount namespace of its own: /proc is gone with it, whatever happens.
caged() { unshare --mount bash -c 'mount -t proc proc "$1/proc" && exec chroot "$@"' - "$cage" "$@"; }
caged /bin/refork record -o /tmp/bug.refork -- /bin/musl_mutex >"$work/record" 2>&1
[ $? = 120 ] || fail "record in the cage: $(tail -n 5 "$work/record")"
grep -q 'orphaned-lock (proved)' "$work/record" || fail "no verdict: $(cat "$work/record")"
caged /bin/refork replay --batch /tmp/bug.refork >"$work/replay" 2>&1
[ $? = 120 ] || fail "replay in the cage: $(tail -n 5 "$work/replay")"
caged /bin/refork explain --json /tmp/bug.refork >"$work/explain" 2>&1
[ $? = 120 ] || fail "explain in the cage: $(tail -n 5 "$work/explain")"
