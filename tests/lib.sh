# shellcheck shell=bash disable=SC2034
# What the test scripts share. Sourced with the build folder in $1: sets $root, $build, $refork, $out.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(cd "$1" && pwd) || exit 1
refork=$build/refork
export out=${out:-$build/test-out}
mkdir -p "$out"

# Runs a command in an environment of its own: nothing of the caller's shell, locale or Python settings gets in.
# In a subshell `exec "${as_clean[@]}" ...` leaves no bash behind that would say "Aborted" into the program's stderr.
mkdir -p "$out/home"
as_clean=(env -i PATH=/usr/bin:/bin LANG=C.UTF-8 "HOME=$out/home" TERM=dumb)
clean() { "${as_clean[@]}" "$@"; }
# often MANY FEW: how often a check does a thing: MANY with THOROUGH=1 (`make soak`), else FEW
THOROUGH=${THOROUGH:-}
often() { if [ -n "$THOROUGH" ]; then echo "$1"; else echo "$2"; fi; }

# The test failed: says why, and how to look at it.
fail() {
    printf 'FAILED: %s\n' "$*"
    exit 1
}

# This machine cannot run the test: counted apart, never as passed.
skip() {
    printf 'SKIPPED: %s\n' "$*"
    exit 77
}

# in_work: an empty folder of this test's own, named after its script: $work, and the place where it runs.
in_work() {
    work=$out/$(basename "$0" .sh)
    rm -rf "$work"
    mkdir -p "$work"
    cd "$work" || exit 1
}

# ends STATUS ARG...: `refork ARG...` ends so; what it printed is in the files stdout and stderr. Its input is nothing, or the
# file $input, as in: input=words ends 0 record cat
ends() {
    local want=$1 got
    shift
    clean "$refork" "$@" >stdout 2>stderr <"${input:-/dev/null}"
    got=$?
    [ $got = "$want" ] || fail "refork $*: status $got, not $want: $(cat stderr; head -c 4000 stdout)"
}

# says STATUS PATTERN ARG...: as ends, and stderr matches PATTERN (empty: nothing is there).
says() {
    local pattern=$2
    ends "$1" "${@:3}"
    if [ -z "$pattern" ]; then
        [ ! -s stderr ] || fail "refork ${*:3}: said $(cat stderr)"
    else
        grep -qE -- "$pattern" stderr || fail "refork ${*:3}: stderr has no '$pattern': $(cat stderr)"
    fi
}

# into FILE STATUS ARG...: as ends, and what it printed is FILE.
into() {
    ends "${@:2}"
    mv stdout "$1"
}

# json FILTER [JQ OPTION...]: holds of the document in the file json.
json() {
    local filter=$1
    shift
    jq -e "$@" "$filter" json >/dev/null || fail "not $filter: $(jq -c 'del(.findings, .found, .verdict)' json)"
}

# hunted STATUS [OPTION...] -- PROGRAM [ARG...]: the hunt ends so; its document is in json, what it found in found.refork.
hunted() {
    rm -f found*
    into json "$1" hunt --seed 1 --json -o found.refork "${@:2}"
}

# has_finding TRACE KIND LOCK: the verdict on it, in verdict.json, has a finding of that KIND about a lock with LOCK in its name.
has_finding() {
    into verdict.json 120 explain --json "$1"
    jq -e --arg kind "$2" --arg lock "$3" 'any(.findings[]; .kind == $kind and (.lock.symbol // "" | contains($lock)))' verdict.json >/dev/null ||
        fail "no $2 $3 in $1: $(jq -c '[.findings[] | {kind, lock: .lock.symbol}]' verdict.json)"
}

# plan LINE...: makes plan.schedule.
plan() { printf '%s\n' 'refork schedule 1' "$@" >plan.schedule; }

# compile OUTPUT SOURCE [FLAG...]: a program with debug information.
compile() {
    mkdir -p "$(dirname "$1")"
    gcc -g -D_GNU_SOURCE -I"$root" -I"$root/tests/programs" -o "$1" "$2" -pthread "${@:3}" 2>gcc.log || fail "gcc $*: $(cat gcc.log)"
}

# in_parallel MOST COMMAND...: runs it beside at most MOST - 1 others; all_ended waits for the rest. One that fails ends the test.
in_parallel() {
    local most=$1
    shift
    "$@" &
    parallel=$((${parallel:-0} + 1))
    while [ "$parallel" -ge "$most" ]; do one_ended; done
}
one_ended() {
    wait -n || exit 1
    parallel=$((parallel - 1))
}
all_ended() { while [ "${parallel:-0}" -gt 0 ]; do one_ended; done; }

. "$root/tests/patience.sh"

# stretched TIME: what so much time of an idle machine is on this one now, for a limit or a pause that a test must set.
stretched() {
    local worth
    patience_worth $(($1 * 1000))
    echo $(($1 * ($1 * 1000) / worth))
}

# twice STATUS NAME [OPTION...] -- COMMAND...: the recording of COMMAND, NAME.refork, ends so, and its replay, too, with the same
# output, NAME.out. Neither hangs.
twice() {
    local want=$1 name=$2 got
    shift 2
    patiently 240 "${as_clean[@]}" "$refork" record -o "$name.refork" "$@" >"$name.out" 2>"$name.err" </dev/null
    got=$?
    [ $got = "$want" ] || fail "record of $name: status $got, not $want: $(tail -n 20 "$name.err")"
    patiently 240 "${as_clean[@]}" "$refork" replay --batch "$name.refork" >"$name.out2" 2>"$name.err2"
    got=$?
    [ $got = "$want" ] || fail "replay of $name: status $got, not $want: $(tail -n 3 "$name.err2")"
    cmp "$name.out" "$name.out2" || fail "$name: the replay's stdout differs"
}

# patiently SECONDS COMMAND...: ends what hangs, with status 124, when so much patience is used up.
patiently() { "$root/tests/within.sh" "$@"; }
