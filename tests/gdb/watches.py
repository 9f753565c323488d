"""Runs inside gdb over a recording of tests/programs/debugged: several watchpoints at once, of writes, of reads and of both; the same stops
forth and, reversed, back. Prints "watches: good" at the end."""
import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stops import checker, run, stops, way

check = checker("watches")


def watched():
    """Which watchpoint the last stop is of, None: of none."""
    event = stops[-1]
    return event.breakpoint.expression if isinstance(event, gdb.BreakpointEvent) else None


def both_ways(what, *watches):
    run("event 1")
    for watch in watches:
        run(watch)
    forth = way("continue", watched)
    back = way("reverse-continue", watched)
    check([stop[0] for stop in back] == [stop[0] for stop in forth][::-1], "%s: %s forth, %s back" % (what, forth, back))
    check([stop[3] for stop in back] == [stop[3] for stop in forth][::-1], "%s: other threads: %s forth, %s back" % (what, forth, back))
    run("delete")
    return forth


def count(stops_seen, expression):
    return sum(stop[0] == expression for stop in stops_seen)


# Three at once: each changes once a visit, one never does.
forth = both_ways("three", "watch visits", "watch total", "watch mutex.__data.__kind")
check([stop[0] for stop in forth] == ["visits", "total"] * 12, "the words change in turn: %s" % forth)
check(all(stop[1] == "visit" for stop in forth), "they change in visit: %s" % forth)

# Reads: only printf's arguments are read and not changed at once; what changes is no read.
forth = both_ways("read", "rwatch visits")
check(forth and count(forth, "visits") == len(forth), "visits is read: %s" % forth)
check(forth[-1][1] == "main", "main reads it last: %s" % forth)

# Both: every change, and every read.
forth = both_ways("access", "awatch total")
check(count(forth, "total") >= 13 and forth[-1][1] == "main", "twelve changes and main's read: %s" % forth)

# A fourth one is refused, and without it the three go on. They stay in the parent when gdb lets go of the forked child.
run("event 1")
for name in ("visits", "total", "mutex.__data.__lock", "mutex.__data.__kind"):
    run("watch " + name)
try:
    run("continue")
    refused = False
except gdb.error:
    refused = True
check(refused, "a fourth watchpoint is set")
run("delete %d" % max(b.number for b in gdb.breakpoints()))
run("continue")
check(watched() in ("visits", "total", "mutex.__data.__lock"), "the three do not go on")

print("watches: good")
