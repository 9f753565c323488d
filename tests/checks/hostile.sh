#!/bin/bash
# Names of the program that hold escape sequences do not reach the terminal, whatever command prints them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
evil=$'\e]0;title\a\e[31m\x9b2J\xc2\x9bend'

# The symbols of a program without debug information, with an escape sequence in each; its file's name, and with that its tasks' names,
# hold one, too.
compile plain "$root/tests/programs/gate_mutex.c" -O1 -g0
rename=()
for name in main log_entry log_mutex write_report idle before after; do rename+=(--redefine-sym "$name=$name$evil"); done
program=./$'ho\e[31mst\a'
objcopy "${rename[@]}" plain "$program" || fail objcopy

# printed FILE...: no control characters
printed() {
    LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|(?<![\xc2-\xf4])(?<![\xe0-\xf4][\x80-\xbf])[\x80-\x9f]' "$@" &&
        fail "a control character in what '$what' prints: $(LC_ALL=C cat -v "$@" | grep -m 3 -E '\^|M-')"
}

# harmless STATUSES WORD ARG...: what `refork ARG...` prints holds WORD, a name of the program's, and no control characters
harmless() {
    local want=$1 word=$2
    shift 2
    what="refork $*"
    clean "$refork" "$@" >stdout 2>stderr </dev/null
    status=$?
    [[ " $want " == *" $status "* ]] || fail "$*: status $status: $(cat -v stderr)"
    printed stdout stderr
    cat stdout stderr >"$1.printed"
    [ -z "$word" ] || grep -q -e "$word" "$1.printed" || fail "$*: '$word' is missing: $(cat -v stdout stderr)"
}

harmless 120 title hunt --strategy directed -o found.refork -- "$program"
grep -q 'log_entry' hunt.printed || fail "not the function's name: $(cat -v hunt.printed)"

# Each command, in each of its forms that prints for people.
one_command() {
    case $1 in
    record) harmless '0 120' '' record -o again.refork -- "$program" ;;
    hunt) harmless '0 123' title hunt --strategy directed --keep-going -o other.refork -- "$program" protected ;;
    replay)
        harmless 120 '' replay --batch found.refork
        ends 0 replay --script ':dump screen.txt<Enter>' --size 200x50 found.refork
        what='refork replay'
        printed screen.txt stdout stderr
        grep -q title screen.txt || fail "the TUI does not show the names: $(cat screen.txt)"
        ;;
    explain)
        harmless 120 title explain found.refork
        harmless 120 title explain found.refork found.refork
        # As a trace of rr: what rr's dump and its server say is no more to be trusted.
        mkdir found.rr && touch found.rr/{version,events,tasks,mmaps} && cp found.refork found.rr/recording.refork
        as_clean+=("REFORK=$refork")
        harmless 120 title explain --rr "$root/tests/rr_stand_in.sh" found.rr
        ;;
    verify)
        harmless 120 title verify found.refork -- "$program"
        harmless 0 title verify found.refork -- "$program" protected
        ;;
    minimize)
        # Threads of this program that sleep wake up in an order of their own: not every recording's order can be had again.
        local i
        for ((i = 0; i < 12; i++)); do
            rm -f min* order.refork*
            clean "$refork" hunt --strategy directed -o order.refork -- "$program" >/dev/null 2>&1 </dev/null
            harmless '120 125' '' minimize --runs 30 -o min.refork order.refork
            [ $status = 120 ] && break
        done
        [ $status = 120 ] && grep -q title minimize.printed || fail "minimize: $i tries, status $status: $(cat -v minimize.printed)"
        ;;
    gdb)
        # What gdb prints by itself is gdb's; what refork tells it is ours.
        what='refork gdb'
        clean "$refork" gdb found.refork -- -batch -ex 'monitor processes' -ex when -ex holders </dev/null >gdb.printed 2>&1
        grep -aE '^process |^behind event |^held ' gdb.printed >stdout
        : >stderr
        printed stdout stderr
        grep -q '^process ' stdout || fail "gdb shows no processes: $(cat -v gdb.printed)"
        ;;
    locks)
        harmless 0 title locks --no-cache found.refork
        harmless 0 31mst locks --no-cache --by task found.refork
        harmless 0 title locks --no-cache --stacks found.refork
        harmless 0 title locks --no-cache --around fork found.refork
        harmless 0 title locks --no-cache --lock "log_mutex$evil" found.refork
        ;;
    diff)
        harmless 0 '' diff found.refork found.refork
        clean "$refork" record --no-explain -o healthy.refork -- "$program" protected >/dev/null 2>&1 </dev/null
        harmless 1 31mst diff found.refork healthy.refork
        ;;
    watch) harmless '0 120' '' watch --pid $$ --every 1 --looks 2 ;;
    run) harmless '0 120' '' run --runs 1 -o . -- "$program" protected ;;
    diagnose) harmless '0 120' 'ho' diagnose $$ ;;
    lint) harmless 0 title lint found.refork ;;
    export)
        what='refork export'
        for to in html json; do
            ends 0 export --to $to -o - found.refork
            printed stdout stderr
        done
        ;;
    strip)
        harmless 0 '' strip -o less.refork found.refork
        harmless 0 '' strip --verdict-only -o only.refork found.refork
        harmless 120 title explain only.refork
        harmless 120 title explain --stored found.refork
        ;;
    info) harmless 0 '31mst' info found.refork ;;
    dump) harmless 0 '31mst' dump found.refork ;;
    doctor) harmless '0 125' '' doctor ;;
    learn) harmless 0 '' learn --list ;;
    help) harmless 0 '' help ;;
    *) fail "no case here for 'refork $1': what does it print of a recording?" ;;
    esac
}
for command in $(clean "$refork" help --words); do one_command "$command"; done

# What the terminal shows while it runs.
clean script -qec "$(printf '%q ' "$refork") hunt --strategy directed -o shown.refork -- $(printf '%q' "$program")" /dev/null >shown 2>&1 </dev/null
LC_ALL=C sed 's/\x1b\[K//g' shown | LC_ALL=C grep -qP '\x1b|\x07|\x9b' && fail "on a terminal: $(cat -v shown)"
grep -q 'candidates left' shown || fail "no progress on a terminal: $(cat -v shown)"
# Errors name what they are about.
clean "$refork" explain $'no\e[31m-such.refork' >stdout 2>stderr && fail "a file that is not there"
LC_ALL=C grep -qP '\x1b' stderr && fail "an error's name: $(cat -v stderr)"
rm -rf "$work"
