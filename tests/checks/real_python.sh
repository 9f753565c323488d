#!/bin/bash
# /usr/bin/python3: locks of CPython and of glibc that a thread held when the main one forked.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real.sh
. "$(dirname "$0")/../real.sh"
# held CASE LOCK WAITING: a vanished thread holds LOCK, and the child waits in WAITING. At most likely, since Python has a
# handler for SIGINT; of a Lock, which is a semaphore, who took its one permit is known, not who may give it back.
held() {
    verdict "$1" 120 "\
orphaned-lock confidence=likely $2 holder=python3 gone=python3 waiting=$3,Py_BytesMain fork=fork,Py_BytesMain
cross-process-wait cause=orphaned-lock" \
        /usr/bin/python3 "$sources/held_locks.py" "$1"
}
lock='lockkind=Python_lock acquired=sem_trywait'
held lock "$lock" PyThread_acquire_lock_timed
held multiprocessing "$lock" PyThread_acquire_lock_timed
held queue_put "$lock" PyThread_acquire_lock_timed
held logging "$lock" PyThread_acquire_lock
held syslog 'lock=syslog_lock lockkind=libc_lock acquired=syslog_chk' lll_lock_wait_private,syslog_chk
verdict queue_get 120 "\
vanished-waker lockkind=Python_lock gone=python3 waiting=PyThread_acquire_lock_timed,Py_BytesMain fork=fork,Py_BytesMain
cross-process-wait cause=vanished-waker" \
    /usr/bin/python3 "$sources/held_locks.py" queue_get
verdict logging_handler 0 none /usr/bin/python3 "$sources/held_locks.py" logging_handler
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
