#!/bin/bash
# make bench W=rare: how many runs of a program with a rare deadlock it takes until it hangs: natively, by the fork gate (directed), and by the
# other schedules. ">N": not within N runs. tests/bench/rare.sh BUILD [NAME...]   NATIVE=300 RUNS=60 SEED=1
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

echo "runs until a rare deadlock happens (at most $native natively, $runs by refork hunt, with seed $seed; directed ends when no candidate is left)"
printf '%-13s %10s %10s %10s %10s %10s\n' '' native directed pct random delay
wanted=" $* "
for i in "${!names[@]}"; do
    [ $# = 0 ] || [[ $wanted == *" ${names[i]} "* ]] || continue
    eval "command=(${commands[i]})"
    row=("$(natively "${command[@]}")") || exit 1
    for strategy in directed pct random delay; do row+=("$(hunted $strategy "${command[@]}")") || exit 1; done
    printf '%-13s %10s %10s %10s %10s %10s\n' "${names[i]}" "${row[@]}"
done
rm -rf "$work"
