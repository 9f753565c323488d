#!/bin/bash
# refork learn NAME --exercise and --grade: as it was given, repaired in several ways, badly repaired, cheating, not compiling.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
export TMPDIR=$work
as_clean+=("TMPDIR=$work")

ends 0 learn orphaned_lock --exercise
grep -q 'orphaned_lock.c' stdout || fail "the task: $(cat stdout)"
cmp orphaned_lock.c "$root/samples/learn/orphaned_lock_exercise.c" || fail "not the exercise"
says 125 'cannot read' learn orphaned_lock --grade no-such.c
says 125 'name a lesson' learn --exercise
says 125 'cannot write' learn orphaned_lock --exercise=no-such-folder

# graded STATUS PATTERN SED...: the exercise with that edit
graded() {
    sed -e '' "${@:3}" orphaned_lock.c >edited.c
    cmp -s orphaned_lock.c edited.c && [ $# -gt 2 ] && fail "the edit ${*:3} changes nothing"
    ends "$1" learn orphaned_lock --grade edited.c
    grep -qE -- "$2" stdout || fail "edited by ${*:3}: no '$2': $(cat stdout)"
}

graded 120 'still hangs'
# The same command, run again
ends 120 learn orphaned_lock --exercise
fix='s/^    pid_t child = fork();/    pthread_mutex_lock(\&count_mutex);\n&\n    pthread_mutex_unlock(\&count_mutex);/'
graded 0 'fixed: ' -e "$fix"
# The worker has ended when main forks.
graded 0 'fixed: ' -e 's/^    pthread_join(worker, NULL);$//' -e 's/^    sleep_ms(60);/    pthread_join(worker, NULL);/'
# Only later: it hangs when it is forced
graded 120 'still hangs' -e 's/sleep_ms(60)/sleep_ms(900)/'
graded 1 'does not do its task any more: it starts no other process' -e 's/pid_t child = fork();/pid_t child = 0;/' -e 's/_exit(0);//' -e 's/waitpid(child, NULL, 0);//'
graded 1 "does not do its task any more: the child does not print 'child: report'" -e "$fix" -e 's/^    say("child: report");//'
graded 1 "does not do its task any more: .* prints 'something else'" -e "$fix" -e 's/^    say("main: done");/&\n    say("something else");/'
graded 1 'does not do its task any more: it starts no thread' -e 's/pthread_create(&worker, NULL, work, NULL);/work(NULL);/' -e 's/^    pthread_t worker;//' -e 's/pthread_join(worker, NULL);//'
graded 1 'does not do its task any more: it ends with status 3' -e "$fix" -e 's/^    return 0;/    return 3;/'
graded 1 'does not compile' -e 's/return 0;/return 0/'
grep -q "expected ';'" stdout || fail "not the compiler's words: $(cat stdout)"
# A compiler that fails without a word, as on a full disk: that says nothing of the source.
printf '#!/bin/sh\nexit 1\n' >mute
chmod +x mute
"${as_clean[@]}" "CC=$work/mute" "$refork" learn orphaned_lock --grade orphaned_lock.c >stdout 2>stderr </dev/null
[ $? = 125 ] || fail "a silent compiler: $(cat stdout stderr)"
grep -q "ended with status 1 without a word: is there room in '$work/" stderr || fail "a silent compiler: $(cat stderr)"
# Each lesson has an exercise, and as it was given it is not fixed: it hangs in the first run already.
ends 1 learn fork_copies --grade "$root/samples/learn/fork_copies_exercise.c"
ends 120 learn atfork_order --grade "$root/samples/learn/atfork_order_exercise.c"
for file in "$root"/samples/learn/*.lesson; do
    name=$(basename "$file" .lesson)
    of() { sed -n "s/^$1: //p" "$file"; }
    [ -n "$(of exercise)" ] || fail "$name has no exercise"
    case $name in fork_copies | atfork_order | orphaned_lock) continue ;; esac
    [ -z "$(of library)" ] || /sbin/ldconfig -p | grep -qF "$(of library) " || continue
    gcc -std=gnu17 -O0 -g -Wall -Werror -D_GNU_SOURCE -I"$root" -o "$name" "$root/$(of exercise)" -pthread || fail "$name: does not compile"
    ends 120 record --no-explain -o "$name.refork" -- env "A=$name" "$(of environment | grep . || echo B=)" "./$name"
done
sed 's/^    pid_t child/    fflush(stdout);\n&/' "$root/samples/learn/fork_copies_exercise.c" >edited.c
ends 0 learn fork_copies --grade edited.c
sed -e 's/^    pthread_atfork(lock_from.*//' -e 's/^    pthread_atfork(lock_to.*/&\n    pthread_atfork(lock_from, unlock_from, unlock_from);/' \
    "$root/samples/learn/atfork_order_exercise.c" >edited.c
ends 0 learn atfork_order --grade edited.c
sed 's/^    pthread_atfork.*//' "$root/samples/learn/atfork_order_exercise.c" >edited.c
ends 120 learn atfork_order --grade edited.c
compgen -G "$work/refork-learn-*" && fail "left behind: $(ls)"
rm -rf "$work"
