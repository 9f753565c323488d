# A thread writes to a buffered file every 5 ms, main forks in between, and the child writes to that file, too: the lock of
# CPython's buffered writer, which is not made anew in a child.
#   rare_writer.py          the child writes to it
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


worker = threading.Thread(target=write_log)
worker.start()
time.sleep(0.002)
child = os.fork()
if child == 0:
    if "fixed" in sys.argv:
        log = open(os.devnull, "wb")
    log.write(b"child\n")
    os._exit(0)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
worker.join()
sys.exit(status)
