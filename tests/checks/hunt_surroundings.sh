#!/bin/bash
# refork hunt and what its program needs around it: input from a file, a client on the loopback that is set up and torn down for each run, a
# client of the program's own; and --healthy, which tells ends apart.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
serve=$build/tests/programs/serve

found() { json 'any(.findings[]; .kind == "orphaned-lock" and .lock.symbol == "log_mutex")'; }
refuted() { json '.findings == [] and any(.refuted[]; .lock == "log_mutex" and .verdict == "atfork-protected")'; }

# ---- input from a file
echo hello >hello
echo other >other
hunted 120 --strategy directed --input hello -- "$serve" input
found
hunted 0 --strategy directed --input hello --healthy 0 -- "$serve" input protected
refuted
json '.unhealthy == []'
clean "$refork" hunt --input hello -o found.refork -- "$serve" input >stdout 2>stderr </dev/null
grep -qE '^Again: refork record --schedule .* input <hello$' stdout || fail "the command for it: $(cat stdout stderr)"

# ---- a program that forks its own client
hunted 120 --strategy directed -- "$serve" self
found
hunted 0 --strategy directed --healthy 0 -- "$serve" self protected
refuted
json '.unhealthy == []'

# ---- a client that --before starts and --after ends
cat >client.sh <<'END_OF_CLIENT'
#!/bin/bash
# client.sh PORT: two requests to the server, as soon as it is there
exec >/dev/null 2>&1 </dev/null
for i in 1 2; do
    until exec 3<>"/dev/tcp/127.0.0.1/$1"; do read -r -t 0.02 <> <(:); done
    echo hello >&3
    read -r answer <&3 && echo "$answer" >>answers
    exec 3>&-
done
END_OF_CLIENT
cat >down.sh <<'END_OF_DOWN'
#!/bin/bash
kill "$(cat client.pid)" 2>/dev/null
rm client.pid
echo "the client is gone" # not into the hunt's JSON
END_OF_DOWN
chmod +x client.sh down.sh
port=$(clean /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
with_client=(--before "./client.sh $port & echo \$! >client.pid" --after ./down.sh)
hunted 120 --strategy directed "${with_client[@]}" -- "$serve" "$port"
found
hunted 0 --strategy directed --healthy 0 "${with_client[@]}" -- "$serve" "$port" protected
refuted
json '.unhealthy == []'
[ "$(sort -u answers)" = 'hello back' ] && [ ! -e client.pid ] || fail "the client: $(cat answers) $(ls)"
# Without a client the server waits for ever, which is no deadlock: the time is over.
hunted 123 --strategy directed --runs 1 --timeout 1 -- "$serve" "$port"

# ---- ends
hunted 0 --strategy random --runs 3 --healthy 0,10-12,SIGTERM --junit junit.xml --input other -- "$serve" input protected
json '.deadlock == false and (.unhealthy | length) == 3 and all(.unhealthy[]; .ended == "exit status 3")'
json '[.unhealthy[].run] == [1, 2, 3] and .unhealthy[0].schedule == null'
clean /usr/bin/python3 -c '
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()
assert suite.get("errors") == "1" and suite.get("failures") == "0", suite.attrib
assert "run 2 (random, seed 1): exit status 3" in suite.findall("testcase")[-1].findtext("error")' junit.xml || fail "JUnit: $(cat junit.xml)"
# Its schedule is the one of that run.
jq -r '.unhealthy[1].schedule' json >again.schedule
input=other ends 3 record --schedule again.schedule -o again.refork -- "$serve" input protected
hunted 0 --strategy random --runs 2 --healthy 0,3 --input other -- "$serve" input protected
json '.unhealthy == []'
hunted 0 --strategy random --runs 2 --input other -- "$serve" input protected
json '.unhealthy == null'
hunted 123 --strategy random --runs 2 --healthy 0 -- sh -c 'kill -TERM $$'
json 'all(.unhealthy[]; .ended == "signal 15 (SIGTERM)") and (.unhealthy | length) == 2'
hunted 123 --strategy random --runs 2 --healthy 0,SIGTERM -- sh -c 'kill -TERM $$'
json '.unhealthy == []'
# A deadlock is one, whatever its end; and no run that refork ended is unhealthy.
hunted 120 --strategy directed --healthy 77 --keep-going --input hello -- "$serve" input
json '.runs > 1 and all(.unhealthy[]; .ended == "exit status 0")'
found
ends 123 hunt --strategy random --runs 2 --healthy 1-9 -- true
grep -q '^2 runs ended otherwise than --healthy says' stdout && grep -q '^  run 1 (the program as it is): exit status 0$' stdout || fail "the summary: $(cat stdout)"
for bad in '' 256 3-1 '1,' SIGNOTHING x 1-; do
    clean "$refork" hunt --healthy "$bad" -- true >stdout 2>stderr </dev/null
    [ $? = 125 ] && grep -q "of '--healthy'" stderr || fail "--healthy '$bad': $(cat stderr)"
done
clean "$refork" hunt --input no-such-file -- true >stdout 2>stderr </dev/null && fail "an input that is not there"
grep -q "cannot read 'no-such-file'" stderr || fail "--input: $(cat stderr)"
rm -rf "$work"
