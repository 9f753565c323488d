#!/bin/bash
# make bench W=rare: how many runs of a program with a rare deadlock it takes until it hangs: natively, by the fork gate (directed), and by the
# other schedules. ">N": not within N runs. tests/bench/rare.sh BUILD [NAME...]   NATIVE=300 RUNS=60 SEED=1 (of the samples' twins NATIVE=100 RUNS=20)
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
shift
native=${NATIVE:-300} runs=${RUNS:-60} seed=${SEED:-1}
work=$out/bench-rare
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
programs=$build/tests/programs

names=() commands=()
rare() { # NAME PROGRAM [ARG...]
    names+=("$1")
    commands+=("$(printf '%q ' "${@:2}")")
}
for kind in mutex recursive rwlock reader spin sem xchg setenv; do rare "$kind" "$programs/rare_locks" $kind; done
rare static-guard "$build/tests/real/rare_guard"
rare crowd "$programs/rare_crowd"
for kind in orphan cycle atfork; do rare "$kind" "$programs/rare_order" $kind; done

twins_from=${#names[@]} # the samples' twins: so many that a row gets fewer runs
for check in mutex words libc more cpp; do # twins_real.sh has no twins of samples
    while read -r name command; do
        names+=("$name")
        commands+=("$command")
    done < <(TWINS_LIST=1 bash "$root/tests/checks/twins_$check.sh" "$build" | grep ' ')
done
cd "$work" || exit 1

# natively COMMAND...: the run that hung, counted from 1. What has not ended after 5 s hangs: the others take milliseconds.
natively() {
    local i status
    for ((i = 1; i <= native; i++)); do
        clean timeout -s KILL 5 "$@" >/dev/null 2>stderr </dev/null
        status=$?
        [ $status = 137 ] && echo "$i" && return
        [ $status = 0 ] || { echo "bench: $* ended with status $status: $(tail -n 2 stderr)" >&2; return 1; }
    done
    echo ">$native"
}

# hunted STRATEGY COMMAND...: the run that hung. One that hangs by itself, in run 1, is the native rate's.
hunted() {
    local strategy=$1 i status
    shift
    for ((i = 0; i < 3; i++)); do
        rm -f found*
        clean "$refork" hunt --json --strategy "$strategy" --seed "$seed" --runs "$runs" -o found.refork -- "$@" >json 2>stderr </dev/null
        status=$?
        [ $status = 0 ] && echo ">$(jq .runs json)" && return
        [ $status = 120 ] || { echo "bench: hunt --strategy $strategy $*: status $status: $(tail -n 2 stderr)" >&2; return 1; }
        jq -e '.found[0].how != "the program as it is"' json >/dev/null && jq .runs json && return
    done
    echo 1
}

echo "runs until a rare deadlock happens (at most $native natively, $runs by refork hunt, a third of that for the samples' twins, seed $seed; directed ends when no candidate is left)"
printf '%-21s %10s %10s %10s %10s %10s\n' '' native directed pct random delay
wanted=" $* "
for i in "${!names[@]}"; do
    [ $# = 0 ] || [[ $wanted == *" ${names[i]} "* ]] || continue
    eval "command=(${commands[i]})"
    [ "$i" -lt "$twins_from" ] || native=${NATIVE:-100} runs=${RUNS:-20}
    row=("$(natively "${command[@]}")") || exit 1
    for strategy in directed pct random delay; do row+=("$(hunted $strategy "${command[@]}")") || exit 1; done
    printf '%-21s %10s %10s %10s %10s %10s\n' "${names[i]}" "${row[@]}"
done
rm -rf "$work"
