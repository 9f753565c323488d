#!/bin/bash
# A disk that gets full, or a limit on file sizes, while the program is recorded: the program goes on to its end; status 125
# and a message that says what to do, and a trace that replays up to its last whole chunk.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
work=$out/full
if [ "${2:-}" = small-disk ]; then # the same script again, in a mount namespace of its own
    mount -t tmpfs -o size=1700k none "$work/disk" || exit 1
    place=$work/disk/small.refork remedy='free some space'
else
    rm -rf "$work"
    mkdir -p "$work/disk"
    place=$work/limited.refork remedy='ulimit -f'
fi
cd "$work" || exit 1

# shellcheck disable=SC2016 # the program's variables
program='i=0; while [ $i -lt 120000 ]; do echo "line $i"; i=$((i + 1)); done'
(
    [ "$remedy" != 'ulimit -f' ] || ulimit -f 1700 # KiB; the program's own output is a pipe
    exec "${as_clean[@]}" "$refork" record -o "$place" -- sh -c "$program" 2>stderr </dev/null
) | cat >whole
got=${PIPESTATUS[0]}
[ "$got" = 125 ] || fail "record: status $got: $(tail -n 3 stderr)"
grep -qE "^refork: cannot write trace '[^']*' beyond byte [0-9]+" stderr || fail "record says: $(cat stderr)"
grep -qF "$remedy" stderr || fail "record does not say what to do: $(cat stderr)"
[ "$(wc -l <stderr)" = 2 ] || fail "record does not say two lines: $(cat stderr)"
[ "$(wc -l <whole)" = 120000 ] || fail "the program wrote only $(wc -l <whole) of its 120000 lines"
! pgrep -f -- "$place" || fail "something of it still runs"

into replayed 122 replay --batch "$place"
grep -qE "cut off at byte $(stat -c %s "$place"): replayed up to event [0-9]+" stderr || fail "replay says: $(cat stderr)"
[ "$(wc -l <replayed)" -gt 100 ] || fail "only $(wc -l <replayed) of $(wc -l <whole) lines came back"
cmp -n "$(stat -c %s replayed)" replayed whole || fail "the replay wrote something else"
echo "$place: $(wc -l <replayed) of $(wc -l <whole) lines came back"
[ "${2:-}" = small-disk ] && exit 0

if [ "$(id -u)" = 0 ]; then own=(unshare -m); else own=(unshare -rm); fi
"${own[@]}" true 2>/dev/null || skip "the limit on file sizes is good; a small disk needs a mount namespace"
"${own[@]}" "$root/tests/checks/full.sh" "$build" small-disk || exit 1
rm -rf "$work"
