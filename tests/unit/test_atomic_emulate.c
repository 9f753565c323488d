// Atomic instructions, emulated and executed: random forms, registers, flags and memory against this CPU.
#include "core/atomic_emulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <asm/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CASES = 2000000, ARENA = 256 };
enum { CF = 0x1, PF = 0x4, AF = 0x10, ZF = 0x40, SF = 0x80, DF = 0x400, OF = 0x800 };

// ---- the CPU's side

// Registers in hardware order (rax rcx rdx rbx rsp rbp rsi rdi r8..) before and after; the code at `entry`
// jumps to test_cpu_return.
struct cpu {
    uint64_t gpr[16], flags, host_rsp, entry;
};
extern struct cpu test_cpu __attribute__((visibility("hidden")));
extern void test_cpu_run(void) __attribute__((visibility("hidden")));
extern char test_cpu_return[] __attribute__((visibility("hidden")));

#define EACH_BUT_RSP(X)                                                                                      \
    X("0", "rax")                                                                                            \
    X("8", "rcx")                                                                                            \
    X("16", "rdx")                                                                                           \
    X("24", "rbx")                                                                                           \
    X("40", "rbp")                                                                                           \
    X("48", "rsi")                                                                                           \
    X("56", "rdi")                                                                                           \
    X("64", "r8")                                                                                            \
    X("72", "r9")                                                                                            \
    X("80", "r10")                                                                                           \
    X("88", "r11")                                                                                           \
    X("96", "r12")                                                                                           \
    X("104", "r13")                                                                                          \
    X("112", "r14")                                                                                          \
    X("120", "r15")
#define LOAD(offset, reg)  "mov test_cpu+" offset "(%rip),%" reg "\n"
#define STORE(offset, reg) "mov %" reg ",test_cpu+" offset "(%rip)\n"

__asm__(".local test_cpu\n .comm test_cpu,152,16\n"
        ".text\n .local test_cpu_run, test_cpu_return\n"
        "test_cpu_run:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp,test_cpu+136(%rip)\n"
        "push test_cpu+128(%rip)\n popfq\n" EACH_BUT_RSP(LOAD) LOAD("32", "rsp") //
        "jmp *test_cpu+144(%rip)\n"
        "test_cpu_return:\n" STORE("32", "rsp") //
        "mov test_cpu+136(%rip),%rsp\n"
        "pushfq\n pop test_cpu+128(%rip)\n" EACH_BUT_RSP(STORE) //
        "cld\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");

static uint8_t *code_page, *arena; // below 2 GiB, so that rip-relative and absolute operands reach
static uint64_t fs_base, gs_base;

static int set_up(void **state) {
    (void)state;
    uint8_t *p =
        mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (p == MAP_FAILED) return -1;
    code_page = p;
    arena = p + 4096;
    return (int)syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_base);
}

static void set_gs(uint64_t base) {
    gs_base = base;
    assert_int_equal(syscall(SYS_arch_prctl, ARCH_SET_GS, base), 0);
}

// ---- random

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t rnd(void) {
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * 0x2545f4914f6cdd1d;
}

static unsigned below(unsigned n) {
    return (unsigned)(rnd() >> 33) % n;
}
static bool one_in(unsigned n) {
    return below(n) == 0;
}

// Random, or at an edge of one of the widths.
static uint64_t interesting(void) {
    static const uint64_t edges[] = {0,      1,      0x7f,       0x80,       0xff,      0x7fff,
                                     0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff};
    unsigned n = sizeof edges / sizeof *edges, pick = below(4 * n);
    if (pick >= 2 * n) return rnd();
    return pick < n ? edges[pick] : ~edges[pick - n];
}

// ---- the forms

enum { BYTE = 1, REGISTER = 2, IMM8 = 4, IMM = 8, PAIR = 16, BITS = 32, MAP_0F = 64 };

struct form {
    uint8_t opcode, digit, kind, operation;
};

#define ALU(n, name)                                                                                         \
    {n * 8, 0, BYTE | REGISTER, name}, {n * 8 + 1, 0, REGISTER, name}, {0x80, n, BYTE | IMM8, name},         \
        {0x81, n, IMM, name}, {                                                                              \
        0x83, n, IMM8, name                                                                                  \
    }
#define BIT(opcode, digit, name)                                                                             \
    {opcode, 0, MAP_0F | REGISTER | BITS, name}, {                                                           \
        0xba, digit, MAP_0F | IMM8, name                                                                     \
    }
#define BOTH(byte, digit, kind, name)                                                                        \
    {byte, digit, BYTE | kind, name}, {                                                                      \
        byte + 1, digit, kind, name                                                                          \
    }

static const struct form forms[] = {
    ALU(0, ATOMIC_ADD),
    ALU(1, ATOMIC_OR),
    ALU(2, ATOMIC_ADC),
    ALU(3, ATOMIC_SBB),
    ALU(4, ATOMIC_AND),
    ALU(5, ATOMIC_SUB),
    ALU(6, ATOMIC_XOR),
    BOTH(0x86, 0, REGISTER, ATOMIC_XCHG),
    BOTH(0xb0, 0, MAP_0F | REGISTER, ATOMIC_CMPXCHG),
    BOTH(0xc0, 0, MAP_0F | REGISTER, ATOMIC_XADD),
    BOTH(0xfe, 0, 0, ATOMIC_INC),
    BOTH(0xfe, 1, 0, ATOMIC_DEC),
    BOTH(0xf6, 2, 0, ATOMIC_NOT),
    BOTH(0xf6, 3, 0, ATOMIC_NEG),
    BIT(0xab, 5, ATOMIC_BTS),
    BIT(0xb3, 6, ATOMIC_BTR),
    BIT(0xbb, 7, ATOMIC_BTC),
    {0xc7, 1, MAP_0F | PAIR, ATOMIC_CMPXCHG},
};
enum { FORMS = sizeof forms / sizeof *forms };

static unsigned undefined_flags(int operation) {
    switch (operation) {
    case ATOMIC_AND:
    case ATOMIC_OR:
    case ATOMIC_XOR:
        return AF;
    case ATOMIC_BTS:
    case ATOMIC_BTR:
    case ATOMIC_BTC:
        return OF | SF | AF | PF;
    }
    return 0;
}

// ---- one case

struct test_case {
    const struct form *form;
    uint8_t bytes[24];
    unsigned length, size;
    bool locked, narrow, fs, gs, rip_relative, high_byte, beyond, wrapped;
    uint64_t target; // linear address of the operand
    uint64_t gpr[16], flags;
    uint8_t memory[ARENA];
};

// The address is base + index * scale + disp + units; what is free of these is solved for `want`.
struct shape {
    int base, index; // hardware numbers, -1 none
    unsigned scale, disp_size;
    int64_t disp;
    bool rip_relative;
};

static uint64_t inverse(uint64_t odd) {
    uint64_t x = odd;
    for (int i = 0; i < 6; i++)
        x *= 2 - odd * x;
    return x;
}

// Gives registers and displacement values such that the operand is at `want`. false: cannot be.
static bool solve(struct test_case *t, struct shape *s, uint64_t want, uint64_t next_rip) {
    if (t->narrow) want += rnd() << 32;
    uint64_t rest = want - (uint64_t)s->disp, *r = t->gpr;
    if (s->rip_relative || (s->base < 0 && s->index < 0)) {
        uint64_t disp = s->rip_relative ? want - next_rip : want;
        if (t->narrow) disp = (uint64_t)(int64_t)(int32_t)disp;
        s->disp = (int64_t)disp;
        return s->disp == (int32_t)disp;
    }
    if (s->base < 0) {
        s->disp += (int64_t)(rest % s->scale);
        rest = want - (uint64_t)s->disp;
        r[s->index] = rest / s->scale + (s->scale > 1 ? rnd() << (64 - __builtin_ctz(s->scale)) : 0);
    } else if (s->index == s->base && s->scale == 1) {
        if ((rest & 1) && s->disp_size == 0) return false;
        if (rest & 1) s->disp++;
        r[s->base] = (want - (uint64_t)s->disp) / 2 + (rnd() << 63);
    } else if (s->index == s->base) {
        r[s->base] = rest * inverse(1 + s->scale);
    } else {
        r[s->base] = rest - (s->index >= 0 ? r[s->index] * s->scale : 0);
    }
    return true;
}

static void shuffle(uint8_t *v, unsigned n) {
    for (unsigned i = n; i > 1; i--) {
        unsigned k = below(i);
        uint8_t x = v[i - 1];
        v[i - 1] = v[k];
        v[k] = x;
    }
}

static uint64_t sign_extend(uint64_t v, unsigned bits) {
    return (uint64_t)((int64_t)(v << (64 - bits)) >> (64 - bits));
}

static bool generate(struct test_case *t) {
    const struct form *f = &forms[below(FORMS)];
    uint8_t prefixes[5], rex = one_in(2) ? 0 : 0x40 | (uint8_t)below(16);
    unsigned n = 0;
    *t = (struct test_case){.form = f};
    bool narrow_data = one_in(3), lock = !one_in(4);
    t->narrow = one_in(4);
    t->locked = lock || f->operation == ATOMIC_XCHG;
    t->gs = one_in(4);
    t->fs = !t->gs && !t->narrow && one_in(4);
    if (narrow_data) prefixes[n++] = 0x66;
    if (t->narrow) prefixes[n++] = 0x67;
    if (lock) prefixes[n++] = 0xf0;
    if (t->fs || t->gs)
        prefixes[n++] = t->gs ? 0x65 : 0x64;
    else if (one_in(8))
        prefixes[n++] = 0x3e; // ds: no effect
    shuffle(prefixes, n);
    bool wide = rex & 8;
    t->size = f->kind & BYTE ? 1 : wide ? 8 : narrow_data ? 2 : 4;
    if (f->kind & PAIR) t->size = wide ? 16 : 8;

    memcpy(t->bytes, prefixes, n);
    if (rex) t->bytes[n++] = rex;
    if (f->kind & MAP_0F) t->bytes[n++] = 0x0f;
    t->bytes[n++] = f->opcode;
    unsigned mod = below(3), rm = below(8), reg = f->kind & REGISTER ? below(8) : f->digit;
    t->bytes[n++] = (uint8_t)(mod << 6 | reg << 3 | rm);
    struct shape s = {.base = (int)rm | (rex & 1) << 3, .index = -1, .scale = 1};
    s.disp_size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    if (rm == 4) {
        unsigned scale = below(4), index = below(8), base = below(8);
        t->bytes[n++] = (uint8_t)(scale << 6 | index << 3 | base);
        s.scale = 1u << scale;
        s.index = (int)index | (rex & 2) << 2;
        if (s.index == 4) s.index = -1;
        s.base = (int)base | (rex & 1) << 3;
        if (base == 5 && mod == 0) {
            s.base = -1;
            s.disp_size = 4;
        }
    } else if (rm == 5 && mod == 0) {
        s.rip_relative = t->rip_relative = true;
        s.disp_size = 4;
    }
    if (s.disp_size) s.disp = (s.disp_size == 1 ? (int64_t)(int8_t)rnd() : (int64_t)(int32_t)rnd()) & ~7ll;

    for (int i = 0; i < 16; i++)
        t->gpr[i] = interesting();
    t->flags = (rnd() & (CF | PF | AF | ZF | SF | DF | OF)) | 0x202;
    unsigned room = 64 - t->size, offset = one_in(2) ? below(room + 1) : below(room + 1) & ~(t->size - 1);
    if (t->size == 16) offset &= ~15u;
    unsigned line = 64 * (1 + below(2)); // no split locks: slow, and trapped by some kernels
    if (!t->locked && t->size < 16 && one_in(4)) offset = 64 - below(t->size);
    t->target = (uint64_t)arena + line + offset;

    // the bit number of bts r,m moves the operand by whole units
    uint64_t units = 0;
    unsigned operand = reg | (rex & 4) << 1;
    t->high_byte = (f->kind & REGISTER) && t->size == 1 && !rex && reg >= 4;
    if (f->kind & BITS) {
        if ((int)operand == s.base || (int)operand == s.index) return false;
        if (t->size == 8 && one_in(2)) t->gpr[operand] = (uint64_t)(int64_t)(int32_t)rnd();
        int64_t number = (int64_t)sign_extend(t->gpr[operand], t->size * 8);
        int64_t width = t->size * 8;
        units = (uint64_t)((number / width - (number % width < 0)) * (int64_t)t->size);
        t->beyond = units != 0;
    }
    uint64_t want = t->target - (t->fs ? fs_base : t->gs ? gs_base : 0);
    if (t->narrow && want >> 32) return false;
    unsigned imm = f->kind & IMM8 ? 1 : !(f->kind & IMM) ? 0 : t->size == 2 ? 2 : 4;
    t->length = n + s.disp_size + imm;
    if (t->length > 15) return false;
    if (!solve(t, &s, want - units, (uint64_t)code_page + t->length)) return false;
    t->wrapped = t->narrow && (s.base >= 0 ? (uint32_t)t->gpr[s.base] : 0) +
                                      (s.index >= 0 ? (uint32_t)t->gpr[s.index] * (uint64_t)s.scale : 0) +
                                      (uint64_t)s.disp + units !=
                                  want;
    memcpy(t->bytes + n, &s.disp, s.disp_size);
    uint64_t value = interesting();
    memcpy(t->bytes + n + s.disp_size, &value, imm);

    for (int i = 0; i < ARENA; i += 8) {
        value = interesting();
        memcpy(t->memory + i, &value, 8);
    }
    if (f->operation == ATOMIC_CMPXCHG && one_in(2)) {
        uint8_t *p = t->memory + (t->target - (uint64_t)arena);
        unsigned half = f->kind & PAIR ? t->size / 2 : t->size;
        memcpy(p, &t->gpr[0], half);
        if (f->kind & PAIR) memcpy(p + half, &t->gpr[2], half);
    }
    return true;
}

static void execute(const struct test_case *t) {
    static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0}; // jmp *0(%rip)
    uint64_t back = (uint64_t)test_cpu_return;
    memcpy(arena, t->memory, ARENA);
    memcpy(code_page, t->bytes, t->length);
    memcpy(code_page + t->length, jump, sizeof jump);
    memcpy(code_page + t->length + sizeof jump, &back, sizeof back);
    memcpy(test_cpu.gpr, t->gpr, sizeof t->gpr);
    test_cpu.flags = t->flags;
    test_cpu.entry = (uint64_t)code_page;
    test_cpu_run();
}

// ---- the emulator's side

struct model {
    uint8_t *bytes;
    bool no_read, no_write;
};

static bool model_reaches(uint64_t address, size_t len) {
    return address >= (uint64_t)arena && address + len <= (uint64_t)arena + ARENA;
}

static bool model_read(void *context, uint64_t address, void *buffer, size_t len) {
    struct model *m = context;
    if (m->no_read || !model_reaches(address, len)) return false;
    memcpy(buffer, m->bytes + (address - (uint64_t)arena), len);
    return true;
}

static bool model_write(void *context, uint64_t address, const void *buffer, size_t len) {
    struct model *m = context;
    if (m->no_write || !model_reaches(address, len)) return false;
    memcpy(m->bytes + (address - (uint64_t)arena), buffer, len);
    return true;
}

static void to_regs(const struct test_case *t, struct user_regs_struct *r) {
    const uint64_t *g = t->gpr;
    memset(r, 0x5a, sizeof *r);
    r->rax = g[0], r->rcx = g[1], r->rdx = g[2], r->rbx = g[3];
    r->rsp = g[4], r->rbp = g[5], r->rsi = g[6], r->rdi = g[7];
    r->r8 = g[8], r->r9 = g[9], r->r10 = g[10], r->r11 = g[11];
    r->r12 = g[12], r->r13 = g[13], r->r14 = g[14], r->r15 = g[15];
    r->rip = (uint64_t)code_page;
    r->eflags = t->flags;
    r->fs_base = fs_base;
    r->gs_base = gs_base;
}

static void from_regs(const struct user_regs_struct *r, uint64_t g[16]) {
    g[0] = r->rax, g[1] = r->rcx, g[2] = r->rdx, g[3] = r->rbx;
    g[4] = r->rsp, g[5] = r->rbp, g[6] = r->rsi, g[7] = r->rdi;
    g[8] = r->r8, g[9] = r->r9, g[10] = r->r10, g[11] = r->r11;
    g[12] = r->r12, g[13] = r->r13, g[14] = r->r14, g[15] = r->r15;
}

static void fail_case(const struct test_case *t, const char *what, uint64_t cpu, uint64_t emulated) {
    char hex[64] = "";
    for (unsigned i = 0; i < t->length; i++)
        sprintf(hex + 3 * i, "%02x ", t->bytes[i]);
    fail_msg("%s: %s: cpu %lx, emulated %lx (flags before %lx, rax %lx)", hex, what, cpu, emulated, t->flags,
             t->gpr[0]);
}

static void check_result(const struct test_case *t, const struct atomic_result *r) {
    struct atomic_value before = {0}, after = {0};
    uint64_t at = t->target - (uint64_t)arena;
    memcpy(&before, t->memory + at, t->size);
    memcpy(&after, arena + at, t->size);
    if (r->address != t->target) fail_case(t, "address", t->target, r->address);
    if (memcmp(&before, &r->before, sizeof before) != 0)
        fail_case(t, "value before", before.low, r->before.low);
    if (memcmp(&after, &r->after, sizeof after) != 0) fail_case(t, "value after", after.low, r->after.low);
    const struct atomic_instruction *in = &r->instruction;
    if (in->operation != t->form->operation || in->length != t->length || in->size != t->size ||
        in->pair != !!(t->form->kind & PAIR) || in->locked != t->locked)
        fail_case(t, "instruction", t->length, in->length);
    bool failed = t->form->operation == ATOMIC_CMPXCHG && !(test_cpu.flags & ZF);
    if (r->failed != failed) fail_case(t, "failed", failed, r->failed);
}

static void compare(const struct test_case *t) {
    uint8_t bytes[ARENA];
    struct model m = {.bytes = bytes};
    struct atomic_memory memory = {.read = model_read, .write = model_write, .context = &m};
    struct user_regs_struct regs;
    struct atomic_result result;
    memcpy(bytes, t->memory, ARENA);
    to_regs(t, &regs);
    int rc = atomic_emulate(t->bytes, t->length, &regs, &memory, &result);
    if (rc != 0) fail_case(t, "return value", 0, (uint64_t)rc);
    execute(t);
    uint64_t gpr[16];
    from_regs(&regs, gpr);
    for (int i = 0; i < 16; i++)
        if (gpr[i] != test_cpu.gpr[i]) {
            char name[32];
            sprintf(name, "register %d", i);
            fail_case(t, name, test_cpu.gpr[i], gpr[i]);
        }
    uint64_t different = (regs.eflags ^ test_cpu.flags) & ~(uint64_t)undefined_flags(t->form->operation);
    if (different) fail_case(t, "flags", test_cpu.flags, regs.eflags);
    if (regs.rip != (uint64_t)code_page + t->length) fail_case(t, "rip", t->length, regs.rip);
    for (int i = 0; i < ARENA; i++)
        if (bytes[i] != arena[i]) fail_case(t, "memory", arena[i], bytes[i]);
    check_result(t, &result);
}

static void compare_faults(const struct test_case *t) {
    uint8_t bytes[ARENA];
    struct user_regs_struct regs, before;
    struct atomic_result result;
    for (int i = 0; i < 2; i++) {
        struct model m = {.bytes = bytes, .no_read = i == 0, .no_write = i == 1};
        struct atomic_memory memory = {.read = model_read, .write = model_write, .context = &m};
        memcpy(bytes, t->memory, ARENA);
        to_regs(t, &regs);
        before = regs;
        assert_int_equal(atomic_emulate(t->bytes, t->length, &regs, &memory, &result), -1);
        assert_memory_equal(&regs, &before, sizeof regs);
        assert_memory_equal(bytes, t->memory, ARENA);
    }
}

static void test_against_cpu(void **state) {
    (void)state;
    static unsigned by_form[FORMS][5]; // by log2 of the size
    unsigned fs = 0, gs = 0, narrow = 0, rip = 0, high = 0, beyond = 0, wrapped = 0, won = 0, lost = 0;
    if (getenv("ATOMIC_SEED")) seed = strtoull(getenv("ATOMIC_SEED"), NULL, 0) | 1;
    for (unsigned n = 0; n < CASES;) {
        if (n % 4096 == 0)
            set_gs(one_in(2) ? (rnd() >> 18) & ~4095ull : (uint64_t)arena - below(1 << 24)); // canonical
        struct test_case t;
        if (!generate(&t)) continue;
        n++;
        compare(&t);
        if (n % 64 == 0) compare_faults(&t);
        by_form[t.form - forms][__builtin_ctz(t.size)]++;
        fs += t.fs, gs += t.gs, narrow += t.narrow, rip += t.rip_relative, high += t.high_byte;
        beyond += t.beyond, wrapped += t.wrapped;
        if (t.form->operation == ATOMIC_CMPXCHG) *(test_cpu.flags & ZF ? &won : &lost) += 1;
    }
    // nothing of it went untested
    for (int i = 0; i < FORMS; i++)
        for (int k = 0; k < 5; k++) {
            bool possible = forms[i].kind & BYTE ? k == 0 : forms[i].kind & PAIR ? k >= 3 : k >= 1 && k <= 3;
            if (possible && by_form[i][k] < 500)
                fail_msg("form %d, size %d: only %u", i, 1 << k, by_form[i][k]);
            if (!possible) assert_int_equal(by_form[i][k], 0);
        }
    const unsigned counts[] = {fs, gs, narrow, rip, high, beyond, wrapped, won, lost};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i] < 2000) fail_msg("count %zu: only %u", i, counts[i]);
    set_gs(0);
}

// Not ours: other instructions, register destinations, a lock prefix where none may be, cut off.
static void test_refused(void **state) {
    (void)state;
    static const struct {
        uint8_t len, bytes[8];
    } others[] = {
        {2, {0x89, 0x07}},             // mov %eax,(%rdi)
        {3, {0x0f, 0xb1, 0xca}},       // cmpxchg %ecx,%edx
        {4, {0xf0, 0x0f, 0xb1, 0xca}}, // with lock: #UD
        {2, {0x87, 0xc8}},             // xchg %ecx,%eax
        {1, {0x91}},
        {2, {0x03, 0x07}}, // add (%rdi),%eax
        {3, {0xf0, 0x03, 0x07}},
        {2, {0x39, 0x07}},       // cmp %eax,(%rdi)
        {3, {0x0f, 0xa3, 0x07}}, // bt %eax,(%rdi)
        {3, {0x0f, 0xc7, 0xf0}}, // rdrand %eax
        {1, {0xf0}},
        {3, {0xf0, 0x0f, 0xb1}}, // cut off
        {1, {0x06}},
    };
    uint8_t bytes[ARENA] = {0};
    struct model m = {.bytes = bytes};
    struct atomic_memory memory = {.read = model_read, .write = model_write, .context = &m};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct test_case t = {.form = forms};
        struct user_regs_struct regs, before;
        struct atomic_instruction in;
        struct atomic_result result;
        t.gpr[7] = (uint64_t)arena;
        to_regs(&t, &regs);
        before = regs;
        assert_int_equal(atomic_emulate(others[i].bytes, others[i].len, &regs, &memory, &result), -2);
        assert_memory_equal(&regs, &before, sizeof regs);
        assert_false(atomic_decode(others[i].bytes, others[i].len, &in));
    }
}

static void test_unaligned_pair(void **state) {
    (void)state;
    static const uint8_t code[] = {0xf0, 0x48, 0x0f, 0xc7, 0x0f}; // lock cmpxchg16b (%rdi)
    uint8_t bytes[ARENA] = {0};
    struct model m = {.bytes = bytes};
    struct atomic_memory memory = {.read = model_read, .write = model_write, .context = &m};
    for (unsigned offset = 0; offset < 16; offset++) {
        struct test_case t = {.form = forms};
        struct user_regs_struct regs, before;
        struct atomic_result result;
        t.gpr[7] = (uint64_t)arena + offset;
        to_regs(&t, &regs);
        before = regs;
        int rc = atomic_emulate(code, sizeof code, &regs, &memory, &result);
        assert_int_equal(rc, offset ? -1 : 0);
        if (offset) assert_memory_equal(&regs, &before, sizeof regs);
    }
}

// What a caller classifies: a lock taken, a try that failed, a release.
static void test_lock_word(void **state) {
    (void)state;
    static const uint8_t try[] = {0xf0, 0x0f, 0xb1, 0x17}, release[] = {0x87, 0x17}; // edx with (%rdi)
    uint8_t bytes[ARENA] = {0};
    struct model m = {.bytes = bytes};
    struct atomic_memory memory = {.read = model_read, .write = model_write, .context = &m};
    struct test_case t = {.form = forms};
    struct user_regs_struct regs;
    struct atomic_result r;
    t.gpr[7] = (uint64_t)arena + 8;
    t.gpr[2] = 1;
    to_regs(&t, &regs);
    assert_int_equal(atomic_emulate(try, sizeof try, &regs, &memory, &r), 0);
    assert_false(r.failed);
    assert_int_equal(r.before.low, 0);
    assert_int_equal(r.after.low, 1);
    assert_int_equal(r.address, (uint64_t)arena + 8);
    regs.rdx = 2;
    assert_int_equal(atomic_emulate(try, sizeof try, &regs, &memory, &r), 0);
    assert_true(r.failed);
    assert_int_equal(r.before.low, 1);
    assert_int_equal(r.after.low, 1);
    assert_int_equal(r.operand.low, 2);
    assert_int_equal(regs.rax, 1);
    regs.rdx = 0;
    assert_int_equal(atomic_emulate(release, sizeof release, &regs, &memory, &r), 0);
    assert_int_equal(r.instruction.operation, ATOMIC_XCHG);
    assert_true(r.instruction.locked);
    assert_int_equal(r.after.low, 0);
    assert_int_equal(regs.rdx, 1);
    assert_int_equal(regs.rip, (uint64_t)code_page + 2 * sizeof try + sizeof release);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_unaligned_pair),
        cmocka_unit_test(test_lock_word),
        cmocka_unit_test(test_against_cpu),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
