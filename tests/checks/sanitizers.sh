#!/bin/bash
# Programs built with -fsanitize=thread and -fsanitize=address, by gcc and by clang: they run under record as they do
# alone (the sanitizers refuse mappings in the parts of the address space that they keep for themselves, so the annex
# must not lie there), replay alike, and a deadlock of theirs is found and named.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work

tried=0
for compiler in gcc clang; do
    command -v $compiler >/dev/null || continue
    for sanitizer in thread address; do
        name=$compiler-$sanitizer
        flags=(-std=gnu17 -g -O1 -w -D_GNU_SOURCE "-I$root" -pthread "-fsanitize=$sanitizer")
        # Only what builds no program at all is not here: the test's own program must build where another one does.
        $compiler "${flags[@]}" -x c -o "$name" - <<<'int main(void) { return 0; }' 2>"$name.build" ||
            { echo "$name: is not here: $(tail -n 1 "$name.build")"; continue; }
        $compiler "${flags[@]}" -o "$name" "$root/tests/programs/sanitized.c" 2>"$name.build" || fail "$name: $(cat "$name.build")"
        tried=$((tried + 1))
        clean ./"$name" >alone 2>alone.err || fail "$name alone: status $?: $(head -n 3 alone.err)"
        into recorded 0 record -o "$name.refork" -- ./"$name"
        cmp alone recorded || fail "$name: prints something else under record"
        into replayed 0 replay --batch "$name.refork"
        cmp recorded replayed || fail "$name: the replay prints something else"

        (clean "$refork" record --no-explain -o "$name.refork" -- ./"$name" hang >/dev/null 2>err) 2>/dev/null
        [ $? = 120 ] || fail "$name hang: record: $(tail -n 3 err)"
        into verdict.json 120 explain --json "$name.refork"
        jq -e '.findings[0] | .kind == "orphaned-lock" and .lock.symbol == "lock" and .holder.vanished' verdict.json >/dev/null ||
            fail "$name hang: $(jq -c '.findings[] | [.kind, .lock.symbol]' verdict.json)"
    done
done
[ $tried -gt 0 ] || skip "neither gcc nor clang has sanitizers here"
rm -rf "$work"
echo "good: sanitizers ($tried builds)"
