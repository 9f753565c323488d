#!/bin/bash
# /usr/bin/python3: locks of CPython that a thread held when the main one forked.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real.sh
. "$(dirname "$0")/../real.sh"
# A Lock is a semaphore: who took its one permit is known, that nobody else may give it back is not.
held() {
    verdict "$1" 120 "\
orphaned-lock confidence=likely lockkind=Python_lock holder=python3 gone=python3 acquired=PyThread_acquire_lock_timed waiting=PyThread_acquire_lock_timed,main fork=fork,main
cross-process-wait cause=orphaned-lock" \
        /usr/bin/python3 "$sources/held_locks.py" "$1"
}
held lock
held multiprocessing
held queue_put
held logging
verdict queue_get 120 "\
vanished-waker lockkind=Python_lock gone=python3 waiting=PyThread_acquire_lock_timed,main fork=fork,main
cross-process-wait cause=vanished-waker" \
    /usr/bin/python3 "$sources/held_locks.py" queue_get
verdict logging_handler 0 none /usr/bin/python3 "$sources/held_locks.py" logging_handler
