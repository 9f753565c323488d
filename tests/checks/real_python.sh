#!/bin/bash
# /usr/bin/python3: locks of CPython and of glibc that a thread held when the main one forked.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real.sh
. "$(dirname "$0")/../real.sh"
# held CASE LOCK WAITING [CONFIDENCE]: a vanished thread holds LOCK, and the child waits in WAITING. Of a Lock, which is a semaphore, who
# took its one permit is known, not who may give it back: likely. (Python's handler of SIGINT only notes the signal.)
held() {
    verdict "$1" 120 "\
orphaned-lock confidence=${4:-likely} $2 holder=python3 gone=python3 waiting=$3,Py_BytesMain fork=fork,Py_BytesMain
cross-process-wait cause=orphaned-lock" \
        /usr/bin/python3 "$sources/held_locks.py" "$1"
}
lock='lockkind=Python_lock acquired=sem_trywait'
held lock "lock='lock'_of_case_lock $lock,case_lock.<locals>.work,Thread.run" PyThread_acquire_lock_timed,fork_and_wait,case_lock
held multiprocessing "$lock" 'PyThread_acquire_lock_timed,case_multiprocessing.<locals>.in_child'
held queue_put "lock=__main__.SlowQueue.mutex $lock" PyThread_acquire_lock_timed,Condition.__enter__,Queue.put
held logging "$lock" PyThread_acquire_lock
held syslog 'lock=syslog_lock lockkind=libc_lock acquired=syslog_chk' lll_lock_wait_private,syslog_chk proved
verdict queue_get 120 "\
vanished-waker lockkind=Python_lock gone=python3 waiting=PyThread_acquire_lock_timed,Py_BytesMain fork=fork,Py_BytesMain
cross-process-wait cause=vanished-waker" \
    /usr/bin/python3 "$sources/held_locks.py" queue_get
verdict logging_handler 0 none /usr/bin/python3 "$sources/held_locks.py" logging_handler
# A worker that was killed with the lock of a queue of multiprocessing.
verdict killed_worker 120 "\
dead-holder lockkind=sem holder=python3 ended=SIGKILL endedby=python3 acquired=SemLock.__enter__,SimpleQueue.get,serve waiting=SemLock.__enter__,SimpleQueue.get,serve,BaseProcess.run
cross-process-wait cause=dead-holder waiting=Popen.poll,BaseProcess.join" \
    /usr/bin/python3 "$sources/killed_worker.py"
# ---- the script's lines, wherever a stack is shown
shown() { # FILE WORDS...: it says all of these
    local file=$1 words
    shift
    tr -s ' \n' '  ' <"$file" >text
    for words; do
        grep -qF -- "$words" text || fail "$file does not say '$words': $(cat "$file")"
    done
}
line=$(grep -n 'fork_and_wait(lambda: jobs.put(2))' "$sources/held_locks.py" | cut -d: -f1)
call="case_queue_put.<locals>.<lambda>"
shown lock.err 'os.register_at_fork' '"spawn"' "'lock' of case_lock" "fork_and_wait $sources/held_locks.py:"
shown queue_put.err 'Queue.put /usr/lib/python3' "$call $sources/held_locks.py:$line" 'PyThread_acquire_lock_timed in python3'
grep -qE '_PyEval_EvalFrameDefault|PyObject_Vectorcall' queue_put.err && fail "the interpreter's own frames are shown: $(cat queue_put.err)"
clean "$refork" export --to html -o queue_put.html queue_put.refork || fail "export"
shown queue_put.html 'Queue.put' "held_locks.py:$line" 'fork_and_wait(lambda: jobs.put(2))'
clean "$refork" explain --sarif queue_put.refork >queue_put.sarif
jq -e --arg f "$sources/held_locks.py" --argjson l "$line" '.runs[0].results[0].locations[0].physicalLocation
    | ("/" + .artifactLocation.uri | endswith($f | ltrimstr("/") | split("/")[-1])) and .region.startLine == $l' \
    queue_put.sarif >/dev/null || fail "the SARIF document has another place: $(jq '.runs[0].results[0].locations' queue_put.sarif)"
clean /usr/bin/python3 "$root/tests/verdict_schema.py" "$root/docs/verdict.schema.json" queue_put.json killed_worker.json ||
    fail "not what the schema says"

# ---- diagnose reads a live interpreter
"${as_clean[@]}" /usr/bin/python3 "$sources/held_locks.py" queue_put >live.out 2>&1 &
live=$!
diagnosed() { clean "$refork" diagnose $live >live.txt 2>live.err; [ $? = 120 ]; }
until_true diagnosed || fail "diagnose: $(cat live.txt live.err)"
kill -9 "$(pgrep -P $live)" $live
shown live.txt '__main__.SlowQueue.mutex' "$call $sources/held_locks.py:$line" 'Queue.put /usr/lib/python3'

# ---- hunt: a lock over byte code alone. Its holder loses the interpreter's lock within it where it can, and it is said when it cannot.
bytecode=(/usr/bin/python3 "$sources/rare_bytecode.py")
ends 0 record -o bytecode.refork -- "${bytecode[@]}"
ends 120 hunt --strategy directed -o rare.refork -- "${bytecode[@]}"
shown stdout 'waits for __main__.lock' 'after-call' 'rare_bytecode.py:'
ends 120 record --schedule rare.refork.schedule -o again.refork -- "${bytecode[@]}"
ends 120 replay --batch again.refork
ends 0 hunt --strategy directed -o none.refork -- "${bytecode[@]}" short
shown stdout 'gives the lock back before it gives away what task'

# ---- other versions, if REFORK_TEST_PYTHONS names interpreters (docs/verdict.md, Python)
for python in ${REFORK_TEST_PYTHONS-}; do
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || fail "$python does not run"
    verdict "queue_put-$version" 120 "\
orphaned-lock lock=__main__.SlowQueue.mutex $lock waiting=PyThread_acquire_lock_timed fork=fork
cross-process-wait cause=orphaned-lock" "$python" "$sources/held_locks.py" queue_put
    shown "queue_put-$version.err" "<lambda> $sources/held_locks.py:$line" "fork_and_wait $sources/held_locks.py:"
    grep -q '_PyEval_EvalFrameDefault' "queue_put-$version.err" && fail "$python: frames of the interpreter"
done

# The GIL: a child of a fork that CPython does not know of waits for it in turns of 5 ms. CPython's own fork makes it anew.
verdict gil 120 "\
orphaned-lock confidence=likely lock=_PyRuntime* lockkind=Python_GIL holder=python3 gone=python3 acquired=PyEval_EvalFrameDefault waiting=pthread_cond_timedwait,PyEval_RestoreThread,Py_BytesMain fork=fork,ffi_call,Py_BytesMain
cross-process-wait cause=orphaned-lock" \
    /usr/bin/python3 "$sources/held_locks.py" gil
tr -s ' \n' '  ' <gil.err >gil.text
for words in 'CPython does not know of' 'os.fork()' 'get_context("spawn")' 'ctypes.PyDLL'; do
    grep -qF "$words" gil.text || fail "gil: the text does not say '$words': $(cat gil.err)"
done
verdict gil_kept 0 none /usr/bin/python3 "$sources/held_locks.py" gil_kept
verdict gil_os_fork 0 none /usr/bin/python3 "$sources/held_locks.py" gil_os_fork
