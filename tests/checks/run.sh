#!/bin/bash
# `refork run`: tests run as they are; the one that hangs after a fork is told, ended, run again alone and recorded; so is one that runs
# for too long. The rest of the harness goes on.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
export PYTHONUNBUFFERED= # as in most places
# runs STATUS ARG...: refork run ends so; what it says in ./said, the harness in ./stdout
runs() {
    local want=$1 got
    shift
    clean "$refork" run "$@" >stdout 2>said </dev/null
    got=$?
    [ $got = "$want" ] || fail "run $*: status $got, not $want: $(cat said stdout)"
}
says() { grep -qE -- "$1" said || fail "no '$1': $(cat said)"; }

# ---- a harness that starts a program for each test
mkdir tests found
compile tests/hangs "$root/samples/atfork_order.c"
cat >Makefile <<'M'
all: first hangs last
first last:
	echo $@ >>order
hangs:
	cd tests && MARK=1 ./hangs
M
runs 120 -o found -- make -k
says 'hangs\) is stuck: [a-z-]+ \((proved|likely)\)'
says '^refork: this hung, and is hunted: ./hangs$'
says '^refork: 1 test hung, 1 is recorded$'
[ "$(cat order)" = $'first\nlast' ] || fail "the harness did not go on: $(cat order)"
jq -e '.deadlock' found/hangs-*.json >/dev/null || fail "JSON: $(cat found/*.json)"
trace=(found/hangs-*.refork)
ends 120 explain "${trace[0]}"
ends 120 replay --batch "${trace[0]}"
clean "$refork" info --json "${trace[0]}" | jq -e '.program | endswith("/tests/hangs")' >/dev/null || fail "another program: $(clean "$refork" info "${trace[0]}")"
! pgrep -f "$PWD/tests/hangs" >left || fail "left: $(cat left)"

# ---- one that runs tests in its own process, and says which one it is at
cat >harness.py <<'P'
import os, sys, threading, traceback

def passes():
    if os.waitstatus_to_exitcode(os.waitpid(os.spawnlp(os.P_NOWAIT, "true", "true"), 0)[1]):
        raise Exception("true fails")

def hangs():
    lock, taken, over = threading.Lock(), threading.Event(), threading.Event()
    def work():
        with lock:
            taken.set()
            over.wait()
    worker = threading.Thread(target=work, name="worker")
    worker.start()
    taken.wait()
    child = os.fork()
    if child == 0:
        lock.acquire()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    over.set()
    worker.join()
    if status:
        raise Exception("the child ended with %d" % status)

bad = 0
for name in sys.argv[1:] or ["passes", "hangs", "passes"]:
    if "REFORK_RUN" in os.environ:
        words = [sys.executable, sys.argv[0], name]
        with open("%s/%d" % (os.environ["REFORK_RUN"], os.getpid()), "w") as note:
            note.write("".join(word + "\0" for word in words))
    try:
        globals()[name]()
        print(name, "passed")
    except Exception as problem:
        print(name, "failed:", problem)
        bad += 1
sys.exit(bad)
P
runs 120 -o found -- /usr/bin/python3 harness.py
[ "$(head -3 stdout)" = $'passes passed\nhangs failed: the child ended with 9\npasses passed' ] || fail "the harness: $(cat stdout)"
says '^refork: this hung, and is hunted: /usr/bin/python3.* harness.py hangs$'
says '^refork: 1 test hung, 1 is recorded$'

# ---- not run again
runs 120 --runs 0 -o found -- tests/hangs
says '^refork: 1 test hung, 0 are recorded$'
# ---- too late, with no deadlock to be found
runs 120 --timeout 1 --runs 1 -o found -- bash -c 'sleep infinity; true'
says 'sleep\) has run for more than 1 s: it is ended'
says 'it did not hang again within 1 runs?'

# ---- nothing hangs: the command's own end
runs 0 -- true
runs 3 -- bash -c '(exit 3) & wait $!'
runs 143 -- bash -c 'kill -TERM $$'
! grep -q refork said || fail "says: $(cat said)"
# what the command leaves running, runs on
runs 0 --every 1 -- bash -c 'sleep infinity & echo $! >left'
kill "$(cat left)" || fail "what the command left is gone"
# ---- an interrupt goes to the command
"${as_clean[@]}" "$refork" run -- bash -c 'trap "echo ended; exit 7" TERM; echo ready; while :; do read -t 1 <> <(:); done' >stdout 2>said </dev/null &
pid=$!
until_true grep -q ready stdout || fail "does not begin: $(cat said)"
kill -TERM $pid
wait $pid
got=$?
[ $got = 7 ] && grep -q ended stdout || fail "interrupted: status $got: $(cat said stdout)"

runs 127 -- ./no-such
runs 126 -- "$PWD/tests"
runs 125
runs 125 -o no-such -- true
