#!/bin/bash
# Records one sample and holds the verdict against the lines at its top: tests/sample.sh BUILD NAME
#   // expect: KIND [KEY=VALUE]...   one finding; `// expect: none`: no finding at all
#   // status: N                     of record and replay: 120 (and then `deadlock` is true), else the program's own
#   // run: VARIABLE=VALUE...        its environment
# Keys (blanks in a value are written as _, a * at its end stands for anything):
#   confidence, lock (symbol), lockkind, holder, start (the holder's start routine), forker=true (the forking thread held it),
#   name (of the waiting thread), cause (cross-process-wait: the kind of the finding that it comes from)
#   acquired, waiting, fork          the top of that stack: OWN or OWN/CALLED, where OWN is the innermost function of the
#                                    sample's source and CALLED what it called there, a function of a library
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
name=$2
source=$(compgen -G "$root/samples/$name.c*") || fail "no sample '$name'"
work=$out/sample-$name
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
trace=$work/$name.refork

give_up() {
    echo "the trace: $refork explain $trace"
    fail "$@"
}

# The values of a directive; a line that goes on in the next one (indented by four blanks or more) is one value.
directive() {
    awk -v key="// $1: " 'index($0, key) == 1 {if (on) print value; value = substr($0, length(key) + 1); on = 1; next}
        on && /^\/\/    +[^ ]/ {sub(/^\/\/ +/, ""); value = value " " $0; next}
        on {print value; on = 0}
        END {if (on) print value}' "$source"
}

status=$(directive status)
read -ra environment < <(directive run)
command=("$build/samples/$name")
[ ${#environment[@]} -eq 0 ] || command=(env "${environment[@]}" "${command[@]}")
(clean "$refork" record -o "$trace" -- "${command[@]}" >out 2>err </dev/null) 2>/dev/null
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

# The findings (stdin) that meet an expectation ($expect as words). Names of a library's functions have spellings that
# depend on its debug file being there: ___pthread_mutex_lock, __GI___libc_fork, pthread_cond_wait@@GLIBC_2.3.2.
# shellcheck disable=SC2016 # jq's variables
filter='
  def value($key): $expect | split(" ") | map(select(startswith($key + "="))) | first // "" | ltrimstr($key + "=");
  def is($key; actual): value($key) as $v | $v == "" or ((actual // "" | tostring | gsub(" "; "_")) as $is
      | if $v | endswith("*") then $is | startswith($v | rtrimstr("*")) else $is == $v end);
  def bare: sub("@.*"; "") | sub("\\(.*"; "");
  def plain: bare | sub("^_*(GI_+)?"; "") | sub("^libc_(?<f>fork)$"; .f);
  def mine: (.file // "") | test("(^|/)samples/" + $name + "\\.cc?$");
  def top: (map(mine) | index(true)) as $own
      | if $own == null then ["", ""]
        else [(.[$own].function // "" | bare), (if $own > 0 then .[$own - 1].function // "" | plain else "" end)] end;
  def starts($key; point): value($key) as $v | $v == "" or
      ((point.frames // [] | top) as [$own, $called] | ($v | split("/")) as $want
       | $own == $want[0] and ($want[1] == null or $called == $want[1]));
  .findings as $all | .findings[]
  | select(.kind == ($expect | split(" ") | first))
  | select(is("confidence"; .confidence) and is("lock"; .lock.symbol) and is("lockkind"; .lock.kind)
      and is("holder"; .holder.name) and is("start"; .holder.start_routine | values | bare) and is("forker"; .holder_is_forker)
      and is("name"; .waiting.name) and is("cause"; $all[.caused_by // -1].kind))
  | select(starts("acquired"; .acquired) and starts("waiting"; .waiting) and starts("fork"; .fork))'
expected=0
while read -r expect; do
    [ "$expect" = none ] && continue
    expected=$((expected + 1))
    found=$(jq -c --arg expect "$expect" --arg name "$name" "$filter" verdict.json | wc -l)
    [ "$found" = 1 ] || { jq . verdict.json | head -n 80; give_up "$found findings are '$expect'"; }
done < <(directive expect)
[ -n "$(directive expect)" ] || fail "$source expects nothing"
count=$(jq '.findings | length' verdict.json)
[ "$count" = "$expected" ] || { jq . verdict.json | head -n 80; give_up "$count findings, not $expected"; }
jq -e ".deadlock == $([ "$status" = 120 ] && echo true || echo false)" verdict.json >/dev/null || give_up "'deadlock' is wrong"

one_line() { tr -s ' \n' '  ' <"$1" | tr ' ' _; }
# The text says it too: by record itself at the end of a stuck program, by explain the same.
clean "$refork" explain "$trace" >verdict.txt 2>&1
while read -r expect; do
    for word in $expect; do
        case $word in
        lock=* | holder=* | start=* | acquired=*)
            value=${word#*=}
            value=${value%%/*} value=${value%\*}
            one_line verdict.txt | grep -qF -- "$value" || give_up "the text does not name '$word'"
            [ "$status" != 120 ] || one_line err | grep -qF -- "$value" || give_up "record did not name '$word' on stderr"
            ;;
        esac
    done
done < <(directive expect)
# 80 columns, unless a path alone is longer
awk 'length($0) > 100 {print "long line: " $0; bad = 1} END {exit bad}' verdict.txt || :
rm -rf "$work"
echo "good: $name"
