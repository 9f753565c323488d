#!/bin/bash
# refork verify: a recorded deadlock's situation is forced on other builds: 120 when it still hangs, 0 when it is fixed, 125 when it cannot be
# reached; found again where lines moved, in other optimisation, statically linked; and git bisect run names the commit.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
programs=$build/tests/programs

# verified STATUS TEXT ARG...: refork verify ends so and says so
verified() {
    ends "$1" verify "${@:3}"
    grep -qF -- "$2" stdout stderr || fail "verify ${*:3}: no '$2': $(cat stdout stderr)"
}
# hang FILE PROGRAM [ARG...]: records it under plan.schedule
hang() {
    ends 120 record --schedule plan.schedule -o "$1" -- "${@:2}"
}

# ---- a deadlock of every run, its lock taken before the fork
sample=$root/samples/mutex_deadlock.c
mkdir -p bad moved fixed around none
cp "$sample" bad/prog.c
{ printf '// more\n%.0s' {1..30} && cat "$sample"; } >moved/prog.c
sed 's/sleep_ms(5000)/sleep_ms(300)/' "$sample" >quick.c
sed 's/^int main(void) {/&\n    pthread_atfork(log_begin, log_end, log_end);/' quick.c >fixed/prog.c
sed 's/^    pid_t child = fork();/    log_begin();\n&\n    log_end();/' quick.c >around/prog.c
sed 's/^    pthread_mutex_.*lock(&log_mutex);/    (void)0;/' quick.c >none/prog.c
for kind in bad moved fixed around none; do
    compile $kind/prog $kind/prog.c -O1
    compile $kind/plain $kind/prog.c -O0
done
ends 120 record -o bug.refork -- bad/prog
mv bad/prog.c bad/old.c # what the recording quotes is in it
for program in prog plain; do
    for kind in bad moved; do
        rm -f "$program.refork"
        verified 120 "it still hangs: the recording is in '$program.refork'" bug.refork -- "$kind/$program"
        clean "$refork" explain "$program.refork" >stdout || [ $? = 120 ] || fail "what $kind/$program left: $(cat stdout)"
        grep -q 'waits for log_mutex' stdout || fail "what $kind/$program left is not explained: $(cat stdout)"
    done
    rm -f "$program.refork"
    verified 0 'fixed: the fork waits until the lock is free: a fork handler takes it (3 runs)' bug.refork -- fixed/$program
    # The forking thread holds the lock itself.
    verified 0 'fixed: nobody can fork while the lock is held (2 runs)' bug.refork --runs 2 -- around/$program
    [ ! -e "$program.refork" ] || fail "a recording of a fixed program is left"
    verified 125 'the situation could not be reached: ' bug.refork -- none/$program
    verified 0 'taken for fixed (--gone-is-fixed)' --gone-is-fixed bug.refork -- none/$program
done
sed 's/fork()/start()/; s/^int main/static __attribute__((noinline)) pid_t start(void) {\n    pid_t child = fork();\n    return child;\n}\n\n&/' fixed/prog.c >moved.c
compile start moved.c -O1
verified 125 'no fork is made in main (1 elsewhere)' bug.refork -- ./start
sed 's/^int main/static pthread_mutex_t other = PTHREAD_MUTEX_INITIALIZER;\nstatic void *use(void *p) {\n    pthread_mutex_lock(\&other);\n    sleep_ms(5000);\n    return p;\n}\n\n&/
    s/write_report, NULL/use, NULL/; s/== 0) run_child/== 0) use(NULL), run_child/' "$sample" >other.c
compile other other.c -O1
verified 120 'another deadlock than the recorded one' -o other.refork bug.refork -- ./other
[ -s other.refork ] || fail "-o makes no file"

# ---- locks that a verdict calls by more than a variable's name: a member's, and one on a stack. Neither is another lock in another build
sed 's/^static pthread_mutex_t log_mutex = .*/static struct { long lines; pthread_mutex_t mutex; } log_state = {0, PTHREAD_MUTEX_INITIALIZER};/
    s/&log_mutex/\&log_state.mutex/' "$sample" >member.c
sed 's/^static pthread_mutex_t log_mutex = .*/static pthread_mutex_t *log_mutex;/; s/&log_mutex/log_mutex/
    s/^int main(void) {/&\n    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;\n    log_mutex = \&mutex;/' "$sample" >stack.c
for lock in member:log_state.mutex 'stack:a local variable of thread'; do
    name=${lock%%:*}
    sed 's/^    pid_t child = fork();/    pthread_atfork(log_begin, log_end, log_end);\n&/; s/sleep_ms(5000)/sleep_ms(300)/' "$name.c" >"${name}_fixed.c"
    compile "$name" "$name.c" -O1
    compile "${name}_fixed" "${name}_fixed.c" -O1
    ends 120 record -o "$name.refork" -- "./$name"
    clean "$refork" explain "$name.refork" >stdout
    tr '\n' ' ' <stdout | grep -qF -- "${lock#*:}" || fail "no ${lock#*:}: $(cat stdout)"
    verified 120 'it still hangs' -o "$name.again" "$name.refork" -- "./$name"
    grep -qF 'another deadlock' stdout stderr && fail "$name: its own deadlock is taken for another one: $(cat stdout stderr)"
    verified 0 'fixed: the fork waits until the lock is free: a fork handler takes it (2 runs)' "$name.refork" --runs 2 -- "./${name}_fixed"
done

# ---- a rare one: only the gate makes it hang
{ printf '// more\n%.0s' {1..30} && cat "$root/tests/programs/gate_mutex.c"; } >rare.c
for flags in -O2 -O0 '-O1 -static'; do
    # shellcheck disable=SC2086
    compile "rare$flags" rare.c $flags
done
plan 'fork 2' 'acquire function libc.so.6!pthread_mutex_lock'
hang rare.refork "$programs/gate_mutex"
for program in "$programs/gate_mutex" ./rare-O2 ./rare-O0 './rare-O1 -static' "$programs/gate_mutex.static"; do
    verified 120 'run 2: forced, and it hangs' -o again.refork rare.refork -- "$program"
    verified 0 'fixed: the fork waits until the lock is free: a fork handler takes it (3 runs)' rare.refork -- "$program" protected
done
verified 0 'nobody can fork while the lock is held (3 runs)' rare.refork -- ./rare-O2 nested
# A function that is only there inlined, with std::string among its template arguments; debug information calls it otherwise than its symbol in
# another build. Each lock is taken through one wrapper: its return is a place that the worker passes with another lock first.
ends 120 record -o logger.refork -- "$programs/logger" hold
g++ -g -O0 -std=c++17 -pthread -o logger-O0 "$root/tests/programs/logger.cc"
for program in "$programs/logger" ./logger-O0; do
    verified 0 'fixed: the fork waits until the lock is free: a fork handler takes it (3 runs)' logger.refork -- "$program" protected
    verified 120 'it still hangs' -o again.refork logger.refork -- "$program"
done
verified 125 'child-died: signal 9' rare.refork -- ./rare-O2 dies
verified 125 'never-concurrent: ' rare.refork -- ./rare-O2 apart
# The child does not take the lock any more.
sed 's/^            log_entry();/            puts("child");/' rare.c >unused.c
compile unused unused.c -O1
verified 0 'the lock was held at the fork, and the child finished (3 runs)' rare.refork -- ./unused

# ---- a lock without a function: an instruction in the program's code
site=$(objdump -d --no-show-raw-insn --disassemble=use_shared "$programs/gate_futex" | sed -nE '/:[[:space:]]xchg .*<word>/{s/^ *([0-9a-f]+):.*/\1/p;q}')
[ -n "$site" ] || fail "no xchg in gate_futex"
plan 'fork 1' "acquire instruction gate_futex!+0x$site"
hang inlined.refork "$programs/gate_futex" xchg
{ printf '// more\n%.0s' {1..9} && cat "$root/tests/programs/gate_futex.c"; } >inlined.c
sed '/^    if (!child) {/,/^    }/s/use_shared();/;/' inlined.c >inlined_fixed.c
for flags in -O2 -O0; do
    compile "inlined$flags" inlined.c $flags
    compile "inlined_fixed$flags" inlined_fixed.c $flags
    verified 0 'the lock was held at the fork, and the child finished (3 runs)' inlined.refork -- "./inlined_fixed$flags" xchg
    verified 120 'run 2: forced, and it hangs' -o again.refork inlined.refork -- "./inlined$flags" xchg
    verified 125 'could not be reached' inlined.refork -- "./inlined$flags" cmpxchg
done

# ---- glibc's own lock, in setenv
libc=$(ldd "$programs/gate_setenv" | sed -nE 's/.*libc\.so\.6 => ([^ ]+).*/\1/p')
inner=$(objdump -d --no-show-raw-insn --disassemble=setenv "$libc" | sed -nE 's/.*jmp +([0-9a-f]+) .*/\1/p' | tail -n 1)
site=$(objdump -d --no-show-raw-insn --start-address=0x"$inner" --stop-address=$((0x$inner + 400)) "$libc" | sed -nE '/lock cmpxchg/{s/^ *([0-9a-f]+):.*/\1/p;q}')
plan 'fork 1' "acquire instruction libc.so.6+0x$site"
hang setenv.refork "$programs/gate_setenv"
{ echo && cat "$root/tests/programs/gate_setenv.c"; } >setenv.c
compile setenv setenv.c -O0
verified 120 'run 2: forced, and it hangs' -o again.refork setenv.refork -- ./setenv
sed 's/^        setenv("CHILD", "1", 1);//' setenv.c >setenv_fixed.c
compile setenv_fixed setenv_fixed.c -O2
verified 0 'the lock was held at the fork, and the child finished (3 runs)' setenv.refork -- ./setenv_fixed

# ---- a child that does not end
sed 's/^            log_entry();/            for (;;) sleep_ms(10);/' rare.c >endless.c
compile endless endless.c -O1
verified 125 'the time is up, see --timeout' --timeout 2 --runs 1 rare.refork -- ./endless
[ "$(grep -c '^run ' stdout)" -le 3 ] || fail "it goes on after the time is up: $(cat stdout)"

# ---- refused: 125 for everything, since git bisect takes 126 and 127 for bad
verified 125 'no program given' bug.refork
verified 125 "'none.refork'" none.refork -- bad/prog
verified 125 "./nothing" bug.refork -- ./nothing
verified 125 "bad value '0' of '--runs'" bug.refork --runs 0 -- bad/prog
verified 125 'is the recording to be verified' -o bug.refork bug.refork -- bad/prog
clean "$refork" record -o healthy.refork -- true || fail "record true"
verified 125 "there is no deadlock in 'healthy.refork'" healthy.refork -- bad/prog

# ---- git bisect
repo=$work/repo
mkdir "$repo"
cd "$repo" || exit 1
git() { clean git -c user.name=test -c user.email=test@example.org -c init.defaultBranch=main -c commit.gpgsign=false "$@"; }
git init -q . || fail "git init"
commit() { # NAME: of the tree as it is
    git add -A
    git commit -qm "$1" || fail "git commit $1"
    git tag "$1"
}
cp "$root/tests/programs/gate_mutex.c" prog.c
cp "$root/tests/programs/program.h" .
# It forks with handlers, or without; no argument says so.
sed -i 's/^    if (!strcmp(how, "protected")) /    /' prog.c
printf '%s\n' '*.refork' prog >.gitignore
commit good
echo 'int broken(' >>prog.c
commit unbuildable
sed -i '$d' prog.c
sed -i '1i // The log.' prog.c
commit good-again
sed -i '/pthread_atfork(before, after, after);/d' prog.c
commit first-bad
{ printf '// more\n%.0s' {1..10} && cat prog.c; } >moved.c && mv moved.c prog.c
commit moved
sed -i 's/log_entry/write_entry/' prog.c
commit renamed
sed -i 's/write_entry/log_entry/; s/sleep_ms(11)/sleep_ms(13)/' prog.c
commit bad
cat >../try.sh <<END
gcc -g -O1 -D_GNU_SOURCE -I"$root" -Wno-unused-function -o prog prog.c -pthread 2>/dev/null || exit 125
exec "$refork" verify ../rare.refork -- ./prog
END
for expected in good:0 unbuildable:125 good-again:0 first-bad:120 moved:120 renamed:125 bad:120; do
    git checkout -q "${expected%:*}" || fail "git checkout"
    clean sh ../try.sh >../try.log 2>&1
    got=$?
    [ $got = "${expected#*:}" ] || fail "${expected%:*}: status $got, not ${expected#*:}: $(cat ../try.log)"
done
git bisect start bad good >/dev/null || fail "git bisect start"
git bisect run sh ../try.sh >../bisect.log 2>&1 || fail "git bisect run: $(cat ../bisect.log)"
grep -q "^$(git rev-parse first-bad) is the first bad commit" ../bisect.log || fail "bisect names another commit: $(cat ../bisect.log)"
cd "$out" || exit 1
rm -rf "$work"
