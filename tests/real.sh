# shellcheck shell=bash disable=SC2154,SC2034 # sourced after lib.sh: $refork, $out, $root
# What the checks of programs and libraries that are not refork's own share: record, replay, verdict.
programs=$build/tests/real
sources=$root/tests/real
in_work

# A library of Debian, or the test is skipped with the package's name: library FILE PACKAGE
library() {
    compgen -G "/usr/lib/*/$1" >/dev/null || skip "no $1: 'make deps' installs $2"
}

# verdict NAME STATUS EXPECTATIONS COMMAND...: record and replay end with STATUS, and the findings are EXPECTATIONS (lines,
# tests/findings.jq). Functions are looked for in the whole stack.
verdict() {
    local name=$1 status=$2 expect=$3 got wrong end=0 deadlock=false
    shift 3
    [ "$status" = 120 ] && end=120 deadlock=true
    (clean "$refork" record -o "$name.refork" -- "$@" >"$name.out" 2>"$name.err" </dev/null) 2>/dev/null
    got=$?
    [ $got = "$status" ] || { tail -n 5 "$name.err"; fail "record $name: status $got, not $status"; }
    (clean "$refork" replay --batch "$name.refork" >"$name.out2" 2>"$name.err2" </dev/null) 2>/dev/null
    got=$?
    [ $got = "$status" ] || { tail -n 12 "$name.err2"; fail "replay $name: status $got, not $status: $work/$name.refork"; }
    cmp "$name.out" "$name.out2" || fail "$name: the replay's stdout differs"
    clean "$refork" explain --json "$name.refork" >"$name.json"
    got=$?
    [ $got = $end ] || fail "explain $name: status $got, not $end"
    wrong=$(jq -r --arg expect "$expect" --arg own "" --argjson deadlock $deadlock -f "$root/tests/findings.jq" "$name.json") ||
        fail "$name: bad expectation or JSON"
    [ -z "$wrong" ] || { jq . "$name.json" | head -n 80; fail "$name: $wrong (the trace: $work/$name.refork)"; }
    echo "good: $name"
}
