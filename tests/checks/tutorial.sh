#!/bin/bash
# docs/tutorial.md: its program is built, its commands are run in their order, and they end as it says.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
mkdir bin
ln -s "$refork" bin/refork
awk '/^```c$/ {on = 1; next} /^```$/ {on = 0} on' "$root/docs/tutorial.md" >report.c
awk '/^```sh$/ {on = 1; next} /^```$/ {on = 0} on' "$root/docs/tutorial.md" >commands
[ "$(wc -l <commands)" -ge 9 ] || fail "few commands: $(cat commands)"
# What each command ends with; 0 where nothing is said. The TUI needs a terminal: there it is replayed to its end.
while IFS= read -r command; do
    want=0
    case $command in
    'refork hunt '* | 'refork explain '* | 'refork replay '*) want=120 ;;
    esac
    run=${command/refork replay/refork replay --batch}
    "${as_clean[@]}" PATH="$PWD/bin:$PATH" bash -c "$run" >stdout 2>stderr </dev/null
    got=$?
    [ $got = $want ] || fail "$command: status $got, not $want: $(cat stderr stdout)"
    case $command in
    './report') grep -qx '20 reports' stdout || fail "$command: $(cat stdout)" ;;
    'refork hunt '*) head -3 stdout | grep -q "^deadlock: ./report: the main thread 'report'" || fail "$command: $(cat stdout)" ;;
    'refork explain '*)
        # the six answers, in the order and with the lines that the text names
        grep -E '^  [A-Z]' stdout | head -7 | grep -vE 'What vanished' | sed 's/ (event.*//; s/^  //' >answers
        printf '%s\n' 'What is stuck, and where' 'Which lock' 'Who held it' 'Where it was taken' 'Where the fork was' 'What to do' | diff - answers || fail "answers: $(cat stdout)"
        for text in 'main  .*report.c:37' 'report.c:6$' 'started in collect' 'main  .*report.c:35'; do
            grep -qE "$text" stdout || fail "no '$text': $(cat stdout)"
        done
        ;;
    'refork verify bug.refork -- ./report-fixed') tail -1 stdout | grep -q '^fixed: ' || fail "$command: $(cat stdout)" ;;
    esac
done <commands
