#!/bin/bash
# The TUI in a real terminal (tmux): tmux.sh [COMMAND...]   default: ./build/refork replay (the newest recording)
# The recording must hold a fork deadlock with a lock (samples/mutex_deadlock, or tests/tui/fixture_tui).
# $PAIR=1: COMMAND shows two recordings instead, A and B, that differ in the schedule and in the data; B ends at the first.
# Polls until a screen shows what it must; nothing waits for a fixed time. $MATRIX=0 leaves out the matrix.
set -u
# shellcheck source=tests/patience.sh
. "$(dirname "$0")/../patience.sh"
[ $# -gt 0 ] || set -- ./build/refork replay
command=$(printf '%q ' "$@")
socket=refork-test-$$
work=$(mktemp -d) || exit 1
tm() { tmux -L "$socket" -f /dev/null "$@"; }
finish() { tm kill-server 2>/dev/null; rm -rf "$work"; }
trap finish EXIT
checks=0

die() {
    echo "tmux test: FAILED: $1"
    tm capture-pane -p -t t 2>/dev/null | sed 's/^/  | /'
    exit 1
}
shows() {
    tm capture-pane -p -t t >"$work/screen" 2>/dev/null
    grep -Eq -- "$1" "$work/screen"
}
# sees PATTERN WHAT: waits until the screen matches (an extended regular expression)
sees() {
    checks=$((checks + 1))
    until_true shows "$1" || die "never showed: $1 ($2)"
}
keys() { tm send-keys -t t "$@"; }
text() { tm send-keys -t t -l "$1"; }
event() { sed -n 's/.*event \([0-9]*\) of [0-9]*.*/\1/p' "$work/screen" | head -1; }
# start COLSxROWS TERM LC_ALL NO_COLOR
start() {
    tm kill-session -t t 2>/dev/null
    tm new-session -d -s t -x "${1%x*}" -y "${1#*x}" "stty sane; PS1='shell> ' bash --norc -i" || die "tmux does not start"
    sees 'shell>' shell
    text "export TERM=$2 LC_ALL=$3; unset NO_COLOR ESCDELAY"; keys Enter
    [ -z "$4" ] || { text "export NO_COLOR=$4"; keys Enter; }
    text "clear; $command; echo status=\$?"; keys Enter
}
ends() { sees "status=$1" "$2"; }
at() { sees "event $1 of" "$2"; }

# A session that stays, so that the server does not end between two tests.
tm new-session -d -s hold || die "tmux does not start"

# The event in the title of SIDE, the active one, is marked as a difference.
marked() {
    sees "►$1 [^│]* event [0-9]+ of" "$1 is active"
    marked=$(sed -n "1s/.*►$1 [^│]* event \([0-9]*\) of .*/\1/p" "$work/screen")
    sees "≠ *$marked " "$1's difference is marked"
}
pair() { # SIZE
    local first second
    start "$1" xterm-256color C.UTF-8 ""
    sees '^≠ Difference 1 of 2: the schedule' "$1: the first difference"
    marked A; first=$marked
    text d; sees '^≠ Difference 2 of 2: the data' "$1: d"; marked A; second=$marked
    [ "$first" != "$second" ] || die "$1: d stays at event $first"
    keys Tab; sees "►B [^│]* event $second of" "$1: Tab goes to B, at the same step"; marked B
    text ':1'; keys Enter; sees '►B [^│]* event 1 of' "$1: B goes to its begin"
    keys Tab; sees '►A [^│]* event 1 of' "$1: A went with it"
    # From the begin on in the order of the events.
    local one=$((first < second ? first : second)) other=$((first < second ? second : first))
    text d; sees "►A [^│]* event $one of" "$1: d from the begin"; marked A
    text d; sees "►A [^│]* event $other of" "$1: d once more"; marked A
    text D; sees "►A [^│]* event $one of" "$1: D"; marked A
    tm resize-window -t t -x 30 -y 8; sees 'too small' "$1: resize to 30x8"
    tm resize-window -t t -x 200 -y 50; sees '►A [^│]* event [0-9]+ of .*│ B .* event [0-9]+ of' "$1: both at 200x50"
    keys Tab; sees ' A .*│►B [^│]* event [0-9]+ of' "$1: Tab at 200x50"
    tm resize-window -t t -x 80 -y 24; sees '^►B [^│]* event [0-9]+ of' "$1: B alone at 80x24"
    grep -q '►A' "$work/screen" && die "$1: A is active too"
    tm resize-window -t t -x "${1%x*}" -y "${1#*x}"; sees '^≠ Difference [12] of 2' "$1: resize back"
    text q; ends 0 "$1: q"
}
if [ "${PAIR:-0}" = 1 ]; then
    for size in 80x24 200x50; do pair $size; done
    echo "tmux test of two recordings: $checks checks, all as expected"
    exit 0
fi
if [ "${MATRIX:-1}" = 1 ]; then
    for term in xterm-256color xterm vt100 dumb; do
        for locale in C.UTF-8 C; do
            for no_colour in "" 1; do
                for size in 200x50 80x24 60x15 30x8; do
                    what="$term $locale NO_COLOR=$no_colour $size"
                    start "$size" "$term" "$locale" "$no_colour"
                    if [ $term = dumb ]; then
                        ends 125 "$what: refused"
                        tr -d '\n' <"$work/screen" | grep -q "explain" || die "$what: does not name 'refork explain'"
                        continue
                    fi
                    if [ $size = 30x8 ]; then
                        sees 'too small' "$what"
                    else
                        sees 'DEADLOCK' "$what"
                        sees 'q quit' "$what"
                        if [ $locale = C ]; then
                            LC_ALL=C grep -q '[^ -~]' "$work/screen" && die "$what: characters above 126"
                        else
                            grep -q '─' "$work/screen" || die "$what: no line characters"
                        fi
                        tm capture-pane -p -e -t t | grep -Eq $'\033\\[[0-9;]*(38;5;|3[1-6])' && coloured=1 || coloured=0
                        expected=1
                        if [ -n "$no_colour" ] || [ $term = vt100 ]; then expected=0; fi
                        [ "$coloured" = "$expected" ] || die "$what: colour is $coloured, expected $expected"
                    fi
                    text q
                    ends 0 "$what: q"
                done
            done
        done
    done
fi

start 80x24 xterm-256color C.UTF-8 ""
sees 'DEADLOCK' "first paint"
sees 'waits for' "the story"
sees 'q quit' "hints"
first=$(event)
text p; at $((first - 1)) "p steps back"
text n; at "$first" "n steps forward"
text ':1'; keys Enter; at 1 ":1 jumps"
text p; sees 'first event' "p at the beginning"
text f; sees "the verdict's fork" "f"
fork=$(event)
text a; sees "the verdict's acquire" "a"
acquire=$(event)
text b; sees "the verdict's wait" "b"
block=$(event)
[ "$acquire" -le "$fork" ] && [ "$fork" -lt "$block" ] || die "acquire $acquire, fork $fork, block $block are not in order"
text ':1'; keys Enter; at 1 ":1 again"
text v; at "$block" "v goes to the verdict"
text '?'; sees 'Keys \(j: more\)' "? opens the help"
text G; sees 'Keys \(the end\)' "the help scrolls"
text '?'; sees 'q quit' "? closes the help"
text O; sees 'event' "O"
keys Escape; sees '2 Lanes' "Esc ends O"
text '/fork'; keys Enter; sees '/fork ' "search"
keys Escape; sees 'n next  p' "Esc ends the search"
tm resize-window -t t -x 30 -y 8; sees 'too small' "resize to 30x8"
tm resize-window -t t -x 200 -y 50; sees '4 Locks held' "resize to 200x50"
tm resize-window -t t -x 80 -y 24; sees '5 Stack.*4 Locks' "resize to 80x24"
mouse() { tm display-message -p -t t '#{mouse_standard_flag}#{mouse_sgr_flag}'; }
# click COLUMN ROW (from 1): as a terminal tells of it
click() { text $'\e'"[<0;$1;$2M"; text $'\e'"[<0;$1;$2m"; }
row_of() { grep -nE -- "$1" "$work/screen" | head -1 | cut -d: -f1; }
[ "$(mouse)" = 11 ] || die "the mouse is not on at first, with SGR reports: $(mouse)"
text 1; sees '►1 Story' "another pane is active before a click"
click 5 $(($(row_of '3 Events') + 1)); sees '►3 Events' "a click makes the pane the active one"
clicked=$(event)
text $'\e[<64;5;'"$(($(row_of '3 Events') + 1))M"; at $((clicked - 3)) "the wheel moves the focus"
text 8; sees '►8 Variables' "8"
text x; text 0x1; sees 'variable, or 0xADDRESS' "x asks what to show"
keys Escape; sees 'q quit' "Esc ends x"
tm resize-window -t t -x 200 -y 50; sees '2 Lanes' "200x50 again"
text a; sees "the verdict's acquire" "a before x"
text xlog_mutex; keys Enter; sees 'log_mutex .*pthread_mutex_t' "a global at 200x50"
text jjw; sees 'watching log_mutex' "w"
text '{'; sees 'log_mutex.*: [0-9]+ -> [0-9]+ by ' "the change before"
tm resize-window -t t -x 80 -y 24; sees '5 Stack.*4 Locks|8 Variables' "80x24 again"
text M; sees 'mouse off' "M"
[ "$(mouse)" = 00 ] || die "the mouse is on after M: $(mouse)"
text M; sees 'mouse on' "M again"
keys C-l; sees 'DEADLOCK' "^L"
keys C-c; sees 'nothing to stop' "^C"
keys C-z; sees 'Stopped' "^Z suspends"
[ "$(mouse)" = 00 ] || die "the mouse is on after ^Z: $(mouse)"
text fg; keys Enter; sees 'DEADLOCK.*' "fg comes back"; sees 'q quit' "fg comes back whole"
if [ "${GDB:-0}" = 1 ]; then # gdb in the same terminal, and back to where it was
    text f; sees "the verdict's fork" "f before gdb"
    text '!'; sees '^\(gdb\) *$' "! starts gdb"
    [ "$(mouse)" = 00 ] || die "the mouse is on in gdb: $(mouse)"
    text "event $acquire"; keys Enter; sees ' stopped\.$' "gdb goes to an event"
    text quit; keys Enter; sees "gdb was at event $acquire" "gdb has ended"
    sees '5 Stack' "the screen is back after gdb"; at "$acquire" "the focus is where gdb was"
fi
[ "$(mouse)" = 11 ] || die "the mouse is off after ^Z and fg: $(mouse)"
text q; sees '^shell> *$' "q"
[ "$(mouse)" = 00 ] || die "the mouse is on after q: $(mouse)"
text 'echo "ended=$?"'; keys Enter; sees '^ended=0' "the status after q"
text 'stty -a | tr " " "\n" | grep -x -e icanon -e -icanon'; keys Enter; sees '^icanon' "the terminal is sane after q"

# Ended from outside: the terminal must be sane, stderr must come after the screen.
for signal in TERM HUP SEGV; do
    start 80x24 xterm-256color C.UTF-8 ""
    sees 'DEADLOCK' "before SIG$signal"
    shell=$(tm display-message -p -t t '#{pane_pid}')
    pid=$(pgrep -P "$shell" | head -1)
    [ -n "$pid" ] || die "no process to signal"
    kill -"$signal" "$pid"
    ends "$((128 + $(kill -l $signal)))" "SIG$signal"
    [ "$(mouse)" = 00 ] || die "the mouse is on after SIG$signal: $(mouse)"
    text 'clear; stty -a | tr " " "\n" | grep -x -e icanon -e -icanon'; keys Enter
    sees '^icanon' "the terminal is sane after SIG$signal"
done
echo "tmux test: $checks checks, all as expected"
