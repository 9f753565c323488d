// Stubs of probes against the CPU: every displaced form of this machine's libraries is executed as it is in the library and
// behind a probe, with the same random registers, flags and memory. Registers, flags, memory, the fault if there is one, and
// the ring's entry must agree.
#include "core/atomic_emulate.h"
#include "core/elf/lock_sites.h"
#include "core/probe.h"
#include "core/stub_code.h"
#include "tests/unit/elf_files.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ucontext.h>

// Registers in the order of state_want.gpr.
struct cpu {
    uint64_t gpr[16], flags, pc; // pc at the end: 1 ran through, 2 branched, else where it faulted
};
struct cpu cpu_in, cpu_out;
uint64_t kept_rsp;
extern void run_code(void);
extern char landed[], branched[], faulted[];
asm(".text\nrun_code: push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "mov %rsp,kept_rsp(%rip)\n"
    "pxor %xmm0,%xmm0\n pxor %xmm1,%xmm1\n pxor %xmm2,%xmm2\n pxor %xmm3,%xmm3\n pxor %xmm4,%xmm4\n pxor "
    "%xmm5,%xmm5\n"
    "push cpu_in+128(%rip)\n popf\n"
    "mov cpu_in(%rip),%rax\n mov cpu_in+8(%rip),%rbx\n mov cpu_in+16(%rip),%rcx\n mov cpu_in+24(%rip),%rdx\n"
    "mov cpu_in+32(%rip),%rsi\n mov cpu_in+40(%rip),%rdi\n mov cpu_in+48(%rip),%rbp\n mov "
    "cpu_in+56(%rip),%rsp\n"
    "mov cpu_in+64(%rip),%r8\n mov cpu_in+72(%rip),%r9\n mov cpu_in+80(%rip),%r10\n mov "
    "cpu_in+88(%rip),%r11\n"
    "mov cpu_in+96(%rip),%r12\n mov cpu_in+104(%rip),%r13\n mov cpu_in+112(%rip),%r14\n mov "
    "cpu_in+120(%rip),%r15\n"
    "jmp *cpu_in+136(%rip)\n"
    "landed: movq $1,cpu_out+136(%rip)\n jmp 1f\n"
    "branched: movq $2,cpu_out+136(%rip)\n"
    "1: mov %rax,cpu_out(%rip)\n mov %rbx,cpu_out+8(%rip)\n mov %rcx,cpu_out+16(%rip)\n mov "
    "%rdx,cpu_out+24(%rip)\n"
    "mov %rsi,cpu_out+32(%rip)\n mov %rdi,cpu_out+40(%rip)\n mov %rbp,cpu_out+48(%rip)\n mov "
    "%rsp,cpu_out+56(%rip)\n"
    "mov %r8,cpu_out+64(%rip)\n mov %r9,cpu_out+72(%rip)\n mov %r10,cpu_out+80(%rip)\n mov "
    "%r11,cpu_out+88(%rip)\n"
    "mov %r12,cpu_out+96(%rip)\n mov %r13,cpu_out+104(%rip)\n mov %r14,cpu_out+112(%rip)\n mov "
    "%r15,cpu_out+120(%rip)\n"
    "mov kept_rsp(%rip),%rsp\n pushf\n pop cpu_out+128(%rip)\n"
    "faulted: cld\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");

enum { STATUS_FLAGS = 0x8d5, DATA_SIZE = 8192, CASES = 300, RING = 4096, CODE_STEP = 256 };
#define AREA                                                                                                 \
    0x300000000000ull // what follows has 2 GiB free on both sides, and AddressSanitizer has nothing there
static uint8_t *const area_code = (uint8_t *)AREA;
static uint8_t *const area_data = (uint8_t *)AREA + 0x10000;
static uint8_t *const area_ring = (uint8_t *)AREA + 0x20000; // a page, then one that cannot be written
static struct probe_control *const control = (struct probe_control *)(AREA + 0x30000);

static const struct probe *running; // NULL: the library's bytes run
static int full_faults, guard_traps;

static void read_context(const ucontext_t *c) {
    static const int order[16] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    for (int i = 0; i < 16; i++)
        cpu_out.gpr[i] = (uint64_t)c->uc_mcontext.gregs[order[i]];
    cpu_out.flags = (uint64_t)c->uc_mcontext.gregs[REG_EFL];
    cpu_out.pc = (uint64_t)c->uc_mcontext.gregs[REG_RIP];
}

static void on_signal(int sig, siginfo_t *info, void *context) {
    ucontext_t *c = context;
    (void)info;
    read_context(c);
    uint64_t pc = cpu_out.pc, program;
    if (running) {
        uint64_t copy = probe_copy(running, sig == SIGTRAP ? pc - 1 : pc);
        if (copy && (sig == SIGTRAP || sig == SIGILL)) { // a guard
            guard_traps++;
            c->uc_mcontext.gregs[REG_RIP] = (greg_t)copy;
            return;
        }
        if (pc - running->stub_address < running->stub_len) {
            enum probe_stop stop = probe_stopped(running, pc, &program);
            if (stop == PROBE_FULL) {
                full_faults++;
                control->head = (uint64_t)area_ring;
                c->uc_mcontext.gregs[REG_RCX] = (greg_t)control->head;
                return;
            }
            if (stop == PROBE_READ) {
                cpu_out.gpr[0] = control->rax;
                cpu_out.gpr[2] = control->rcx;
            }
            cpu_out.pc = stop == PROBE_ELSEWHERE ? 3 : program;
        }
    }
    c->uc_mcontext.gregs[REG_RIP] = (greg_t)faulted;
    c->uc_mcontext.gregs[REG_RSP] = (greg_t)kept_rsp;
}

// cmocka has handlers of its own around each test.
static int take_signals(void **state) {
    (void)state;
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGTRAP, SIGILL};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &sa, NULL);
    return 0;
}

static int setup(void **state) {
    (void)state;
    int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    void *p = mmap(area_code, 0x40000, PROT_READ | PROT_WRITE | PROT_EXEC, fixed, -1, 0);
    assert_true(p == area_code);
    assert_int_equal(mprotect(area_code + 0x1000, 0xf000, PROT_NONE), 0);
    assert_int_equal(mprotect(area_data + DATA_SIZE, 0x10000 - DATA_SIZE, PROT_NONE), 0);
    assert_int_equal(mprotect(area_ring + RING, 0x1000, PROT_READ), 0);
    static uint8_t stack[65536];
    stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack};
    assert_int_equal(sigaltstack(&alt, NULL), 0);
    return 0;
}

// ---- one form

static uint64_t seed = 88172645463325252ull;
static uint64_t random64(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static void put_jump(uint8_t *at, const char *to) {
    static const uint8_t jmp[6] = {0xff, 0x25};
    memcpy(at, jmp, 6);
    memcpy(at + 6, &to, 8);
}

enum { BRANCH_TO = 0x60 };

// The instructions of `bytes` for `address`: what is relative to it leads into the data, or to `branched`. false: one that
// writes where this test lives.
static bool settle(uint8_t *bytes, size_t len, uint64_t address) {
    for (size_t at = 0; at < len;) {
        ZydisDecodedInstruction in;
        assert_true(code_decode(bytes + at, len - at, &in));
        if (in.attributes & (ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_SEGMENT_GS)) return false;
        if (code_is_rip_relative(&in)) {
            uint32_t disp = (uint32_t)((uint64_t)area_data + DATA_SIZE / 2 - (address + at + in.length));
            memcpy(bytes + at + in.raw.disp.offset, &disp, 4);
        }
        if (code_is_relative(&in)) {
            uint32_t rel = (uint32_t)(BRANCH_TO - (at + in.length));
            memcpy(bytes + at + in.raw.imm[0].offset, &rel, in.raw.imm[0].size / 8);
        }
        at += in.length;
    }
    return true;
}

static void place_code(uint8_t *at, const uint8_t *bytes, size_t len, size_t end) {
    memset(at, 0xcc, CODE_STEP);
    memcpy(at, bytes, len);
    put_jump(at + end, landed);
    put_jump(at + BRANCH_TO, branched);
}

// Memory for the stub, for this test alone.
static uint64_t make_room(uint64_t address) {
    for (uint64_t page = address & -4096ull; page < address + PROBE_STUB_MAX; page += 4096) {
        if (page >= AREA && page < AREA + 0x40000) return 0;
        void *p = mmap((void *)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (p != (void *)page && p != MAP_FAILED) return 0;
    }
    return address;
}

// Every branch of the stub leads to one of its instructions, to the program behind what it displaced, or where the program's own
// branches lead.
static void check_flow(const struct probe *p, const uint8_t *stub) {
    bool starts[PROBE_STUB_MAX] = {0};
    for (int pass = 0; pass < 2; pass++)
        for (size_t at = 0; at < p->stub_len;) {
            ZydisDecodedInstruction in;
            assert_true(code_decode(stub + at, p->stub_len - at, &in));
            uint64_t pc = p->stub_address + at;
            starts[at] = true;
            if (pass && code_is_relative(&in)) {
                uint64_t to = code_branch_target(&in, pc);
                bool inside = to - p->stub_address < p->stub_len && starts[to - p->stub_address];
                assert_true(inside || to == p->address + p->displaced || to == p->address + BRANCH_TO);
            }
            at += in.length;
        }
    for (int i = 0; i < p->count; i++)
        assert_true(starts[p->map[i].stub]);
    assert_true(starts[p->full] && starts[p->read]);
}

static void random_state(uint64_t pc) {
    for (int i = 0; i < 16; i++) {
        uint64_t r = random64();
        cpu_in.gpr[i] = (uint64_t)area_data + DATA_SIZE / 4 + r % (DATA_SIZE / 2);
        if (r >> 62 == 0 && i != 7) cpu_in.gpr[i] = r >> 58 & 1 ? r : r & 31;
        cpu_in.gpr[i] &= ~7ull; // a lock over two cache lines costs 10 ms (the kernel's split_lock_mitigate)
    }
    for (int i = 0; i < DATA_SIZE; i += 8) {
        uint64_t r = random64();
        memcpy(area_data + i, &r, 8);
    }
    cpu_in.flags = 0x202 | (random64() & STATUS_FLAGS);
    cpu_in.pc = pc;
}

static bool peek(void *context, uint64_t address, void *buffer, size_t len) {
    (void)context;
    if (address < (uint64_t)area_data || address + len > (uint64_t)area_data + DATA_SIZE) return false;
    memcpy(buffer, (void *)address, len);
    return true;
}

static bool no_write(void *context, uint64_t address, const void *buffer, size_t len) {
    (void)buffer;
    uint8_t byte[16];
    return peek(context, address, byte, len);
}

static struct counts { uint64_t forms[3], runs, faults, entries, branches; } counts;

static void fail_form(const struct probe_request *q, const char *what) {
    char text[200] = "";
    for (size_t i = 0; i < 16; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %02x", q->code[i]);
    for (int i = 0; i < 16; i++)
        if (cpu_out.gpr[i] != cpu_in.gpr[i])
            snprintf(text + strlen(text), sizeof text - strlen(text), " r%d", i);
    fail_msg("%s:%s; pc %lx, fault or end %lx, flags %lx", what, text, cpu_in.pc, cpu_out.pc, cpu_out.flags);
}

// The ring's entry against the emulation of the instruction, which is tested against the CPU elsewhere.
static void check_entry(const struct probe_request *q, const struct atomic_result *want,
                        const struct probe_entry *have) {
    if (have->id != q->id || have->address != want->address || have->before != want->before.low ||
        have->after != want->after.low || have->unequal != want->failed)
        fail_form(q, "the ring's entry differs");
    if (q->registers && memcmp(have + 1, cpu_in.gpr, sizeof cpu_in.gpr) != 0)
        fail_form(q, "the ring's registers differ");
}

// From `offset` on (a follower's, or 0).
static void compare_runs(const struct probe_request *q, const struct probe *p,
                         const struct atomic_instruction *what, size_t offset, int cases) {
    static uint8_t before[DATA_SIZE], after[DATA_SIZE];
    for (int i = 0; i < cases; i++) {
        random_state((uint64_t)area_code + offset);
        memcpy(before, area_data, DATA_SIZE);
        // now and then memory that cannot be written
        bool locked = random64() % 64 == 0;
        if (locked) mprotect(area_data, DATA_SIZE, PROT_READ);
        struct user_regs_struct u = {.rip = p->address};
        unsigned long long *const regs[16] = {&u.rax, &u.rbx, &u.rcx, &u.rdx, &u.rsi, &u.rdi, &u.rbp, &u.rsp,
                                              &u.r8,  &u.r9,  &u.r10, &u.r11, &u.r12, &u.r13, &u.r14, &u.r15};
        for (int k = 0; k < 16; k++)
            *regs[k] = cpu_in.gpr[k];
        u.eflags = cpu_in.flags;
        const struct atomic_memory memory = {peek, no_write, NULL};
        struct atomic_result want;
        bool emulated =
            !offset && what->operation && atomic_emulate(q->code, q->len, &u, &memory, &want) == 0 && !locked;
        running = NULL;
        run_code();
        struct cpu first = cpu_out;
        memcpy(after, area_data, DATA_SIZE);
        if (locked) mprotect(area_data, DATA_SIZE, PROT_READ | PROT_WRITE);
        memcpy(area_data, before, DATA_SIZE);
        if (locked) mprotect(area_data, DATA_SIZE, PROT_READ);
        cpu_in.pc = p->address + offset;
        running = p;
        uint64_t ring_at = control->head;
        int full = full_faults;
        run_code();
        if (locked) mprotect(area_data, DATA_SIZE, PROT_READ | PROT_WRITE);
        // a fault's pc is in the one copy or in the other, or where a jump of the program led
        if (first.pc - (uint64_t)area_code < CODE_STEP) first.pc += p->address - (uint64_t)area_code;
        if (first.pc != cpu_out.pc) fail_form(q, "ended elsewhere");
        if ((first.flags ^ cpu_out.flags) & (STATUS_FLAGS | 0x400)) fail_form(q, "flags differ");
        if (memcmp(first.gpr, cpu_out.gpr, sizeof first.gpr) != 0) fail_form(q, "registers differ");
        if (memcmp(after, area_data, DATA_SIZE) != 0) fail_form(q, "memory differs");
        counts.runs++;
        counts.faults += first.pc > 2;
        counts.branches += first.pc == 2;
        size_t size = q->registers ? PROBE_ENTRY_MAX : sizeof(struct probe_entry);
        if (full_faults != full) ring_at = (uint64_t)area_ring;
        if (control->head == ring_at) {
            if (emulated && first.pc <= 2) fail_form(q, "nothing was noted");
            continue;
        }
        assert_true(!offset && control->head == ring_at + size);
        if (emulated) check_entry(q, &want, (const struct probe_entry *)ring_at);
        counts.entries += emulated;
    }
}

static void check_form(const struct probe_request *request, const struct atomic_instruction *what,
                       enum probe_form form, uint8_t guard, bool registers) {
    struct probe_request q = *request;
    struct probe_plan plan;
    struct probe p;
    uint8_t stub[PROBE_STUB_MAX], original[32];
    q.address = (uint64_t)area_code + CODE_STEP;
    q.registers = registers;
    if (form == PROBE_PUNNED) {
        // what follows is a jump to the end, and a part of the distance
        ZydisDecodedInstruction in;
        assert_true(code_decode(q.code, q.len, &in));
        q.code[in.length] = 0xeb;
        q.code[in.length + 1] = 0x20;
    }
    if (!probe_plan(&q, form, guard, &plan)) return;
    size_t len = form == PROBE_PUNNED ? plan.displaced + 2u : plan.displaced;
    memcpy(original, q.code, sizeof original);
    if (form == PROBE_PUNNED ? !settle(q.code, plan.displaced, q.address) ||
                                   !settle(original, plan.displaced, (uint64_t)area_code)
                             : !settle(q.code, len, q.address) || !settle(original, len, (uint64_t)area_code))
        return;
    if (!probe_plan(&q, form, guard, &plan)) fail_form(&q, "no plan any more");
    uint64_t at = 0;
    for (uint64_t from = AREA + 0x50000 - (1ull << 31); !at;) {
        uint64_t place = probe_place(&plan, q.address, from);
        if (!place) fail_form(&q, "no place for the stub");
        if (place < from) fail_form(&q, "a place below the one asked for");
        at = make_room(place);
        from = place + 1;
    }
    if (!probe_build(&q, &plan, at, (uint64_t)control, stub, &p)) fail_form(&q, "no stub");
    memcpy((void *)at, stub, p.stub_len);
    check_flow(&p, stub);
    size_t end = form == PROBE_PUNNED ? len + 0x20 : len;
    place_code(area_code, original, len, end);
    place_code(area_code + CODE_STEP, q.code, len, end);
    memcpy(area_code + CODE_STEP, p.patch, PROBE_JUMP);
    if (form == PROBE_PUNNED &&
        memcmp(area_code + CODE_STEP + plan.displaced, q.code + plan.displaced, 2) != 0)
        fail_form(&q, "what follows was changed");
    counts.forms[form]++;
    compare_runs(&q, &p, what, 0, CASES);
    for (int i = 1; i < plan.count && form == PROBE_FOLLOWED; i++) {
        if (plan.starts[i] >= PROBE_JUMP) continue;
        int traps = guard_traps;
        compare_runs(&q, &p, what, plan.starts[i], 8);
        assert_int_equal(guard_traps - traps, 8);
    }
    munmap((void *)(at & -4096ull), (at + PROBE_STUB_MAX - (at & -4096ull) + 4095) & -4096ull);
}

// ---- the forms of a file

static struct { uint8_t bytes[16]; } * seen;
static size_t seen_count, seen_room;

static bool is_new(const uint8_t *bytes, size_t len) {
    uint8_t key[16] = {0};
    memcpy(key, bytes, len < sizeof key ? len : sizeof key);
    for (size_t i = 0; i < seen_count; i++)
        if (!memcmp(seen[i].bytes, key, sizeof key)) return false;
    if (seen_count == seen_room) seen = realloc(seen, (seen_room = seen_room * 2 + 1024) * sizeof *seen);
    memcpy(seen[seen_count++].bytes, key, sizeof key);
    return true;
}

// What of an instruction does not matter here: where relative operands lead.
static size_t normal_form(uint8_t *bytes, size_t len) {
    size_t at = 0;
    while (at < PROBE_JUMP) {
        ZydisDecodedInstruction in;
        if (!code_decode(bytes + at, len - at, &in)) break;
        if (code_is_rip_relative(&in)) memset(bytes + at + in.raw.disp.offset, 0, 4);
        if (code_is_relative(&in)) memset(bytes + at + in.raw.imm[0].offset, 0, in.raw.imm[0].size / 8);
        at += in.length;
    }
    return at;
}

static struct tally { size_t sites, of[4]; } check_file(const char *path) {
    struct image f;
    struct tally n = {0};
    if (!load_image(&f, path)) return n;
    assert_non_null(f.m);
    size_t count;
    struct lock_site *sites = elf_module_lock_sites(f.m, &count);
    for (size_t i = 0; i < count; i++) {
        uint64_t offset;
        assert_true(elf_module_to_offset(f.m, sites[i].vaddr, &offset));
        struct probe_request q = {.address = sites[i].vaddr, .id = 7 + (uint32_t)i, .size = sites[i].size};
        q.len = f.size - offset < sizeof q.code ? f.size - offset : sizeof q.code;
        memcpy(q.code, f.bytes + offset, q.len);
        q.len = sizeof q.code;
        struct probe_plan plan;
        n.sites++;
        int kind = 3;
        for (int form = PROBE_PUNNED; form >= PROBE_LONG; form--)
            if (probe_plan(&q, (enum probe_form)form, 0xcc, &plan)) kind = form;
        n.of[kind]++;
        struct atomic_instruction what;
        if (!atomic_decode(q.code, q.len, &what)) fail_form(&q, "no atomic instruction");
        size_t len = normal_form(q.code, q.len);
        if (!is_new(q.code, len)) continue;
        for (int form = PROBE_LONG; form <= PROBE_PUNNED; form++)
            check_form(&q, &what, (enum probe_form)form, probe_guards[i % 4], i % 4 == 0);
    }
    free(sites);
    drop_image(&f);
    return n;
}

static void test_libraries(void **state) {
    take_signals(state);
    static const char *const files[] = {"libc.so.6", "libstdc++.so.6", "libcrypto.so.3", "libtcmalloc.so.4",
                                        "libglib-2.0.so.0"};
    control->head = (uint64_t)area_ring;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[100];
        snprintf(path, sizeof path, "/lib/x86_64-linux-gnu/%s", files[i]);
        struct tally n = check_file(path);
        if (n.sites)
            printf("%s: %zu sites, %zu long enough, %zu with followers, %zu punned, %zu left\n", files[i],
                   n.sites, n.of[0], n.of[1], n.of[2], n.of[3]);
        if (i == 0) assert_true(n.sites > 300 && n.of[3] * 20 < n.sites);
    }
    printf("%lu forms (%lu long enough, %lu followed, %lu punned), %lu runs, %lu faults, %lu branches, %lu "
           "entries, %d times full\n",
           counts.forms[0] + counts.forms[1] + counts.forms[2], counts.forms[0], counts.forms[1],
           counts.forms[2], counts.runs, counts.faults, counts.branches, counts.entries, full_faults);
    assert_true(counts.runs > 100000 && counts.faults > 1000 && counts.entries > 50000 && full_faults > 1000);
}

// What no library need have: all operations, sizes, and registers that the stub itself uses.
static void test_all_forms(void **state) {
    take_signals(state);
    static const char *const operations[] = {"cmpxchg", "xchg", "xadd", "add", "adc",
                                             "sub",     "sbb",  "and",  "or",  "xor"};
    static const char *const sources[4][5] = {{"%al", "%cl", "%bl", "%r9b", "%sil"},
                                              {"%ax", "%cx", "%bx", "%r9w", "%si"},
                                              {"%eax", "%ecx", "%ebx", "%r9d", "%esi"},
                                              {"%rax", "%rcx", "%rbx", "%r9", "%rsi"}};
    static const char *const places[] = {"(%rdi)", "(%rax)",        "8(%rcx)",    "-40(%rsp)",
                                         "(%r13)", "(%rbp,%r12,1)", "word(%rip)", "64(%r12)"};
    static const char *const singles[] = {"inc", "dec", "neg", "not"};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fprintf(out, ".globl _start\n.text\n_start:\n");
    for (size_t o = 0; o < 10; o++)
        for (size_t w = 0; w < 4; w++)
            for (size_t s = 0; s < 5; s++)
                for (size_t p = 0; p < 8; p++)
                    fprintf(out, "%s %s %s,%s\nnop\nnop\nmov %%rax,%%rdx\njne _start\n", o == 1 ? "" : "lock",
                            operations[o], sources[w][s], places[p]);
    for (size_t o = 0; o < 4; o++)
        for (size_t w = 0; w < 4; w++)
            for (size_t p = 0; p < 8; p++)
                fprintf(out, "lock %s%c %s\npush %%rcx\npop %%rax\nret\n", singles[o], "bwlq"[w], places[p]);
    for (size_t p = 0; p < 8; p++)
        fprintf(out,
                "lock btsl $5,%s\nsetc %%al\nlock btrq $40,%s\njc _start\nlock btcw $3,%s\nlock addq "
                "$-1,%s\nlock cmpxchg8b %s\nje _start\n",
                places[p], places[p], places[p], places[p], places[p]);
    fprintf(out, ".data\nword: .quad 0\n");
    fclose(out);
    scratch_make();
    assemble("forms", "", text);
    free(text);
    control->head = (uint64_t)area_ring;
    uint64_t entries = counts.entries;
    char file[100];
    snprintf(file, sizeof file, "%s/forms", scratch);
    struct tally n = check_file(file);
    printf("%zu sites, %zu long enough, %zu with followers, %zu punned, %zu left\n", n.sites, n.of[0],
           n.of[1], n.of[2], n.of[3]);
    scratch_remove();
    assert_true(n.sites >= 1600 + 128 + 40 && counts.entries - entries > 100000);
}

// A stub that cannot read its operand, or whose operand no stub can find, is not built.
static void test_refused(void **state) {
    (void)state;
    static const uint8_t rows[][16] = {
        {0x64, 0xf0, 0x0f, 0xb1, 0x14, 0x25, 8, 3, 0, 0}, // lock cmpxchg %edx,%fs:0x308
        {0xf0, 0x0f, 0xab, 0x47, 0x10, 0x90, 0x90},       // lock bts %eax,16(%rdi)
        {0xf0, 0x48, 0x0f, 0xc7, 0x0f, 0x90},             // lock cmpxchg16b (%rdi)
        {0xf0, 0x67, 0x0f, 0xb1, 0x17, 0x90},             // lock cmpxchg %edx,(%edi)
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int form = PROBE_LONG; form <= PROBE_PUNNED; form++) {
            struct probe_request q = {.address = AREA, .len = 16, .size = i == 2 ? 16 : 4};
            struct probe_plan plan;
            memcpy(q.code, rows[i], 16);
            if (probe_plan(&q, (enum probe_form)form, 0xcc, &plan)) fail_msg("row %zu, form %d", i, form);
        }
    // a call, a syscall, a return into other code cannot follow
    static const uint8_t tails[][6] = {
        {0xe8, 0, 0, 0, 0}, {0x0f, 0x05}, {0xc3, 0x55, 0x55}, {0xcc}, {0x0f, 0xa2}};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        struct probe_request q = {.address = AREA, .code = {0xf0, 0xff, 0x07}, .len = 16, .size = 4};
        struct probe_plan plan;
        memcpy(q.code + 3, tails[i], 6);
        if (probe_plan(&q, PROBE_FOLLOWED, 0xcc, &plan)) fail_msg("tail %zu follows", i);
        assert_true(probe_plan(&q, PROBE_PUNNED, 0xcc, &plan));
    }
}

// A function's first instruction: registers, rsp and the return address are noted.
static void test_call(void **state) {
    take_signals(state);
    static const uint8_t rows[][8] = {{0xf3, 0x0f, 0x1e, 0xfa, 0x53, 0x50, 0x90, 0x90},
                                      {0x48, 0x83, 0xec, 0x18, 0x31, 0xc0, 0x90, 0x90},
                                      {0xb8, 1, 0, 0, 0, 0x90, 0x90, 0x90}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct probe_request q = {.address = (uint64_t)area_code + CODE_STEP,
                                  .len = 8,
                                  .kind = PROBE_CALL,
                                  .id = 3,
                                  .registers = true};
        struct probe_plan plan;
        struct probe p;
        uint8_t stub[PROBE_STUB_MAX];
        memcpy(q.code, rows[i], 8);
        assert_true(probe_plan(&q, i == 2 ? PROBE_LONG : PROBE_FOLLOWED, 0x61, &plan));
        uint64_t at = make_room(probe_place(&plan, q.address, AREA + 0x50000));
        assert_true(at && probe_build(&q, &plan, at, (uint64_t)control, stub, &p));
        memcpy((void *)at, stub, p.stub_len);
        check_flow(&p, stub);
        place_code(area_code, q.code, plan.displaced, plan.displaced);
        place_code(area_code + CODE_STEP, q.code, plan.displaced, plan.displaced);
        memcpy(area_code + CODE_STEP, p.patch, PROBE_JUMP);
        for (int k = 0; k < 1000; k++) {
            random_state(q.address);
            uint64_t back;
            memcpy(&back, (void *)cpu_in.gpr[7], 8);
            running = &p;
            run_code();
            struct probe_entry e;
            memcpy(&e, (void *)(control->head - PROBE_ENTRY_MAX), sizeof e);
            assert_true(e.id == 3 && e.address == cpu_in.gpr[7] && e.before == back);
            assert_memory_equal((void *)(control->head - PROBE_ENTRY_MAX + sizeof e), cpu_in.gpr,
                                sizeof cpu_in.gpr);
        }
        const struct atomic_instruction none = {0};
        compare_runs(&q, &p, &none, 0, 1000);
        munmap((void *)(at & -4096ull), 8192);
    }
}

// The lowest place at or above another, against trying each.
static void test_place(void **state) {
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct probe_plan plan = {.mask = 0};
        for (int byte = 0; byte < 4; byte++)
            if (random64() % 2) plan.mask |= 0xffu << 8 * byte;
        if (i % 4) plan.mask |= 0xff0000;
        plan.value = (uint32_t)random64() & plan.mask;
        uint64_t address = 0x7fff00000000 + random64() % (1u << 30),
                 from = address - (1ull << 31) + random64() % (1ull << 32);
        uint64_t place = probe_place(&plan, address, from), tried = 0;
        uint64_t lowest = address + 5 - (1ull << 31), end = address + 5 + (1ull << 31);
        for (uint64_t at = from < lowest ? lowest : from, n = 0; at < end && n < 70000 && !tried; at++, n++)
            if (((uint32_t)(at - address - 5) & plan.mask) == plan.value) tried = at;
        if (tried ? place != tried : place && place < from + 70000 && from >= lowest)
            fail_msg("from %lx: %lx, tried %lx", from, place, tried);
        if (place &&
            (((uint32_t)(place - address - 5) & plan.mask) != plan.value || place < from || place >= end))
            fail_msg("wrong place");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_place),     cmocka_unit_test(test_refused),   cmocka_unit_test(test_call),
        cmocka_unit_test(test_all_forms), cmocka_unit_test(test_libraries),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
