#!/bin/bash
# `refork watch`: a forked child that is stuck is found, written down and counted; what runs, idles or is gone is not; who may not
# look is told so.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/live.sh
. "$(dirname "$0")/../live.sh"

asleep() { grep -q "^202 " "/proc/$1/syscall" 2>/dev/null; }
child() { child=$(pgrep -P "$pid") && [ -n "$child" ] && asleep "$child"; }
# watches STATUS ARG...: what it says in ./said
watches() {
    local want=$1 got
    shift
    clean "$refork" watch --every 1 "$@" >said 2>err </dev/null
    got=$?
    [ $got = "$want" ] || fail "watch $*: status $got, not $want: $(cat said err)"
}

# ---- a stuck child: said once, written, counted
begin "$hang" logger
until_true child || fail "no child of $pid sleeps"
before=$(cat "/proc/$child/syscall")
mkdir found
watches 120 --pid "$pid" --looks 4 -o found --metrics watch.prom
[ "$(grep -c "process $child (hang) is stuck: orphaned-lock (proved): log_mutex" said)" = 1 ] || fail "not said once: $(cat said)"
[ "$(find found -type f | wc -l)" = 2 ] || fail "files: $(ls found)"
[ "$(stat -c %a found/*.json found/*.txt | sort -u)" = 600 ] || fail "modes: $(ls -l found)"
jq -e '.findings[0].lock.symbol == "log_mutex"' found/hang-"$child"-*.json >/dev/null || fail "JSON: $(cat found/*.json)"
grep -q 'log_mutex' found/hang-"$child"-*.txt || fail "text: $(cat found/*.txt)"
grep -qx "refork_watch_stuck{pid=\"$child\",process=\"hang\",kind=\"orphaned-lock\",lock=\"log_mutex\"} 1" watch.prom || fail "metrics: $(cat watch.prom)"
for row in 'looks_total 4' 'deadlocks_total 1' 'diagnoses_total 1' 'processes 2'; do
    grep -qx "refork_watch_$row" watch.prom || fail "metrics: no $row: $(cat watch.prom)"
done
awk '!/^#/ && !/^[a-z_]+(\{([a-z]+="([^"\\]|\\.)*",?)*\})? [0-9]+$/ {print; bad = 1} END {exit bad}' watch.prom || fail "not the text format"
[ "$(cat "/proc/$child/syscall")" = "$before" ] || fail "the child is elsewhere"
# a core, which says the same
mkdir cores
watches 120 --pid "$pid" --looks 2 --core -o cores
grep -q "wrote 'cores/hang-$child-[0-9]*.txt' and .json and .core" said || fail "no core: $(cat said)"
[ "$(stat -c %a cores/*.core)" = 600 ] || fail "mode of the core: $(ls -l cores)"
clean "$refork" diagnose --json cores/*.core >core.json 2>err
[ $? = 120 ] || fail "diagnose of the core: $(cat err)"
[ "$(jq -c '.findings[0] | [.kind, .lock.symbol, .waiting.tid]' core.json)" = "[\"orphaned-lock\",\"log_mutex\",$child]" ] ||
    fail "the core says $(jq -c '.findings[0] | [.kind, .lock.symbol, .waiting.tid]' core.json)"
[ "$(cat "/proc/$child/syscall")" = "$before" ] || fail "the child is elsewhere"
watches 125 --pid "$pid" --core
grep -q "'--core' needs '--output'" err || fail "--core alone: $(cat err)"
# by name; from a level on
watches 120 --name hang --looks 2
watches 120 --pid "$pid" --looks 2 --fail-on proved
# without permission
if [ "$(id -u)" = 0 ]; then
    copy=$(mktemp -d /tmp/refork-watch-XXXXXX) || fail mktemp
    chmod 755 "$copy"
    install -m 755 "$refork" "$copy/refork"
    clean setpriv --reuid=65534 --clear-groups "$copy/refork" watch --pid "$pid" --every 1 >said 2>err </dev/null
    got=$?
    rm -rf "$copy"
    [ $got = 125 ] || fail "as another user: status $got: $(cat said err)"
    grep -qE "not permitted to look into process" err || fail "as another user: $(cat err)"
fi
# by control group, with one below it
for group in /sys/fs/cgroup /sys/fs/cgroup/pids /sys/fs/cgroup/systemd; do
    [ -e "$group/cgroup.procs" ] && mkdir -p "$group/refork-$$/below" 2>/dev/null && break
    group=
done
if [ "$group" ] && echo "$child" >"$group/refork-$$/below/cgroup.procs"; then
    watches 120 --cgroup "refork-$$" --looks 2
    watches 120 --cgroup "$group/refork-$$" --looks 2
    echo "$child" >"$group/cgroup.procs"
else
    echo 'not tried here: a control group of our own cannot be made'
fi
[ -z "$group" ] || rmdir "$group/refork-$$/below" "$group/refork-$$"
# it is gone while it is watched: said, and the watch ends with the process
rm said # what an earlier watch said is no sign of this one
"${as_clean[@]}" "$refork" watch --pid "$pid" --every 1 >said 2>err </dev/null &
watch=$!
pids+=("$watch")
until_true grep -q 'is stuck' said || fail "not found: $(cat said err)"
finish
wait $watch
[ $? = 120 ] || fail "gone: $(cat said err)"
grep -q "process $child (hang) is gone" said || fail "gone: $(cat said)"

# ---- nothing is stuck: pools, idlers, who runs
for way in pool idle busy; do
    begin "$hang" $way
    watches 0 --pid "$pid" --looks 3
    [ ! -s said ] || fail "$way: $(cat said)"
    finish
done

# ---- ended by a signal
begin "$hang" idle
"${as_clean[@]}" "$refork" watch --pid "$pid" --every 100 --metrics ended.prom >said 2>err </dev/null &
watch=$!
pids+=("$watch")
until_true test -s ended.prom || fail "no look: $(cat err)"
kill -TERM $watch
wait $watch || fail "ended: $(cat said err)"
finish

# ---- bad command lines
refused() {
    local pattern=$1
    shift
    watches 125 "$@"
    grep -qE -- "$pattern" err || fail "watch $*: $(cat err)"
}
refused 'what to watch is missing'
refused 'what to watch is missing' --pid 1 --name init
refused 'no process' --pid 4194303
refused "no control group 'no/such.slice'" --cgroup no/such.slice
refused "folder 'no-such'" --name hang -o no-such
refused "'stdout' is no folder" --name hang -o stdout
refused "cannot write the metrics 'no-such/m'" --name hang --metrics no-such/m
