# Three threads and a queue: time calls, locks, and a switch now and then.
import queue
import threading

SIZE, COUNT = 50, 40000
items = queue.Queue(SIZE)
total = []


def produce():
    for i in range(COUNT):
        items.put(i)
    items.put(None)


def consume():
    result = ends = 0
    while ends < 2:
        item = items.get()
        if item is None:
            ends += 1
        else:
            result += item
    total.append(result)


threads = [threading.Thread(target=produce), threading.Thread(target=produce), threading.Thread(target=consume)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(total)
