"""What the scripts that run inside gdb share: commands, the stops, and checks that end the script."""
import gdb

# What gdb says at a stop does not come with the command's output.
stops = []
gdb.events.stop.connect(stops.append)


def run(command):
    return gdb.execute(command, to_string=True)


def checker(script):
    """A function check(good, what) that says which script failed."""
    def check(good, what):
        if not good:
            raise gdb.GdbError("%s: FAILED: %s" % (script, what))
    return check


def way(command, what_stopped):
    """All stops from here on that what_stopped() tells of (None: not one of them): that, the function, the pc and the thread."""
    seen = []
    while True:
        run(command)
        if what_stopped() is None:
            return seen
        frame = gdb.selected_frame()
        seen.append((what_stopped(), frame.name(), frame.pc(), gdb.selected_thread().ptid))
