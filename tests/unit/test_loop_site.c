// Stubs on loops. Each subject is a function that runs in a traced child: once single-stepped, which gives
// registers and stack at every instruction, then once for every instruction that can carry a stub, where each
// stop, the number of passes and the result must be those of the stepped run.
#include "core/annex.h"
#include "core/elf/elf_functions.h"
#include "core/loop_site.h"
#include "tests/unit/elf_files.h"
#include "tests/unit/loop_subjects.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

typedef uint64_t (*function)(uint64_t);

// f(arg) on a stack of its own with all other registers 0, so that every run begins in the same state.
extern uint64_t call_clean(function f, uint64_t arg);
asm(".pushsection .bss\n.p2align 4\nclean_function: .skip 8\nkept_rsp: .skip 8\n.skip "
    "65536\nclean_stack:\n.skip 512\n.popsection\n"
    "call_clean: push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "mov %rdi,clean_function(%rip)\n mov %rsi,%rdi\n mov %rsp,kept_rsp(%rip)\n lea clean_stack(%rip),%rsp\n"
    "xor %eax,%eax\n xor %ebx,%ebx\n xor %ecx,%ecx\n xor %edx,%edx\n xor %esi,%esi\n xor %ebp,%ebp\n xor "
    "%r8d,%r8d\n xor %r9d,%r9d\n"
    "xor %r10d,%r10d\n xor %r11d,%r11d\n xor %r12d,%r12d\n xor %r13d,%r13d\n xor %r14d,%r14d\n xor "
    "%r15d,%r15d\n"
    "call *clean_function(%rip)\n mov kept_rsp(%rip),%rsp\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");

#define DECLARE(name)                                                                                        \
    extern uint64_t name(uint64_t);                                                                          \
    extern char name##_end[];
// clang-format off
#define EACH(X) \
    X(tight, 60) X(dec_jnz, 60) X(loop_insn, 60) X(loope_insn, 40) X(jrcxz_insn, 40) X(calls, 30) \
    X(calls_slot, 20) X(rip_data, 0) X(flags_live, 50) X(all_flags, 50) X(direction, 60) X(red_zone, 40) \
    X(pauses, 40) X(far_jcc, 10) X(forward, 50) X(strings, 4) X(locked, 30) X(skips_lock, 40) \
    X(entered, 41) X(cold_entry, 40) X(computed, 40) X(stack_moves, 40) X(vectors, 40) X(with_syscall, 20)
// clang-format on
#define DECLARE2(name, arg) DECLARE(name)
EACH(DECLARE2)
DECLARE(waits_flag) DECLARE(endless) DECLARE(idle) extern uint64_t flag;

struct subject {
    const char *name;
    function f;
    uint64_t arg, start, end; // start..end: 0 when the range is to be taken as unknown
};

// ---- the traced child

static uint64_t *result;    // shared with the child
static uint64_t count_page; // private, at the same address in every child

static void peek(pid_t pid, uint64_t address, void *buffer, size_t len) {
    struct iovec here = {buffer, len}, there = {(void *)address, len};
    assert_int_equal(process_vm_readv(pid, &here, 1, &there, 1, 0), (ssize_t)len);
}

static void poke(pid_t pid, uint64_t address, const void *bytes, size_t len) {
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, (off_t)address), (ssize_t)len);
    close(fd);
}

static uint64_t peek64(pid_t pid, uint64_t address) {
    uint64_t value;
    peek(pid, address, &value, sizeof value);
    return value;
}

static void set_limit(pid_t pid, uint64_t limit) {
    poke(pid, count_page + 8, &limit, sizeof limit);
}

static bool read_self(void *context, uint64_t address, void *buffer, size_t len) {
    (void)context;
    struct iovec here = {buffer, len}, there = {(void *)address, len};
    return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)len;
}

// Returns the signal of the next stop, 0 at the exit (which must be with status 0).
static int resume(pid_t pid, int request) {
    int status;
    assert_int_equal(ptrace(request, pid, NULL, NULL), 0);
    assert_int_equal(waitpid(pid, &status, __WALL), pid);
    if (WIFSTOPPED(status)) return WSTOPSIG(status);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return 0;
}

static struct user_regs_struct get_regs(pid_t pid) {
    struct user_regs_struct regs;
    assert_int_equal(ptrace(PTRACE_GETREGS, pid, NULL, &regs), 0);
    return regs;
}

// A child stopped at the first instruction of the subject.
static pid_t start_child(const struct subject *s) {
    *result = 0xdeadbeef;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        *result = call_clean(s->f, s->arg);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, __WALL), pid);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_EXITKILL);
    uint64_t entry = (uint64_t)s->f;
    uint8_t saved, int3 = 0xcc;
    peek(pid, entry, &saved, 1);
    poke(pid, entry, &int3, 1);
    assert_int_equal(resume(pid, PTRACE_CONT), SIGTRAP);
    poke(pid, entry, &saved, 1);
    struct user_regs_struct regs = get_regs(pid);
    regs.rip--;
    assert_int_equal(regs.rip, entry);
    assert_int_equal(ptrace(PTRACE_SETREGS, pid, NULL, &regs), 0);
    return pid;
}

static void end_child(pid_t pid) {
    int status;
    kill(pid, SIGKILL);
    waitpid(pid, &status, __WALL);
}

enum { AROUND = 256 }; // bytes of stack that are compared below and above rsp, red zone included

struct step {
    struct user_regs_struct regs;
    uint8_t stack[2 * AROUND];
};

struct run {
    struct step *steps;
    size_t count;
    uint64_t result;
};

static struct step *last_step(struct run *run, size_t *room) {
    if (run->count == *room) {
        *room = *room ? *room * 2 : 1024;
        run->steps = realloc(run->steps, *room * sizeof *run->steps);
        assert_non_null(run->steps);
    }
    return &run->steps[run->count++];
}

// The subject instruction by instruction until it returns (or `max` steps).
static struct run step_through(const struct subject *s, size_t max) {
    struct run run = {0};
    size_t room = 0;
    pid_t pid = start_child(s);
    uint64_t top = get_regs(pid).rsp;
    for (;;) {
        struct user_regs_struct regs = get_regs(pid);
        if (regs.rsp > top || run.count == max) break;
        if (run.count == 0 ||
            run.steps[run.count - 1].regs.rip != regs.rip) { // a rep instruction is stepped once per element
            struct step *step = last_step(&run, &room);
            step->regs = regs;
            peek(pid, regs.rsp - AROUND, step->stack, sizeof step->stack);
        }
        uint16_t code;
        peek(pid, regs.rip, &code, sizeof code);
        assert_int_equal(resume(pid, PTRACE_SINGLESTEP), SIGTRAP);
        if (code != 0x050f) continue;
        regs = get_regs(pid); // a stepped syscall leaves the step's TF in r11
        regs.r11 &= ~0x100ull;
        assert_int_equal(ptrace(PTRACE_SETREGS, pid, NULL, &regs), 0);
    }
    if (run.count == max)
        end_child(pid);
    else
        assert_int_equal(resume(pid, PTRACE_CONT), 0);
    run.result = *result;
    return run;
}

// Room for a stub within reach of the code at `near`.
static uint64_t stub_room(uint64_t near) {
    for (uint64_t distance = 16 << 20; distance < 1u << 31; distance += 16 << 20) {
        for (int down = 0; down < 2; down++) {
            uint64_t at = ((down ? near - distance : near + distance) & ~4095ull);
            void *p = mmap((void *)at, 4096, PROT_READ | PROT_EXEC,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
            if (p == (void *)at) return at;
            if (p != MAP_FAILED) munmap(p, 4096);
        }
    }
    fail_msg("no room for a stub near %lx", near);
    return 0;
}

// A stub that takes no care of the flags, since nobody reads them: no lahf behind its first store.
static bool has_dead_flags(const struct loop_site *site) {
    return site->stub[10] != 0x9f;
}

// Registers at a stop in the stub against those of the stepped run; only rip differs, and RF, which faults
// set, and flags that nobody reads.
static void check_stop(const struct subject *s, pid_t pid, const struct step *step, uint64_t trap_pc,
                       bool dead_flags) {
    struct user_regs_struct regs = get_regs(pid);
    uint8_t stack[2 * AROUND];
    if (regs.rip != trap_pc) fail_msg("%s: stopped at %llx, not at the trap %lx", s->name, regs.rip, trap_pc);
    regs.rip = step->regs.rip;
    regs.eflags &= ~0x10000ull;
    regs.orig_rax = step->regs.orig_rax;
    struct user_regs_struct want = step->regs;
    want.eflags &= ~0x10000ull;
    if (dead_flags) want.eflags = ANNEX_TRAP_FLAGS(want.eflags);
    const unsigned long long *a = (void *)&regs, *b = (void *)&want;
    for (size_t i = 0; i < sizeof regs / sizeof *a; i++)
        if (a[i] != b[i])
            fail_msg("%s at %llx: register %zu is %llx, not %llx", s->name, step->regs.rip, i, a[i], b[i]);
    peek(pid, regs.rsp - AROUND, stack, sizeof stack);
    if (memcmp(stack, step->stack, sizeof stack) != 0)
        fail_msg("%s at %llx: the stack was touched", s->name, step->regs.rip);
}

static size_t occurrence(const struct run *run, uint64_t pc,
                         size_t k) // index of the k-th (from 1); run->count: none
{
    size_t i = 0;
    for (; i < run->count; i++)
        if (run->steps[i].regs.rip == pc && --k == 0) break;
    return i;
}

static uint64_t passes(const struct run *run, uint64_t pc) {
    uint64_t n = 0;
    for (size_t i = 0; i < run->count; i++)
        n += run->steps[i].regs.rip == pc;
    return n;
}

static void check_counting(const struct subject *s, const struct run *run, const struct loop_site *site) {
    uint64_t total = passes(run, site->address), stops[] = {1, 2, total / 2 + 1, total};
    pid_t pid = start_child(s);
    assert_memory_equal((void *)site->address, site->original, site->patch_len);
    poke(pid, site->stub_address, site->stub, site->stub_len);
    poke(pid, site->address, site->patch, site->patch_len);
    uint64_t before = 0;
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        if (stops[i] <= before || stops[i] > total) continue;
        before = stops[i];
        set_limit(pid, stops[i]);
        int sig = resume(pid, PTRACE_CONT);
        if (sig != SIGTRAP)
            fail_msg("%s at %lx: stop %lu of %lu was signal %d", s->name, site->address, stops[i], total,
                     sig);
        assert_int_equal(peek64(pid, count_page), stops[i]);
        check_stop(s, pid, &run->steps[occurrence(run, site->address, stops[i])], site->trap_pc,
                   has_dead_flags(site));
        uint64_t program_pc;
        assert_true(loop_site_program_pc(site, site->trap_pc, &program_pc));
        assert_int_equal(program_pc, site->address);
    }
    set_limit(pid, UINT64_MAX);
    ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_EXITKILL | PTRACE_O_TRACEEXIT));
    int sig = resume(pid, PTRACE_CONT);
    if (sig != SIGTRAP) fail_msg("%s patched at %lx: signal %d", s->name, site->address, sig);
    if (get_regs(pid).rip == site->trap_pc)
        fail_msg("%s patched at %lx: trapped without a limit", s->name, site->address);
    assert_int_equal(peek64(pid, count_page), total);
    assert_int_equal(resume(pid, PTRACE_CONT), 0);
    if (*result != run->result)
        fail_msg("%s patched at %lx: %lx, not %lx", s->name, site->address, *result, run->result);
}

static struct state_want want_of(const struct user_regs_struct *r) {
    struct state_want want = {.rflags = r->eflags};
    abi_registers(r, want.gpr);
    return want;
}

static bool same_state(const struct user_regs_struct *a, const struct user_regs_struct *b) {
    struct state_want x = want_of(a), y = want_of(b);
    return memcmp(x.gpr, y.gpr, sizeof x.gpr) == 0 && ((x.rflags ^ y.rflags) & 0xcd5) == 0;
}

// Stops at the first pass whose state is that of pass `k`, with two words of its stack; never at one that
// differs in a word or a register.
static void check_comparing(const struct subject *s, const struct run *run, const struct loop_site *site,
                            uint64_t k) {
    struct compare_stub stub;
    size_t goal = occurrence(run, site->address, k), first = 0;
    const struct step *step = &run->steps[goal];
    struct state_want want = want_of(&step->regs);
    for (int w = 0; w < 2; w++) {
        int at = w ? AROUND + 8 : AROUND - 64;
        want.words[w].address = step->regs.rsp - AROUND + (uint64_t)at;
        memcpy(&want.words[w].value, step->stack + at, 8);
    }
    want.word_count = 2;
    while (run->steps[first].regs.rip != site->address || !same_state(&run->steps[first].regs, &step->regs) ||
           memcmp(run->steps[first].stack + AROUND - 64, step->stack + AROUND - 64, 8) != 0 ||
           memcmp(run->steps[first].stack + AROUND + 8, step->stack + AROUND + 8, 8) != 0)
        first++;
    for (int never = 0; never < 4; never++) {
        if (never == 1) want.words[1].value ^= 1ull << 63;
        if (never == 2) want.words[1].value ^= 1ull << 63, want.gpr[k % 16] ^= 1ull << 40;
        if (never == 3) want.gpr[k % 16] ^= 1ull << 40, want.rflags ^= 0x400;
        assert_int_equal(loop_site_build_compare(site, &want, &stub), 0);
        pid_t pid = start_child(s);
        poke(pid, site->stub_address, stub.code, stub.len);
        poke(pid, site->address, site->patch, site->patch_len);
        if (!never) {
            assert_int_equal(resume(pid, PTRACE_CONT), SIGTRAP);
            check_stop(s, pid, &run->steps[first], stub.trap_pc, false);
            end_child(pid);
            continue;
        }
        assert_int_equal(resume(pid, PTRACE_CONT), 0);
        assert_int_equal(*result, run->result);
    }
}

// A counting stub at `stub` for one of the places.
static int build_for(const struct subject *s, const uint64_t *pcs, size_t n, uint64_t stub,
                     struct loop_site *site) {
    const struct code_memory memory = {read_self, NULL};
    const struct loop_iteration executed = {pcs, n, s->start, s->end};
    const struct loop_counter counter = {stub, count_page, count_page + 8};
    return loop_site_build(&memory, &executed, &counter, site);
}

struct tally {
    int places, sites, single, window, calls, dead;
};

// Every instruction that the subject executes, as the only candidate.
static void try_everywhere(const struct subject *s, uint64_t stub, struct tally *tally) {
    struct run run = step_through(s, 50000);
    assert_true(run.count < 50000);
    uint64_t seen[4096];
    size_t seen_count = 0;
    for (size_t i = 0; i < run.count; i++) {
        uint64_t pc = run.steps[i].regs.rip;
        size_t k = 0;
        while (k < seen_count && seen[k] != pc)
            k++;
        if (k < seen_count) continue;
        assert_true(seen_count < sizeof seen / sizeof *seen);
        seen[seen_count++] = pc;
        tally->places++;
        struct loop_site site;
        if (build_for(s, &pc, 1, stub, &site) != 0) continue;
        assert_int_equal(site.address, pc);
        assert_in_range(site.patch_len, 5, 16);
        tally->sites++;
        tally->calls += site.original[0] == 0xe8;
        tally->single += site.map_count == 2 && site.map[1].site == site.patch_len;
        tally->window += site.map_count > 2;
        tally->dead += has_dead_flags(&site);
        check_counting(s, &run, &site);
        if (tally->sites % 3 == 0) check_comparing(s, &run, &site, passes(&run, pc) / 2 + 1);
    }
    free(run.steps);
}

// One turn of the most travelled loop, as the recorder would give it.
static size_t one_turn(const struct run *run, const struct subject *s, uint64_t *trace, size_t max) {
    uint64_t best = 0, most = 0;
    for (size_t i = run->count / 2; i < run->count; i++) {
        uint64_t pc = run->steps[i].regs.rip, n;
        if (pc >= s->start && pc < s->end && (n = passes(run, pc)) > most) best = pc, most = n;
    }
    size_t at = occurrence(run, best, most / 2), n = 0;
    do
        trace[n++] = run->steps[at++].regs.rip;
    while (n < max && run->steps[at].regs.rip != best);
    return n;
}

#define SUBJECT(name, arg)                                                                                   \
    { #name, name, arg, (uint64_t)name, (uint64_t)name##_end }

static void test_loops_by_hand(void **state) {
    (void)state;
#define ROW(name, arg) SUBJECT(name, arg),
    static struct subject subjects[24];
    const struct subject rows[] = {EACH(ROW)};
    struct tally tally = {0}, unknown = {0};
    uint64_t stub = stub_room((uint64_t)tight);
    assert_int_equal(sizeof rows, sizeof subjects);
    memcpy(subjects, rows, sizeof rows);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        try_everywhere(&subjects[i], stub, &tally);
        subjects[i].start = subjects[i].end = 0;
        if (subjects[i].f != skips_lock) try_everywhere(&subjects[i], stub, &unknown);
    }
    munmap((void *)stub, 4096);
    print_message("%d places, %d sites: %d single, %d windows, %d calls, %d with dead flags; %d of %d with "
                  "no function known\n",
                  tally.places, tally.sites, tally.single, tally.window, tally.calls, tally.dead,
                  unknown.sites, unknown.places);
    assert_true(tally.window > 20 && tally.single > 20 && tally.calls > 0 && unknown.sites > 10);
    assert_true(tally.dead > 10 && tally.dead < tally.sites - 10);
    assert_int_equal(unknown.window, 0);
}

static int build_at(const void *place, const struct subject *s, struct loop_site *site) {
    uint64_t pc = (uint64_t)place;
    return build_for(s, &pc, 1, page_down((uint64_t)tight) + (256 << 20), site);
}

// What must be refused, and that the same place is taken when the reason is gone.
static void test_refusals(void **state) {
    (void)state;
    struct loop_site site;
    const struct subject all[] = {EACH(ROW)};
    const struct subject *s_of[sizeof all / sizeof *all];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        s_of[i] = &all[i];
#define OF(f_)                                                                                               \
    ({                                                                                                       \
        size_t i_ = 0;                                                                                       \
        while (s_of[i_]->f != f_)                                                                            \
            i_++;                                                                                            \
        s_of[i_];                                                                                            \
    })
    const struct subject *s = OF(entered);
    assert_int_equal(build_at((char *)entered + 8, s, &site),
                     -1); // inc; inc; dec: the second inc is entered by the jnz before
    assert_int_equal(build_at((char *)entered + 10, s, &site), 0); // inc; dec; jnz
    s = OF(cold_entry);
    const char *inc = (char *)cold_entry + 4; // xor, jmp rel8 or rel32
    while (inc[0] != (char)0xff || inc[1] != (char)0xc0)
        inc++;
    assert_int_equal(build_at(inc, s, &site), -1); // the outside part comes back between inc and dec
    s = OF(skips_lock);
    const uint8_t *lock = (const uint8_t *)skips_lock;
    while (*lock != 0xf0)
        lock++;
    assert_int_equal(build_at(lock, s, &site), -1);
    struct subject unknown = *s;
    unknown.start = unknown.end = 0;
    assert_int_equal(build_at(lock, &unknown, &site), -1);
    s = OF(locked);
    lock = (const uint8_t *)locked;
    while (*lock != 0xf0)
        lock++;
    assert_int_equal(build_at(lock, s, &site), 0);
    s = OF(computed);
    assert_int_equal(build_at((char *)computed + 9, s, &site),
                     -1); // a window in a function with a computed jump
    s = OF(with_syscall);
    const uint8_t *call = (const uint8_t *)with_syscall;
    while (call[0] != 0x0f || call[1] != 0x05)
        call++;
    assert_int_equal(build_at(call, s, &site), -1);
    assert_int_equal(build_at(call - 5, s, &site), 0);
    struct subject alone = SUBJECT(idle, 0);
    assert_int_equal(build_at((void *)idle, &alone, &site),
                     -1); // what follows an endless jump belongs to somebody else
    s = OF(tight);
    uint64_t pc = (uint64_t)tight + 2, far = (uint64_t)tight + (3ull << 30);
    assert_int_equal(build_for(s, &pc, 1, far, &site), -1);
    pc = 8; // unreadable
    unknown = *s;
    unknown.start = unknown.end = 0;
    assert_int_equal(build_for(&unknown, &pc, 1, 4096, &site), -1);
    assert_int_equal(build_for(s, &pc, 0, 4096, &site), -1);
}

static void test_compare_size(void **state) {
    (void)state;
    struct loop_site site;
    const struct subject s = SUBJECT(calls, 0);
    const uint8_t *call = (const uint8_t *)calls;
    while (*call != 0xe8)
        call++;
    assert_int_equal(build_at(call, &s, &site), 0);
    struct state_want want = {.word_count = 8};
    struct compare_stub stub;
    assert_int_equal(loop_site_build_compare(&site, &want, &stub), 0);
    assert_in_range(stub.trap_pc - site.stub_address, 1, stub.len);
    assert_in_range(stub.displaced, stub.trap_pc - site.stub_address, stub.len);
    want.word_count = 9;
    assert_int_equal(loop_site_build_compare(&site, &want, &stub), -1);
}

// Given the whole turn, every kind of loop gets a place.
static void test_turns(void **state) {
    (void)state;
    const struct subject subjects[] = {EACH(ROW) SUBJECT(endless, 0), SUBJECT(waits_flag, 0)};
    uint64_t stub = stub_room((uint64_t)tight), trace[256];
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        const struct subject *s = &subjects[i];
        struct run run = step_through(s, 2000);
        struct loop_site site;
        size_t n = one_turn(&run, s, trace, 256);
        int built = build_for(s, trace, n, stub, &site);
        if (built != (s->f == computed ? -1 : 0)) fail_msg("%s: %d", s->name, built);
        free(run.steps);
    }
    munmap((void *)stub, 4096);
}

// Loops that end only when the tracer wants it.
static void test_flag_and_endless(void **state) {
    (void)state;
    const struct subject subjects[] = {SUBJECT(waits_flag, 0), SUBJECT(endless, 0)};
    uint64_t stub = stub_room((uint64_t)tight), one = 1;
    for (size_t i = 0; i < 2; i++) {
        const struct subject *s = &subjects[i];
        uint64_t trace[8];
        struct loop_site site;
        struct run run = step_through(s, 100);
        size_t n = one_turn(&run, s, trace, 8);
        assert_int_equal(n, i ? 2 : 3);
        assert_int_equal(build_for(s, trace, n, stub, &site), 0);
        pid_t pid = start_child(s);
        poke(pid, stub, site.stub, site.stub_len);
        poke(pid, site.address, site.patch, site.patch_len);
        for (uint64_t limit = 1; limit < 3000000; limit = limit * 3 + 1) {
            set_limit(pid, limit);
            assert_int_equal(resume(pid, PTRACE_CONT), SIGTRAP);
            struct user_regs_struct regs = get_regs(pid);
            assert_int_equal(regs.rip, site.trap_pc);
            assert_int_equal(peek64(pid, count_page), limit);
            if (i) assert_int_equal(regs.rax, limit - (site.address != (uint64_t)endless + 2 ? 0 : 1));
        }
        if (i) {
            end_child(pid);
        } else {
            poke(pid, (uint64_t)&flag, &one, sizeof one);
            set_limit(pid, UINT64_MAX);
            assert_int_equal(resume(pid, PTRACE_CONT), 0);
            assert_int_equal(*result, 1);
        }
        free(run.steps);
    }
    munmap((void *)stub, 4096);
}

// Stepping through the stub: where loop_site_program_pc answers, all registers are the program's there.
static void test_program_pc(void **state) {
    (void)state;
    const struct subject s = SUBJECT(forward, 12);
    uint64_t stub = stub_room((uint64_t)tight);
    struct run run = step_through(&s, 1000);
    for (size_t i = 0; i < run.count; i++) {
        struct loop_site site;
        uint64_t pc = run.steps[i].regs.rip, where;
        if (i > 12 || build_for(&s, &pc, 1, stub, &site) != 0) continue;
        pid_t pid = start_child(&s);
        poke(pid, stub, site.stub, site.stub_len);
        poke(pid, site.address, site.patch, site.patch_len);
        set_limit(pid, UINT64_MAX);
        size_t at = 0, answers = 0;
        for (; at < run.count; resume(pid, PTRACE_SINGLESTEP)) {
            struct user_regs_struct regs = get_regs(pid);
            if (regs.rip == site.address ||
                (regs.rip - stub < 4096 && !loop_site_program_pc(&site, regs.rip, &where)))
                continue;
            if (regs.rip - stub >= 4096) where = regs.rip;
            answers += regs.rip != where;
            // the stub's first byte, its first displaced instruction and its way back stand for the same
            // place twice
            if (at && where != run.steps[at].regs.rip) at--;
            assert_int_equal(where, run.steps[at].regs.rip);
            assert_true(same_state(&regs, &run.steps[at].regs));
            at++;
        }
        assert_true(answers > 0);
        end_child(pid);
    }
    free(run.steps);
    munmap((void *)stub, 4096);
}

// ---- loops by gcc

static uint32_t random_state = 20240229;

static uint32_t pick(uint32_t n) {
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % n;
}

static void write_statement(FILE *f, int depth) {
    static const char *const simple[] = {
        "a+=b*%u;",
        "b^=a>>%u%%31;",
        "c=(c<<3)|(a&%u);",
        "g1+=a^%u;",
        "t[a&15]+=b+%u;",
        "a-=t[(b+%u)&15];",
        "if(a&%u)b++;else c--;",
        "a=h(a,b+%u);",
        "d+=(double)(a&255)/(%u+1.0);",
        "v=v+%u;",
        "if((int)b<%u)a=~a;",
        "b=b%%(%uu+3)+a;",
        "g2=g2*5+%u;",
        "a=__builtin_bswap64(a)+%u;",
        "c+=(uint8_t)a<(uint8_t)%u?b:a;",
        "a^=c;b+=g1;c-=%u;",
    };
    switch (depth > 2 ? 9 : pick(10)) {
    case 0:
        fprintf(f, "for(unsigned i%d=0;i%d<%u;i%d++){", depth, depth, 2 + pick(3 - (unsigned)depth / 2),
                depth);
        for (int i = 0; i < 2; i++)
            write_statement(f, depth + 1);
        fprintf(f, "}");
        break;
    case 1:
        fprintf(f, "if((a^b)&%u){", 1 + pick(8));
        write_statement(f, depth + 1);
        fprintf(f, "}else{");
        write_statement(f, depth + 1);
        fprintf(f, "}");
        break;
    case 2:
        fprintf(f, "{unsigned k=a&7;do{b+=k*%u;if(b&64)break;}while(k--);}", pick(100));
        break;
    default: {
        unsigned n = pick(1000) + 1;
        fprintf(f, simple[pick(sizeof simple / sizeof *simple)], n);
        break;
    }
    }
    fprintf(f, "\n");
}

enum { FUNCTIONS = 5 };

static void write_program(const char *path) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "#include <stdint.h>\nstatic uint64_t g1,g2=3,t[16];\n"
               "static __attribute__((noinline)) uint64_t h(uint64_t x,uint64_t y){for(uint64_t "
               "j=y&3;j--;)x+=y>>j;return x*3+(y^g2);}\n");
    for (int i = 0; i < FUNCTIONS; i++) {
        fprintf(f,
                "uint64_t f%d(uint64_t n){uint64_t a=n,b=7,c=1;double d=1;volatile uint64_t "
                "v=n;\nfor(unsigned x=0;x<%u;x++){\n",
                i, 5 + pick(6));
        if (i == FUNCTIONS - 1)
            fprintf(f, "switch(a%%7){case 0:a+=3;break;case 1:b*=5;break;case 2:c^=a;break;case "
                       "3:a=b;break;case 4:b+=c;break;case 5:c*=9;break;default:a++;}\n");
        for (int k = 0; k < 5; k++)
            write_statement(f, 0);
        fprintf(f, "}return a^b^c^v^(uint64_t)d^g1^g2^t[3];}\n");
    }
    fclose(f);
}

static void test_loops_by_gcc(void **state) {
    (void)state;
    static const char *const levels[] = {"-O0", "-O1", "-O2", "-O3 -mno-avx", "-Os"};
    struct tally tally = {0};
    for (size_t level = 0; level < sizeof levels / sizeof *levels; level++) {
        char source[96], library[96], command[320];
        snprintf(source, sizeof source, "%s/p%zu.c", scratch, level);
        snprintf(library, sizeof library, "%s/p%zu.so", scratch, level);
        write_program(source);
        snprintf(command, sizeof command, "gcc -w %s -shared -fPIC -o %s %s", levels[level], library, source);
        assert_int_equal(system(command), 0);
        void *handle = dlopen(library, RTLD_NOW);
        assert_non_null(handle);
        struct image image;
        assert_true(load_image(&image, library));
        assert_non_null(image.m);
        uint64_t base = ((struct link_map *)handle)->l_addr, stub = 0;
        for (int i = 0; i < FUNCTIONS; i++) {
            char name[16], label[128];
            snprintf(name, sizeof name, "f%d", i);
            snprintf(label, sizeof label, "%s %s", library, name);
            struct subject s = {.name = label, .arg = 1000 + pick(100000)};
            *(void **)&s.f = dlsym(handle, name);
            assert_non_null(s.f);
            assert_true(elf_module_function(image.m, (uint64_t)s.f - base, &s.start, &s.end));
            s.start += base, s.end += base;
            if (!stub) stub = stub_room((uint64_t)s.f);
            try_everywhere(&s, stub, &tally);
        }
        munmap((void *)stub, 4096);
        drop_image(&image);
        dlclose(handle);
    }
    print_message("%d places, %d sites: %d single, %d windows, %d calls\n", tally.places, tally.sites,
                  tally.single, tally.window, tally.calls);
    assert_true(tally.window > 200 && tally.single > 50 && tally.calls > 3);
}

static int set_up(void **state) {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    for (int cpu = 0, found = 0; cpu < CPU_SETSIZE; cpu++) // one CPU for both
        if (CPU_ISSET(cpu, &set) && found++) CPU_CLR(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
    result = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (result == MAP_FAILED || page == MAP_FAILED) return -1;
    count_page = (uint64_t)page;
    return scratch_set_up(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loops_by_hand),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_compare_size),     cmocka_unit_test(test_turns),
        cmocka_unit_test(test_flag_and_endless), cmocka_unit_test(test_program_pc),
        cmocka_unit_test(test_loops_by_gcc),
    };
    return cmocka_run_group_tests(tests, set_up, scratch_tear_down);
}
