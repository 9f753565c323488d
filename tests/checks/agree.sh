#!/bin/bash
# `refork record` and `refork diagnose` call the same hang by the same kind: variants of tests/cases/, once recorded, once hanging without a recorder.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
pid=0
trap '((pid)) && pkill -9 -P "$pid"; ((pid)) && kill -9 "$pid"' EXIT

hangs() {
    clean "$refork" diagnose --json "$pid" >now.json 2>err
    [ $? = 120 ]
}
agree() { # KIND NAME ARG...
    local kind=$1 program=$build/tests/cases/$2
    shift 2
    ends 120 record --no-explain -o case.refork -- "$program" "$@"
    into recorded.json 120 explain --json case.refork
    "${as_clean[@]}" "$program" "$@" </dev/null >program.out 2>&1 &
    pid=$!
    until_true hangs || fail "${program##*/} $*: diagnose says $(cat err now.json)"
    pkill -9 -P "$pid"
    kill -9 "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    pid=0
    for by in recorded now; do
        [ "$(jq -r '.findings[0].kind' $by.json)" = "$kind" ] || fail "${program##*/} $*: $by as $(jq -c '[.findings[] | {kind, lock: .lock.symbol}]' $by.json), not $kind"
    done
    [ "$kind" = dead-holder ] || [ "$(jq .findings[0].lock.symbol recorded.json)" = "$(jq .findings[0].lock.symbol now.json)" ] ||
        fail "${program##*/} $*: the locks are $(jq -c .findings[0].lock recorded.json now.json)"
}

agree orphaned-lock child_threads none
agree orphaned-lock child_threads pause
agree orphaned-lock child_threads nap handler
agree lock-cycle crossed orders none
agree lock-cycle crossed orders pause flag
agree lock-cycle crossed twice none pipe
agree dead-holder killed_holder mutex
agree dead-holder killed_holder writer
rm -f ./*.json case.refork
echo "good"
