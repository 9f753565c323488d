// The digest of memory: mappings of terabytes with a few pages, as sanitizers have them.
#include "core/memory_digest.h"

#include "core/tracee.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { TOUCHED = 200 };
static size_t size = 8ull << 40;
static const uint64_t page = 4096;

static char *const huge = (char *)0x600000000000;

static char *touched_page(int i) {
    return huge + size / TOUCHED / page * page * (size_t)i;
}

// A child that stops, with pages far from each other in a huge mapping.
static pid_t begin(int touched) {
    pid_t pid = fork();
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    void *got = mmap(huge, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != huge) _exit(1);
    for (int i = 0; i < touched; i++)
        *touched_page(i) = 1;
    raise(SIGSTOP);
    _exit(0);
}

static pid_t begun(int touched, int *mem_fd) {
    int status;
    pid_t pid = begin(touched);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    *mem_fd = tracee_open_mem(pid);
    assert_true(*mem_fd >= 0);
    return pid;
}

static void end(pid_t pid, int mem_fd) {
    int status;
    close(mem_fd);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void test_huge_mapping(void **state) {
    (void)state;
    uint64_t none, all, more;
    int mem_fd, major = 0, minor = 0;
    struct utsname kernel;
    uname(&kernel);
    sscanf(kernel.release, "%d.%d", &major, &minor);
    if (major < 6 || (major == 6 && minor < 7)) size = 16ull << 30; // no PAGEMAP_SCAN: the slow way
    pid_t pid = begun(0, &mem_fd);
    memory_digest(pid, mem_fd, &none);
    end(pid, mem_fd);
    pid = begun(TOUCHED, &mem_fd);
    const uint64_t first = memory_digest(pid, mem_fd, &all);
    assert_in_range(all - none, TOUCHED * page, (TOUCHED + 50) * page); // the heap of this process grows, too
    for (int i = 0; i < TOUCHED; i += 23) {
        const uint64_t at = (uint64_t)(uintptr_t)touched_page(i);
        assert_true(tracee_write(mem_fd, at, "\2", 1));
        assert_int_not_equal(memory_digest(pid, mem_fd, NULL), first);
        assert_true(tracee_write(mem_fd, at, "\1", 1) && tracee_write(mem_fd, at + page, "\1", 1));
        assert_int_not_equal(memory_digest(pid, mem_fd, &more), first);
        assert_int_equal(more - all, page);
        assert_true(tracee_write(mem_fd, at + page, "\0", 1)); // pages of zeroes count for nothing
        assert_int_equal(memory_digest(pid, mem_fd, NULL), first);
    }
    end(pid, mem_fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_huge_mapping)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
