#!/bin/bash
# rr itself as the engine: a program that is stuck is stopped, and the verdict on rr's trace is refork's own on its recording.
# Another rr than the one in PATH: RR=COMMAND RR_OPTIONS=-W.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
rr=${RR:-rr} options=${RR_OPTIONS:-}
why=$(clean "$refork" record --engine rr --rr "$rr" --rr-options="$options" -o try.rr -- true 2>&1)
[ -d try.rr ] || skip "${why:-no rr}"

# What both tell: kinds, the lock, who took it in which function, where the fork was. (rr leaves other numbers.)
told() {
    jq -S '[.findings[0] | .kind, .lock.kind, .lock.symbol, .holder.start_routine, .holder.vanished,
            ([.acquired, .fork, .waiting][] | [.stack[]? | select(.module | test("\\.so") | not) | [.function, .line]])],
           [.findings[].kind]' "$1"
}
for sample in mutex_deadlock rwlock_reader libc_localtime; do
    ends 120 record --engine rr --rr "$rr" --rr-options="$options" -o $sample.rr -- "$build/samples/$sample"
    grep -q '^Finding 1 of 2: orphaned-lock' stderr || fail "$sample: record tells no verdict: $(cat stderr)"
    clean "$refork" record --no-explain -o $sample.refork -- "$build/samples/$sample" >out 2>err
    clean "$refork" explain --json $sample.refork >own.json 2>err
    ends 120 explain --rr "$rr" --json $sample.rr
    diff <(told own.json) <(told stdout) >differences || fail "$sample: $(cat differences)"
done
ends 0 record --engine rr --rr "$rr" --rr-options="$options" -o ok.rr -- "$build/samples/ok_self_held"
ends 0 explain --rr "$rr" ok.rr
echo good
