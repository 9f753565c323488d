#!/bin/bash
# Records and replays each program of programs.list that this machine has, and prints a table of them (Markdown).
#   tests/real/programs.sh BUILD [NAME...]
# Exact: the replay ended like the program and printed the same. CPU seconds (user and system) are those of the whole tree.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
shift
work=$(mktemp -d "${TMPDIR:-/tmp}/refork-programs-XXXXXX")
chmod 755 "$work" # a program may become another user
trap 'rm -rf "$work"' EXIT
TIMEFORMAT='%U %S'
used() { awk '{printf "%.2f", $1 + $2}' "$1" | tail -n 1; }

# timed FILE COMMAND...: its CPU seconds go to FILE, its status is passed on.
timed() {
    local file=$1
    shift
    { time "$@" >"$work/stdout" 2>"$work/stderr" </dev/null; } 2>"$file"
}

row() { # NAME VERSION SCRIPT
    local name=$1 status recorded replayed exact info script=$3
    rm -rf "$work/run" "$work/again"
    mkdir -m 777 "$work/run" "$work/again"
    cd "$work/again" || exit 1
    timed "$work/native.time" timeout 120 "${as_clean[@]}" bash -c "$script"
    status=$?
    cd "$work/run" || exit 1
    timed "$work/record.time" timeout 300 "${as_clean[@]}" "$refork" record -o "$work/t.refork" -- bash -c "$script"
    recorded=$?
    mv "$work/stdout" "$work/recorded"
    cp "$work/stderr" "$work/said"
    timed "$work/replay.time" timeout 300 "${as_clean[@]}" "$refork" replay --batch "$work/t.refork"
    replayed=$?
    exact='exact'
    cmp -s "$work/recorded" "$work/stdout" || exact='prints something else in replay'
    [ $recorded = $replayed ] || exact="no: recorded $recorded, replayed $replayed: $(grep -m 1 refork "$work/stderr" | cut -c 1-120)"
    [ $recorded = $status ] || exact="$exact; alone it ends with $status, recorded with $recorded"
    info=$(clean "$refork" info --json "$work/t.refork" | jq -r '"\(.events) | \(.size.file / 1048576 * 10 | round / 10)"')
    echo "| $name | $2 | $info | $(used "$work/native.time") | $(used "$work/record.time") | $(used "$work/replay.time") | $exact |"
}

echo '| program | version | events | MiB | CPU s alone | recorded | replayed | |'
echo '|---|---|---|---|---|---|---|---|'
while IFS= read -r line; do
    [[ $line != \#* && -n $line ]] || continue
    name=${line%% | *} rest=${line#* | }
    version=${rest%% | *} script=${rest#* | }
    [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
    text=$("${as_clean[@]}" bash -c "$version" 2>&1 | head -n 1) || continue
    [[ $text =~ [0-9]+[.0-9a-z]* ]] || continue
    row "$name" "${BASH_REMATCH[0]}" "$script"
done <"$root/tests/real/programs.list"
