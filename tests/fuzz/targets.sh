#!/bin/bash
# Each reader with the inputs of its corpus and COUNT changes of them; with SECONDS: libFuzzer goes on from there for so long each, and what it
# finds new is added to the corpus.
#   tests/fuzz/targets.sh BUILD COUNT               tests/fuzz/targets.sh BUILD - SECONDS FOLDER (of the libFuzzer build)
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
count=$2 seconds=${3:-} folder=${4:+$(realpath "$4")}
here=$root/tests/fuzz
work=$(mktemp -d "${TMPDIR:-/tmp}/refork-targets-XXXXXX")
keep=''
trap '[ -n "$keep" ] || rm -rf "$work"' EXIT
cd "$work" || exit 1
for source in "$here"/targets/*.c; do
    name=$(basename "$source" .c)
    corpus=("$here/corpus/$name"/*)
    [ -e "${corpus[0]}" ] || fail "$name has no corpus"
    if [ -z "$seconds" ]; then
        timeout 300 "${as_clean[@]}" "$build/tests/fuzz/targets/$name" 1 "$count" "${corpus[@]}" >"$name.log" 2>&1 </dev/null
    else
        mkdir found
        timeout $((seconds + 120)) "${as_clean[@]}" ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 "$folder/tests/fuzz/targets/$name" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 \
            -max_len=65536 -print_final_stats=1 found "$here/corpus/$name" >"$name.log" 2>&1 </dev/null
    fi
    got=$?
    if [ $got != 0 ]; then
        keep=1
        tail -n 20 "$name.log"
        fail "$name: status $got; its input is in $work: $(find . -name '*-*' -type f | paste -sd' ')"
    fi
    if [ -n "$seconds" ]; then
        # What adds to the coverage, small files first, as long as the corpus stays small.
        "$folder/tests/fuzz/targets/$name" -merge=1 -max_len=4096 "$here/corpus/$name" found >merge.log 2>&1
        rm -r found
        echo "$name: $(sed -nE 's/^stat::number_of_executed_units: *//p' "$name.log") inputs in $seconds s, $(find "$here/corpus/$name" -type f | wc -l) kept"
    else
        echo "$name: ${#corpus[@]} kept inputs and $count changes of them"
    fi
done
