# Debian's python3: threads, locks, random numbers, time, subprocess, os.fork, multiprocessing.
import hashlib, json, multiprocessing, os, queue, random, signal, subprocess, sys, tempfile, threading, time, uuid

print("random", random.random(), random.getrandbits(64), os.urandom(8).hex(), uuid.uuid4())
print("time", time.time(), time.monotonic_ns(), time.perf_counter_ns())
print("hash", hash("refork"), id(object()), os.getpid(), {c: hash(c) % 8 for c in "abc"}, set("abcdef"))

lock, total, done = threading.Lock(), 0, queue.Queue()

def work(n):
    global total
    for i in range(300):
        with lock:
            total += i * n
        if i % 100 == 0:
            time.sleep(0.001)
    done.put((n, threading.get_native_id()))

threads = [threading.Thread(target=work, args=(n,), name=f"worker-{n}") for n in range(4)]
for t in threads: t.start()
order = [done.get() for _ in threads]
for t in threads: t.join()
assert total == 269100, total
print("threads", order)

stop = threading.Event()
spins = [0, 0]
def spin(i):
    while not stop.is_set():
        spins[i] += 1
threads = [threading.Thread(target=spin, args=(i,)) for i in range(2)]
for t in threads: t.start()
time.sleep(0.05)
stop.set()
for t in threads: t.join()
assert all(spins), spins
print("spins", spins)

print("subprocess", subprocess.run(["sh", "-c", "echo $$; exit 3"], capture_output=True))
print("shell", subprocess.check_output("seq 5 | tac | tr '\\n' ' '", shell=True))

r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(w, f"child {os.getpid()} random {random.random()}".encode())
    os._exit(9)
os.close(w)
print("fork", os.read(r, 200), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

def square(x):
    return x * x, os.getpid()
with multiprocessing.get_context("fork").Pool(2) as pool:
    print("pool", pool.map(square, range(6)))

alarms = []
signal.signal(signal.SIGALRM, lambda *_: alarms.append(time.time()))
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
x = 0
while len(alarms) < 3: x += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print("alarms", alarms, x)

with tempfile.TemporaryFile() as f:
    f.write(os.urandom(100000))
    f.seek(0)
    print("file", hashlib.sha256(f.read()).hexdigest())
print(json.dumps({"end": True}))
print("to stderr", file=sys.stderr)
