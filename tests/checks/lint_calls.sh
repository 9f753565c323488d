#!/bin/bash
# refork lint: what children of threaded processes call between fork and exec or _exit, and nothing else.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work

record() { # NAME PROGRAM...
    local name=$1
    shift
    clean "$refork" record --no-explain -o "$name.refork" -- "$@" >/dev/null 2>record.err </dev/null
    [ -s "$name.refork" ] || fail "no recording of $*: $(cat record.err)"
}
lint() { # STATUS OPTION... FILE: also as JSON, into NAME.json
    into lint.json 0 lint --json "${@: -1}"
    ends "$1" lint "${@:2}"
    awk 'length($0) > 80 {bad = 1; print "long: " $0} END {exit bad}' stdout || fail "more than 80 columns"
}
is() { # FILTER: holds of lint.json
    jq -e "$1" lint.json >/dev/null || fail "not '$1': $(jq -c '.calls | map(del(.fork) | .call |= .event)' lint.json)"
}
program=$build/tests/programs/lint_calls
unsafe='["fflush", "malloc", "printf", "pthread_mutex_lock", "pthread_mutex_unlock", "setenv"]'

# Each unsafe call once, with its count, its place and its lock; none of the safe ones
for ending in '' /bin/true; do
    # shellcheck disable=SC2086 # none, or one word
    record threaded "$program" threaded $ending
    lint 0 threaded.refork
    is '.children == 2 and (.no_symbols | not)'
    is "(.calls | map(.function) | sort) == $unsafe"
    is '.calls | map(select(.function == "pthread_mutex_lock")) | length == 1 and (.[0] | .level == "error" and .count == 6 and .children == 2
        and (.locks | length == 1) and .locks[0].symbol == "log_mutex" and .locks[0].kind == "pthread_mutex" and .why == "can hang on log_mutex"
        and any(.call.frames[]; .function == "write_log" and .line > 0) and any(.fork.frames[]; .function == "main") and .fork.event < .call.event)'
    is '.calls[] | select(.function == "setenv") | .level == "error" and (.locks | length > 0) and any(.call.frames[]; .function == "call_unsafe" and .line > 0)'
    is '.calls | map(select(.function | IN("malloc", "printf", "fflush"))) | all(.level == "note" and (.why | contains("safe after fork()")))'
    is '.calls[] | select(.function == "pthread_mutex_unlock") | .level == "note"'
    is '.calls | map({error: 0, warning: 1, note: 2}[.level]) | . == sort'
    grep -q '^error: pthread_mutex_lock: can hang on log_mutex$' stdout || fail "text: $(cat stdout)"
    grep -q '| setenv("CHILD", "1", 1);' stdout || fail "no source in $(cat stdout)"
done
lint 7 --error-exitcode=7 threaded.refork

# _Fork() runs no handlers: malloc's and stdio's locks are as they were
record raw "$program" raw
lint 0 raw.refork
is "(.calls | map(.function) | sort) == $unsafe"
is '.calls | map(select(.function | IN("malloc", "printf", "fflush"))) | all(.level == "error" and (.locks | length > 0))'

# Copies of copies have the locks as well
record grandchild "$program" grandchild
lint 0 grandchild.refork
is ".children == 4 and (.calls | map(.function) | sort) == $unsafe and (.calls | all(.children == 2))"

# A fork handler releases the lock in the child: it cannot hang on it; what the handler itself calls is not told
record handlers "$program" handlers /bin/true
lint 0 --error-exitcode=7 handlers.refork
is '.children == 2 and (.calls | map([.level, .function, .count])) == [["note", "pthread_mutex_lock", 2], ["note", "pthread_mutex_unlock", 2]]'
is '.calls[0] | .locks == [] and (.why | contains("fork handlers make its lock free"))'

# Nothing to say: no threads, posix_spawn, safe functions only
for mode in single spawn; do
    record $mode "$program" $mode
    lint 0 --error-exitcode=7 $mode.refork
    is '.children == 0 and .calls == []'
    grep -q 'nothing to look at' stdout || fail "$mode: $(cat stdout)"
done
record safe "$program" safe /bin/true
lint 0 --error-exitcode=7 safe.refork
is '.children == 2 and .calls == []'

# A program with its C library linked in, with symbols and without
record static "$program.static" threaded
lint 0 static.refork
is "(.calls | map(.function) | sort) == $unsafe and (.calls[] | select(.function == \"pthread_mutex_lock\") | .level == \"error\" and .count == 6)"
is '.calls | map(select(.function | IN("malloc", "printf", "fflush"))) | all(.level == "note")'
strip -o stripped "$program.static" || fail strip
record stripped ./stripped threaded
lint 0 stripped.refork # (libc's functions are known by their code)
is "(.no_symbols | not) and (.calls | map(.function) | sort) == $unsafe and (.calls[] | select(.function == \"pthread_mutex_lock\") | .level == \"error\" and .count == 6)"
is '.calls | map(select(.function | IN("malloc", "printf", "fflush"))) | all(.level == "note")'
as_clean+=(REFORK_LIBRARIES=)
lint 0 stripped.refork
is '.no_symbols and .calls == []'
grep -q 'not stripped' stdout || fail "stripped: $(cat stdout)"
unset 'as_clean[-1]'

# A child that hangs
record dead "$build/samples/mutex_deadlock"
lint 0 dead.refork
is '.calls[] | select(.function == "pthread_mutex_lock") | .locks[0].symbol == "log_mutex"'
# What lint leaves: the recording as it was
ends 0 replay --batch threaded.refork

ends 125 lint dead.refork extra
head -c 3000 threaded.refork >cut.refork
clean "$refork" lint --json cut.refork | jq -e '.calls == []' >/dev/null || fail "lint of a cut recording"
rm -rf "$work"
