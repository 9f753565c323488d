# What CPython's own locks do over os.fork() and multiprocessing: held_locks.py CASE
import ctypes
import logging
import multiprocessing
import os
import queue
import sys
import syslog
import threading
import time

held, forked = os.pipe(), os.pipe()


def hold():
    os.write(held[1], b"h")
    os.read(forked[0], 1)


def say(line):
    os.write(1, line.encode() + b"\n")


def fork_and_wait(in_child, in_parent=lambda: None, fork=os.fork):
    os.read(held[0], 1)
    say("main: fork")
    child = fork()
    if child == 0:
        in_child()
        say("child: done")
        os._exit(0)
    os.write(forked[1], b"f")
    in_parent()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def start(target):
    threading.Thread(target=target, daemon=True).start()


def case_lock():
    lock = threading.Lock()

    def work():
        with lock:
            hold()

    start(work)
    fork_and_wait(lock.acquire)


def case_multiprocessing():
    lock = threading.Lock()

    def work():
        with lock:
            hold()

    def in_child():
        with lock:
            say("child: done")

    start(work)
    os.read(held[0], 1)
    process = multiprocessing.get_context("fork").Process(target=in_child)
    process.start()
    os.write(forked[1], b"f")
    process.join()


def case_queue_put():
    class SlowQueue(queue.Queue):
        def _put(self, item):  # called with the queue's mutex held
            hold()
            super()._put(item)

    jobs = SlowQueue()
    start(lambda: jobs.put(1))
    fork_and_wait(lambda: jobs.put(2))


def case_queue_get():
    results = queue.Queue()

    def work():
        hold()
        results.put(1)

    start(work)
    fork_and_wait(results.get)


def case_logging():
    # Python makes the handler's lock anew in the child, that of the stream below it not: the worker is in the middle of
    # write(2), to a log that is a full pipe.
    log = os.pipe()
    line = "x" * 100000
    handler = logging.FileHandler(f"/proc/self/fd/{log[1]}")
    logging.getLogger().addHandler(handler)
    start(lambda: logging.warning(line))
    left = len(line) + 1 - len(os.read(log[0], 1))
    os.write(held[1], b"h")

    def read_log():
        nonlocal left
        while left:
            left -= len(os.read(log[0], left))

    fork_and_wait(lambda: logging.warning("child"), read_log)


def case_logging_handler():
    # A handler's lock, held over the fork: Python makes it anew in the child.
    class SlowHandler(logging.FileHandler):
        def emit(self, record):
            if threading.current_thread() is not threading.main_thread():
                hold()
            super().emit(record)

    logging.getLogger().addHandler(SlowHandler(os.devnull))
    start(lambda: logging.warning("worker"))
    fork_and_wait(lambda: logging.warning("child"))


def case_syslog():
    # glibc's lock, not Python's: syslog(3) writes to stderr, a pipe that is full, with it held.
    stderr = os.pipe()
    line = "x" * 100000
    os.dup2(stderr[1], 2)
    syslog.openlog("server", syslog.LOG_PERROR)
    start(lambda: syslog.syslog(line))
    os.read(stderr[0], 1)
    os.write(held[1], b"h")

    def read_log():
        left = len(line)
        while left > 0:
            left -= len(os.read(stderr[0], 65536))

    fork_and_wait(lambda: syslog.syslog("child"), read_log)


counting, counted = True, 0


def count():
    global counted
    while counting:
        counted += 1


def start_counting():
    start(count)
    while not counted:
        time.sleep(0.001)


def stop_counting():
    global counting
    counting = False


def case_gil():
    # ctypes gives the GIL back for the time of the call, and CPython does not know that the call forks: the child's only
    # thread wants it back from a thread that it does not have. (A handler that sleeps a little, as those of libraries
    # may, lets the other thread run before the fork itself.)
    libc = ctypes.CDLL(None)
    libc.__register_atfork.argtypes = [ctypes.c_void_p] * 4
    for _ in range(20):
        libc.__register_atfork(ctypes.cast(libc.sched_yield, ctypes.c_void_p), None, None, None)
    start_counting()
    os.write(held[1], b"h")
    fork_and_wait(lambda: None, stop_counting, libc.fork)


def case_gil_kept():
    # The same, but the GIL is kept over the call: the child has it.
    libc = ctypes.PyDLL(None)
    start_counting()
    os.write(held[1], b"h")
    fork_and_wait(lambda: None, stop_counting, libc.fork)


def case_gil_os_fork():
    start_counting()
    os.write(held[1], b"h")
    fork_and_wait(lambda: None, stop_counting)


globals()["case_" + sys.argv[1]]()
