#!/bin/bash
# The recipes of docs/ci, run as they stand there, on a project with a fork deadlock and on one without.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
recipes=$root/docs/ci
export PYTHONUNBUFFERED= # as in most places
mkdir bin
ln -s "$refork" bin/refork
export PATH=$PWD/bin:$PATH

# project FOLDER PROGRAM: as docs/ci/README.md assumes it
project() {
    mkdir -p "$1"
    cp "$root/samples/$2.c" "$1/test_fork.c"
    mkdir -p "$1/samples"
    cp "$root"/samples/*.h "$1/samples"
    cat >"$1/Makefile" <<'M'
build/test_fork: test_fork.c
	mkdir -p build && cc -D_GNU_SOURCE -I. -g -o $@ test_fork.c -pthread
check: build/test_fork
	./build/test_fork
M
}
project sick mutex_deadlock
project sound ok_join
project mended mutex_atfork
# in_project FOLDER STATUS SCRIPT: the script of a recipe, where the time for a hunt is short
in_project() {
    local got script=${3//--for 30m/--runs 2}
    (cd "$1" && "${as_clean[@]}" PATH="$PATH" bash -ec "$script") >stdout 2>stderr </dev/null
    got=$?
    [ $got = "$2" ] || fail "$1: status $got, not $2: $script: $(cat stderr stdout | tail -30)"
}

# ---- the files can be read, and what they run
/usr/bin/python3 - "$recipes" >scripts.json <<'P' || fail "the recipes: $(cat scripts.json)"
import json, re, sys
folder = sys.argv[1]
found = {}
try:
    import yaml
    jobs = yaml.safe_load(open(folder + "/github-actions.yml"))["jobs"]
    for step in jobs["tests"]["steps"] + jobs["nightly"]["steps"]:
        if "run" in step:
            found["github " + step["name"]] = step["run"]
    gitlab = yaml.safe_load(open(folder + "/gitlab-ci.yml"))
    for job in ("tests", "hunt"):
        found["gitlab " + job] = "\n".join(gitlab[job]["script"])
    hook = yaml.safe_load(open(folder + "/pre-commit-config.yaml"))["repos"][0]["hooks"][0]
    found["pre-commit"] = hook["entry"]
    job = yaml.safe_load(open(folder + "/kubernetes-job.yaml"))["spec"]
    container = job["template"]["spec"]["containers"][0]
    assert int({e["name"]: e["value"] for e in container["env"]}["SHARDS"]) == job["completions"]
    assert container["command"][:2] == ["sh", "-c"]
    found["kubernetes"] = container["command"][2]
except ImportError:
    pass
for i, script in enumerate(re.findall(r"sh '(.*)'", open(folder + "/Jenkinsfile").read())):
    found["jenkins %d" % i] = script
for i, script in enumerate(re.findall(r"git bisect run (sh -c '.*')", open(folder + "/README.md").read())):
    found["bisect %d" % i] = script
found["parallel"] = re.search(r"    (seq 4 \| parallel .*)", open(folder + "/fleet.md").read()).group(1)
json.dump(found, sys.stdout)
P
script() { jq -er --arg n "$1" '.[$n]' scripts.json; }
yaml=$(jq 'has("pre-commit")' scripts.json)
[ "$yaml" = true ] || echo 'not tried here: the recipes in YAML (python3-yaml)'

# ---- the tests of the project
in_project sound 0 "$(script 'jenkins 0')"
in_project sick 120 "$(script 'jenkins 0')"
trace=(sick/hung/*.refork)
ends 120 explain "${trace[0]}"
in_project sick 120 "$(script 'jenkins 1')"
grep -q '<failure' sick/hunt.xml || fail "JUnit: $(cat sick/hunt.xml)"
in_project sound 0 "$(script 'jenkins 1')"
if [ "$yaml" = true ]; then
    in_project sick 0 "$(script 'github What this machine can do')"
    rm -rf sick/hung
    in_project sick 120 "$(script 'github Tests, at full speed')"
    in_project sick 0 "$(script 'github Verdicts for code scanning and people')"
    jq -e '.runs[0].results[0].ruleId' sick/hung/*.sarif >/dev/null || fail "SARIF: $(ls sick/hung)"
    ends 120 explain sick/hung/*.refork
    in_project sound 0 "$(script 'github Hunt')"
    rm -rf sick/hung
    in_project sick 120 "$(script 'gitlab tests')"
    in_project sick 120 "$(script 'gitlab hunt')"
    in_project sick 120 "$(script pre-commit)"
    in_project sound 0 "$(script pre-commit)"
fi

# ---- one hunt on many machines
if command -v parallel >/dev/null; then
    in_project sick 0 "$(script parallel) || :" # its status is the number of jobs that found it
    in_project sick 120 'refork hunt --state hunt'
    in_project sound 0 "$(script parallel | sed 's/--runs 400/--runs 4/'); refork hunt --state hunt"
fi
in_project sick 0 "export STATE=array SHARDS=2; for SLURM_ARRAY_TASK_ID in 2 1; do export SLURM_ARRAY_TASK_ID; sh '$recipes/slurm.sh' & done; wait -n; wait -n"
in_project sick 120 'refork hunt --state array'
if [ "$yaml" = true ]; then
    in_project sick 0 "export STATE=job SHARDS=1 JOB_COMPLETION_INDEX=0; sh -c $(printf %q "$(script kubernetes)")"
    in_project sick 120 'refork hunt --state job'
fi

# ---- which commit was it?
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
git=(git -c user.name=x -c user.email=x@example.com -c init.defaultBranch=main)
# history FOLDER SOUND: four commits, the third brings the bug
history() {
    local folder=$1 i=0 project
    mkdir "$folder"
    "${git[@]}" -C "$folder" init -q
    printf '%s\n' build '*.refork*' 'hunt*' hung >"$folder/.gitignore"
    for project in "$2" "$2" sick sick; do
        cp "$project"/test_fork.c "$project"/Makefile "$folder"
        cp -r "$project/samples" "$folder"
        echo $((++i)) >"$folder/log"
        "${git[@]}" -C "$folder" add -A
        "${git[@]}" -C "$folder" commit -q -m "commit $i"
    done
}
history hunted sound
in_project hunted 0 "git bisect start HEAD HEAD~3; git bisect run $(script 'bisect 0')"
grep -q 'is the first bad commit' stdout && grep -q 'commit 3' stdout || fail "bisect: $(cat stdout stderr)"
history verified mended
in_project verified 0 "make -s; refork record --no-explain -o bug.refork -- build/test_fork || [ \$? = 120 ]
git bisect start HEAD HEAD~3; git bisect run $(script 'bisect 1')"
grep -q 'is the first bad commit' stdout && grep -q 'commit 3' stdout || fail "bisect by verify: $(cat stdout stderr)"

# ---- ctest
if command -v cmake >/dev/null && command -v ctest >/dev/null; then
    cat >sick/CMakeLists.txt <<'M'
cmake_minimum_required(VERSION 3.10)
project(sick C)
set(CMAKE_C_FLAGS "-D_GNU_SOURCE -I${CMAKE_SOURCE_DIR} -g -pthread")
add_executable(test_fork test_fork.c)
enable_testing()
add_test(NAME passes COMMAND true)
add_test(NAME fork COMMAND test_fork)
M
    in_project sick 120 "cmake -B tree . >/dev/null && make -s -C tree >/dev/null && cd tree && $(grep -o 'refork run .* ctest .*' "$recipes/README.md" | sed 's/-o hung/-o ./')"
    grep -q '1 tests failed out of 2' stdout || fail "ctest: $(cat stdout)"
else
    echo 'not tried here: ctest (cmake)'
fi

# ---- pytest
if /usr/bin/python3 -c 'import pytest' 2>/dev/null; then
    mkdir py
    cp "$recipes/conftest.py" py
    cat >py/test_it.py <<'P'
import os, threading

def test_passes():
    pass

def test_hangs():
    lock, taken, over = threading.Lock(), threading.Event(), threading.Event()
    def work():
        with lock:
            taken.set()
            over.wait()
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    taken.wait()
    child = os.fork()
    if child == 0:
        lock.acquire()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

def test_passes_too():
    pass
P
    in_project py 120 'mkdir hung; refork run --runs 2 -o hung -- /usr/bin/python3 -m pytest -p no:cacheprovider'
    grep -q '1 failed, 2 passed' stdout || fail "pytest: $(cat stdout)"
    grep -q 'is hunted: .*test_it.py::test_hangs$' stderr || fail "pytest: $(cat stderr)"
    trace=(py/hung/*.refork)
    ends 120 explain "${trace[0]}"
else
    echo 'not tried here: pytest (python3-pytest)'
fi
