# A worker is killed while it has the lock of a queue between processes; the next one that reads from it waits for ever.
import multiprocessing
import os
import signal
import sys
import threading
import time

context = multiprocessing.get_context("fork")
requests = context.SimpleQueue()
told = context.Semaphore(0)


def serve():
    told.release()
    requests.get()


def main():
    threading.Thread(target=threading.Event().wait, daemon=True).start()  # as a pool has threads
    first = context.Process(target=serve)
    first.start()
    told.acquire()
    # It sleeps in get(), with the queue's lock, when nothing of it runs any more.
    while open(f"/proc/{first.pid}/stat").read().rsplit(")", 1)[1].split()[0] != "S":
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    second = context.Process(target=serve)
    second.start()
    second.join()
    sys.exit(second.exitcode)


main()
