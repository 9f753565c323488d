// core/error.h: what a broken invariant says.
#include "core/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// The message of an assertion that fails with that task and event at work.
static void broken(int task, unsigned long long event, char *out, size_t size) {
    int fds[2], status;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (!pid) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(fds[1], 2);
        rf_work = (struct rf_work){task, event};
        rf_assert(task < 0);
        _exit(0);
    }
    close(fds[1]);
    ssize_t n = read(fds[0], out, size - 1);
    close(fds[0]);
    out[n > 0 ? n : 0] = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_broken_invariant(void **state) {
    char text[400];
    (void)state;
    broken(4711, 42, text, sizeof text);
    assert_non_null(strstr(text, "'task < 0' is false"));
    assert_non_null(strstr(text, "task 4711, event 42"));
    broken(0, 42, text, sizeof text);
    assert_non_null(strstr(text, "test_error.c:"));
    assert_null(strstr(text, "event"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_broken_invariant)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
