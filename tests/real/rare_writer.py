# A thread writes to a buffered file and flushes it every 5 ms, main forks in between, and the child writes to that file, too:
# the lock of CPython's buffered writer, which is not made anew in a child. While it is held the interpreter's own lock is
# given away for the moment of write(2) only; to fork, main needs that one.
#   rare_writer.py          the child writes to that file
#   rare_writer.py fixed    the child writes to a file of its own
import os
import sys
import threading
import time

log = open(os.devnull, "wb")


def write_log():
    for _ in range(3):
        time.sleep(0.005)
        log.write(b"a line\n")
        log.flush()


worker = threading.Thread(target=write_log)
worker.start()
time.sleep(0.002)
child = os.fork()
if child == 0:
    own = open(os.devnull, "wb") if "fixed" in sys.argv else log
    own.write(b"child\n")
    os._exit(0)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
worker.join()
sys.exit(status)
