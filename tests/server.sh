#!/bin/bash
# A server of tests/real/servers, which deadlocks in the child on a lock of a library, and its healthy twin:
#   tests/server.sh BUILD NAME
#   tests/server.sh BUILD --list
# The lines at its top:
#   // pkg: NAME...     of pkg-config; or  // libs: FLAG...  and  // header: FILE
#   // debian: PACKAGE  without it the test is skipped
#   // expect: KIND [KEY=VALUE]...   the cause (keys: tests/findings.jq); functions are looked for in the whole stack
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
if [ "$2" = --list ]; then
    for source in "$root"/tests/real/servers/*.c "$root"/tests/real/servers/*.cc; do basename "${source%.*}"; done
    exit
fi
name=$2
source=$(ls "$root/tests/real/servers/$name".c*)
work=$out/server-$name
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
directive() { sed -n "s|^// $1: ||p" "$source"; }
read -ra flags < <(directive libs)
read -ra packages < <(directive pkg)
compiler=(gcc -std=gnu17) language=c
[ "${source##*.}" = cc ] && compiler=(g++ -std=gnu++20) language=c++
if [ ${#packages[@]} -gt 0 ]; then
    found=$(pkg-config --cflags --libs "${packages[@]}" 2>/dev/null) || skip "no ${packages[0]}: it is in Debian's $(directive debian)"
    read -ra flags <<<"$found"
else
    echo "#include <$(directive header)>" | "${compiler[@]}" "${flags[@]}" -x $language -fsyntax-only - 2>/dev/null ||
        skip "no $(directive header): it is in Debian's $(directive debian)"
fi
"${compiler[@]}" -O0 -g -D_GNU_SOURCE -I"$root" -o "$name" "$source" -pthread "${flags[@]}" || fail "$name does not build"

(clean "$refork" record -o bad.refork -- ./"$name" >bad.out 2>bad.err </dev/null) 2>/dev/null
got=$?
[ $got = 120 ] || { tail -n 5 bad.err; fail "record: status $got, not 120: $work/bad.refork"; }
(clean "$refork" replay --batch bad.refork >bad.out2 2>bad.err2 </dev/null) 2>/dev/null
got=$?
[ $got = 120 ] || { tail -n 12 bad.err2; fail "replay: status $got, not 120: $work/bad.refork"; }
cmp bad.out bad.out2 || fail "the replay's stdout differs"
clean "$refork" explain --json bad.refork >bad.json
got=$?
[ $got = 120 ] || fail "explain: status $got, not 120"
# Whether the parent has come to wait is up to the moment.
wrong=$(jq '.findings |= map(select(.kind != "cross-process-wait"))' bad.json |
    jq -r --arg expect "$(directive expect)" --arg own "" --argjson deadlock true -f "$root/tests/findings.jq") || fail "bad expectation or JSON"
[ -z "$wrong" ] || { jq . bad.json | head -n 80; fail "$wrong (the trace: $work/bad.refork)"; }

(clean "$refork" record -o good.refork -- ./"$name" healthy >good.out 2>good.err </dev/null) 2>/dev/null
got=$?
[ $got = 0 ] || { tail -n 5 good.err; fail "the twin: record: status $got, not 0: $work/good.refork"; }
clean "$refork" explain --json good.refork >good.json || fail "the twin: explain: status $?"
[ "$(jq -c '[.deadlock, .findings]' good.json)" = '[false,[]]' ] || { jq -c '.findings[]' good.json | cut -c1-200; fail "the twin is accused"; }
rm -rf "$work"
echo "good: $name"
