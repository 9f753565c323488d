#!/bin/bash
# rr as an engine. What rr would answer comes from a stand-in over refork's own recordings, so that the whole way is tested on
# machines where rr cannot work; with rr itself: real_rr.sh. What refork says of the recording is the measure.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
stand_in=$root/tests/rr_stand_in.sh
as_clean+=("REFORK=$refork")

# ---- an rr that refuses, one that is not there

cat >refusing <<'END'
#!/bin/sh
[ "$1" = --version ] && echo 'rr version 5.6.0' && exit 0
echo '[FATAL ./src/PerfCounters.cc:1:f()] rr needs /proc/sys/kernel/perf_event_paranoid <= 1, but it is 2.' >&2
exit 1
END
chmod +x refusing
ends 7 record --engine rr --rr ./refusing -o own.refork -- sh -c 'exit 7'
[ -f own.refork ] || fail "rr refuses, and refork does not record"
[ "$(wc -l <stderr)" = 1 ] || fail "the refusal is not one line: $(cat stderr)"
grep -q 'rr needs /proc/sys/kernel/perf_event_paranoid <= 1, but it is 2.*sysctl kernel.perf_event_paranoid=1.*own engine' stderr ||
    fail "the refusal: $(cat stderr)"
grep -q FATAL stderr && fail "rr's source position is told: $(cat stderr)"
ends 0 record --engine rr --rr ./nowhere -o none.refork -- true
grep -q "'./nowhere' does not record here: .*No such file.*install rr" stderr || fail "no rr: $(cat stderr)"
ends 125 record --engine rr --rr "$stand_in" --schedule x -- true
grep -q "'--schedule' is of refork's own engine" stderr || fail "an option that rr has not: $(cat stderr)"
ends 125 record --engine mine -- true
grep -q "no engine 'mine'" stderr || fail "an engine that is none: $(cat stderr)"

# ---- the configuration, which doctor reads, too

mkdir -p settings/refork
as_clean+=("XDG_CONFIG_HOME=$work/settings")
printf '# mine\nengine = auto\nrr = %s\n' "$work/refusing" >settings/refork/config
ends 0 record -o auto.refork -- true
grep -q 'does not record here' stderr || fail "engine = auto: $(cat stderr)"
ends 0 record --chaos --seed 1 -o auto2.refork -- true
grep -q 'does not record here' stderr && fail "auto tries rr with options that only refork has"
ends 0 record --engine refork -o auto3.refork -- true
grep -q 'does not record here' stderr && fail "--engine refork tries rr"
clean "$refork" doctor >stdout || fail "doctor: status $?"
grep -q '^rr .*version 5.6.0 does not record here: rr needs' stdout || fail "doctor: $(tail -3 stdout)"
clean "$refork" doctor --json | jq -e '.rr | .found and (.works | not) and (.remedy | test("sysctl"))' >/dev/null || fail "doctor --json"
echo 'engine: rr' >settings/refork/config
says 125 "config', line 1: 'engine: rr' is no 'key = value'" record -- true
echo 'motor = rr' >settings/refork/config
says 125 "no setting 'motor'" record -- true
printf '# mine\nengine = mine\n' >settings/refork/config
says 125 "config', line 2: no engine 'mine': there are" record -- true
printf 'engine = rr\0\n' >settings/refork/config
says 125 "config', line 1: a zero byte" record -- true
# However long a comment is, no part of it is a line of its own.
{ printf '# ' && head -c 5000 /dev/zero | tr '\0' x && printf '\nengine = mine\n'; } >settings/refork/config
says 125 "config', line 2: no engine 'mine'" record -- true
# A file that cannot be opened, also as root: a symbolic link to itself. As somebody else: without the right to read.
rm settings/refork/config
ln -s config settings/refork/config
says 125 "cannot read '.*config': Too many levels.*XDG_CONFIG_HOME" record -- true
ends 125 doctor
if [ "$(id -u)" != 0 ]; then
    rm settings/refork/config && echo 'engine = refork' >settings/refork/config && chmod 0 settings/refork/config
    says 125 "cannot read '.*config': Permission denied; make it readable" record -- true
    chmod 600 settings/refork/config
fi
rm settings/refork/config
ln -s nowhere settings/refork/config
ends 0 record -o linked.refork -- true
rm settings/refork/config
mkfifo settings/refork/config
ends 125 record -- true
grep -q "config' is not a regular file" stderr || fail "a FIFO: $(cat stderr)"
rm settings/refork/config
printf 'engine = rr\nrr = %s\n' "$stand_in" >settings/refork/config

# ---- the same verdict

# What both tell of the first finding, and the kinds of all. (Stacks: the program's own functions.)
told() {
    jq -S '[.findings[0] | .kind, .confidence, .lock.kind, .lock.symbol, .holder.tid, .holder.name, .holder.start_routine,
            .holder.vanished, .holder_is_forker, .waiter.tid, .fork.event, .fork.tid,
            ([.acquired, .fork, .waiting][] | [.stack[]? | select(.module | test("\\.so") | not) | [.function, .line]])],
           [.findings[].kind], .deadlock' "$1"
}
for sample in mutex_deadlock rwlock_reader rwlock_writer_reader libc_localtime futex_word sem_lock self_recursive atfork_child grandchild; do
    clean "$refork" record -o $sample.rr -- "$build/samples/$sample" >out 2>err
    status=$?
    # The stand-in's program is stopped by refork inside of it; what refork sees of it is an end.
    [ $status = 120 ] || fail "$sample: record: status $status: $(cat err)"
    clean "$refork" explain --json $sample.rr/recording.refork >own.json 2>err || [ $? = 120 ] || fail "$sample: $(cat err)"
    ends 120 explain --json $sample.rr
    diff <(told own.json) <(told stdout) >differences || fail "$sample: $(cat differences)"
done
for sample in ok_self_held ok_malloc ok_signalled; do
    clean "$refork" record -o $sample.rr -- "$build/samples/$sample" >out 2>err || fail "$sample: record: $(cat err)"
    ends 0 explain $sample.rr
    grep -q '^no deadlock' stdout || fail "$sample: $(cat stdout)"
done

# ---- the other commands, and what is no trace

ends 120 explain mutex_deadlock.rr
grep -q "waits for log_mutex, which" stdout || fail "the text: $(cat stdout)"
ends 0 export --to html -o page.html mutex_deadlock.rr
grep -q log_mutex page.html || fail "the page does not name the lock"
ends 0 export --to json -o - mutex_deadlock.rr
jq -e '.verdict.findings[0].lock.symbol == "log_mutex" and (.tasks | length) == 3' stdout >/dev/null || fail "export --to json"
ends 125 export --to core mutex_deadlock.rr
grep -q "cannot export a trace of rr to 'core'" stderr || fail "a core of a trace of rr: $(cat stderr)"
ends 125 gdb --process 1 mutex_deadlock.rr
grep -q "no process 1 in" stderr || fail "gdb of a process that is none: $(cat stderr)"

# The TUI: who holds the lock at the fork, in the parent and the child; `!` is rr's gdb, of the rr that the TUI was given, and why
# there is none stands on the screen.
cat >fickle <<'END'
#!/bin/sh
case "$*" in
*' -s '* | --version) ;;
replay*) echo "rr's gdb: $*" && exit ;;
dump*)
    [ ! -e dumped ] || { echo '[FATAL ./src/x.cc:1:f()] it sulks' >&2 && exit 1; }
    [ ! -e once ] || touch dumped
    ;;
esac
exec "$STAND_IN" "$@"
END
chmod +x fickle
as_clean+=("STAND_IN=$stand_in")
fork=$(clean "$refork" explain --json mutex_deadlock.rr | jq '.findings[0].fork.event')
ends 0 replay --rr ./fickle --script ":$fork<Enter>4O<Dump held.txt>!<Dump debugged.txt>" --size 140x30 mutex_deadlock.rr
grep -q 'log_mutex in [0-9]*: held by .* since' held.txt || fail "pane 4 of a trace of rr names no holder: $(grep -A3 'Locks held' held.txt)"
grep -q 'log_mutex in [0-9]*: held by .* not there' held.txt || fail "pane 4 of a trace of rr shows no copy: $(grep -A3 'Locks held' held.txt)"
grep -q "rr's gdb: replay -. [0-9]* -g $fork .*mutex_deadlock.rr" stdout || fail "! is not the gdb of the rr given: $(cat stdout stderr)"
grep -q 'gdb ended; it does not tell' debugged.txt || fail "! over a trace of rr: $(tail -n 1 debugged.txt)"
touch once
ends 0 replay --rr ./fickle --script "!<Dump refused.txt>" --size 140x30 mutex_deadlock.rr
grep -q "no gdb: './fickle' cannot read the trace .*sulks" refused.txt || fail "the reason of ! is not on the screen: $(tail -n 1 refused.txt)"
# What rr said when its gdb failed, too.
sed "s/^replay.*/replay*) printf 'first\\\\nno such place in the trace\\\\n' >\&2 \&\& exit 1 ;;/" fickle >failing
chmod +x failing
rm -f once dumped
ends 0 replay --rr ./failing --script "!<Dump failed.txt>" --size 140x30 mutex_deadlock.rr
grep -q "no gdb: './failing' failed: no such place in the trace" failed.txt || fail "what rr's gdb said is not on the screen: $(tail -n 1 failed.txt)"
rm -r settings
as_clean+=(XDG_CONFIG_HOME=)
ends 125 explain --rr ./nowhere mutex_deadlock.rr
grep -q "is a trace of rr, and there is no './nowhere' here" stderr || fail "explain without rr: $(cat stderr)"
ends 122 explain --rr ./refusing mutex_deadlock.rr
# What a trace names is not run, neither as the command nor by an option.
printf '#!/bin/sh\ntouch "%s/ran"\n' "$work" >evil
chmod +x evil
printf '%s\n%s\n' "$work/evil" "-d $work/evil" >mutex_deadlock.rr/refork.rr
for command in explain 'replay --batch' 'export --to json -o -' gdb; do
    # shellcheck disable=SC2086
    clean "$refork" $command mutex_deadlock.rr >stdout 2>stderr </dev/null && fail "$command reads a trace of the stand-in with another rr"
    [ ! -e ran ] || fail "$command runs what the trace names"
done
grep -q "the trace says that '$work/evil' recorded it: name that with --rr if you trust it" stderr || fail "who recorded it: $(cat stderr)"
# shellcheck disable=SC2016 # the script's own
printf '#!/bin/sh\n[ "$1" = --version ] && echo 5\nexit 0\n' >mute
chmod +x mute
ends 125 record --engine rr --rr ./mute -o mute.rr -- true
grep -q "'./mute' ended well and left no trace in 'mute.rr'" stderr || fail "an rr that records nothing: $(cat stderr)"
mkdir empty
ends 122 explain empty
echo good
