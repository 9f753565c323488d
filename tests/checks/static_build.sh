#!/bin/bash
# 'make static' makes a refork that needs nothing of the machine: in a root folder with only it and a program of musl's, it records,
# explains and replays.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || skip "chroot needs root"
cd "$root" || exit 1
# Debian has no static Zydis; its sources come from Debian's mirror.
make --no-print-directory BUILD="$build" -o all static >"$out/static" 2>&1 ||
    { grep -q 'E: \|apt-get' "$out/static" && skip "no source package of Zydis: $(grep -m 1 'E: ' "$out/static")"; fail "$(tail -n 5 "$out/static")"; }
cage=$out/cage
mkdir -p "$cage"/{bin,tmp,proc,dev}
cp "$build/refork-static" "$cage/bin/refork"
cp "$build/samples/musl_mutex" "$cage/bin/"
# A mount namespace of its own: /proc is gone with it, whatever happens.
caged() { unshare --mount bash -c 'mount -t proc proc "$1/proc" && exec chroot "$@"' - "$cage" "$@"; }
caged /bin/refork record -o /tmp/bug.refork -- /bin/musl_mutex >"$out/record" 2>&1
[ $? = 120 ] || fail "record in the cage: $(tail -n 5 "$out/record")"
grep -q 'orphaned-lock (proved)' "$out/record" || fail "no verdict: $(cat "$out/record")"
caged /bin/refork replay --batch /tmp/bug.refork >"$out/replay" 2>&1
[ $? = 120 ] || fail "replay in the cage: $(tail -n 5 "$out/replay")"
caged /bin/refork explain --json /tmp/bug.refork >"$out/explain" 2>&1
[ $? = 120 ] || fail "explain in the cage: $(tail -n 5 "$out/explain")"
