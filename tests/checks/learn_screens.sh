#!/bin/bash
# The screens of the tour: golden ones in tests/tui/golden_learn, made of lessons of the tests' own (UPDATE=1 writes them anew), and the
# tour on a terminal, in tmux, at several sizes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
# An installation with two lessons
mkdir -p bin share/refork/samples/learn
cp "$refork" bin/refork
cp "$root"/samples/mutex_deadlock.c share/refork/samples
cp "$root"/tests/tui/lessons/*.lesson "$root"/samples/learn/orphaned_lock_fixed.c share/refork/samples/learn
refork=$work/bin/refork
golden=$root/tests/tui/golden_learn

count=0
screen() { # NAME KEYS [OPTION...]
    ends 0 learn --script "$2<Dump $work/$1.txt>" "${@:3}"
    count=$((count + 1))
    if [ -n "${UPDATE:-}" ]; then cp "$1.txt" "$golden/"; else diff -u "$golden/$1.txt" "$1.txt" || fail "$1 differs"; fi
}
for size in 60x15 80x24 120x30 200x50; do
    screen "list-$size" j --size $size
    screen "text-$size" '<Enter>' --size $size
    screen "question-$size" '<Enter>G ' --size $size
    screen "answer-$size" '<Enter>G b' --size $size
    screen "present-$size" '' --size $size --present first
done
screen wrong '<Enter>G a'
screen ascii '<Enter>G b' --ascii --no-color
screen unanswered '<Enter>G  '
screen shown '<Enter>G   '
screen back '<Enter>G  <Backspace><Backspace>'
screen next-lesson '<Enter>qj<Enter>'
screen too-small '' --size 30x8
[ $count = 27 ] || fail "$count screens"

# A lesson that says something wrong, or of which something is missing
broken() { # PATTERN SED
    sed "$2" "$root/tests/tui/lessons/second.lesson" >share/refork/samples/learn/second.lesson
    says 125 "$1" learn --list
}
broken "unknown head 'titel: .*second.lesson', line 1" 's/^title/titel/'
broken "unknown text 'looks'" 's/^== look/== looks/'
broken "missing: 'question'" '/^== question/,/^  No/d'
broken 'not exactly one right choice' 's/^- No/+ No/'
broken "no number 'two'" 's/^order: 2/order: two/'
sed 's/^expect: .*/expect: self-held/' "$root/tests/tui/lessons/second.lesson" >share/refork/samples/learn/second.lesson
ends 125 learn second
grep -q "is about 'self-held', and the recording shows 'orphaned-lock" stdout || fail "another verdict than the lesson's: $(tail -n 3 stdout)"
cp "$root/tests/tui/lessons/second.lesson" share/refork/samples/learn

# On a terminal
socket=refork-learn-$$
tm() { tmux -L "$socket" -f /dev/null "$@"; }
trap 'tm kill-server 2>/dev/null' EXIT
# A session that stays, so that the server does not end between two tests
tm new-session -d -s hold cat || fail 'tmux does not start'
on_screen() { tm capture-pane -p -t t >screen 2>/dev/null && grep -qE -- "$1" screen; }
sees() { until_true on_screen "$1" || fail "on a terminal of $size: never '$1': $(cat screen)"; }
press() { tm send-keys -t t "$@"; }
for size in 60x15 80x24 120x30 200x50; do
    tm new-session -d -s t -x "${size%x*}" -y "${size#*x}" "env TERM=xterm-256color LC_ALL=C.UTF-8 '$refork' learn; echo status=\$?; cat" || fail 'tmux does not start'
    sees '2 lessons'
    press Enter
    sees 'part 1 of 7'
    press G Space
    sees 'part 2 of 7'
    press b
    sees 'You chose b: that is right'
    if [ $size = 80x24 ]; then
        press Space
        sees 'mutex_deadlock.c hangs'
        press r
        sees 'the verdict is hidden'
        press v
        sees 'DEADLOCK'
        tm resize-window -t t -x 100 -y 30
        press q
        sees 'part 4 of 7'
    fi
    press q
    sees '2 lessons'
    press q
    sees 'status=0'
    tm kill-session -t t
done
# SIGTERM: the folder of the lesson goes, too.
tm new-session -d -s t -x 80 -y 24 "echo \$\$ >pid; TMPDIR='$work' TERM=xterm-256color exec '$refork' learn first" || fail 'tmux does not start'
sees 'part 1 of 7'
compgen -G "$work/refork-learn-*" >/dev/null || fail "no folder of the lesson: $(ls)"
kill "$(cat pid)"
# (A zombie has ended: tmux may wait for it late or, when two end at once, not at all.)
gone() { ! ps -o stat= -p "$(cat pid)" | grep -q '^[^Z]' && ! compgen -G "$work/refork-learn-*" >/dev/null; }
until_true gone || fail "after SIGTERM: $(ls)"
rm -rf "$work"
