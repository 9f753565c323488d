#!/bin/bash
# What refork makes of a recording is the same when every call and lock operation stops the task (--probes=off), and so are the
# calls of a recording that is made so. WHOLE=1: over all samples (make probes).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work

# of TRACE: by which option, what.
made_of() {
    local trace=$1 way
    for way in on off; do
        patiently 240 "${as_clean[@]}" "$refork" replay --batch --probes=$way "$trace" >"$trace.$way.out" 2>"$trace.$way.err"
        echo "status $?" >>"$trace.$way.out"
        patiently 240 "${as_clean[@]}" "$refork" explain --json --probes=$way "$trace" >"$trace.$way.verdict" 2>"$trace.$way.err"
        patiently 240 "${as_clean[@]}" "$refork" lint --json --probes=$way "$trace" >"$trace.$way.lint" 2>"$trace.$way.err" || fail "lint --probes=$way $trace: $(cat "$trace.$way.err")"
        patiently 240 "${as_clean[@]}" "$refork" locks --json --all --no-cache --probes=$way "$trace" 2>"$trace.$way.err" | jq 'del(.stops, .noted)' >"$trace.$way.locks"
        [ -s "$trace.$way.locks" ] || fail "locks --probes=$way $trace: $(cat "$trace.$way.err")"
    done
    for what in out verdict lint locks; do
        cmp -s "$trace.on.$what" "$trace.off.$what" || fail "$what of $trace differs with --probes=off: $(diff "$trace.on.$what" "$trace.off.$what" | head -n 12)"
    done
}

sample() { # NAME PROBES
    patiently 240 "${as_clean[@]}" "$refork" record --probes="$2" --no-explain -o "$1.$2.refork" -- "$build/samples/$1" >/dev/null 2>&1 </dev/null
    [ -e "$1.$2.refork" ] || fail "no recording of $1"
    made_of "$1.$2.refork"
    rm -f "$1.$2".*
}

# The calls of a program with one thread, by name, of each process: what depends on the time is not among them.
calls() { # NAME PROBES COMMAND...
    patiently 240 "${as_clean[@]}" "$refork" record --probes="$2" -o "$1.$2.refork" -- "${@:3}" >"$1.$2.out" 2>"$1.$2.err" </dev/null
    into "$1.$2.dump" 0 dump "$1.$2.refork"
    awk '!($3 in seen) {seen[$3] = ++tasks} $4 == "syscall" || $4 == "enter" {sub(/\(.*/, "", $5); print seen[$3], $5}' "$1.$2.dump" |
        grep -v ' wait4$' | sort -snk1,1 >"$1.$2.calls"
}
same_calls() { # NAME COMMAND...
    calls "$1" on "${@:2}"
    calls "$1" off "${@:2}"
    [ -s "$1.on.calls" ] || fail "$1 makes no calls"
    cmp -s "$1.on.calls" "$1.off.calls" || fail "$1 makes other calls with --probes=off: $(diff "$1.on.calls" "$1.off.calls" | head -n 12)"
    grep -q ' patch .*mem ' "$1.on.dump" || fail "$1 makes no call by itself"
}

same_calls sqlite sh -c 'rm -f t.db; sqlite3 t.db "create table t(a); with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000) insert into t select i from n; select sum(a) from t"'
same_calls find find /usr/share/doc -maxdepth 1
samples=(mutex_deadlock held_more handler_locks ok_join)
if [ -n "${WHOLE:-}" ]; then
    mapfile -t samples < <(for file in "$build"/samples/*; do [ ! -x "$file" ] || basename "$file"; done)
fi
for name in "${samples[@]}"; do
    [ -f "$build/samples/$name" ] || fail "no sample '$name'"
    in_parallel 2 sample "$name" on
    [ -z "${WHOLE:-}" ] || in_parallel 2 sample "$name" off
done
all_ended
echo "good: ${#samples[@]} samples"
