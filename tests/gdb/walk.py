"""Runs inside gdb over a recording of tests/programs/debugged: hits forth and back, values forth and back, and random
walks that must end in the same state as the straight way. Prints "walk: good" at the end.

The number of random walks and their seed are in the environment: WALKS, SEED."""
import os
import random
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stops import checker, run, stops

check = checker("walk")


def watched():
    """The last stop was one of a watchpoint."""
    event = stops[-1]
    return isinstance(event, gdb.BreakpointEvent) and event.breakpoint.type == gdb.BP_HARDWARE_WATCHPOINT


def state():
    """Registers of the selected thread, and the bytes of the program's own variables and stack."""
    registers = run("info all-registers")
    sp = int(gdb.parse_and_eval("(unsigned long)$rsp"))
    stack = bytes(gdb.selected_inferior().read_memory(sp, 256))
    values = [int(gdb.parse_and_eval(name)) for name in ("visits", "total")]
    return registers, stack, values, gdb.selected_thread().ptid


def here():
    thread = gdb.selected_thread()
    return (int(gdb.parse_and_eval("$pc")), thread.ptid, int(gdb.parse_and_eval("visits")), int(gdb.parse_and_eval("total")),
            int(gdb.parse_and_eval("pair.left")), int(gdb.parse_and_eval("mine")), gdb.parse_and_eval("who").string())


def at_breakpoint():
    return gdb.selected_frame().name() == "visit"


# ---- a breakpoint forth and back
run("event 1")
run("break visit")
forth = []
while True:
    run("continue")
    if not at_breakpoint():
        break
    forth.append(here())
check(len(forth) == 12, "%d visits forth" % len(forth))
check([hit[2] for hit in forth] == list(range(12)), "the visits are counted in turn")
check([hit[5] for hit in forth] == [n // 2 for n in range(12)], "each thread has counted its own visits: %s" % forth)
check([hit[6] for hit in forth] == ["first", "second"] * 6, "the threads take turns")
back = []
while True:
    run("reverse-continue")
    if not at_breakpoint():
        break
    back.append(here())
check(back == forth[::-1], "the hits back are those forth, reversed: %s, %s" % (forth, back))

# ---- a watchpoint forth and back
run("delete")
run("watch total")
changes = []
while True:
    run("continue")
    if not watched():
        break
    changes.append(int(gdb.parse_and_eval("total")))
check(len(changes) == 12, "%d changes of total forth" % len(changes))
undone = []
while True:
    run("reverse-continue")
    if not watched():
        break
    undone.append(int(gdb.parse_and_eval("total")))
check(undone == changes[:-1][::-1] + [0], "total goes back as it came: %s %s" % (changes, undone))
run("delete")

# ---- finish, and the same way back
run("break depth if n == 0")
run("continue")
check("depth" in run("bt 1"), "depth is reached")
frames = len(run("bt").splitlines())
inner = state()
run("finish")
check(len(run("bt").splitlines()) == frames - 1, "finish ends in the caller")
check(int(gdb.parse_and_eval("$rax")) == 0, "depth(0) is 0")
while len(run("bt").splitlines()) < frames:
    run("reverse-stepi")
check(gdb.selected_frame().name() == "depth", "backward into the call")
run("reverse-finish")
check(gdb.selected_frame().name() == "depth", "reverse-finish ends at the call")
run("delete")

# ---- random walks
rng = random.Random(int(os.environ.get("SEED", "1")))
run("break busy")
run("event 1")
run("continue")
check(gdb.selected_frame().name() == "busy", "busy is reached")
run("delete")
MOVES = ["stepi", "stepi 3", "reverse-stepi", "reverse-stepi 2", "next", "reverse-next", "step", "nexti", "reverse-nexti"]
start = state()
for number in range(int(os.environ.get("WALKS", "12"))):
    run("monitor checkpoint")
    before = state()
    # There and back by instructions ...
    n = rng.randrange(1, 30)
    run("stepi %d" % n)
    run("reverse-stepi %d" % n)
    check(state() == before, "walk %d: %d instructions forth and back end elsewhere" % (number, n))
    # ... anywhere, and back by the checkpoint.
    for _ in range(rng.randrange(1, 5)):
        run(rng.choice(MOVES))
    run("restart %d" % (number + 1))
    check(state() == before, "walk %d: the checkpoint is another state" % number)
    run("stepi %d" % rng.randrange(1, 60))

# ---- from anywhere back to the recording's begin, and the straight way from there again
begins = []
for _ in range(3):
    for _ in range(rng.randrange(1, 4)):
        run(rng.choice(MOVES))
    run("reverse-continue")
    begins.append(state())
    check(begins[-1] == begins[0], "the begin is another state after another walk")
    run("break busy")
    run("continue")
    run("delete")
    check(state() == start, "the straight way from the begin ends elsewhere after a walk")
check(begins[0][0] != start[0], "the begin is another place")

# ---- what gdb calls and writes is gone afterwards
before = state()
check(int(gdb.parse_and_eval("depth(7)")) == 7, "depth(7) is 7")
run("set var total = 4711")
check(int(gdb.parse_and_eval("total")) == 4711, "the new value shows")
run("stepi")
run("reverse-stepi")
check(state() == before, "calls and writes are gone")

print("walk: good")
