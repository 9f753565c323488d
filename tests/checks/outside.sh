#!/bin/bash
# What somebody outside of the recording could end is never called stuck: pipes, sockets and eventfds that came from outside,
# locks of files that others hold, objects with names.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
"${as_clean[@]}" /usr/bin/python3 - "$refork" "$build/tests/programs/outside" <<'PYTHON' || fail "see above"
import ctypes, fcntl, os, re, socket, subprocess, sys, time

refork, program = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
libc.sem_open.restype = ctypes.c_void_p
bad = []


def looked(pid):
    """How often the recorder has gone to sleep and woken up: its timer wakes it every 4 ms, to look at who waits."""
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status.read(), re.M).group(1))


# Waits, like everybody in the recording, until the recorder has woken up 250 times more: its looks become rarer, 16 ms after the
# last call of the program, then after 32, ..., and all of them are over then. Then it ends the wait.
def outside(case, what, end, fds=()):
    name = f"{case}-{len(list(fds))}-{what}".replace("/", "_")
    p = subprocess.Popen([refork, "record", "--no-explain", "-o", name + ".refork", "--", program, case, str(what)],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=fds)
    first = p.stdout.readline()
    enough = looked(p.pid) + 250
    while p.poll() is None and looked(p.pid) < enough:
        time.sleep(0.01)  # between two looks
    end()
    said, errors = p.communicate()
    if p.returncode or first + said != b"waits\nwell\n":
        bad.append(f"{case} {what}: status {p.returncode}, printed {first + said}, said {errors.decode()}")


def file():
    path = f"file-{time.monotonic_ns()}"
    return path, os.open(path, os.O_RDWR | os.O_CREAT)


for case in "read", "epoll":
    r, w = os.pipe()
    outside(case, r, lambda: os.write(w, b"x"), (r,))
    r, w = os.pipe()
    outside(case, r, lambda: os.write(w, b"x"), (r, w))  # a copy of the other end is inside, too
    a, b = socket.socketpair()
    outside(case, a.fileno(), lambda: b.send(b"x"), (a.fileno(), b.fileno()))
    e = os.eventfd(0)
    outside(case, e, lambda: os.eventfd_write(e, 1), (e,))
os.mkfifo("fifo")
outside("fifo", "fifo", lambda: os.write(os.open("fifo", os.O_RDWR), b"x"))
path, fd = file()
fcntl.flock(fd, fcntl.LOCK_EX)
outside("flock", path, lambda: fcntl.flock(fd, fcntl.LOCK_UN))
fcntl.flock(fd, fcntl.LOCK_EX)
outside("flock", path, lambda: fcntl.flock(fd, fcntl.LOCK_UN), (fd,))  # a copy of the open file is inside, too
fcntl.lockf(fd, fcntl.LOCK_EX)
outside("range", path, lambda: fcntl.lockf(fd, fcntl.LOCK_UN))
name = f"/refork-outside-{os.getpid()}"
semaphore = ctypes.c_void_p(libc.sem_open(name.encode(), os.O_CREAT | os.O_EXCL, 0o600, 0))
outside("sem", name, lambda: libc.sem_post(semaphore))
libc.sem_unlink(name.encode())
key = os.getpid() | 0x40000000
semaphores = libc.semget(key, 1, 0o1600)
outside("sysv", key, lambda: libc.semctl(semaphores, 0, 16, 1))  # SETVAL
libc.semctl(semaphores, 0, 0)  # IPC_RMID
server = socket.socket(socket.AF_UNIX)
server.bind("server")
server.listen()
outside("server", "server", lambda: server.accept()[0].send(b"x"))
for line in bad:
    print(line)
sys.exit(bool(bad))
PYTHON
rm -f ./*.refork
echo good
