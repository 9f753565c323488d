#!/bin/bash
# Records one sample and holds the verdict against the lines at its top: tests/sample.sh BUILD NAME
#   // expect: KIND [KEY=VALUE]...   one finding (the keys: tests/findings.jq)
#   // expect: none                  no finding at all
#   // status: N                     of record and replay: 120 (and then `deadlock` is true), else the program's own
#   // replay: N                    of replay, when it differs: a program that ended by itself is no deadlock there
#   // held: LOCK...                 exactly these are listed as held at a fork (`held_at_fork`), sorted
#   // run: VARIABLE=VALUE...        its environment
# A directive goes on in lines that are indented by four blanks or more.
# PROBES=off in the environment: with a stop at each call.
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

directive() {
    awk -v key="// $1: " 'index($0, key) == 1 {if (on) print value; value = substr($0, length(key) + 1); on = 1; next}
        on && /^\/\/    +[^ ]/ {sub(/^\/\/ +/, ""); value = value " " $0; next}
        on {print value; on = 0}
        END {if (on) print value}' "$source"
}

expect=$(directive expect)
status=$(directive status)
[ -n "$expect" ] && [ -n "$status" ] || fail "$source expects nothing"
read -ra environment < <(directive run)
command=("$build/samples/$name")
[ ${#environment[@]} -eq 0 ] || command=(env "${environment[@]}" "${command[@]}")
(clean "$refork" record --probes="${PROBES:-on}" -o "$trace" -- "${command[@]}" >out 2>err </dev/null) 2>/dev/null
got=$?
[ "$got" = "$status" ] || { tail -n 5 err; give_up "record: status $got, not $status"; }
(clean "$refork" replay --batch --probes="${PROBES:-on}" "$trace" >out2 2>err2 </dev/null) 2>/dev/null
got=$? again=$(directive replay)
[ "$got" = "${again:-$status}" ] || { tail -n 12 err2; give_up "replay: status $got, not ${again:-$status}"; }
cmp out out2 || give_up "the replay's stdout differs"

deadlock=false end=0
[ "$status" = 120 ] && deadlock=true end=120
clean "$refork" explain --json --probes="${PROBES:-on}" "$trace" >verdict.json 2>explain.err
got=$?
[ "$got" = "$end" ] || { cat explain.err; give_up "explain: status $got, not $end"; }
wrong=$(jq -r --arg expect "$expect" --arg own "samples/${source##*/}" --argjson deadlock $deadlock \
    -f "$root/tests/findings.jq" verdict.json) || give_up "bad expectation or JSON"
[ -z "$wrong" ] || { jq . verdict.json | head -n 80; give_up "$wrong"; }

held=$(directive held)
if [ -n "$held" ]; then
    got=$(jq -r '[.held_at_fork[].lock.symbol] | sort | join(" ")' verdict.json)
    [ "$got" = "$held" ] || give_up "held at the fork are '$got', not '$held'"
    jq -e 'all(.held_at_fork[]; .holder.vanished and (.acquired.frames | length > 0))' verdict.json >/dev/null || give_up "held at the fork: by whom?"
fi

clean /usr/bin/python3 "$root/tests/verdict_schema.py" "$root/docs/verdict.schema.json" verdict.json || give_up "not what the schema says"
clean "$refork" export --to html -o page.html "$trace" || give_up "export: status $?"
clean /usr/bin/python3 -c 'import sys, xml.etree.ElementTree as tree; tree.parse(sys.argv[1])' page.html || give_up "page.html is not XML"
# The lock history is the second witness: where it knows the lock it names the same holder, who took it in the same
# event, held at the fork (or where the task waits; of a holder that ended, when it had just taken it); and it knows every mutex and rwlock of glibc.
compared() { # ADDRESS KIND SYMBOL TID EVENT AT
    local held
    held=$(clean "$refork" locks --json --at "$6" "$trace" 2>locks.err |
        jq -r --arg a "$1" '[.held[] | select(.address == $a) | "\(.holder.tid):\(.from)"] | unique | join(" ")')
    [ ! -s locks.err ] || give_up "locks: $(tail -n 5 locks.err)"
    [[ " $held " == *" $4:$5 "* ]] && return
    [ -n "$held" ] && give_up "$3: the verdict's holder is $4 since event $5, the lock history's $held"
    case $2:$name in
    *:musl_*) ;; # its word is 4 bytes behind the object's beginning
    pthread_mutex:* | pthread_rwlock:*) give_up "$3: the lock history does not know that $4 holds it since event $5" ;;
    esac
}
while IFS=$'\t' read -r -a finding; do compared "${finding[@]}"; done < <(jq -r '.findings[]
    | select(.lock.address and .holder.tid and .acquired.event)
    | [.lock.address, .lock.kind, .lock.symbol // "-", .holder.tid, .acquired.event,
        .fork.event // (if .kind == "orphaned-lock" then .acquired.event else .waiting.event end)] | @tsv' verdict.json)
# The history that probes note in the process is the one that stops at each access give.
for probes in on off; do
    clean "$refork" locks --json --all --no-cache --probes=$probes "$trace" 2>locks.err | jq 'del(.stops, .noted)' >locks.$probes || give_up "locks --probes=$probes: $(tail -n 5 locks.err)"
    [ -s locks.$probes ] || give_up "locks --probes=$probes: $(tail -n 5 locks.err)"
done
diff locks.on locks.off >locks.diff || give_up "locks by notes (<) and by stops (>) differ: $(head -n 12 locks.diff)"

# The text names it, too: that of record at the end of a stuck program, else of explain.
[ "$status" = 120 ] && mv err verdict.txt || clean "$refork" explain "$trace" >verdict.txt 2>&1
wide=$(awk '/^(deadlock|suspicious|no deadlock):/ {on = 1} on && length($0) > 80' verdict.txt)
[ -z "$wide" ] || give_up "lines of more than 80 columns: $wide"
text=$(tr -s ' \n' '  ' <verdict.txt)
for word in $expect; do
    case $word in
    lock=* | holder=* | start=* | acquired=*)
        value=${word#*=} value=${value%%/*} value=${value%\*}
        [[ ${text// /_} == *"$value"* ]] || give_up "the text does not name '$word'"
        ;;
    esac
done
rm -rf "$work"
echo "good: $name"
