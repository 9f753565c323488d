// Stacks of real stopped programs, made here with the compilers of this machine.
#include "tests/unit/live_view.h"

#include "core/annex.h"
#include "replayer/names/symbols.h"
#include "replayer/names/unwind.h"

#define MAX_FRAMES 256

static int setup(void **state) {
    (void)state;
    if (access("/usr/lib/debug/.build-id", F_OK))
        fail_msg("the names of libc's frames need the package libc6-dbg");
    scratch_make();
    run("cp %s %s %s", SUBJECTS "deep.c", SUBJECTS "deep_musl.c", scratch);
    run("gcc -w -O2 -g -fomit-frame-pointer -Wl,-z,lazy -o %s/deep %s/deep.c -lpthread", scratch, scratch);
    run("gcc -w -O2 -g -static -o %s/deep-static %s/deep.c -lpthread", scratch, scratch);
    run("strip -o %s/deep-stripped %s/deep", scratch, scratch);
    run("clang -w -O2 -gdwarf-5 -o %s/deep-clang %s/deep.c -lpthread", scratch, scratch);
    run("musl-gcc -w -O2 -fomit-frame-pointer -fno-asynchronous-unwind-tables -static -o %s/musl "
        "%s/deep_musl.c",
        scratch, scratch);
    run("strip -o %s/musl-stripped %s/musl", scratch, scratch);
    run("gcc -w -O1 -fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fno-unwind-tables -o %s/pointer "
        "%s/deep.c -lpthread",
        scratch, scratch);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    scratch_remove();
    return 0;
}

static struct live *start(const char *program, const char *mode) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", scratch, program);
    char *argv[] = {path, (char *)mode, NULL};
    return live_start(argv);
}

struct named {
    struct symbols *symbols;
    struct raw_frame raw[MAX_FRAMES];
    size_t raw_count;
    struct frame frames[MAX_FRAMES];
    size_t count;
};

static void name_stack(struct named *n, struct live *l) {
    if (!n->symbols) n->symbols = symbols_new();
    assert_non_null(n->symbols);
    n->raw_count = unwind_stack(&l->view, &l->regs, n->raw, MAX_FRAMES);
    n->count = symbols_frames(n->symbols, &l->view, n->raw, n->raw_count, n->frames, MAX_FRAMES);
}

static void show(const struct named *n) {
    for (size_t i = 0; i < n->count; i++) {
        const struct frame *f = &n->frames[i];
        print_message("  #%zu %016lx %s %s:%d (%s)%s%s\n", i, f->pc, f->function ? f->function : "?",
                      f->file ? f->file : "?", f->line, f->module ? f->module : "?",
                      f->inlined ? " inlined" : "", f->scanned ? " scanned" : "");
    }
}

static const char *function_at(const struct named *n, size_t i) {
    return i < n->count && n->frames[i].function ? n->frames[i].function : "?";
}

// Each of the names (until NULL) is found in this order; the first one is frame 0 and the last one is the
// last frame.
static void expect(const struct named *n, const char *const *names) {
    size_t at = 0;
    for (const char *const *name = names; *name; name++, at++) {
        while (at < n->count && strcmp(function_at(n, at), *name))
            at++;
        if (at >= n->count || (name == names && at)) {
            show(n);
            fail_msg("'%s' is not where it should be in the stack", *name);
        }
    }
    if (at != n->count) {
        show(n);
        fail_msg("%zu frames too many at the end", n->count - at);
    }
}

#define EXPECT(n, ...) expect(n, (const char *const[]){__VA_ARGS__, NULL})

static void finish(struct named *n, struct live *l) {
    symbols_free(n->symbols);
    live_free(l);
}

static void expect_inlines(const char *program) {
    struct live *l = start(program, "inline");
    struct named n = {0};
    live_until(l, SIGTRAP);
    name_stack(&n, l);
    EXPECT(&n, "trap", "innermost", "middle", "outer", "recurse", "recurse", "main", "_start");
    size_t recursions = 0;
    for (size_t i = 0; i < n.count; i++)
        recursions += !strcmp(function_at(&n, i), "recurse");
    assert_int_equal(recursions, 41);
    static const char *const marks[] = {"// mark trap", "// mark innermost", "// mark middle",
                                        "// mark outer"};
    for (size_t i = 0; i < 4; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/deep.c", scratch);
        assert_string_equal(n.frames[i].file, path);
        assert_int_equal(n.frames[i].line, line_of("deep.c", marks[i]));
        assert_int_equal(n.frames[i].inlined, i == 1 || i == 2);
        assert_string_equal(n.frames[i].module, program);
        assert_false(n.frames[i].scanned);
    }
    assert_int_equal(n.frames[1].pc, n.frames[3].pc);
    assert_true(n.raw[0].exact);
    assert_false(n.raw[1].exact);
    for (size_t i = 1; i + 1 < n.raw_count; i++)
        assert_true(n.raw[i].cfa > n.raw[i - 1].cfa);
    finish(&n, l);
}

static void test_inlined(void **state) {
    (void)state;
    expect_inlines("deep");
}

static void test_static(void **state) {
    (void)state;
    expect_inlines("deep-static");
}

// clang writes no .debug_aranges.
static void test_clang(void **state) {
    (void)state;
    expect_inlines("deep-clang");
}

static void test_stripped(void **state) {
    (void)state;
    struct live *whole = start("deep", "inline"), *l = start("deep-stripped", "inline");
    struct named a = {0}, b = {0};
    live_until(whole, SIGTRAP);
    live_refresh(whole);
    name_stack(&a, whole);
    live_until(l, SIGTRAP);
    name_stack(&b, l);
    assert_int_equal(a.raw_count, b.raw_count);
    // The last frame, _start, is in the program too; its neighbours are libc's.
    assert_null(b.frames[0].function);
    assert_string_equal(b.frames[0].module, "deep-stripped");
    assert_int_equal(b.frames[0].module_offset, a.frames[0].module_offset);
    assert_int_equal(b.frames[b.count - 1].module_offset, a.frames[a.count - 1].module_offset);
    assert_string_equal(function_at(&a, a.count - 1), "_start");
    finish(&a, whole);
    finish(&b, l);
}

static void expect_handler(const char *mode) {
    struct live *l = start("deep", mode);
    struct named n = {0};
    live_until(l, SIGTRAP);
    name_stack(&n, l);
    EXPECT(&n, "trap", "handler", "__restore_rt", "raise", "main", "_start");
    bool exact_behind_signal = false;
    for (size_t i = 2; i < n.raw_count; i++)
        exact_behind_signal |= n.raw[i].exact;
    assert_true(exact_behind_signal);
    finish(&n, l);
}

static void test_signal(void **state) {
    (void)state;
    expect_handler("signal");
}

static void test_altstack(void **state) {
    (void)state;
    expect_handler("altstack");
}

static void test_null_call(void **state) {
    (void)state;
    struct live *l = start("deep", "null");
    struct named n = {0};
    live_until(l, SIGSEGV);
    assert_int_equal(l->regs.rip, 0);
    name_stack(&n, l);
    assert_int_equal(n.frames[0].pc, 0);
    assert_null(n.frames[0].function);
    assert_null(n.frames[0].module);
    assert_string_equal(function_at(&n, 1), "null_caller");
    assert_int_equal(n.frames[1].line, line_of("deep.c", "// mark null"));
    assert_string_equal(function_at(&n, 2), "main");
    assert_string_equal(function_at(&n, n.count - 1), "_start");
    finish(&n, l);
}

static void test_thread(void **state) {
    (void)state;
    struct live *l = start("deep", "thread");
    struct named n = {0};
    live_until(l, SIGTRAP);
    assert_int_not_equal(l->tid, l->pid);
    name_stack(&n, l);
    EXPECT(&n, "trap", "innermost", "middle", "outer", "recurse", "worker", "start_thread", "clone3");
    finish(&n, l);
}

// At a stop in a PLT stub the return address is on top: the caller's frame comes first, at the line of the
// call.
static void test_stub(void **state) {
    (void)state;
    struct live *l = start("deep", "inline");
    struct named n = {0};
    live_until(l, SIGTRAP);
    name_stack(&n, l);
    struct raw_frame caller = n.raw[1];
    l->regs.rsp = n.raw[0].cfa - 8;
    l->regs.rip = ANNEX_STUBS + 5 * ANNEX_STUB_SIZE + 20;
    name_stack(&n, l);
    assert_int_equal(n.raw[0].pc, caller.pc);
    assert_false(n.raw[0].exact);
    EXPECT(&n, "innermost", "middle", "outer", "recurse", "main", "_start");
    struct frame stub;
    symbols_pc(n.symbols, &l->view, ANNEX_STUBS + 64, &stub);
    assert_string_equal(stub.function, "[refork stub]");
    finish(&n, l);
}

// No unwind tables at all: frames by the stack scan.
static void test_musl_static(void **state) {
    (void)state;
    struct live *l = start("musl", NULL), *stripped = start("musl-stripped", NULL);
    struct named n = {0}, bare = {0};
    live_until(l, SIGTRAP);
    name_stack(&n, l);
    EXPECT(&n, "leaf", "compare", "sorted", "recurse", "recurse", "recurse", "recurse", "recurse", "main",
           "_start");
    assert_true(n.raw[1].scanned);
    live_until(stripped, SIGTRAP);
    name_stack(&bare, stripped);
    // Without symbols the same chain up to the first frames of the program proper.
    assert_true(bare.raw_count >= 3);
    assert_int_equal(bare.raw[0].pc, n.raw[0].pc);
    assert_int_equal(bare.raw[1].pc, n.raw[1].pc);
    assert_int_equal(bare.raw[2].pc, n.raw[2].pc);
    finish(&n, l);
    finish(&bare, stripped);
}

// Frame pointers only in the program, tables in libc: both on one stack.
static void test_frame_pointer(void **state) {
    (void)state;
    struct live *l = start("pointer", "signal");
    struct named n = {0};
    live_until(l, SIGTRAP);
    name_stack(&n, l);
    EXPECT(&n, "trap", "handler", "__restore_rt", "raise", "main", "_start");
    finish(&n, l);
}

static void step_through(struct live *l, struct named *n, int steps, const char *last, size_t *deepest) {
    int status;
    for (int i = 0; i < steps; i++) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, l->tid, 0, 0), 0);
        assert_int_equal(waitpid(l->tid, &status, __WALL), l->tid);
        if (!WIFSTOPPED(status)) fail_msg("ended after %d steps", i);
        if (WSTOPSIG(status) != SIGTRAP) { // SIGUSR2: into its handler
            assert_int_equal(ptrace(PTRACE_SINGLESTEP, l->tid, 0, WSTOPSIG(status)), 0);
            assert_int_equal(waitpid(l->tid, &status, __WALL), l->tid);
        }
        // Maps change rarely; registers always.
        if (i % 500 == 0) live_refresh(l);
        assert_int_equal(ptrace(PTRACE_GETREGS, l->tid, 0, &l->regs), 0);
        name_stack(n, l);
        if (n->count > *deepest) *deepest = n->count;
        if (strcmp(function_at(n, n->count - 1), last)) {
            show(n);
            fail_msg("step %d: the stack does not end in '%s'", i, last);
        }
        if (n->count >= MAX_FRAMES) fail_msg("step %d: endless stack", i);
    }
}

// Every instruction of lazy binding, qsort with its callback, malloc, snprintf, setenv, raise and a signal
// handler.
static void test_every_step_of_libc(void **state) {
    (void)state;
    struct live *l = start("deep", "work");
    struct named n = {0};
    size_t deepest = 0;
    live_until(l, SIGTRAP);
    step_through(l, &n, 9000, "_start", &deepest);
    assert_true(deepest > 6);
    finish(&n, l);
}

static void test_every_step_of_the_loader(void **state) {
    (void)state;
    struct live *l = start("deep", "work");
    struct named n = {0};
    size_t deepest = 0;
    step_through(l, &n, 4000, "_start", &deepest);
    assert_true(deepest > 3);
    finish(&n, l);
}

// A blob that ends early or lies must cost frames, not the process.
static void expect_survival(const char *program) {
    struct live *l = start(program, "inline");
    live_until(l, SIGTRAP);
    const struct view_map *map = view_find(&l->view, l->regs.rip);
    assert_non_null(map);
    size_t id = map->blob - 1, size = l->blobs[id].size;
    uint8_t *original = l->blobs[id].data;
    uint8_t *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(copy != MAP_FAILED);
    l->blobs[id].data = copy;
    struct raw_frame frames[MAX_FRAMES];
    unsigned seed = 1;
    for (int round = 0; round < 400; round++) {
        memcpy(copy, original, size);
        for (int i = 0; i < 60; i++) {
            // Half of the damage in the headers, the rest anywhere.
            seed = seed * 1103515245 + 12345;
            size_t at = (seed >> 8) % (i % 2 ? size : 1024);
            seed = seed * 1103515245 + 12345;
            copy[at] = (uint8_t)(seed >> 16);
        }
        l->blobs[id].size = round % 4 ? size : (seed >> 8) % size;
        size_t n = unwind_stack(&l->view, &l->regs, frames, MAX_FRAMES);
        assert_true(n >= 1 && n <= MAX_FRAMES);
        assert_int_equal(frames[0].pc, l->regs.rip);
    }
    l->blobs[id].data = original;
    l->blobs[id].size = size;
    munmap(copy, size);
    live_free(l);
}

static void test_hostile_blob(void **state) {
    (void)state;
    expect_survival("deep");        // .eh_frame_hdr
    expect_survival("deep-static"); // .eh_frame only
    expect_survival("musl");        // neither: the stack scan
}

// Nothing is kept of a stack: 30,000 unwinds must not grow the process.
static void test_no_leak(void **state) {
    (void)state;
    struct live *l = start("deep", "inline");
    live_until(l, SIGTRAP);
    struct raw_frame frames[MAX_FRAMES];
    long before = 0, after = 0;
    for (int i = 0; i < 20000; i++) {
        assert_true(unwind_stack(&l->view, &l->regs, frames, MAX_FRAMES) > 40);
        if (i != 200 && i != 19999) continue;
        FILE *f = fopen("/proc/self/statm", "re");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%*d %ld", i == 200 ? &before : &after), 1);
        fclose(f);
    }
    assert_true(after - before < 256); // 1 MiB; one leaked record per frame would be 100 MiB
    live_free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inlined),
        cmocka_unit_test(test_static),
        cmocka_unit_test(test_clang),
        cmocka_unit_test(test_stripped),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_altstack),
        cmocka_unit_test(test_null_call),
        cmocka_unit_test(test_thread),
        cmocka_unit_test(test_stub),
        cmocka_unit_test(test_musl_static),
        cmocka_unit_test(test_frame_pointer),
        cmocka_unit_test(test_every_step_of_libc),
        cmocka_unit_test(test_every_step_of_the_loader),
        cmocka_unit_test(test_hostile_blob),
        cmocka_unit_test(test_no_leak),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
