# shellcheck shell=bash disable=SC2154,SC2034 # sourced after lib.sh: $refork, $out, $build, $root
# What the checks of rare deadlocks share: without refork they do not happen, a hunt finds each within a few runs, its
# recording replays to the same verdict every time, and with the cause removed the hunt says why there is none.
twins=$build/tests/twins
in_work

# How often each twin runs without refork. The lock is held for some microseconds of every 5 ms: hardly one run in 1,000 hangs
# on a quiet machine, more on a busy one, which stops its holder in between. How many is told and decides nothing.
native_runs=$(often 300 60)

# natively COMMAND...: each run ends well, or hangs; a rare deadlock is one with which more end than hang
natively() {
    local good hung failed
    read -r good hung failed < <(clean "$twins/natively" "$native_runs" "$@")
    [ "$failed" = 0 ] || fail "$*: of $native_runs runs without refork $failed failed"
    [ "$good" -gt "$hung" ] || fail "$*: of $native_runs runs without refork $hung hung"
    echo "$*: $hung of $native_runs runs without refork hung"
}

# hunted NAME STATUS OPTION... -- COMMAND...: the hunt ends so; its JSON is in NAME.json, what it found in NAME.refork
hunted() {
    local name=$1 want=$2 got
    shift 2
    rm -f "$name".refork*
    clean "$refork" hunt --seed 1 --strategy directed --json -o "$name.refork" "$@" >"$name.json" 2>"$name.err" </dev/null
    got=$?
    [ $got = "$want" ] || fail "hunt $*: status $got, not $want: $(cat "$name.err" "$name.json")"
}

# holds NAME FILTER [JQ OPTION...]
holds() {
    local name=$1 filter=$2
    shift 2
    jq -e "$@" "$filter" "$name.json" >/dev/null || fail "$name: not $filter: $(jq -c 'del(.findings, .found)' "$name.json")"
}

# replays NAME EXPECTATION: all replays end the same, and the verdict is EXPECTATION (tests/findings.jq). Whether the
# parent waits for the child already when that hangs is up to the schedule: consequences do not count.
replays() {
    local name=$1 expect=$2 i wrong first
    for ((i = 0; i < $(often 20 5); i++)); do
        clean "$refork" replay --batch "$name.refork" >/dev/null 2>"$name.err"
        [ $? = 120 ] || fail "replay $i of $name: $(cat "$name.err")"
    done
    for ((i = 0; i < 2; i++)); do
        clean "$refork" explain --json "$name.refork" >"$name.verdict" 2>"$name.err"
        [ $? = 120 ] || fail "explain $i of $name: $(cat "$name.err")"
        wrong=$(jq '.findings |= map(select(.kind != "cross-process-wait"))' "$name.verdict" | jq -r --arg expect "$expect" --arg own '' --argjson deadlock true -f "$root/tests/findings.jq") ||
            fail "$name: bad expectation or JSON"
        [ -z "$wrong" ] || fail "$name: $wrong: $(jq -c '.findings[] | {kind, confidence, lock, holder: .holder.name}' "$name.verdict")"
        [ $i = 0 ] && first=$(cat "$name.verdict")
        [ "$(cat "$name.verdict")" = "$first" ] || fail "$name: verdict $i differs"
    done
}

# found NAME EXPECTATION COMMAND...: in at most 5 runs, from a first one that was healthy. One that hangs by luck is found, too, but
# shows nothing of the gate: then once more.
found() {
    local name=$1 expect=$2 i
    shift 2
    for ((i = 0; i < 4; i++)); do
        hunted "$name" 120 -- "$@"
        jq -e '.found[0].how != "the program as it is"' "$name.json" >/dev/null && break
    done
    holds "$name" '.deadlock and .runs >= 2 and .runs <= 5 and .covered.pairs >= 1'
    replays "$name" "$expect"
    rm -f "$name".refork*
}

# refuted NAME LOCK VERDICT COMMAND...: no deadlock, all candidates tried, and of LOCK (its name; a * at its end stands for
# anything; its kind, when it has no name) it is said why
refuted() {
    local name=$1 lock=$2 verdict=$3
    shift 3
    hunted "$name" 0 --runs 200 -- "$@"
    holds "$name" '.deadlock == false and .findings == [] and .trace == null and .covered.pairs == .covered.candidates'
    holds "$name" 'any(.refuted[]; (.lock // .kind | gsub(" "; "_") | if $lock | endswith("*") then startswith($lock | rtrimstr("*")) else . == $lock end)
        and .verdict == $verdict and (.reason | length) > 10)' --arg lock "$lock" --arg verdict "$verdict"
    holds "$name" 'all(.refuted[]; .verdict != "child-stuck" and .verdict != "undecided" and .verdict != "none")'
}

# twin PROGRAM NAME FINDING FIXED [VARIABLE=VALUE...]: FINDING is what the deadlock's cause is (tests/findings.jq), FIXED
# is "LOCK VERDICT" of the fixed twin
twin() {
    local program=$1 name=$2 finding=$3 fixed=$4 command
    shift 4
    command=("$twins/$program" "$name")
    [ $# = 0 ] || command=(env "$@" "${command[@]}")
    natively "${command[@]}"
    found "$name" "$finding" "${command[@]}"
    # shellcheck disable=SC2086 # two words
    refuted "$name" $fixed "${command[@]}" fixed
    echo "good: $name"
}

# TWINS_LIST=1: says what twins there are, a line each: the name, then the quoted words of the command. For the bench.
if [ -n "${TWINS_LIST:-}" ]; then
    twin() {
        local name=$2 command=("$twins/$1" "$2")
        shift 4
        [ $# = 0 ] || command=(env "$@" "${command[@]}")
        echo "$name $(printf '%q ' "${command[@]}")"
    }
    found() { :; }
    refuted() { :; }
    hunted() { :; }
    holds() { :; }
fi
