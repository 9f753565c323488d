#!/bin/bash
# Records one sample and holds the verdict against the "// expect:" lines at its top: tests/sample.sh BUILD NAME
#   // expect: KIND [lock=SYMBOL] [holder=THREAD] [start=ROUTINE] [acquired=FUNCTION] [waiting=FUNCTION] [fork=FUNCTION]
#   // expect: none          // status: N (of record)
# A FUNCTION must be in that stack, with a line of the sample's source.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
name=$2 source=$root/samples/$2.c
work=$out/sample-$name
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
trace=$work/$name.refork

give_up() {
    echo "the trace: $refork explain $trace"
    fail "$@"
}

status=$(sed -n 's|^// status: ||p' "$source")
(clean "$refork" record -o "$trace" -- "$build/samples/$name" >out 2>err </dev/null) 2>/dev/null
got=$?
[ "$got" = "$status" ] || { tail -n 5 err; give_up "record: status $got, not $status"; }
(clean "$refork" replay --batch "$trace" >out2 2>err2 </dev/null) 2>/dev/null
got=$?
[ "$got" = "$status" ] || { tail -n 12 err2; give_up "replay: status $got, not $status"; }
cmp out out2 || give_up "the replay's stdout differs"

clean "$refork" explain --json "$trace" >verdict.json 2>explain.err
got=$?
deadlock=$([ "$status" = 120 ] && echo 120 || echo 0)
[ "$got" = "$deadlock" ] || { cat explain.err; give_up "explain: status $got, not $deadlock"; }

# One finding (stdin) against one expectation ($expect as words).
# shellcheck disable=SC2016 # jq's variables
filter='
  def value($key): $expect | split(" ") | map(select(startswith($key + "="))) | first // "" | ltrimstr($key + "=");
  def is($key; actual): value($key) as $v | $v == "" or actual == $v;
  def within($key; stack): value($key) as $v | $v == "" or
      any(stack.frames[]?; .function == $v and ((.file // "") | endswith("samples/" + $name + ".c")) and .line > 0);
  select(.kind == ($expect | split(" ") | first))
  | select(is("lock"; .lock.symbol) and is("holder"; .holder.name) and is("start"; .holder.start_routine))
  | select(within("acquired"; .acquired) and within("waiting"; .waiting) and within("fork"; .fork))'
expected=0
while read -r expect; do
    [ "$expect" = none ] && continue
    expected=$((expected + 1))
    found=$(jq -c --arg expect "$expect" --arg name "$name" ".findings[] | $filter" verdict.json | wc -l)
    [ "$found" = 1 ] || { jq . verdict.json | head -n 80; give_up "$found findings are '$expect'"; }
done < <(sed -n 's|^// expect: ||p' "$source")
count=$(jq '.findings | length' verdict.json)
[ "$count" = "$expected" ] || { jq . verdict.json | head -n 80; give_up "$count findings, not $expected"; }
jq -e ".deadlock == $([ "$expected" -gt 0 ] && echo true || echo false)" verdict.json >/dev/null || give_up "'deadlock' is wrong"

# The text says it too: by record itself at the end of a stuck program, by explain the same.
clean "$refork" explain "$trace" >verdict.txt 2>&1
while read -r expect; do
    for word in $expect; do
        case $word in
        lock=* | holder=* | start=* | acquired=*)
            grep -qF -- "${word#*=}" verdict.txt || give_up "the text does not name '$word'"
            grep -qF -- "${word#*=}" err || give_up "record did not name '$word' on stderr"
            ;;
        esac
    done
done < <(sed -n 's|^// expect: ||p' "$source")
# 80 columns, unless a path alone is longer
awk 'length($0) > 100 {print "long line: " $0; bad = 1} END {exit bad}' verdict.txt || :
rm -rf "$work"
echo "good: $name"
