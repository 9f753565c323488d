"""Runs inside gdb over a recording of tests/gdb/events.c: calls a function that never ends. Says which process a Ctrl-C (SIGINT) is for, and what
came of it; one that comes before the call is no use, so it calls again."""
import os

import gdb

gdb.execute("event 1")
gdb.execute("break on_signal")
gdb.execute("continue")
ended = False
while not ended:
    gdb.write("calling: %d\n" % os.getpid())
    gdb.flush()
    try:
        gdb.execute("call spin()")
    except KeyboardInterrupt:
        gdb.write("too early\n")
    except gdb.error as error:
        gdb.write("%s\n" % error)
        ended = True
    gdb.flush()
