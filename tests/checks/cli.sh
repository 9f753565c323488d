#!/bin/bash
# The command line: names of recordings, the newest one, statuses and messages.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work

# status N MESSAGE COMMAND...: refork must end with N and say MESSAGE (a pattern) on stderr, nothing on stdout
status() {
    says "$@"
    head -n 1 stderr | grep -q '^refork: [^A-Z]' || fail "refork ${*:3}: message not in style: $(cat stderr)"
    [ ! -s stdout ] || fail "refork ${*:3}: wrote to stdout: $(cat stdout)"
}

status 125 "unknown command 'recrod'.*'record'" recrod
status 125 "unknown command 'frobnicate'" frobnicate
status 125 "unknown option '--choas'.*'--chaos'" record --choas true
status 125 "no program given" record
status 125 "no recording" replay
status 125 "no recording" explain
status 125 "bad value 'x' of '--seed'" record --seed x true
status 125 "bad value '0' of '--from'" dump --from 0 file
status 125 "unexpected 'two'" info one two
status 125 "missing value" dump --from
status 127 "no-such-program" record no-such-program
echo data >not-executable
status 126 "not-executable" record ./not-executable
[ -z "$(ls ./*.refork 2>/dev/null)" ] || fail "a program that did not start left a recording"
for command in replay info dump explain; do
    options=()
    [ $command = replay ] && options=(--batch)
    status 122 "not-executable" $command "${options[@]}" not-executable
    status 122 "no-such-file" $command "${options[@]}" no-such-file
done

for expected in sh.refork sh-2.refork sh-3.refork; do
    ends 3 record -- sh -c "echo $expected; exit 3"
    [ "$(cat stdout)" = "$expected" ] || fail "record printed '$(cat stdout)'"
    [ ! -s stderr ] || fail "record said something without a terminal: $(cat stderr)"
    [ -s "$expected" ] || fail "no $expected but $(ls)"
    ends 3 replay --batch
    [ "$(cat stdout)" = "$expected" ] || fail "without FILE, '$(cat stdout)' was replayed, not the newest, $expected"
done
ends 0 record -o named.refork sh -c 'echo an option -o of the program: "$0"' -o
[ "$(cat stdout)" = "an option -o of the program: -o" ] || fail "'$(cat stdout)'"
ends 0 record -o named.refork echo replaced
clean "$refork" replay -b named.refork | grep -qx replaced || fail "-o did not replace the file"
clean "$refork" record --chaos -o chaos.refork true 2>stderr || fail "record --chaos: status $?"
grep -qE 'chaos with seed [0-9]+' stderr || fail "no seed: $(cat stderr)"

# record | reader that leaves: the program gets its SIGPIPE as ever
clean bash -c 'set -o pipefail; "$1" record -o yes.refork yes | head -n 3 >stdout' - "$refork" 2>stderr
got=$?
[ $got = 141 ] || fail "record yes | head: status $got: $(cat stderr)"
[ "$(wc -l <stdout)" = 3 ] || fail "record yes | head printed $(wc -l <stdout) lines"

clean "$refork" info --json named.refork | jq -e . >/dev/null || fail "info --json is no JSON"
clean "$refork" doctor --json | jq -e '.features | length > 3' >/dev/null || fail "doctor --json"
ends 0 doctor
[ "$(wc -l <stdout)" -gt 4 ] || fail "doctor prints little: $(cat stdout)"
into all 0 dump named.refork
into some 0 dump --from 2 --to 3 named.refork
[ "$(wc -l <some)" -lt "$(wc -l <all)" ] && [ -s some ] || fail "dump --from 2 --to 3 printed $(wc -l <some) of $(wc -l <all) lines"
status 125 "no event 99999" dump --from 99999 named.refork
clean "$refork" info named.refork >/dev/full 2>stderr
[ $? = 125 ] || fail "info to a full disk: no error"
rm -rf "$work"
