// The table itself: a row for every number, answers without the kernel, what may block, and the text of a
// call.
#include "core/calls/syscall_numbers.h"
#include "core/calls/syscall_ranges.h"
#include "core/calls/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define LAST      469
#define ARGS(...) ((const uint64_t[6]){__VA_ARGS__})

static bool read_self(void *context, uint64_t address, void *buffer, size_t len) {
    (void)context;
    if (address < 0x100000) return false;
    memcpy(buffer, (const void *)(uintptr_t)address, len);
    return true;
}

static bool unused_number(long nr) {
    return nr < 0 || (nr > 336 && nr < 424) || nr > LAST;
}

static void test_every_number_has_a_row(void **state) {
    (void)state;
    int rows = 0;
    for (long nr = -2; nr < 600; nr++) {
        const struct syscall_row *row = syscall_row(nr);
        assert_non_null(row);
        assert_true(row->args <= 6);
        assert_true(row->policy <= POLICY_REFUSE);
        if (unused_number(nr)) {
            assert_string_equal(row->name, "unknown");
            assert_int_equal(row->policy, POLICY_REFUSE);
            assert_int_equal(row->answer, ENOSYS);
            continue;
        }
        rows++;
        assert_string_not_equal(row->name, "unknown");
        // FAKE rows hold a raw result, REFUSE rows an errno
        if (row->policy == POLICY_REFUSE) assert_in_range(row->answer, 1, 4095);
        if (row->policy == POLICY_FAKE) assert_true(row->answer <= 0);
        if (row->policy < POLICY_FAKE) assert_int_equal(row->answer, 0);
    }
    assert_int_equal(rows, 337 + LAST - 424 + 1);
    assert_string_equal(syscall_name(999), "syscall_999");
    assert_string_equal(syscall_name(-1), "syscall_-1");
    assert_string_equal(syscall_name(__NR_openat), "openat");
}

// Exactly the calls of these policies: the engines have code for each.
static void test_policies(void **state) {
    (void)state;
    static const long tasks[] = {__NR_rt_sigreturn,    __NR_clone,           __NR_fork,
                                 __NR_vfork,           __NR_execve,          __NR_exit,
                                 __NR_arch_prctl,      __NR_set_tid_address, __NR_exit_group,
                                 __NR_restart_syscall, __NR_set_robust_list, __NR_execveat,
                                 __NR_clone3};
    static const long memory[] = {__NR_mmap,          __NR_mprotect,   __NR_munmap,         __NR_brk,
                                  __NR_mremap,        __NR_madvise,    __NR_shmat,          __NR_shmdt,
                                  __NR_pkey_mprotect, __NR_modify_ldt, __NR_process_madvise};
    size_t task_rows = 0, memory_rows = 0;
    for (long nr = 0; nr <= LAST; nr++) {
        task_rows += syscall_row(nr)->policy == POLICY_TASK;
        memory_rows += syscall_row(nr)->policy == POLICY_MEMORY;
    }
    assert_int_equal(task_rows, sizeof tasks / sizeof tasks[0]);
    assert_int_equal(memory_rows, sizeof memory / sizeof memory[0]);
    for (size_t i = 0; i < task_rows; i++)
        assert_int_equal(syscall_row(tasks[i])->policy, POLICY_TASK);
    for (size_t i = 0; i < memory_rows; i++)
        assert_int_equal(syscall_row(memory[i])->policy, POLICY_MEMORY);
}

// What has no ranges is never run, and what is run has ranges: for every number and many requests.
static void test_ranges_and_answers_agree(void **state) {
    (void)state;
    struct syscall_range out[SYSCALL_RANGES];
    for (long nr = -1; nr < 600; nr++) {
        for (uint64_t request = 0; request < 0x6000; request += request < 1100 ? 1 : 0x10) {
            const uint64_t args[6] = {request, request, 0, 0, 0, 0};
            int64_t answer = 77;
            bool said = false;
            bool answered = syscall_answer(nr, args, &answer, &said);
            int n = syscall_ranges(nr, args, NULL, read_self, NULL, out);
            if (n < 0 && nr != __NR_restart_syscall) assert_true(answered && said);
            if (answered) {
                assert_in_range(answer + 4095, 0, 4096 + 4095);
                if (syscall_row(nr)->policy == POLICY_REFUSE) assert_true(said && answer < 0);
            }
        }
    }
}

static int64_t answer_of(long nr, const uint64_t args[6], bool expect_said) {
    int64_t answer = 77;
    bool said = !expect_said;
    assert_true(syscall_answer(nr, args, &answer, &said));
    assert_int_equal(said, expect_said);
    return answer;
}

static void runs(long nr, const uint64_t args[6]) {
    int64_t answer = 77;
    bool said = false;
    assert_false(syscall_answer(nr, args, &answer, &said));
}

static void test_answers(void **state) {
    (void)state;
    runs(__NR_read, ARGS(0, 0, 0));
    assert_int_equal(answer_of(__NR_rseq, ARGS(0), false), -ENOSYS);
    assert_int_equal(answer_of(__NR_io_uring_setup, ARGS(0), true), -ENOSYS);
    assert_int_equal(answer_of(__NR_userfaultfd, ARGS(0), true), -EPERM);
    assert_int_equal(answer_of(__NR_ptrace, ARGS(0), true), -EPERM);
    assert_int_equal(answer_of(__NR_sched_setaffinity, ARGS(0), false), 0);
    assert_int_equal(answer_of(999, ARGS(0), true), -ENOSYS);
    // ioctl: the request is 32 bits wide, whatever is above them
    assert_int_equal(answer_of(__NR_ioctl, ARGS(0, 0xdead), true), -ENOTTY);
    runs(__NR_ioctl, ARGS(0, 0xc020660b));
    runs(__NR_fanotify_init, ARGS(0x2, 0));
    assert_int_equal(answer_of(__NR_fanotify_init, ARGS(0x4, 0), true), -EPERM);
    runs(__NR_ioctl, ARGS(0, 0x5401));
    runs(__NR_ioctl, ARGS(0, 0xffffffff80045430));
    assert_int_equal(answer_of(__NR_fcntl, ARGS(0, 500), true), -EINVAL);
    runs(__NR_fcntl, ARGS(0, F_GETFL));
    runs(__NR_prctl, ARGS(PR_SET_NAME));
    runs(__NR_prctl, ARGS(PR_SET_PDEATHSIG, 9));
    assert_int_equal(answer_of(__NR_prctl, ARGS(PR_SET_TSC, 1), false), 0);
    assert_int_equal(answer_of(__NR_prctl, ARGS(PR_SET_DUMPABLE, 0), false), 0);
    assert_int_equal(answer_of(__NR_prctl, ARGS(PR_SET_DUMPABLE, 2), false), -EINVAL);
    // Filters are the recorder's own matter; what comes here is a listener.
    assert_int_equal(answer_of(__NR_prctl, ARGS(PR_SET_SECCOMP, 2, 0x1000), false), -EINVAL);
    assert_int_equal(answer_of(__NR_prctl, ARGS(12345), true), -EINVAL);
    runs(__NR_prctl, ARGS(PR_SET_MM, PR_SET_MM_ARG_START));
    assert_int_equal(answer_of(__NR_prctl, ARGS(PR_SET_MM, PR_SET_MM_BRK), true), -EPERM);
    assert_int_equal(answer_of(__NR_seccomp, ARGS(1, 8, 0x1000), true), -EINVAL);
    runs(__NR_arch_prctl, ARGS(0x1002, 0x1000));
    assert_int_equal(answer_of(__NR_arch_prctl, ARGS(0x1011), false), 1);
    assert_int_equal(answer_of(__NR_arch_prctl, ARGS(0x1012, 1), false), 0);
    assert_int_equal(answer_of(__NR_arch_prctl, ARGS(0x1012, 0), false), -ENODEV);
    assert_int_equal(answer_of(__NR_arch_prctl, ARGS(0x3001), false), -EINVAL);
    runs(__NR_unshare, ARGS(CLONE_FILES));
    runs(__NR_unshare, ARGS(CLONE_NEWPID));
    assert_int_equal(answer_of(__NR_getsockopt, ARGS(3, 6, 35), true), -ENOPROTOOPT);
    runs(__NR_getsockopt, ARGS(3, 6, 11));
    assert_int_equal(answer_of(__NR_futex, ARGS(0, 99), true), -ENOSYS);
    runs(__NR_futex, ARGS(0, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME));
}

static void test_may_block(void **state) {
    (void)state;
    static const struct {
        long nr;
        uint64_t args[6];
        bool blocks;
    } cases[] = {
        {__NR_read, {0}, true},
        {__NR_write, {1}, true},
        {__NR_close, {0}, false},
        {__NR_getpid, {0}, false},
        {__NR_fsync, {0}, false},
        {__NR_sched_yield, {0}, false},
        {__NR_execve, {0}, false},
        {__NR_pause, {0}, true},
        {__NR_poll, {0, 1, 0}, false},
        {__NR_poll, {0, 1, 0xffffffff}, true},
        {__NR_poll, {0, 1, 0xffffffff00000000}, false},
        {__NR_epoll_wait, {0, 0, 1, 0}, false},
        {__NR_epoll_wait, {0, 0, 1, 5}, true},
        {__NR_openat, {0, 0, O_RDONLY | O_CLOEXEC}, true},
        {__NR_openat, {0, 0, O_RDONLY | O_NONBLOCK}, false},
        {__NR_openat, {0, 0, O_DIRECTORY}, false},
        {__NR_wait4, {0, 0, WNOHANG}, false},
        {__NR_wait4, {0, 0, 0}, true},
        {__NR_waitid, {0, 0, 0, WEXITED | WNOHANG}, false},
        {__NR_waitid, {0, 0, 0, WEXITED}, true},
        {__NR_recvfrom, {0, 0, 0, MSG_DONTWAIT}, false},
        {__NR_recvmsg, {0, 0, 0}, true},
        {__NR_flock, {0, LOCK_EX}, true},
        {__NR_flock, {0, LOCK_EX | LOCK_NB}, false},
        {__NR_flock, {0, LOCK_UN}, false},
        {__NR_fcntl, {0, F_SETLK}, false},
        {__NR_fcntl, {0, F_SETLKW}, true},
        {__NR_fcntl, {0, F_OFD_SETLKW}, true},
        {__NR_fcntl, {0, F_DUPFD}, false},
        {__NR_futex, {0, FUTEX_WAIT}, true},
        {__NR_futex, {0, FUTEX_WAIT | FUTEX_PRIVATE_FLAG}, true},
        {__NR_futex, {0, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME}, true},
        {__NR_futex, {0, FUTEX_WAKE | FUTEX_PRIVATE_FLAG}, false},
        {__NR_futex, {0, FUTEX_LOCK_PI}, true},
        {__NR_futex, {0, FUTEX_TRYLOCK_PI}, false},
        {__NR_futex, {0, FUTEX_WAIT_REQUEUE_PI}, true},
        {__NR_futex, {0, FUTEX_CMP_REQUEUE}, false},
        {__NR_futex_waitv, {0}, true},
        {__NR_futex_wake, {0}, false},
        {__NR_clone, {CLONE_VM | CLONE_VFORK}, true},
        {__NR_clone, {CLONE_VM | CLONE_THREAD}, false},
        {__NR_vfork, {0}, true},
        {__NR_ioctl, {0, 0x5401}, false},
        {__NR_ioctl, {0, 0x5409}, true},
        {__NR_preadv2, {0, 0, 1, UINT64_MAX}, true},
        {__NR_preadv2, {0, 0, 1, 100}, false},
        {__NR_msgrcv, {0, 0, 0, 0, 04000}, false},
        {__NR_msgrcv, {0, 0, 0, 0, 0}, true},
        {999, {0}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (syscall_may_block(cases[i].nr, cases[i].args) == cases[i].blocks) continue;
        fail_msg("%s (case %zu) should %sblock", syscall_name(cases[i].nr), i, cases[i].blocks ? "" : "not ");
    }
}

// What a call waits for, and whether it says itself when it stops.
static void test_waits(void **state) {
    (void)state;
    enum { NEVER = 0xffffffff };
    static const struct {
        long nr;
        uint64_t args[6];
        enum syscall_wait wait;
        bool timeout, only_sleeps;
    } cases[] = {
        {__NR_close, {0}, WAITS_NOT, false, false},
        {__NR_read, {0}, WAITS_FD, false, false},
        {__NR_futex, {0, FUTEX_WAIT, 0, 0x1000}, WAITS_FUTEX, true, false},
        {__NR_futex, {0, FUTEX_WAIT}, WAITS_FUTEX, false, false},
        {__NR_futex_wait, {0, 0, 0, 0, 0x1000}, WAITS_ELSE, true, false},
        {__NR_poll, {0x1000, 1, NEVER}, WAITS_POLL, false, false},
        {__NR_poll, {0x1000, 1, 0}, WAITS_POLL, true, false},
        {__NR_poll, {0, 0, 50}, WAITS_POLL, true, true},
        {__NR_ppoll, {0, 0, 0}, WAITS_POLL, false, true},
        {__NR_ppoll, {0x1000, 1, 0x2000}, WAITS_POLL, true, false},
        {__NR_select, {0, 0, 0, 0, 0x1000}, WAITS_SELECT, true, true},
        {__NR_pselect6, {3, 0x1000, 0, 0, 0}, WAITS_SELECT, false, false},
        {__NR_epoll_wait, {3, 0x1000, 1, NEVER}, WAITS_EPOLL, false, false},
        {__NR_epoll_pwait2, {3, 0x1000, 1, 0x2000}, WAITS_EPOLL, true, false},
        {__NR_semop, {0, 0, 0, 0x1000}, WAITS_SYSV, false, false},
        {__NR_semtimedop, {0, 0, 0, 0x1000}, WAITS_SYSV, true, false},
        {__NR_clock_nanosleep, {0}, WAITS_TIME, true, true},
        {__NR_rt_sigtimedwait, {0x1000, 0, 0, 8}, WAITS_SIGNAL, false, false},
        {__NR_rt_sigtimedwait, {0x1000, 0, 0x2000, 8}, WAITS_SIGNAL, true, false},
        {__NR_recvmmsg, {0, 0, 0, 0, 0x1000}, WAITS_ELSE, false, false},
        {__NR_restart_syscall, {0}, WAITS_AGAIN, true, false},
        {__NR_ptrace, {0}, WAITS_NOT, false, false},
        {999, {0}, WAITS_NOT, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(syscall_wait(cases[i].nr), cases[i].wait);
        assert_int_equal(syscall_has_timeout(cases[i].nr, cases[i].args), cases[i].timeout);
        assert_int_equal(syscall_only_sleeps(cases[i].nr, cases[i].args), cases[i].only_sleeps);
    }
    assert_int_equal(syscall_awaited_child(__NR_wait4, ARGS(77)), 77);
    assert_int_equal(syscall_awaited_child(__NR_wait4, ARGS(NEVER)), 0);
    assert_int_equal(syscall_awaited_child(__NR_wait4, ARGS(NEVER - 76)), 0);
    assert_int_equal(syscall_awaited_child(__NR_waitid, ARGS(P_PID, 77)), 77);
    assert_int_equal(syscall_awaited_child(__NR_waitid, ARGS(P_ALL, 77)), 0);
    assert_int_equal(syscall_awaited_child(__NR_read, ARGS(77)), 0);
}

// What a call is on, and its flags or offset, with and without a pointer to them.
static void test_effects(void **state) {
    (void)state;
    static const uint64_t here = 4711;
    const uint64_t at = (uint64_t)(uintptr_t)&here, none = 0;
    const struct {
        long nr;
        uint64_t args[6];
        enum syscall_effect effect;
        uint64_t on;
        bool given;
        uint64_t value;
    } cases[] = {
        {__NR_write, {5, 1, 2}, EFFECT_WRITE, 5, false, none},
        {__NR_pwrite64, {5, 1, 2, 300}, EFFECT_WRITE, 5, true, 300},
        {__NR_sendfile, {5, 6, 0, 9}, EFFECT_COPY, 5, false, none},
        {__NR_tee, {5, 6}, EFFECT_COPY, 6, false, none},
        {__NR_splice, {5, 0, 7, at}, EFFECT_COPY, 7, true, here},
        {__NR_splice, {5, 0, 7, 0}, EFFECT_COPY, 7, false, none},
        {__NR_copy_file_range, {5, 0, 7, 1}, EFFECT_COPY, 7, false, none}, // cannot be read
        {__NR_open, {0x1000, O_APPEND}, EFFECT_OPEN, 0x1000, true, O_APPEND},
        {__NR_openat, {9, 0x1000, O_APPEND}, EFFECT_OPEN, 0x1000, true, O_APPEND},
        {__NR_openat2, {9, 0x1000, at}, EFFECT_OPEN, 0x1000, true, here},
        {__NR_creat, {0x1000, 0644}, EFFECT_OPEN, 0x1000, false, none},
        {__NR_pipe2, {0x1000, 3}, EFFECT_NEW_PAIR, 0x1000, false, none},
        {__NR_socketpair, {1, 2, 3, 0x1000}, EFFECT_NEW_PAIR, 0x1000, false, none},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t value;
        assert_int_equal(syscall_effect(cases[i].nr), cases[i].effect);
        assert_int_equal(syscall_effect_on(cases[i].nr, cases[i].args), cases[i].on);
        assert_int_equal(syscall_effect_value(cases[i].nr, cases[i].args, read_self, NULL, &value),
                         cases[i].given);
        if (cases[i].given) assert_int_equal(value, cases[i].value);
    }
    assert_int_equal(syscall_effect(__NR_clone3), EFFECT_BIRTH);
    assert_int_equal(syscall_effect(__NR_exit_group), EFFECT_END);
    assert_int_equal(syscall_effect(__NR_accept4), EFFECT_NEW_FD);
    assert_int_equal(syscall_effect(__NR_close), EFFECT_ELSE);
}

static void formats(const char *expected, long nr, const uint64_t args[6]) {
    char text[256];
    syscall_format(nr, args, text, sizeof text);
    assert_string_equal(text, expected);
}

static void test_format(void **state) {
    (void)state;
    formats("openat(AT_FDCWD, 0x7ffe12345678, 0x80000, 0)", __NR_openat,
            ARGS(0xffffff9c, 0x7ffe12345678, 0x80000));
    formats("read(0, 0x7ffe12345678, 4096)", __NR_read, ARGS(0, 0x7ffe12345678, 4096));
    formats("close(-1)", __NR_close, ARGS(0xffffffff));
    formats("getpid()", __NR_getpid, ARGS(1, 2, 3));
    formats("ioctl(1, TCGETS, 0x7ffe12345678)", __NR_ioctl, ARGS(1, 0x5401, 0x7ffe12345678));
    formats("ioctl(1, 57005, 0)", __NR_ioctl, ARGS(1, 0xdead));
    formats("fcntl(1, F_SETFD, 1)", __NR_fcntl, ARGS(1, 2, 1));
    formats("futex(0x555500001000, FUTEX_WAIT, 2, 0, 0, 0)", __NR_futex, ARGS(0x555500001000, 128, 2));
    formats("syscall_999(1, 2, 3, 4, 5, 6)", 999, ARGS(1, 2, 3, 4, 5, 6));
    // cut, never overrun
    for (size_t size = 1; size < 60; size++) {
        char text[64];
        memset(text, 'x', sizeof text);
        syscall_format(__NR_openat, ARGS(0xffffff9c, 0x7ffe12345678, 0x80000), text, size);
        assert_true(strlen(text) < size);
        assert_int_equal(text[size], 'x');
    }
}

// Interrupted calls as a tracer sees them, before the kernel turns the restart codes into EINTR or a new
// call.
static void test_restart_codes(void **state) {
    (void)state;
    struct syscall_range out[SYSCALL_RANGES];
    static uint64_t memory[16];
    uint64_t address = (uint64_t)(uintptr_t)memory;
    static const int64_t interrupted[] = {-EINTR, -512, -513, -514, -516};
    for (size_t i = 0; i < sizeof interrupted / sizeof interrupted[0]; i++) {
        const int64_t *result = &interrupted[i];
        assert_int_equal(syscall_ranges(__NR_nanosleep, ARGS(address, address), result, read_self, NULL, out),
                         1);
        assert_int_equal(out[0].size, 16);
        assert_int_equal(syscall_ranges(__NR_poll, ARGS(address, 3, 5), result, read_self, NULL, out), 1);
        assert_int_equal(out[0].size, 24);
        assert_int_equal(syscall_ranges(__NR_read, ARGS(0, address, 5), result, read_self, NULL, out), 0);
        assert_int_equal(
            syscall_ranges(__NR_clock_nanosleep, ARGS(0, 1, address, address), result, read_self, NULL, out),
            0);
        assert_int_equal(
            syscall_ranges(__NR_clock_nanosleep, ARGS(0, 0, address, address), result, read_self, NULL, out),
            1);
    }
    int64_t done = 0, bad = -EFAULT;
    assert_int_equal(syscall_ranges(__NR_nanosleep, ARGS(address, address), &done, read_self, NULL, out), 0);
    assert_int_equal(syscall_ranges(__NR_nanosleep, ARGS(address, address), NULL, read_self, NULL, out), 1);
    assert_int_equal(syscall_ranges(__NR_poll, ARGS(address, 3, 5), NULL, read_self, NULL, out), 1);
    assert_int_equal(syscall_ranges(__NR_poll, ARGS(8, 3, 5), &interrupted[0], read_self, NULL, out), 0);
    assert_int_equal(syscall_ranges(__NR_fstat, ARGS(0, address), &bad, read_self, NULL, out), 0);
    // a pointer that is null makes no range
    assert_int_equal(syscall_ranges(__NR_gettimeofday, ARGS(0, address), &done, read_self, NULL, out), 1);
    assert_int_equal(out[0].arg, 1);
    assert_int_equal(out[0].size, 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number_has_a_row),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_ranges_and_answers_agree),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_may_block),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_effects),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_restart_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
