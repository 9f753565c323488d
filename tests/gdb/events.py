"""Runs inside gdb over a recording of tests/gdb/events.c: signals, forks, vforks and calls are met forth and, reversed, back; a stop for a
signal is at the instruction that it interrupts, and knows its address. Prints "events: good" at the end."""
import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stops import checker, run, stops, way

check = checker("events")


def what_stopped():
    event = stops[-1]
    if isinstance(event, gdb.SignalEvent):
        return event.stop_signal
    return event.breakpoint.number if isinstance(event, gdb.BreakpointEvent) else None


run("catch fork")
run("catch vfork")
run("catch syscall getpid")
forth = way("continue", what_stopped)
names = [stop[0] for stop in forth]
check(names == [3, 3, "SIGUSR2", 1, 2, "SIGSEGV", "SIGSEGV"], "forth: %s" % forth)
check(forth[-1][1] == forth[-2][1] == "look" and forth[-1][2] == forth[-2][2], "the faults are in look: %s" % forth)
back = way("reverse-continue", what_stopped)
# The last one is where the program ends: way() has stopped there, so it is not met backward.
check(back == forth[:-1][::-1], "back: %s, forth: %s" % (back, forth))

# A fault is at the pass that raises it, and a step leads into its handler.
for _ in range(6):
    run("continue")
check(int(gdb.parse_and_eval("passes")) == 2, "the fault is in pass 2")
check(int(gdb.parse_and_eval("$_siginfo._sifields._sigfault.si_addr")) == 16, "siginfo tells the address")
pc = gdb.selected_frame().pc()
run("stepi")
check(gdb.selected_frame().name() == "on_signal", "a step from the fault is in the handler")
run("reverse-stepi")
check(gdb.selected_frame().pc() == pc and int(gdb.parse_and_eval("passes")) == 2, "and back")

# What a jump cannot do ends the command: it goes nowhere.
where = run("monitor when")
for wrong in ("event 999999", "restart 7", "monitor nonsense"):
    try:
        run(wrong)
    except gdb.error:
        pass
check(run("monitor when") == where, "a wrong jump goes nowhere")
check("no command 'nonsense'" in run("monitor nonsense"), "an unknown command is named")
proc = run("info proc")
check("/events" in proc and "unable to open" not in proc, "info proc: %s" % proc)
gdb.write("events: good\n")
