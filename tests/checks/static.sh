#!/bin/bash
# Programs that are linked statically and stripped: libc's functions are known by their code, which the machine's static
# libraries have as well. So each sample's verdict is the one that it has with symbols, but for the program's own names.
# And without those libraries nothing is said that is wrong.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work

build() { # SAMPLE [FLAG...]: ./SAMPLE
    local sample=$1 source
    shift
    source=$(compgen -G "$root/samples/$sample.c*")
    case $source in
    */musl_*) musl-gcc -std=gnu17 -O0 -D_GNU_SOURCE -I"$root" -static -s -o "$sample" "$source" "$@" ;;
    *.cc) g++ -std=gnu++20 -O0 -D_GNU_SOURCE -I"$root" -static -s -o "$sample" "$source" -pthread "$@" ;;
    *) gcc -std=gnu17 -O0 -D_GNU_SOURCE -I"$root" -static -s -o "$sample" "$source" -pthread "$@" ;;
    esac 2>build.err || fail "$sample: $(cat build.err)"
}

# What the sample expects. What is the program's own has no name here: of "acquired=OWN/CALLED" CALLED is left. (lio_listio's
# inner function is known from debug information only.)
expected() { # SAMPLE
    awk 'index($0, "// expect: ") == 1 {if (on) print value; value = substr($0, 12); on = 1; next}
        on && /^\/\/    +[^ ]/ {sub(/^\/\/ +/, ""); value = value " " $0; next}
        on {print value; on = 0}
        END {if (on) print value}' "$root"/samples/"$1".c* |
        awk '{
            line = $1
            for (i = 2; i <= NF; i++) {
                key = value = $i
                sub(/=.*/, "", key)
                sub(/^[^=]*=/, "", value)
                if (key ~ /^(acquired|waiting|fork)$/) {
                    if (value !~ /\// || value ~ /::|\/lio_listio_internal$/) continue
                    sub(/.*\//, "", value)
                } else if (key == "lock" ? value !~ /^(main_arena|list_all_lock)$/ : key !~ /^(confidence|lockkind|holder|forker|waker|cause)$/)
                    continue
                line = line " " key "=" value
            }
            print line
        }'
}

verdict() { # NAME SAMPLE STATUS LIBRARIES EXPECT
    local name=$1 sample=$2 libraries=$4 wrong got
    clean "$refork" record --no-explain -o "$name.refork" -- "./$sample" >/dev/null 2>"$name.err" </dev/null
    got=$?
    [ $got = "$3" ] || fail "$name: status $got, not $3: $(cat "$name.err")"
    local environment=()
    [ "$libraries" = usual ] || environment=(env "REFORK_LIBRARIES=$libraries")
    clean "${environment[@]}" "$refork" explain --json "$name.refork" >"$name.json" 2>"$name.err"
    wrong=$(jq -r --arg expect "$5" --arg own '' --argjson deadlock "$([ "$3" = 120 ] && echo true || echo false)" -f "$root/tests/findings.jq" "$name.json") ||
        fail "$name: bad expectation '$5' or JSON"
    [ -z "$wrong" ] || fail "$name: $wrong: $(jq -c '.findings[] | {kind, confidence, lock, holder: .holder.name, acquired: [.acquired.frames[]?.function], waiting: [.waiting.frames[]?.function]}' "$name.json")"
}

for sample in mutex_deadlock mutex_recursive mutex_errorcheck mutex_adaptive mutex_robust mutex_pi mutex_timed mtx_c11 \
    rwlock_reader rwlock_writer_reader rwlock_writer_writer self_recursive self_errorcheck self_rwlock sem_lock spin_pthread \
    waker_cond waker_cond_destroy waker_cond_signal waker_barrier waker_sem waker_pool waker_lio atfork_child atfork_order atfork_flush \
    cycle_parent heap_mutex stdio_raw_fork malloc_raw_fork static_guard std_mutex std_shared_mutex; do
    build "$sample"
    verdict "$sample" "$sample" 120 usual "$(expected "$sample")"
done
for sample in musl_mutex musl_once musl_stdio; do # (without frame tables and symbols not each stack is whole)
    build "$sample"
    verdict "$sample" "$sample" 120 usual "$(expected "$sample" | sed 's/ fork=fork//')"
done
for sample in ok_once ok_reinit ok_malloc ok_timed_wait ok_trylock; do
    build "$sample"
    verdict "$sample" "$sample" 0 usual none
done

# Without the libraries: who waits there marks a word of the lock itself, which makes it no holder.
for sample in rwlock_reader waker_lio; do
    clean env REFORK_LIBRARIES= "$refork" explain --json "$sample.refork" >bare.json 2>/dev/null
    jq -e '.deadlock and all(.findings[]; .kind != "lock-cycle")' bare.json >/dev/null || fail "$sample without libraries: $(jq -c '.findings[] | {kind, lock, holder}' bare.json)"
done
# What REFORK_LIBRARIES names is taken instead of this machine's, also for the lock history.
cp "$(gcc -print-file-name=libc.a)" copy.a
for libraries in copy.a "nothing.a:$work/copy.a" "$root/README.md:copy.a"; do
    clean env "REFORK_LIBRARIES=$libraries" "$refork" explain rwlock_writer_writer.refork 2>/dev/null | grep -q 'a pthread_rwlock, at' || fail "REFORK_LIBRARIES=$libraries"
    clean env "REFORK_LIBRARIES=$libraries" "$refork" locks --no-cache rwlock_writer_writer.refork 2>/dev/null | grep -q 'rwlock_writer_writer+0x[0-9a-f]* (pthread_rwlock, ' || fail "locks, REFORK_LIBRARIES=$libraries"
done
clean env REFORK_LIBRARIES= "$refork" locks --no-cache rwlock_writer_writer.refork 2>/dev/null | grep -q 'pthread_rwlock' && fail "REFORK_LIBRARIES= is not empty"
# A library that was cut short, or is damaged, gives fewer names, and no more.
size=$(stat -c %s copy.a)
for cut in 7 100 5000 $((size / 3)) $((size - 11)); do
    head -c "$cut" copy.a >cut.a
    clean env REFORK_LIBRARIES=cut.a "$refork" explain rwlock_writer_writer.refork >cut.txt 2>&1
    [ $? = 120 ] || fail "a library of $cut bytes: $(tail -n 3 cut.txt)"
done
rm -f ./*.refork copy.a cut.a
