// The ranges of calls with hand-made arguments: what a call takes out of the program, long and hostile vectors, and
// what no test can make the kernel do.
#include "core/calls/syscall_numbers.h"
#include "core/calls/syscall_ranges.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define U(x) ((uint64_t)(uintptr_t)(x))

static bool read_self(void *context, uint64_t address, void *buffer, size_t len) {
    (void)context;
    struct iovec local = {buffer, len}, remote = {(void *)address, len};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len;
}

// The bytes that an IN range covers after a call, joined.
static size_t content(long nr, const uint64_t args[6], int64_t result, char *bytes, size_t size) {
    struct syscall_range out[SYSCALL_RANGES];
    int n = syscall_ranges(nr, args, &result, read_self, NULL, out);
    assert_true(n >= 0);
    size_t used = 0;
    for (int i = 0; i < n; i++) {
        if (out[i].dir != RANGE_IN) continue;
        assert_true(used + out[i].size <= size);
        memcpy(bytes + used, (void *)(uintptr_t)out[i].address, out[i].size);
        used += out[i].size;
    }
    return used;
}

static void test_content(void **state) {
    (void)state;
    char bytes[64];
    uint64_t buffer[6] = {1, U("hello world"), 11};
    assert_int_equal(content(__NR_write, buffer, 5, bytes, sizeof bytes), 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(content(__NR_write, buffer, -EAGAIN, bytes, sizeof bytes), 0);
    assert_int_equal(content(__NR_sendto, buffer, 4, bytes, sizeof bytes), 4);
    assert_int_equal(content(__NR_pwrite64, buffer, 3, bytes, sizeof bytes), 3);
    struct iovec iov[4] = {{"abc", 3}, {NULL, 0}, {"def", 3}, {"ghi", 3}};
    uint64_t vector[6] = {1, U(iov), 4};
    assert_int_equal(content(__NR_writev, vector, 7, bytes, sizeof bytes), 7);
    assert_memory_equal(bytes, "abcdefg", 7);
    assert_int_equal(content(__NR_pwritev, vector, 9, bytes, sizeof bytes), 9);
    assert_int_equal(content(__NR_pwritev2, vector, 9, bytes, sizeof bytes), 9);
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 4};
    uint64_t message[6] = {1, U(&m), 0};
    assert_int_equal(content(__NR_sendmsg, message, 4, bytes, sizeof bytes), 4);
    assert_memory_equal(bytes, "abcd", 4);
    struct mmsghdr v[2] = {{m, 9}, {m, 2}};
    uint64_t several[6] = {1, U(v), 2, 0};
    assert_int_equal(content(__NR_sendmmsg, several, 2, bytes, sizeof bytes), 11);
    assert_memory_equal(bytes, "abcdefghiab", 11);
}

// What setsockopt() writes: the counters of a table that it replaces (struct ipt_replace, struct arpt_replace).
static void test_replaced_table(void **state) {
    (void)state;
    static uint8_t counters[3 * 16], replace[96];
    struct syscall_range out[SYSCALL_RANGES];
    int64_t done = 0, failed = -ENOMEM;
    const uint32_t count = 3;
    const uint64_t at = U(counters);
    const struct {
        int level, option;
        size_t count_at, counters_at;
    } tables[] = {{SOL_IP, 64, 84, 88}, {SOL_IPV6, 64, 84, 88}, {SOL_IP, 96, 68, 72}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const uint64_t args[6] = {3, (uint64_t)tables[i].level, (uint64_t)tables[i].option, U(replace),
                                  sizeof replace};
        memset(replace, 0, sizeof replace);
        memcpy(replace + tables[i].count_at, &count, sizeof count);
        memcpy(replace + tables[i].counters_at, &at, sizeof at);
        assert_int_equal(syscall_ranges(__NR_setsockopt, args, &done, read_self, NULL, out), 1);
        assert_int_equal(out[0].address, at);
        assert_int_equal(out[0].size, sizeof counters);
        assert_int_equal(syscall_ranges(__NR_setsockopt, args, &failed, read_self, NULL, out), 0);
    }
    const uint64_t another[6] = {3, SOL_SOCKET, 64, U(replace), sizeof replace};
    assert_int_equal(syscall_ranges(__NR_setsockopt, another, &done, read_self, NULL, out), 0);
}

// restart_syscall() has no arguments: it writes what the call writes that it goes on with.
static void test_restarted(void **state) {
    (void)state;
    const uint64_t args[6] = {0};
    struct syscall_range out[SYSCALL_RANGES];
    assert_int_equal(syscall_ranges(__NR_restart_syscall, args, NULL, read_self, NULL, out), -1);
}

// Adjoining entries of an iovec become one range; a full-size one fits; hostile ones do not.
static void test_long_iovec(void **state) {
    (void)state;
    static char data[2048];
    struct iovec iov[1025];
    struct syscall_range out[SYSCALL_RANGES];
    int64_t result = 1024;
    for (int i = 0; i < 1025; i++)
        iov[i] = (struct iovec){data + i, 1};
    uint64_t args[6] = {1, U(iov), 1024};
    assert_int_equal(syscall_ranges(__NR_readv, args, &result, read_self, NULL, out), 1);
    assert_int_equal(out[0].size, 1024);
    args[2] = 1025;
    assert_int_equal(syscall_ranges(__NR_readv, args, NULL, read_self, NULL, out), 0);
    for (int i = 0; i < 1024; i++)
        iov[i] = (struct iovec){data + (i * 2) % 2000, 1};
    args[2] = 1024;
    int n = syscall_ranges(__NR_readv, args, &result, read_self, NULL, out);
    assert_true(SYSCALL_RANGES > 1024 ? n > 0 : n == -2);
    args[1] = 8;
    assert_int_equal(syscall_ranges(__NR_readv, args, NULL, read_self, NULL, out), 0);
    args[1] = U(iov);
    for (int i = 0; i < 3; i++)
        iov[i] = (struct iovec){(void *)~0ull, ~0ull};
    args[2] = 3;
    assert_true(syscall_ranges(__NR_readv, args, NULL, read_self, NULL, out) >= 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_replaced_table),
        cmocka_unit_test(test_restarted),
        cmocka_unit_test(test_long_iovec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
