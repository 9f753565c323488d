#!/bin/bash
# What goes wrong around refork must not go wrong in it. Each part counts what it tried, and fails at the first surprise.
#   tests/faults/run.sh BUILD STEP KILLS [PART...]
# STEP: every so many-th fault of each kind is tried (1: all); KILLS: at how many random moments the recorder is killed.
#   writes       each write to the recording fails once: ENOSPC, EIO, EINTR, half of it is written
#   allocations  each allocation of `refork dump` and `refork info` fails once
#   tampering    each kind of change to a good recording, below its checksums
#   kills        SIGKILL to the recorder at a random moment
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
step=$2 kills=$3
shift 3
parts=("$@")
[ $# -gt 0 ] || parts=(writes allocations tampering kills)
work=$(mktemp -d "${TMPDIR:-/tmp}/refork-faults-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
library=$build/tests/faults/inject.so
program=$build/tests/programs/threads_forks
traces=("$root"/tests/traces/*-patched.refork)
travel=${traces[0]}

# faulty CALL AT HOW ARG...: refork with that fault. Its status in $got.
faulty() {
    local call=$1 at=$2 how=$3
    shift 3
    clean env "LD_PRELOAD=$library" "FAULT_CALL=$call" "FAULT_AT=$at" "FAULT_HOW=$how" "FAULT_COUNT=$work/count" \
        "$refork" "$@" >stdout 2>stderr </dev/null
    got=$?
}

# What is left of a recording can be read, and replays up to its end.
readable() { # WHAT
    local status
    clean "$refork" replay --batch left.refork >replayed 2>replay.err </dev/null
    status=$?
    case $status in
    0) ;;
    122) grep -qE 'byte [0-9]+|has no end' replay.err || fail "$1: replay says $(cat replay.err)" ;;
    *) fail "$1: replay of what is left: status $status: $(tail -n 3 replay.err)" ;;
    esac
    cmp -n "$(stat -c %s replayed)" replayed stdout >/dev/null || fail "$1: the replay printed something else"
}

writes() {
    local all at how
    faulty write 0 none record -o left.refork -- "$program"
    [ $got = 0 ] || fail "record: status $got: $(cat stderr)"
    all=$(cat count)
    [ "$all" -gt 3 ] || fail "only $all writes were seen"
    local tried=0
    for ((at = 1; at <= all; at += step)); do
        for how in enospc eio eintr short; do
            rm -f left.refork
            faulty write $at $how record -o left.refork -- "$program"
            what="write $at of $all, $how"
            # How many writes there are depends on the kernel's time slices: this run had fewer.
            [ "$(cat count)" -ge $at ] || continue
            case $how in
            eintr | short)
                [ $got = 0 ] || fail "$what: status $got: $(cat stderr)"
                ;;
            *)
                # The verdict is added when the program has ended well.
                [ $got = 125 ] || { [ $got = 0 ] && grep -q 'the verdict is not complete' stderr; } || fail "$what: status $got, not 125: $(cat stderr)"
                grep -qE "cannot (write|create|finish) .*left.refork" stderr || fail "$what: does not name the recording: $(cat stderr)"
                ;;
            esac
            [ ! -e left.refork ] || readable "$what"
            tried=$((tried + 1))
        done
    done
    [ $tried -gt 3 ] || fail "only $tried faults came to be"
    echo "writes: $tried faults at $all writes"
}

allocations() {
    local all at command tried=0 needed=0 stopped=0
    for command in info dump; do
        faulty malloc 0 none $command "$travel"
        [ $got = 0 ] || fail "$command: status $got"
        mv stdout whole
        all=$(cat count)
        [ "$all" -gt 20 ] || fail "only $all allocations were seen"
        for ((at = 1; at <= all; at += step)); do
            faulty malloc $at none $command "$travel"
            what="$command, allocation $at of $all"
            tried=$((tried + 1))
            case $got in
            0) cmp -s stdout whole || fail "$what: status 0 and something else printed: $(diff stdout whole | head -n 5)" ;;
            122 | 125)
                needed=$((needed + 1))
                [ -s stderr ] || fail "$what: status $got without a word"
                ;;
            134)
                stopped=$((stopped + 1))
                grep -q 'refork: ' stderr || fail "$what: aborted without a word"
                ;;
            *) fail "$what: status $got: $(tail -n 3 stderr)" ;;
            esac
        done
    done
    echo "allocations: $tried faults: $needed ended with an error, $stopped with a broken invariant's message, the others made no difference"
}

# What no instruction of this program and no rule of the replay can see:
# - numbers and flags that only people are shown, texts, digests that are not there; what follows the registers that are recorded anyway;
# - what is done once more and comes to the same (a new image, a signal's frame), and two tasks' events that may come in either order;
# - selectors, which are the same in every process;
# - the flags and the name of a mapping; a last byte that was the same before; PKRU and x87's control word, which the program does not use.
harmless='^(note|stuck|end): |^[a-z]+: (aux|flag )|^(exec|birth|death|trap|signal|patch): nr|^(exec|enter|death|trap|signal|patch): ret'
harmless+='|^(exec|signal|patch): there twice|^enter: after the next one|register (15|17|20|23|24|25|26)$'
harmless+='|^piece (text|siginfo|limit|wait|peer|word)|^piece digest: left out|^piece map: (value 3|first byte|last byte|zeroed)'
harmless+='|^piece (mem|map|childmem): a byte shorter|^piece regs: last byte|^piece xstate: (last|first) byte'

tampering() {
    local tamper=$build/tests/faults/tamper kinds n made noticed=0 refused=0 unseen=0
    compile program "$root/tests/traces/travel.c" -O2
    clean "$refork" record --paranoid=1 -o good.refork -- ./program >whole 2>stderr </dev/null || fail "record: status $?: $(cat stderr)"
    clean "$refork" replay --batch --paranoid good.refork >stdout 2>stderr || fail "the good one: status $?: $(cat stderr)"
    kinds=$("$tamper" --kinds)
    : >unseen
    # A change may be one to the same value, or to what is overwritten before it is looked at: then elsewhere.
    for ((n = 0; n < kinds; n += step)); do
        for part in 4 2 6 1 3 5 7 0; do
            "$tamper" good.refork bad.refork $n $part >kind 2>tamper.err
            made=$?
            case $made in
            1) continue 2 ;;
            3) refused=$((refused + 1)) && continue 2 ;;
            0) ;;
            *) fail "tamper $n: status $made: $(cat tamper.err)" ;;
            esac
            patiently 60 "${as_clean[@]}" "$refork" replay --batch --paranoid bad.refork >stdout 2>stderr </dev/null
            got=$?
            case $got in
            121 | 122 | 125) [ -s stderr ] || fail "$(cat kind) ($n): status $got without a word" ;;
            134 | 139 | 13[0-9] | 124) fail "$(cat kind) ($n): status $got: $(tail -n 3 stderr)" ;;
            *) if cmp -s stdout whole; then
                grep -qE "$harmless" kind && break
                continue
            fi ;;
            esac
            noticed=$((noticed + 1))
            continue 2
        done
        unseen=$((unseen + 1))
        cat kind >>unseen
    done
    grep -vE "$harmless" unseen >missed
    [ ! -s missed ] || fail "tampering that was not noticed: $(paste -sd, missed)"
    echo "tampering: $((noticed + refused + unseen)) kinds: $noticed noticed in replay, $refused refused when read, $unseen change nothing that the program can see"
}

nobody_of() { ! pgrep -s "$1" >/dev/null; } # a session

kills() {
    local n cut=0 whole=0 most started=${EPOCHREALTIME/[.,]/}
    clean "$refork" record -o left.refork -- "$program" >stdout 2>stderr </dev/null || fail "record: status $?: $(cat stderr)"
    most=$(((${EPOCHREALTIME/[.,]/} - started) / 1000)) # milliseconds that a recording takes now
    [ $most -lt 1000 ] || most=999
    for ((n = 1; n <= kills; n++)); do
        rm -f left.refork
        setsid "${as_clean[@]}" "$refork" record -o left.refork -- "$program" >stdout 2>stderr </dev/null &
        local recorder=$!
        sleep "$(printf '0.%03d' $((RANDOM % most)))" # what is tried is any moment, not a certain one
        kill -9 $recorder 2>/dev/null
        wait $recorder 2>/dev/null
        until_true nobody_of $recorder || fail "kill $n: left behind: $(ps -o pid,stat,args -s $recorder)"
        [ -e left.refork ] || continue
        readable "kill $n"
        if grep -q . replay.err; then cut=$((cut + 1)); else whole=$((whole + 1)); fi
    done
    echo "kills: $kills: $cut recordings cut off, $whole whole, the others not begun"
}

for part in "${parts[@]}"; do "$part"; done
