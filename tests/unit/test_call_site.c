// Calls by way of a jump. Each piece of code runs in this process with random registers: as it is, with a jump and the call made
// by the code in the annex, with a jump and the call declined, and with a result from a list. All registers and flags must
// come out the same, and the ring must say what they were at the `syscall`.
#include "core/calls/call_code.h"
#include "core/calls/call_rows.h"
#include "core/calls/call_site.h"
#include "core/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

enum { ROUNDS = 2000, FLAGS = 0x8d5 /* those of arithmetic */, MADE_UP = 12345 };

struct registers {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, flags;
};

struct registers call_registers;
uint64_t call_code;
void call_with_registers(void);

// clang-format off
#define EACH(X) \
    X(rax, 0) X(rbx, 8) X(rcx, 16) X(rdx, 24) X(rsi, 32) X(rdi, 40) X(rbp, 48) X(r8, 56) X(r9, 64) X(r10, 72) X(r11, 80) \
    X(r12, 88) X(r13, 96) X(r14, 104) X(r15, 112)
#define LOAD(r, at)  "mov call_registers+" #at "(%rip),%" #r "\n"
#define STORE(r, at) "mov %" #r ",call_registers+" #at "(%rip)\n"
__asm__(".text\n.globl call_with_registers\ncall_with_registers:\n"
        "push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "pushq call_registers+120(%rip)\npopfq\n" EACH(LOAD)
        "call *call_code(%rip)\n" EACH(STORE)
        "pushfq\npopq call_registers+120(%rip)\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n");
// clang-format on

static uint8_t *page, *stubs;
static struct call_control *const control = (void *)CALL_CONTROL;

static int setup(void **state) {
    (void)state;
    uint8_t image[CALL_CODE_SIZE];
    void *at = mmap((void *)ANNEX_CALLS, ANNEX_CALLS_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    page = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at != (void *)ANNEX_CALLS || page == MAP_FAILED || !call_code_image(image)) return -1;
    stubs = page + 4096;
    memcpy(at, image, sizeof image);
    memcpy((void *)CALL_ROWS, call_rows, sizeof call_rows);
    return 0;
}

struct piece_of_code {
    const char *name;
    uint8_t bytes[48];
    size_t len;     // up to and with the `syscall`
    int64_t rax;    // given: -1: any
    bool other_way; // does it leave before the call when rdi is odd?
};

// What follows is ret, and 8 bytes of data at offset 64.
static const struct piece_of_code pieces[] = {
    {"mov $nr,%eax", {0xb8, SYS_getppid, 0, 0, 0, 0x0f, 0x05}, 7, -1, false},
    // cmpb $0,data(%rip); jne over; mov $nr,%eax needs no more than itself
    {"test before",
     {0x80, 0x3d, 57, 0, 0, 0, 0, 0x75, 0x07, 0xb8, SYS_getppid, 0, 0, 0, 0x0f, 0x05},
     16,
     -1,
     false},
    // cmpb $0,data(%rip); jne ret; mov %edi,%eax; syscall
    {"long one before", {0x80, 0x3d, 57, 0, 0, 0, 0, 0x75, 0x04, 0x89, 0xf8, 0x0f, 0x05}, 13, -1, false},
    // mov %rdi,%rax; mov %rcx,%r10; mov 8(%rsp),%r9; syscall
    {"stack", {0x48, 0x89, 0xf8, 0x49, 0x89, 0xca, 0x4c, 0x8b, 0x4c, 0x24, 0x08, 0x0f, 0x05}, 13, -1, false},
    // test $1,%dil (4); lea 0x1000(%rbx),%r8 (7); jne ret; mov %edi,%eax
    {"way out",
     {0x40, 0xf6, 0xc7, 1, 0x4c, 0x8d, 0x83, 0, 0x10, 0, 0, 0x75, 0x04, 0x89, 0xf8, 0x0f, 0x05},
     17,
     -1,
     true},
};

static void fill(struct registers *r, uint64_t *seed) {
    for (size_t i = 0; i < sizeof *r / 8; i++)
        ((uint64_t *)r)[i] = random_next(seed);
    r->flags = (r->flags & FLAGS) | 0x202;
    r->rdi = SYS_getppid; // the number, where the code takes it from there
}

static struct registers run(const struct registers *in) {
    call_registers = *in;
    call_with_registers();
    return call_registers;
}

static void assert_same(const struct registers *a, const struct registers *b, const char *what,
                        const char *how) {
    if (!memcmp(a, b, sizeof *a)) return;
    for (size_t i = 0; i < sizeof *a / 8; i++)
        if (((const uint64_t *)a)[i] != ((const uint64_t *)b)[i])
            print_message("%s, %s: register %zu is 0x%lx, and 0x%lx as it was\n", what, how, i,
                          ((const uint64_t *)b)[i], ((const uint64_t *)a)[i]);
    fail();
}

static void one(const struct piece_of_code *c, const struct call_site *site, const struct registers *in) {
    uint8_t *patch = page + (site->address - (uint64_t)page), original[CALL_PATCH_MAX];
    const struct call_entry *e = (const void *)CALL_RING;
    struct registers plain = run(in), other;
    bool leaves = c->other_way && in->rdi & 1;
    memcpy(original, patch, site->patch_len);
    memcpy(patch, site->patch, site->patch_len);
    *control = (struct call_control){.head = CALL_RING, .left = 1};
    other = run(in);
    assert_same(&plain, &other, c->name, "made");
    assert_int_equal(control->head - CALL_RING, leaves ? 0 : sizeof *e);
    if (!leaves) {
        assert_int_equal(e->nr, SYS_getppid);
        assert_int_equal(e->result, getppid());
        assert_int_equal(e->rip, (uint64_t)page + c->len);
        assert_true(e->rdi == in->rdi && e->rsi == in->rsi && e->rbx == in->rbx && e->rdx == in->rdx &&
                    e->r12 == in->r12 && e->r15 == in->r15 && e->rflags == plain.r11);
    }
    *control = (struct call_control){.head = CALL_RING};
    other = run(in);
    assert_same(&plain, &other, c->name, "declined");
    assert_int_equal(control->head, CALL_RING);
    struct call_fed fed = {
        .size = sizeof fed, .nr = SYS_getppid, .result = MADE_UP, .rip = (uint64_t)page + c->len};
    memcpy((void *)CALL_FEED, &fed, sizeof fed);
    *control = (struct call_control){.head = CALL_RING, .left = 2, .feed = CALL_FEED};
    other = run(in);
    if (!leaves) assert_int_equal(other.rax, MADE_UP);
    other.rax = plain.rax;
    assert_same(&plain, &other, c->name, "fed");
    memcpy(patch, original, site->patch_len);
}

static void test_registers(void **state) {
    (void)state;
    uint64_t seed = 1;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        const struct piece_of_code *c = &pieces[i];
        struct call_site site;
        memset(page, 0, 8192);
        memcpy(page, c->bytes, c->len);
        page[c->len] = 0xc3;
        call_code = (uint64_t)page;
        bool built =
            call_site_build(page, (uint64_t)page, (uint64_t)page + c->len - 2, (uint64_t)stubs, &site);
        if (!built) print_message("no jump for '%s'\n", c->name);
        assert_true(built);
        memcpy(stubs, site.stub, site.stub_len);
        for (int round = 0; round < ROUNDS; round++) {
            struct registers in;
            fill(&in, &seed);
            in.rdi += c->other_way && round & 1;
            one(c, &site, &in);
        }
    }
}

// ---- which calls are made, and what the ring has of them

struct wanted_call {
    const char *name;
    uint64_t nr, args[6];
    bool made;
    int64_t result; // where it is made
    const void *address;
    size_t bytes; // that the entry has of what was written there
};

// `mov $nr,%eax; syscall; ret` with its jump. Returns what the call does.
static int64_t call_by_jump(const struct wanted_call *w) {
    struct call_site site;
    const uint8_t code[] = {0xb8, (uint8_t)w->nr, (uint8_t)(w->nr >> 8), 0, 0, 0x0f, 0x05, 0xc3};
    memset(page, 0, 8192);
    memcpy(page, code, sizeof code);
    assert_true(call_site_build(page, (uint64_t)page, (uint64_t)page + 5, (uint64_t)stubs, &site));
    memcpy(stubs, site.stub, site.stub_len);
    memcpy(page, site.patch, site.patch_len);
    call_code = (uint64_t)page;
    *control = (struct call_control){.head = CALL_RING, .left = 1};
    struct registers in = {.rdi = w->args[0], .rsi = w->args[1], .rdx = w->args[2], .r10 = w->args[3]};
    in.r8 = w->args[4], in.r9 = w->args[5], in.flags = 0x202;
    return (int64_t)run(&in).rax;
}

static void check_call(const struct wanted_call *w) {
    const struct call_entry *e = (const void *)CALL_RING;
    const struct call_bytes *b = (const void *)(e + 1);
    int64_t result = call_by_jump(w);
    bool made = control->head != CALL_RING;
    if (made != w->made) fail_msg("%s: %s", w->name, made ? "made without a stop" : "declined");
    if (!made) return;
    if (result != w->result) fail_msg("%s: %ld", w->name, (long)result);
    assert_int_equal(e->result, result);
    assert_int_equal(e->ranges, w->bytes != 0);
    if (!w->bytes) return;
    assert_int_equal(b->address, (uint64_t)w->address);
    assert_int_equal(b->length, w->bytes);
    assert_memory_equal(b + 1, w->address, w->bytes);
}

// More events than the ring has room for: redis asks for 10,128.
static void test_events(void **state) {
    (void)state;
    enum { READY = CALL_SOME + 10, ROOM = 10128 };
    static struct epoll_event events[ROOM];
    static int fds[READY];
    int epoll = epoll_create1(0);
    uint64_t fd = (uint64_t)epoll, at = (uint64_t)events, one = 1;
    for (int i = 0; i < READY; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = (uint32_t)i};
        fds[i] = eventfd(0, 0);
        assert_true(fds[i] >= 0 && write(fds[i], &one, sizeof one) == sizeof one);
        assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event), 0);
    }
    const uint64_t full = CALL_SOME * sizeof *events, rest = (READY - CALL_SOME) * sizeof *events;
    const struct wanted_call calls[] = {
        {"bad room", SYS_epoll_wait, {fd, at, ~0u, 0}, true, -EINVAL, NULL, 0},
        {"too much room", SYS_epoll_wait, {fd, at, INT32_MAX, 0}, false, 0, NULL, 0},
        {"room past the end", SYS_epoll_wait, {fd, 0x7fffffffe000, ROOM, 0}, false, 0, NULL, 0},
        {"many ready", SYS_epoll_wait, {fd, at, ROOM, ~0ull}, true, CALL_SOME, events, full},
        {"the others", SYS_epoll_pwait, {fd, at, ROOM, 5, 0, 8}, true, READY - CALL_SOME, events, rest},
        {"a mask", SYS_epoll_pwait, {fd, at, ROOM, 5, at, 8}, false, 0, NULL, 0},
        {"nothing, and no time", SYS_epoll_wait, {fd, at, ROOM, 0}, true, 0, NULL, 0},
        {"nothing yet", SYS_epoll_wait, {fd, at, ROOM, 1}, false, 0, NULL, 0},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        check_call(&calls[i]);
    for (int i = 0; i < READY; i++)
        close(fds[i]);
    close(epoll);
}

// Where there can be no jump.
static void test_refused(void **state) {
    (void)state;
    static const struct piece_of_code none[] = {
        {"nothing before", {0x0f, 0x05}, 2, 0, false},
        {"all short: xor %eax,%eax", {0x31, 0xc0, 0x0f, 0x05}, 4, 0, false},
        {"behind a call", {0xe8, 0, 0, 0, 0, 0x0f, 0x05}, 7, 0, false},
        {"may fault: mov 0x1000(%rdi),%eax", {0x8b, 0x87, 0, 0x10, 0, 0, 0x0f, 0x05}, 8, 0, false},
        {"atomic: lock incl data(%rip)", {0xf0, 0xff, 0x05, 1, 0, 0, 0, 0x0f, 0x05}, 9, 0, false},
        {"no syscall", {0xb8, 1, 0, 0, 0, 0x0f, 0x0b}, 7, 0, false},
        {"in the middle of an instruction", {0xb8, 1, 0, 0x0f, 0x05}, 5, 0, false},
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct call_site site;
        if (call_site_build(none[i].bytes, 0x400000, 0x400000 + none[i].len - 2, 0x500000, &site))
            fail_msg("a jump for '%s'", none[i].name);
    }
    struct call_site far;
    assert_false(call_site_build(pieces[0].bytes, 0x400000, 0x400005, 0x7ffff0000000, &far));
}

// The code is copied to another place: nothing in it may lead out of it.
static void test_image(void **state) {
    (void)state;
    uint8_t image[CALL_CODE_SIZE];
    assert_true(call_code_image(image));
    assert_memory_equal(image, "\x0f\x05\xc3", 3);
    assert_memory_equal(image + (CALL_COPY - ANNEX_CALLS), "\xf3\xa4\xc3", 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_registers), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_events), cmocka_unit_test(test_image)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
