#!/bin/bash
# One line of list.sh: records the program three times and replays each recording; output, errors and status must be the same.
#   tests/proof/run.sh BUILD NAME       tests/proof/run.sh BUILD --list
# REPS=N in the environment: so many times instead. A failure keeps its trace and says how to replay it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
wanted=$2
here=$root/tests/proof
# shellcheck disable=SC2034 # used by list.sh
data=$build/test-data programs=$build/tests/programs

name='' command=()
status=0 same='' light='' locks='' in=/dev/null record_options=() delete='' users='' setup=''
proof() {
    if [ "$wanted" = --list ]; then
        echo "$1"
        return
    fi
    [ "$1" = "$wanted" ] || return 0
    name=$1
    shift
    while [ "$1" != -- ]; do
        case $1 in
        --same) same=1 ;;
        --light) light=1 ;;
        --locks) locks=1 ;;
        --delete) delete=1 ;;
        --users) users=1 ;;
        --aslr) record_options+=(--aslr) ;;
        --cpus) record_options+=(--cpus "$2") && shift ;;
        --schedule) record_options+=(--schedule "$2") && shift ;;
        --status) status=$2 && shift ;;
        --in) in=$2 && shift ;;
        --setup) setup=$2 && shift ;;
        *) fail "list.sh: what is $1?" ;;
        esac
        shift
    done
    shift
    command=("$@")
}
# shellcheck source=tests/proof/list.sh
. "$here/list.sh"
[ "$wanted" = --list ] && exit 0
[ -n "$name" ] || fail "no proof is called $wanted"

# Away from the build folder when other users must be able to read it.
keep=''
work=$out/proof-$name
rm -rf "$work"
if [ -n "$users" ]; then
    [ "$(id -u)" = 0 ] || skip "needs root, to become two other users"
    work=$(mktemp -d "${TMPDIR:-/tmp}/refork-proof-XXXXXX")
    chmod 755 "$work"
    trap '[ -n "$keep" ] || rm -rf "$work"' EXIT
fi
mkdir -p "$work/run" "$work/elsewhere"
cd "$work/run" || exit 1

as_recorder=() as_replayer=()
if [ -n "$users" ]; then
    install -m 755 "$refork" "${command[0]}" "$work/"
    refork=$work/refork
    command[0]=$work/$(basename "${command[0]}")
    as_recorder=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    as_replayer=(setpriv --reuid=65533 --regid=65533 --clear-groups)
    mkdir "$work/traces"
    chown 65534:65534 "$work/traces" "$work/run"
    traces=$work/traces
else
    traces=$work
fi

# shellcheck disable=SC2317,SC2329 # called through --setup
copy_project() {
    rm -rf project
    cp -r "$data/project" .
}

# What refork itself says (when it says something) is no part of the program's stderr.
without_refork() { sed '/^refork: /d' "$1"; }

give_up() {
    keep=1
    echo "recorded:  ${as_recorder[*]} $refork record ${options[*]} -o $trace -- ${command[*]} <$in"
    echo "replay it: ${as_replayer[*]} $refork replay --batch $trace"
    fail "$@"
}

compare() { # WHAT FILE FILE
    cmp "$2" "$3" >"$work/cmp" 2>&1 && return 0
    diff -a "$2" "$3" | head -n 8 | cut -c -300
    give_up "$1 differs: $(cat "$work/cmp")"
}

once() { # TITLE [RECORD OPTION...] [:: REPLAY OPTION...]
    local title=$1 recorded replayed replay_options=()
    shift
    options=("${record_options[@]}")
    while [ $# -gt 0 ] && [ "$1" != :: ]; do options+=("$1") && shift; done
    [ $# -gt 0 ] && shift && replay_options=("$@")
    [ -z "${PROBES:-}" ] || options+=("--probes=$PROBES") replay_options+=("--probes=$PROBES")
    trace=$traces/$title.refork
    rm -f "$trace" table.db
    [ -z "$setup" ] || "$setup"
    if [ -n "$delete" ]; then
        cp "${command[0]}" "$work/a-copy"
        command[0]=$work/a-copy
    fi
    (exec "${as_clean[@]}" "${as_recorder[@]}" "$refork" record "${options[@]}" -o "$trace" -- "${command[@]}" \
        <"$in" >"$work/$title.out" 2>"$work/$title.err")
    recorded=$?
    # A recording is its owner's alone until that one gives it away.
    if [ -n "$users" ] && [ -e "$trace" ]; then
        [ "$(stat -c %a "$trace")" = 600 ] || give_up "the recording has mode $(stat -c %a "$trace"), not 600"
        chmod 644 "$trace"
    fi
    if [ -n "$delete" ]; then
        mv "$work/a-copy" "$work/kept-for-the-next-run"
    fi
    (cd "$work/elsewhere" && exec "${as_clean[@]}" "${as_replayer[@]}" "$refork" replay --batch "${replay_options[@]}" "$trace" \
        </dev/null >"$work/$title.out2" 2>"$work/$title.err2")
    replayed=$?
    if [ -n "$delete" ]; then
        mv "$work/kept-for-the-next-run" "$work/a-copy"
    fi
    without_refork "$work/$title.err" >"$work/$title.err-program"
    without_refork "$work/$title.err2" >"$work/$title.err2-program"
    if [ "$recorded" != "$status" ]; then
        tail -n 5 "$work/$title.err" | cut -c -500
        give_up "recording $title ended with status $recorded, not $status"
    fi
    if [ "$replayed" != "$recorded" ]; then
        tail -n 12 "$work/$title.err2" | cut -c -500
        give_up "replay of $title ended with status $replayed, not $recorded"
    fi
    compare "stdout of $title" "$work/$title.out" "$work/$title.out2"
    compare "stderr of $title" "$work/$title.err-program" "$work/$title.err2-program"
    if [ -n "$same" ]; then
        compare "stdout of $title and of the program alone" "$work/native.out" "$work/$title.out"
    fi
}

if [ -n "$same" ]; then
    (exec "${as_clean[@]}" "${command[@]}" <"$in" >"$work/native.out" 2>"$work/native.err")
fi
for ((rep = 1; rep <= ${REPS:-$(often 5 3)}; rep++)); do once "$rep"; done

clean "$refork" info "$trace" >"$work/info" 2>&1 || give_up "info: $(tail -n 3 "$work/info")"
clean "$refork" dump "$trace" >"$work/dump" 2>"$work/dump.err" || give_up "dump: $(tail -n 3 "$work/dump.err")"
[ -s "$work/dump" ] || give_up "dump printed nothing"
clean "$refork" explain "$trace" >"$work/explain" 2>&1
explained=$?
[ $explained = 0 ] || give_up "explain of a healthy program: status $explained: $(head -n 20 "$work/explain")"

# The stops of the lock history change nothing: its pass checks what a replay checks.
lock_history() {
    clean "$refork" locks --no-cache --json --all "$1" >"$work/locks.json" 2>"$work/locks.err" || give_up "locks: status $?: $(tail -n 12 "$work/locks.err")"
    jq -e '.stops + .noted > 0 and .places > 0' "$work/locks.json" >/dev/null || give_up "locks: no stops"
    clean "$refork" locks --no-cache --probes=off --json --all "$1" >"$work/stops.json" 2>"$work/locks.err" || give_up "locks --probes=off: status $?: $(tail -n 12 "$work/locks.err")"
    diff <(jq 'del(.stops, .noted)' "$work/locks.json") <(jq 'del(.stops, .noted)' "$work/stops.json") >"$work/locks.diff" ||
        give_up "locks by notes (<) and by stops (>) differ: $(head -n 12 "$work/locks.diff")"
}
[ -z "$locks" ] || lock_history "$trace"

if [ -n "$light" ]; then
    once paranoid --paranoid=20 :: --paranoid
    for seed in 1 2 3; do once "chaos-$seed" --chaos --seed $seed; done
    [ -z "$locks" ] || [ -z "$THOROUGH" ] || lock_history "$trace"
fi
[ -n "$users" ] || rm -rf "$work"
echo "good: $name"
