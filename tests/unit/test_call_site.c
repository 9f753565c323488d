// Calls by way of a jump. Each piece of code runs in this process with random registers: as it is, with a jump and the call made
// by the code in the annex, with a jump and the call declined, and with a result from a list. All registers and flags must
// come out the same, and the ring must say what they were at the `syscall`.
#include "core/calls/call_code.h"
#include "core/calls/call_rows.h"
#include "core/calls/call_site.h"
#include "core/calls/syscall_ranges.h"
#include "core/calls/syscalls.h"
#include "core/random.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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
    size_t bytes;    // that the entry has of what was written there
    unsigned ranges; // 0: one if there are bytes
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
    assert_int_equal(e->ranges, w->ranges ? w->ranges : w->bytes != 0);
    if (!w->bytes) return;
    assert_int_equal(b->address, (uint64_t)w->address);
    assert_int_equal(b->length, w->bytes);
    assert_memory_equal(b + 1, w->address, w->bytes);
}

static void check_calls(const struct wanted_call *calls, size_t count) {
    for (size_t i = 0; i < count; i++)
        check_call(&calls[i]);
}

// ---- the ranges of core/calls/call_rows.def are those of core/calls/syscalls.def

static bool no_memory(void *context, uint64_t address, void *buffer, size_t len) {
    (void)context, (void)address, (void)buffer, (void)len;
    return false;
}

static uint64_t size_wanted(const struct call_range *g, const uint64_t args[6], int64_t result) {
    if (g->size == CALL_SIZE_FIXED) return g->scale;
    return (g->size == CALL_SIZE_RESULT ? (uint64_t)result : args[g->limit]) * g->scale;
}

static void check_row(long nr, const struct call_row *row) {
    enum { COUNT = 40, RESULT = 8 };
    static struct syscall_range ranges[SYSCALL_RANGES];
    const int64_t result = RESULT;
    uint64_t args[6], address = 0x10000;
    for (int i = 0; i < 6; i++, address += 0x10000)
        args[i] = address;
    if (nr == SYS_recvfrom) args[4] = 0; // with an address it is declined
    unsigned wanted = 0;
    for (unsigned i = 0; i < CALL_RANGES; i++) {
        const struct call_range *g = &row->range[i];
        wanted += g->arg != 0;
        if (g->arg && g->size != CALL_SIZE_FIXED) args[g->limit] = COUNT;
    }
    int n = syscall_ranges(nr, args, &result, no_memory, NULL, ranges);
    if (n != (int)wanted) fail_msg("%s: %d ranges, the row has %u", syscall_name(nr), n, wanted);
    for (int i = 0; i < n; i++) {
        const struct call_range *g = &row->range[i];
        if (ranges[i].address != args[g->arg - 1] || ranges[i].size != size_wanted(g, args, result))
            fail_msg("%s: other bytes than the row says", syscall_name(nr));
    }
}

static void test_rows(void **state) {
    (void)state;
    int compared = 0;
    for (long nr = 0; nr < CALL_ROW_COUNT; nr++) {
        const struct call_row *row = &call_rows[nr];
        bool vector = row->kind >= CALL_READS_VECTOR && row->kind <= CALL_SENDS_MESSAGE;
        if (row->kind == CALL_DECLINED || vector || row->kind == CALL_FUTEX || row->kind == CALL_FCNTL)
            continue;
        check_row(nr, row);
        compared++;
    }
    assert_true(compared > 40);
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
        {"bad room", SYS_epoll_wait, {fd, at, ~0u, 0}, true, -EINVAL, NULL, 0, 0},
        {"too much room", SYS_epoll_wait, {fd, at, INT32_MAX, 0}, false, 0, NULL, 0, 0},
        {"room past the end", SYS_epoll_wait, {fd, 0x7fffffffe000, ROOM, 0}, false, 0, NULL, 0, 0},
        {"many ready", SYS_epoll_wait, {fd, at, ROOM, ~0ull}, true, CALL_SOME, events, full, 0},
        {"the others", SYS_epoll_pwait, {fd, at, ROOM, 5, 0, 8}, true, READY - CALL_SOME, events, rest, 0},
        {"a mask", SYS_epoll_pwait, {fd, at, ROOM, 5, at, 8}, false, 0, NULL, 0, 0},
        {"nothing, and no time", SYS_epoll_wait, {fd, at, ROOM, 0}, true, 0, NULL, 0, 0},
        {"nothing yet", SYS_epoll_wait, {fd, at, ROOM, 1}, false, 0, NULL, 0, 0},
    };
    check_calls(calls, sizeof calls / sizeof *calls);
    for (int i = 0; i < READY; i++)
        close(fds[i]);
    close(epoll);
}

static void ignored(int signal) {
    (void)signal;
}

// Without an address and control messages; the header, the iovec and the bytes are in the entry.
static void test_messages(void **state) {
    (void)state;
    static char sent[] = "abcdef", got[16], control[64];
    static struct sockaddr_storage name;
    static struct iovec from[] = {{sent, 2}, {sent + 2, 4}}, to[] = {{got, 5}, {got + 5, 5}}, nothing[9];
    static struct msghdr out = {.msg_iov = from, .msg_iovlen = 2}, in = {.msg_iov = to, .msg_iovlen = 2},
                         with_control = {.msg_control = control, .msg_controllen = sizeof control},
                         with_name = {.msg_name = &name, .msg_namelen = sizeof name},
                         long_one = {.msg_iov = nothing, .msg_iovlen = 9};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    const uint64_t a = (uint64_t)pair[0], b = (uint64_t)pair[1], size = sizeof out;
    const struct wanted_call calls[] = {
        {"nothing there", SYS_recvmsg, {b, (uint64_t)&in, MSG_DONTWAIT}, false, 0, NULL, 0, 0},
        {"two parts", SYS_sendmsg, {a, (uint64_t)&out}, true, 6, &out, size, 4},
        {"an address", SYS_recvmsg, {b, (uint64_t)&with_name, MSG_PEEK}, false, 0, NULL, 0, 0},
        {"control messages", SYS_recvmsg, {b, (uint64_t)&with_control, MSG_PEEK}, false, 0, NULL, 0, 0},
        {"many parts", SYS_recvmsg, {b, (uint64_t)&long_one, MSG_PEEK}, false, 0, NULL, 0, 0},
        {"a look", SYS_recvmsg, {b, (uint64_t)&in, MSG_PEEK}, true, 6, &in, size, 4},
        {"the length", SYS_recvmsg, {b, (uint64_t)&in, MSG_TRUNC | MSG_PEEK}, false, 0, NULL, 0, 0},
        {"all", SYS_recvmsg, {b, (uint64_t)&in, MSG_CMSG_CLOEXEC}, true, 6, &in, size, 4},
        {"out of band, and no socket", SYS_sendmsg, {~0u, (uint64_t)&out, MSG_OOB}, false, 0, NULL, 0, 0},
    };
    check_calls(calls, sizeof calls / sizeof *calls);
    assert_memory_equal(got, "abcdef", 6);
    shutdown(pair[0], SHUT_WR);
    const struct wanted_call end = {"the end", SYS_recvmsg, {b, (uint64_t)&in}, true, 0, &in, size, 2};
    in.msg_flags = MSG_CTRUNC;
    check_call(&end);
    assert_int_equal(in.msg_flags, 0);
    close(pair[0]);
    close(pair[1]);
}

// A signal that waits comes when the mask lets it, at once: at a stop.
static void test_masks(void **state) {
    (void)state;
    static sigset_t usr, old;
    const uint64_t set = (uint64_t)&usr, was = (uint64_t)&old;
    enum { SIZE = 8 };
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    const struct wanted_call calls[] = {
        {"block", SYS_rt_sigprocmask, {SIG_BLOCK, set, was, SIZE}, true, 0, &old, SIZE, 0},
        {"unblock", SYS_rt_sigprocmask, {SIG_UNBLOCK, set, 0, SIZE}, true, 0, NULL, 0, 0},
        {"bad size", SYS_rt_sigprocmask, {SIG_BLOCK, set, was, 4}, true, -EINVAL, NULL, 0, 0},
        {"nowhere", SYS_rt_sigprocmask, {SIG_BLOCK, 8, was, SIZE}, false, 0, NULL, 0, 0},
        {"block again", SYS_rt_sigprocmask, {SIG_SETMASK, set, was, SIZE}, true, 0, &old, SIZE, 0},
    };
    check_calls(calls, sizeof calls / sizeof *calls);
    signal(SIGUSR1, SIG_DFL);
    raise(SIGUSR1);
    const struct wanted_call waiting[] = {
        {"block with one that waits",
         SYS_rt_sigprocmask,
         {SIG_BLOCK, set, was, SIZE},
         true,
         0,
         &old,
         SIZE,
         0},
        {"ask with one that waits", SYS_rt_sigprocmask, {99, 0, was, SIZE}, true, 0, &old, SIZE, 0},
        {"unblock it", SYS_rt_sigprocmask, {SIG_UNBLOCK, set, 0, SIZE}, false, 0, NULL, 0, 0},
    };
    signal(SIGUSR1, SIG_DFL);
    check_calls(waiting, 2);
    signal(SIGUSR1, ignored); // it comes when the declined call is made
    check_call(&waiting[2]);
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
                                       cmocka_unit_test(test_rows),      cmocka_unit_test(test_events),
                                       cmocka_unit_test(test_messages),  cmocka_unit_test(test_masks),
                                       cmocka_unit_test(test_image)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
