#!/bin/bash
# A wait for a lock whose owner stands in its word is told from memory: these programs take their recording away, so that no second
# process can replay it. Variants of tests/cases/, each beside a thread that goes on.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work

recorded() { # PROGRAM ARG...: ends with the status of record
    rm -f case.refork away.refork
    patiently 20 "${as_clean[@]}" "$refork" record --no-explain -o case.refork -- \
        sh -c 'mv case.refork away.refork && exec "$@"' sh "$build/tests/cases/$1" "${@:2}" >program.out 2>err </dev/null
}
found() { # WHAT PROGRAM ARG...
    local got
    recorded "${@:2}"
    got=$?
    [ $got = 120 ] || fail "${*:2}: status $got, not 120: $(tail -n 3 err)"
    grep -qE "waits for ever \(proved\) for $1;" err || fail "${*:2} is not told by its owner: $(cat err)"
    into verdict.json 120 explain --json away.refork
}
silent() { # PROGRAM ARG...
    local got
    recorded "$@"
    got=$?
    [ $got = 0 ] || fail "$*: status $got, not 0: $(tail -n 3 err)"
}

gone='whose owner, task [0-9]+, is no task of its process'
# (A thread in pause or on an empty epoll set, without a handler, lets the whole process be told of: nobody asks the word.)
for job in busy nap 'heartbeat handler'; do
    # shellcheck disable=SC2086
    found "log_lock, $gone" child_threads $job
done
for lock in writer:rwlock recursive:recursive checked:checked 'heap:lock 0x[0-9a-f]+ in [a-z ]+'; do
    found "${lock#*:}, $gone" child_locks "${lock%%:*}" nap
done
found '[a-z]+, whose owner, task [0-9]+, waits for ever itself' crossed orders nap
found '[a-z]+, whose owner, task [0-9]+, waits for ever itself' crossed orders nap flag
silent child_threads release
silent child_threads remake
silent crossed twice pause unlock
rm -f ./*.refork
echo good
