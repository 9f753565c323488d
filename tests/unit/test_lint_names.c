// The table of what a child of a threaded process may call, and how symbols find their row.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "replayer/lint/lint_names.h"

static const char *const all[] = {
#define SAFE(name)       #name,
#define PLAIN(name)      #name,
#define MALLOC(name)     #name,
#define STDIO(name)      #name,
#define TAKES(name, arg) #name,
#define HANDLER(name)    #name,
#define UNSAFE(name)     #name,
#include "replayer/lint/signal_safe.def"
};

static void test_rows(void **state) {
    (void)state;
    size_t count = sizeof all / sizeof *all, safe = 0;
    for (size_t i = 0; i < count; i++) {
        const struct lint_name *row = lint_name_find(all[i]);
        assert_non_null(row);
        assert_string_equal(row->name, all[i]);
        safe += row->class == LINT_SAFE;
        for (size_t k = 0; k < i; k++)
            if (!strcmp(all[i], all[k])) fail_msg("%s has two rows", all[i]);
    }
    assert_true(safe > 200); // POSIX.1-2017 alone has 193
    assert_true(count > safe + 300);
}

static void expect(const char *symbol, const char *name) {
    const struct lint_name *row = lint_name_find(symbol);
    if (!name ? row != NULL : !row || strcmp(row->name, name))
        fail_msg("%s is %s, not %s", symbol, row ? row->name : "nothing", name ? name : "nothing");
}

static void test_symbols(void **state) {
    (void)state;
    expect("write", "write");
    expect("__write", "write");
    expect("__libc_malloc", "malloc");
    expect("_IO_puts", "puts");
    expect("__printf_chk", "printf");
    expect("__open64_2", "open");
    expect("pread64", "pread");
    expect("__pread64_chk", "pread");
    expect("__isoc99_sscanf", "sscanf");
    expect("__isoc23_strtol", "strtol");
    expect("fputs_unlocked", "fputs");
    expect("__memcpy_chk", "memcpy");
    expect("_exit", "_exit");
    expect("_Fork", "_Fork");
    expect("__cxa_guard_acquire", "cxa_guard_acquire");
    expect("", NULL);
    expect("_", NULL);
    expect("64", NULL);
    expect("__", NULL);
    expect("_chk", NULL);
    expect("frobnicate", NULL);
    expect("mallocator", NULL);
    char endless[4000];
    memset(endless, '_', sizeof endless);
    endless[sizeof endless - 1] = 0;
    expect(endless, NULL);
    assert_true(lint_name_is_internal("_nss_files_getpwnam_r"));
    assert_false(lint_name_is_internal("__write"));
    assert_false(lint_name_is_internal("getpwnam"));
    assert_int_equal(lint_name_find("pthread_mutex_lock")->class, LINT_TAKES);
    assert_int_equal(lint_name_find("exit")->class, LINT_UNSAFE);
    assert_int_equal(lint_name_find("printf")->class, LINT_STDIO);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_symbols)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
