#!/bin/bash
# export --to perfetto: a trace as perfetto's schema says, with tasks as tracks, calls and lock spans as slices, forks and hand-overs as
# flows, and counters.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
command -v python3 >/dev/null || skip "no python3"
shown() { # NAME: NAME.perfetto by the schema, as lines in NAME.shown
    ends 0 export --to perfetto "$1.refork"
    clean python3 "$root/tests/perfetto.py" "$1.perfetto" >"$1.shown" || fail "$1.perfetto is not as the schema says"
}
has() { grep -qE -- "$2" "$1.shown" || fail "$1.perfetto has no '$2' ($work/$1.shown)"; }

ends 120 record --no-explain -o bug.refork -- "$build/samples/mutex_deadlock"
shown bug
for what in '^track [0-9]+ process mutex_deadlock$' '^track [0-9]+ thread worker$' '^track [0-9]+ lock log_mutex$' '^instant [0-9]+ forks process [0-9]+$' \
    '^instant [0-9]+ starts thread [0-9]+$' '^instant [0-9]+ waits for ever \(proved\)$' '^slice [0-9]+ log_mutex' '^counter held locks 1$' \
    '^counter runnable tasks 2$' '^slice [0-9]+ openat openat\(AT_FDCWD, "[^"]*libc.so.6", O_RDONLY\|O_CLOEXEC\) = 3<'; do
    has bug "$what"
done
# The worker's lock is on its own track, and each birth has an arrow to the first call of the new task.
worker=$(sed -n 's/^track \([0-9]*\) thread worker$/\1/p' bug.shown)
grep -q "^flow [0-9]* ends on $worker\$" bug.shown || fail "no flow leads to the worker"
[ "$(grep -c '^flow .* ends on ' bug.shown)" -ge 2 ] || fail "the fork has no flow"

# Two threads that take turns with a lock: flows from one's span to the other's.
ends 0 record --no-explain -o turns.refork -- "$build/tests/programs/locks"
shown turns
awk '/^track .* lock / {lock[$2] = 1} /^flow / {if ($5 in lock) handed++} END {exit !handed}' turns.shown || fail "no lock goes from one task to another"

# Whatever names the program has, the file is valid; a full disk and a cut recording are errors.
ends 0 record --no-explain -o evil.refork -- bash -c 'exec -a "$1" bash -c "printf \"\$1\" >/proc/self/comm; exec true" x "\377\033[31m"' x $'\033\377'
shown evil
clean "$refork" export --to perfetto -o - bug.refork >/dev/full 2>stderr
[ $? = 125 ] || fail "a full disk is no error: $(cat stderr)"
says 125 '--to core' export --to perfetto --at 3 bug.refork
exit 0
