// `refork doctor`'s probes: what refork cannot do without is here, and what can be taken away is seen to be
// gone.
#include "recorder/doctor/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX = 64 };

static const struct feature *named(const struct feature *f, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (!strcmp(f[i].name, name)) return &f[i];
    fail_msg("no feature is called '%s'", name);
    return NULL;
}

static int open_descriptors(void) {
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void test_this_machine(void **state) {
    (void)state;
    static struct feature f[MAX];
    int descriptors = open_descriptors();
    int n = probe_features(f, MAX);
    assert_in_range(n, 20, MAX - 1);
    for (int i = 0; i < n; i++) {
        assert_true(f[i].name && f[i].name[0]);
        assert_true(f[i].lost && f[i].lost[0]);
        assert_true(f[i].remedy && f[i].remedy[0]);
        assert_true(f[i].detail[0]);
        assert_non_null(memchr(f[i].detail, 0, sizeof f[i].detail));
        if (f[i].required && !f[i].available) fail_msg("%s: %s", f[i].name, f[i].detail);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(f[i].name, f[k].name);
    }
    // Nothing is left behind: no descriptor, no child.
    assert_int_equal(open_descriptors(), descriptors);
    errno = 0;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void test_no_more_than_max(void **state) {
    (void)state;
    struct feature f[4];
    memset(f, 0, sizeof f);
    assert_int_equal(probe_features(f, 3), 3);
    assert_null(f[3].name);
    assert_int_equal(probe_features(f, 0), 0);
}

// ---- on a machine that lacks something

// Runs the probes in a child from which `take_away` has taken something.
static int probe_without(void (*take_away)(void), struct feature **out) {
    struct feature *f =
        mmap(NULL, MAX * sizeof *f, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(f != MAP_FAILED);
    pid_t pid = fork();
    if (!pid) {
        take_away();
        _exit(probe_features(f, MAX));
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_in_range(WEXITSTATUS(status), 20, MAX - 1);
    *out = f;
    return WEXITSTATUS(status);
}

static void refuse_call(int nr) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog p = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) < 0)
        _exit(1);
}

static void no_ptrace(void) {
    refuse_call(SYS_ptrace);
}

static void no_personality(void) {
    refuse_call(SYS_personality);
}

static void no_memfd(void) {
    refuse_call(SYS_memfd_create);
}

static void no_process_vm(void) {
    refuse_call(SYS_process_vm_readv);
}

static void no_surroundings(void) {
    setenv("LC_ALL", "C", 1);
    setenv("TERM", "no-such-terminal-type", 1);
    if (chdir("/proc") < 0) _exit(1);
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0) _exit(1);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &allowed) && !CPU_COUNT(&one)) CPU_SET(i, &one);
    if (sched_setaffinity(0, sizeof one, &one) < 0) _exit(1);
}

static void test_refused_calls(void **state) {
    (void)state;
    static const struct {
        void (*take_away)(void);
        const char *gone[4], *still[4];
    } cases[] = {
        {no_ptrace,
         {"ptrace", "ptrace SYSEMU", "seccomp stops", "no sandbox around refork"},
         {"executable memory files"}},
        {no_personality,
         {"address randomisation can be off", "no sandbox around refork"},
         {"ptrace", "seccomp stops"}},
        {no_memfd, {"executable memory files"}, {"ptrace", "refork's pages at their address"}},
        {no_process_vm, {"process_vm_readv"}, {"ptrace", "writing through /proc/PID/mem", "pagemap"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct feature *f;
        int n = probe_without(cases[i].take_away, &f);
        for (int k = 0; k < 4 && cases[i].gone[k]; k++)
            if (named(f, n, cases[i].gone[k])->available)
                fail_msg("case %zu: '%s' is said to be there", i, cases[i].gone[k]);
        for (int k = 0; k < 4 && cases[i].still[k]; k++) {
            const struct feature *g = named(f, n, cases[i].still[k]);
            if (!g->available) fail_msg("case %zu: '%s' is said to be gone: %s", i, g->name, g->detail);
        }
        for (int k = 0; k < n; k++)
            assert_true(f[k].detail[0]);
        munmap(f, MAX * sizeof *f);
    }
}

static void test_surroundings(void **state) {
    (void)state;
    struct feature *f;
    int n = probe_without(no_surroundings, &f);
    assert_false(named(f, n, "UTF-8 locale")->available);
    assert_false(named(f, n, "terminal type")->available);
    assert_non_null(strstr(named(f, n, "terminal type")->detail, "no-such-terminal-type"));
    assert_false(named(f, n, "disk space")->available); // /proc has no room
    assert_false(named(f, n, "a second CPU")->available);
    assert_true(named(f, n, "pinning to one CPU")->available);
    assert_true(named(f, n, "ptrace")->available);
    munmap(f, MAX * sizeof *f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_this_machine),
        cmocka_unit_test(test_no_more_than_max),
        cmocka_unit_test(test_refused_calls),
        cmocka_unit_test(test_surroundings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
