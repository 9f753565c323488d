# A thread holds a lock over byte code and nothing else every 5 ms, main forks in between, and the child takes the lock, too.
# To fork, main needs the interpreter's own lock: it gets that while the other one is held only when the thread gives it
# away between two byte codes, which it does when it was asked to, at a call or at the end of a turn.
#   rare_bytecode.py          the child takes the lock
#   rare_bytecode.py fixed    the child takes a lock of its own
#   rare_bytecode.py short    there is no place within the lock where the thread gives the interpreter away
import os
import sys
import threading
import time

lock = threading.Lock()
counted = 0


def count():
    global counted
    for _ in range(3):
        time.sleep(0.005)
        with lock:
            if "short" in sys.argv:
                counted += 1
                continue
            for number in range(300):
                counted += number


worker = threading.Thread(target=count)
worker.start()
time.sleep(0.002)
child = os.fork()
if child == 0:
    own = threading.Lock() if "fixed" in sys.argv else lock
    with own:
        os._exit(0)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
worker.join()
sys.exit(status)
