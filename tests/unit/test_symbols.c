// Names, lines and data symbols of programs made here with the compilers of this machine.
#include "replayer/names/symbols.h"
#include "replayer/names/symbols_module.h"
#include "replayer/names/symbols_rust.h"
#include "tests/unit/live_view.h"

static int setup(void **state) {
    (void)state;
    scratch_make();
    run("cp %s %s %s", SUBJECTS "data.c", SUBJECTS "names.cc", scratch);
    run("cd %s && gcc -w -O2 -g -Wl,--build-id=none -o data data.c -lpthread", scratch);
    // Stripped, with a separate file that is found by .gnu_debuglink, beside it and in .debug.
    run("cd %s && objcopy --only-keep-debug data linked.debug && cp data linked && strip linked && "
        "objcopy --add-gnu-debuglink=linked.debug linked && mkdir .debug && mv linked.debug .debug",
        scratch);
    run("cd %s && gcc -w -O2 -g -gz=zlib -o packed data.c -lpthread", scratch);
    run("cd %s && gcc -w -O2 -g -o unnamed data.c -lpthread && strip unnamed", scratch);
    run("cd %s && gcc -w -O2 -g -static -o fixed data.c -lpthread", scratch);
    run("cd %s && g++ -w -O2 -g -fno-pie -no-pie -o names names.cc", scratch);
    run("cd %s && clang++ -w -O2 -g -o names-clang names.cc", scratch);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    scratch_remove();
    return 0;
}

static struct live *stopped(const char *program) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", scratch, program);
    char *argv[] = {path, NULL};
    struct live *l = live_start(argv);
    live_until(l, SIGTRAP);
    return l;
}

static void expect_path(const char *file, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    assert_non_null(file);
    assert_string_equal(file, path);
}

static void expect_data(const char *program) {
    struct live *l = stopped(program);
    struct symbols *s = symbols_new();
    assert_non_null(s);
    struct data_symbol d;

    uint64_t mutex = symbols_address(s, &l->view, program, "log_mutex");
    assert_true(mutex != 0);
    assert_true(symbols_data(s, &l->view, mutex, &d));
    assert_string_equal(d.name, "log_mutex");
    assert_int_equal(d.offset, 0);
    assert_int_equal(d.size, 40);
    assert_string_equal(d.module, program);
    expect_path(d.file, "data.c");
    assert_int_equal(d.line, line_of("data.c", "// mark log_mutex"));

    // A member of a static struct, in memory that the program has written.
    assert_true(symbols_data(s, &l->view, l->regs.rbx + 16, &d));
    assert_string_equal(d.name, "jobs");
    assert_int_equal(d.offset, 16);
    assert_int_equal(d.line, line_of("data.c", "// mark jobs"));

    // .bss, behind the last page of the file.
    assert_true(symbols_data(s, &l->view, l->regs.rcx + 2 * 64 + 8, &d));
    assert_string_equal(d.name, "empty");
    assert_int_equal(d.offset, 2 * 64 + 8);

    assert_true(symbols_data(s, &l->view, l->regs.rax, &d));
    assert_string_equal(d.name, "worker::calls");
    assert_int_equal(d.line, line_of("data.c", "// mark calls"));

    assert_false(symbols_data(s, &l->view, l->regs.rsp, &d));
    assert_false(symbols_data(s, &l->view, 8, &d));

    uint64_t worker = symbols_address(s, &l->view, NULL, "worker");
    struct frame f;
    symbols_pc(s, &l->view, worker, &f);
    assert_string_equal(f.function, "worker");
    expect_path(f.file, "data.c");
    symbols_pc(s, &l->view, l->regs.rip, &f);
    assert_string_equal(f.function, "worker");
    assert_int_equal(f.line, line_of("data.c", "// mark stop"));
    assert_int_equal(symbols_address(s, &l->view, NULL, "no_such_name"), 0);
    symbols_free(s);
    live_free(l);
}

static void test_data(void **state) {
    (void)state;
    expect_data("data");
}

static void test_data_static_program(void **state) {
    (void)state;
    expect_data("fixed");
}

static void test_data_compressed(void **state) {
    (void)state;
    expect_data("packed");
}

static void test_data_debuglink(void **state) {
    (void)state;
    expect_data("linked");
}

// The program is gone: its bytes are in the blob, names and lines with them.
static void test_program_gone(void **state) {
    (void)state;
    struct live *l = stopped("data");
    run("mv %s/data %s/moved", scratch, scratch);
    struct symbols *s = symbols_new();
    struct frame f;
    symbols_pc(s, &l->view, l->regs.rip, &f);
    run("mv %s/moved %s/data", scratch, scratch);
    assert_string_equal(f.module, "data");
    assert_string_equal(f.function, "worker");
    expect_path(f.file, "data.c");
    assert_int_equal(f.line, line_of("data.c", "// mark stop"));
    symbols_free(s);
    live_free(l);
}

static void test_without_symbols(void **state) {
    (void)state;
    struct live *l = stopped("unnamed");
    struct symbols *s = symbols_new();
    struct frame f;
    struct data_symbol d;
    symbols_pc(s, &l->view, l->regs.rip, &f);
    assert_null(f.function);
    assert_null(f.file);
    assert_int_equal(f.line, 0);
    assert_string_equal(f.module, "unnamed");
    uint8_t code;
    const struct view_map *map = view_find(&l->view, l->regs.rip);
    assert_non_null(map);
    assert_true(map->blob != 0);
    assert_true(l->view.read(l, l->regs.rip - 1, &code, 1));
    assert_int_equal(code, 0xcc);
    assert_true(f.module_offset < map->end - map->start + map->offset);
    assert_false(symbols_data(s, &l->view, l->regs.rbx, &d));
    symbols_free(s);
    live_free(l);
}

// libc's symbols are in its separate file, found by build-id, with libc6-dbg; else its exported ones.
static void test_libc(void **state) {
    (void)state;
    struct live *l = stopped("data");
    struct symbols *s = symbols_new();
    struct frame f;
    struct data_symbol d;
    uint64_t lock = symbols_address(s, &l->view, "libc.so", "pthread_mutex_lock");
    assert_true(lock != 0);
    symbols_pc(s, &l->view, lock, &f);
    assert_string_equal(f.function, "pthread_mutex_lock");
    assert_string_equal(f.module, "libc.so.6");
    uint64_t stdout_ = symbols_address(s, &l->view, "libc.so", "_IO_2_1_stdout_");
    assert_true(symbols_data(s, &l->view, stdout_ + 8, &d));
    assert_string_equal(d.name, "_IO_2_1_stdout_");
    assert_int_equal(d.offset, 8);
    assert_int_equal(symbols_address(s, &l->view, "no-module", "pthread_mutex_lock"), 0);
    // Frames are the same when asked for again, and by another object.
    struct frame again;
    symbols_pc(s, &l->view, lock, &again);
    assert_ptr_equal(f.function, again.function);
    symbols_free(s);
    live_free(l);
}

static void expect_names(const char *program) {
    struct live *l = stopped(program);
    struct symbols *s = symbols_new();
    struct raw_frame raw = {.pc = l->regs.rip, .exact = false};
    struct frame f[4];
    size_t n = symbols_frames(s, &l->view, &raw, 1, f, 4);
    assert_int_equal(n, 2);
    assert_non_null(strstr(f[0].function, "store::fill<long>(long)"));
    assert_true(f[0].inlined);
    assert_int_equal(f[0].line, line_of("names.cc", "// mark fill"));
    assert_string_equal(f[1].function, "store::Log::write(int)");
    assert_false(f[1].inlined);
    assert_int_equal(f[1].line, line_of("names.cc", "// mark write"));
    expect_path(f[1].file, "names.cc");
    assert_int_equal(f[0].pc, f[1].pc);
    // No more than there is room for.
    assert_int_equal(symbols_frames(s, &l->view, &raw, 1, f, 1), 1);
    symbols_free(s);
    live_free(l);
}

static void test_cxx(void **state) {
    (void)state;
    expect_names("names");
}

static void test_cxx_clang(void **state) {
    (void)state;
    expect_names("names-clang");
}

static void test_foreign_addresses(void **state) {
    (void)state;
    struct live *l = stopped("data");
    struct symbols *s = symbols_new();
    struct frame f;
    symbols_pc(s, &l->view, 0, &f);
    assert_null(f.function);
    assert_null(f.module);
    symbols_pc(s, &l->view, l->regs.rsp, &f); // a map with a name that is no file
    assert_null(f.function);
    assert_string_equal(f.module, "[stack]");
    symbols_pc(s, &l->view, UINT64_MAX, &f);
    assert_null(f.module);
    symbols_free(s);
    symbols_free(NULL);
    live_free(l);
}

// A damaged file must cost names, not the process.
static void test_hostile_blob(void **state) {
    (void)state;
    struct live *l = stopped("data");
    const struct view_map *map = view_find(&l->view, l->regs.rip);
    assert_non_null(map);
    size_t id = map->blob - 1, size = l->blobs[id].size;
    uint8_t *original = l->blobs[id].data;
    unsigned seed = 7;
    for (int round = 0; round < 300; round++) {
        uint8_t *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(copy != MAP_FAILED);
        memcpy(copy, original, size);
        for (int i = 0; i < 40; i++) {
            seed = seed * 1103515245 + 12345;
            size_t at = (seed >> 8) % size;
            seed = seed * 1103515245 + 12345;
            copy[at] = (uint8_t)(seed >> 16);
        }
        l->blobs[id].data = copy;
        struct symbols *s = symbols_new();
        struct frame f;
        struct data_symbol d;
        symbols_pc(s, &l->view, l->regs.rip, &f);
        assert_int_equal(f.pc, l->regs.rip);
        if (symbols_data(s, &l->view, l->regs.rbx, &d)) assert_non_null(d.name);
        symbols_free(s);
        munmap(copy, size);
    }
    l->blobs[id].data = original;
    live_free(l);
}

// Names that rustc 1.95 made, and broken ones.
static void test_rust(void **state) {
    (void)state;
    static const struct {
        const char *mangled, *path; // NULL: left as it is
    } names[] = {
        {"_RNvMNtNtNtNtCsjrHSEGnQ3l9_3std3sys4sync5mutex5futexNtB2_5Mutex14lock_contended",
         "std::sys::sync::mutex::futex::Mutex::lock_contended"},
        {"_RNvMs0_NtNtNtNtCsjrHSEGnQ3l9_3std3sys4sync4once5futexNtB5_4Once4call",
         "std::sys::sync::once::futex::Once::call"},
        {"_RNvNvMs0_NtNtNtCsjrHSEGnQ3l9_3std3sys6thread4unixNtB7_6Thread3new12thread_start",
         "std::sys::thread::unix::Thread::new::thread_start"},
        {"_RNvNtCsjrHSEGnQ3l9_3std2rt19lang_start_internal.llvm.1", "std::rt::lang_start_internal"},
        {"_RNCNvC1a4main0B3_", "a::main::{closure}"},
        {"_R", NULL},
        {"_RNv", NULL},
        {"_RB_", NULL},
        {"_RNvB0_1a", NULL},
        {"_RNvC999999a1b", NULL},
        {"_ZN1m12write_report17hcd606a7fe87abd13E", "m::write_report"},
        {"_ZN3std2rt10lang_start28_$u7b$$u7b$closure$u7d$$u7d$17h168e94e611939a97E.llvm.45",
         "std::rt::lang_start::{closure}"},
        {"_ZN3std4sync9once_lock17OnceLock$LT$T$GT$10initialize17h1234567890abcdefE",
         "std::sync::once_lock::OnceLock<T>::initialize"},
        {"_ZN53_$LT$core..fmt..Error$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE",
         "<core::fmt::Error as core::fmt::Debug>::fmt"},
        {"_ZN1aE", NULL},
        {"_ZN4abcd1b17h0123456789abcdefEv", NULL}, // a C++ function with arguments
        {"_ZN999999999999999999999a", NULL},
        {"_ZN17h0123456789abcde", NULL},
        {"_ZN", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        bool known = symbol_demangle_rust(names[i].mangled, path, sizeof path);
        assert_int_equal(known, names[i].path != NULL);
        if (known) assert_string_equal(path, names[i].path);
    }
    char deep[4000] = "_R", small[8];
    memset(deep + 2, 'N', sizeof deep - 3);
    assert_false(symbol_demangle_rust(deep, small, sizeof small));
    assert_false(symbol_demangle_rust(names[0].mangled, small, sizeof small)); // no room
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rust),
        cmocka_unit_test(test_data),
        cmocka_unit_test(test_data_static_program),
        cmocka_unit_test(test_data_compressed),
        cmocka_unit_test(test_data_debuglink),
        cmocka_unit_test(test_program_gone),
        cmocka_unit_test(test_without_symbols),
        cmocka_unit_test(test_libc),
        cmocka_unit_test(test_cxx),
        cmocka_unit_test(test_cxx_clang),
        cmocka_unit_test(test_foreign_addresses),
        cmocka_unit_test(test_hostile_blob),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
