#!/bin/bash
# The CPU that a program is shown: the same in cpuid, the auxiliary vector, xgetbv and xsave. Recordings replay where cpuid traps
# and where it does not; a CPU that lacks what the program used is named.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
shown=$build/tests/programs/cpu_shown
plain=("${as_clean[@]}" "$build/tests/programs/no_cpuid_faulting" "$refork")

# replays FILE OUTPUT COMMAND...: the replay ends like the program, and prints what it printed.
replays() {
    local trace=$1 output=$2
    shift 2
    patiently 120 "$@" replay --batch "$trace" >replayed 2>stderr </dev/null || fail "replay of $trace ($*): status $?: $(cat stderr)"
    cmp "$output" replayed || fail "$trace ($*) prints something else in replay"
}
has() { grep -qE -- "$2" "$1" || fail "$1 has no '$2': $(cat "$1")"; }

# A machine may lack a part of v3.
kinds=(x86-64-v2 native)
clean "$refork" record --cpu v3 -o v3.refork -- true 2>stderr && kinds+=(v3)
for kind in "${kinds[@]}"; do
    into "$kind.out" 0 record --cpu "$kind" -o "$kind.refork" -- "$shown" generated
    replays "$kind.refork" "$kind.out" "${as_clean[@]}" "$refork"
done
if [ ${#kinds[@]} = 3 ]; then
    has v3.out '^avx2 1 avx512 0 rdrand 0 xcr0 7 xsave 832 leaves 13$'
    has v3.out '^hwcap2 0, frame of '
    into default.out 0 record -o default.refork -- "$shown"
    has default.out '^avx2 1 avx512 0 rdrand 0 xcr0 7 xsave 832 leaves 13$'
    into json 0 info --json v3.refork
    json '.cpu.kind == "x86-64-v3" and (.cpu.shown | contains("avx2")) and .cpu.lacking_here == ""'
else
    grep -q 'this machine is no x86-64-v3, it lacks .*: leave' stderr || fail "--cpu v3 on a machine that has it not: $(cat stderr)"
fi
has x86-64-v2.out '^avx2 0 avx512 0 rdrand 0 xcr0 0 xsave 0 leaves 13$'
has native.out 'rdrand 0'
into v2.info 0 info x86-64-v2.refork
has v2.info '^cpu +x86-64-v2, as the program was shown it: sse3, '

says 125 "no kind of CPU 'v9': it is x86-64-v3, x86-64-v2 or native" record --cpu v9 -o no.refork -- "$shown"

# The files that tell of the CPU say the same.
into flags 1 record --cpu x86-64-v2 -o flags.refork -- grep -cwE 'avx|avx2|xsave|avx512f' /proc/cpuinfo
into flags 0 record --cpu x86-64-v2 -o flags.refork -- grep -m1 ^flags /proc/cpuinfo
has flags '^flags.* sse4_2 '
replays flags.refork flags "${as_clean[@]}" "$refork"
into words 0 record --cpu x86-64-v2 -o words.refork -- od -A n -t x8 -v /proc/self/auxv
has words '^ 0*1a 0+$'
grep -qE '^ 0*21 ' words && fail 'the vDSO is in /proc/self/auxv'
replays words.refork words "${as_clean[@]}" "$refork"

# What runs the program again takes the option as well.
clean "$refork" hunt --cpu x86-64-v2 --runs 1 -o hunted.refork -- grep -qw avx /proc/cpuinfo >hunted 2>&1 </dev/null
has hunted 'ended with exit'
has hunted 'status 1 '
for command in hunt minimize verify; do
    says 125 "no kind of CPU 'v9': it is x86-64-v3, x86-64-v2 or native" "$command" --cpu v9 v3.refork -- "$shown"
done

# Without CPUID faulting: patched instead. Each kind of recording replays on each kind of machine.
"${plain[@]}" record -o patched.refork -- "$shown" >patched.out 2>stderr || fail "record without CPUID faulting: status $?: $(cat stderr)"
has patched.out 'rdrand 0'
replays patched.refork patched.out "${as_clean[@]}" "$refork"
replays patched.refork patched.out "${plain[@]}"
for kind in "${kinds[@]}"; do
    if grep -q ' cpuid_fault' /proc/cpuinfo; then replays "$kind.refork" "$kind.out" "${plain[@]}"; fi
done

# A kernel that says it traps rdtsc, and does not: then it is patched as well. (ld.so reads the clock before anything else.)
lying=("${as_clean[@]}" "$build/tests/programs/no_cpuid_faulting" --rdtsc "$refork")
"${lying[@]}" record -o clock.refork -- "$shown" >clock.out 2>stderr || fail "record where PR_SET_TSC does nothing: status $?: $(cat stderr)"
replays clock.refork clock.out "${as_clean[@]}" "$refork"
replays clock.refork clock.out "${lying[@]}"
ends 0 dump clock.refork
has stdout ' trap +rdtsc'

# An instruction that this CPU lacks: the recording with the SIGILL taken out is one of a CPU that has it.
if ! grep -q ' xop ' /proc/cpuinfo; then
    into xop.out 0 record -o xop.refork -- "$shown" xop
    replays xop.refork xop.out "${as_clean[@]}" "$refork"
    "$build/tests/proof/edit_trace" xop.refork other.refork --no-signals || fail "edit_trace: status $?"
    says 125 'this CPU, .*, lacks xop, which the program uses at event [0-9]+ \(vprotb at pc 0x[0-9a-f]+\): .* or record with --cpu x86-64-v2$' \
        replay --batch other.refork
fi

# What a kernel or a VM does not have is missing alone and recorded alike.
for lacks in 'own_answers:rdtsc that is forbidden' 'guarded:a local table' 'vsyscall:this kernel has no'; do
    program=${lacks%%:*}
    clean "$build/tests/programs/$program" >alone || fail "$program: status $?"
    into recorded 0 record -o lacks.refork -- "$build/tests/programs/$program"
    diff <(grep "^${lacks#*:}" alone) <(grep "^${lacks#*:}" recorded) >differ || fail "$program alone (<) and recorded (>): $(cat differ)"
done

# Debug registers that stop nobody: a page is protected in place of a watchpoint, and tells the same.
for program in tests/programs/watched_page samples/shared_mutex_stuck; do
    ends 120 record -o held.refork -- "$build/$program"
    for registers in on off; do
        patiently 120 "${as_clean[@]}" REFORK_DEBUG_REGISTERS=$registers "$refork" explain --json held.refork >told.$registers 2>stderr
        got=$?
        [ $got = 120 ] || fail "$program, debug registers $registers: explain: status $got: $(cat stderr)"
    done
    jq -e 'any(.findings[]; .kind == "orphaned-lock" and .holder.tid and (.acquired.frames | length > 0))' told.off >/dev/null ||
        fail "$program: no holder: $(cat told.off)"
    diff told.on told.off >differ || fail "$program: with (<) and without (>) debug registers: $(cat differ)"
done
