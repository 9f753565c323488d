// The trace file: what is written comes back. (test_trace_damage.c: what is broken is refused.)
#include "tests/unit/trace_samples.h"

#include "core/trace/crc32c.h"
#include "core/trace/dump.h"
#include "core/trace/trace_codec.h"
#include "core/trace/trace_format.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

// A sanitizer's own memory would be measured with the writer's.
#ifdef __has_feature
#define SANITIZED __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#elif defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

// ---- tests ----
static void test_crc32c(void **state) {
    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(crc32c_portable(0, "123456789", 9), 0xe3069283u);
    for (size_t len = 0; len < 70; len++) {
        uint32_t whole = crc32c(0, bytes + 1, len);
        assert_int_equal(whole, crc32c_portable(0, bytes + 1, len));
        assert_int_equal(whole, crc32c(crc32c(0, bytes + 1, len / 3), bytes + 1 + len / 3, len - len / 3));
    }
}

// The example of docs/trace-format.md. Other bytes are another format: bump TRACE_FORMAT.
static void test_bytes_of_an_event(void **state) {
    (void)state;
    struct piece piece = {.kind = PIECE_MEM, .mem = {0x7fffffffde00}, .data = "x", .len = 1};
    struct event e = {.kind = EV_SYSCALL,
                      .flags = EVF_REGS,
                      .tid = 42,
                      .nr = 1,
                      .time_us = 100,
                      .regs = {.rip = 0x401000},
                      .pieces = &piece,
                      .piece_count = 1};
    struct codec *c = codec_new();
    uint8_t *buffer = malloc(2 * codec_bound(&e));
    uint8_t *first_end = codec_encode(c, &e, buffer);
    e.time_us += 5;
    e.ret = 1;
    uint8_t *end = codec_encode(c, &e, first_end);
    static const uint8_t want[] = {0x02, 0xc8, 0x0a, 0x02, 0x01, 0x01, 0x00, 0x01, 0x78};
    assert_int_equal(TRACE_FORMAT, 6);
    assert_int_equal(end - first_end, sizeof want);
    assert_memory_equal(first_end, want, sizeof want);
    free(buffer);
    codec_free(c);
}

static void test_roundtrip(void **state) {
    (void)state;
    enum { COUNT = 4000, LARGEST = 3 << 20 };
    struct trace_writer *w = create();
    append_samples(w, 1, COUNT, LARGEST);
    assert_int_equal(trace_event_count(w), COUNT);
    finish(w);

    struct trace_reader *r = open_trace();
    const struct trace_header *h = trace_get_header(r);
    assert_int_equal(h->format, TRACE_FORMAT);
    assert_string_equal(h->refork_version, header.refork_version);
    assert_string_equal(h->kernel, header.kernel);
    assert_string_equal(h->machine_id, header.machine_id);
    assert_int_equal(h->start_unix_ns, header.start_unix_ns);
    assert_int_equal(h->cpu.level, header.cpu.level);
    assert_memory_equal(&h->cpu.shown, &header.cpu.shown, sizeof h->cpu.shown);
    assert_int_equal(h->xstate_size, header.xstate_size);
    assert_int_equal(h->paranoid_every, header.paranoid_every);
    assert_int_equal(h->flags, header.flags);
    assert_int_equal(trace_last_event(r), COUNT);
    assert_false(trace_truncated(r, NULL));
    expect_samples(r, 1, COUNT, LARGEST);
    expect_end(r);

    uint64_t seed = 1;
    for (int i = 0; i < 60; i++) {
        uint64_t to = 1 + rng(&seed) % COUNT;
        ok(trace_seek(r, to, &err));
        expect_samples(r, to, to + 20 < COUNT ? to + 20 : COUNT, LARGEST);
        if (i % 3 == 0 && to + 30 < COUNT) {
            ok(trace_seek(r, to + 30, &err)); // forward within or just beyond the chunk
            expect_samples(r, to + 30, to + 30, LARGEST);
        }
    }
    ok(trace_seek(r, COUNT + 1, &err));
    expect_end(r);
    struct rf_error err = {0};
    assert_int_equal(trace_seek(r, COUNT + 2, &err), -1);
    assert_int_equal(trace_seek(r, 0, &err), -1);
    trace_close(r);
}

static void test_empty(void **state) {
    (void)state;
    finish(create());
    struct trace_reader *r = open_trace();
    assert_int_equal(trace_last_event(r), 0);
    assert_false(trace_truncated(r, NULL));
    expect_end(r);
    trace_close(r);
}

// More tasks than the state of one chunk holds.
static void test_many_tasks(void **state) {
    (void)state;
    struct trace_writer *w = create();
    for (int round = 0; round < 2; round++)
        for (int tid = 1; tid <= 3000; tid++) {
            struct event e = {.kind = EV_TICK, .tid = tid, .ret = tid + round};
            ok(trace_append(w, &e, &err));
        }
    finish(w);
    struct trace_reader *r = open_trace();
    struct event e;
    for (int i = 0; i < 6000; i++) {
        ok(trace_next(r, &e, &err));
        assert_int_equal(e.tid, i % 3000 + 1);
        assert_int_equal(e.ret, e.tid + i / 3000);
    }
    expect_end(r);
    trace_close(r);
}

static void test_huge_event(void **state) {
    (void)state;
    struct trace_writer *w = create();
    uint8_t *huge = calloc(1, (64u << 20) + 1);
    huge[40u << 20] = 7;
    struct piece piece = {.kind = PIECE_MEM, .data = huge, .len = (64u << 20) + 1};
    struct event e = {.kind = EV_SYSCALL, .tid = 1, .pieces = &piece, .piece_count = 1};
    struct rf_error err = {0};
    assert_int_equal(trace_append(w, &e, &err), -1);
    assert_int_equal(err.status, RF_CANNOT);
    assert_non_null(strstr(err.text, "too large"));
    piece.len = 60u << 20; // the writer goes on
    ok(trace_append(w, &e, &err));
    append_samples(w, 2, 50, 100);
    finish(w);
    struct trace_reader *r = open_trace();
    struct event got;
    ok(trace_next(r, &got, &err));
    assert_event_equal(&got, &e, 1);
    expect_samples(r, 2, 50, 100);
    trace_close(r);
    free(huge);
}

static int make_file(const char *name, const void *data, size_t len) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, data, len), len);
    return fd;
}

static void test_blobs(void **state) {
    (void)state;
    const size_t large = 9u << 20;
    uint8_t *data = malloc(large);
    for (size_t at = 0; at < large; at += BYTES)
        memcpy(data + at, bytes, large - at < BYTES ? large - at : BYTES);
    memset(data + (4u << 20), 0, 2u << 20);
    int big = make_file("big", data, large), copy = make_file("copy", data, large),
        small = make_file("small", bytes, 5000);

    struct trace_writer *w = create();
    uint64_t id = 0;
    ok(trace_add_file(w, big, "/lib/big", &id, &err));
    assert_int_equal(id, 1);
    append_samples(w, 1, 10, 100);
    ok(trace_add_file(w, copy, "/lib/copy", &id, &err));
    assert_int_equal(id, 1);
    ok(trace_add_file(w, small, "/lib/small", &id, &err));
    assert_int_equal(id, 2);
    ok(trace_add_file(w, small, "/lib/small", &id, &err));
    assert_int_equal(id, 2);
    assert_int_equal(add_bytes(w, bytes, 5000, "/lib/same"), 2);
    assert_int_equal(add_bytes(w, NULL, 0, "empty"), 3);
    assert_int_equal(add_bytes(w, "x", 1, "source:a.c"), 4);
    assert_int_equal(add_bytes(w, "y", 1, "source:a.c"), 5);
    // Changed content is new content, even within one tick of the file's mtime.
    assert_int_equal(pwrite(small, "changed", 7, 0), 7);
    ok(trace_add_file(w, small, "/lib/small", &id, &err));
    assert_int_equal(id, 6);
    struct rf_error err = {0};
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(trace_add_file(w, null, "/dev/null", &id, &err), -1);
    assert_int_equal(err.status, RF_CANNOT);
    close(null);
    append_samples(w, 11, 20, 100);
    finish(w);

    struct trace_reader *r = open_trace();
    assert_int_equal(trace_blob_count(r), 6);
    struct event e;
    static struct sample s;
    ok(trace_next(r, &e, &err));
    expect_blob(r, 1, data, large); // does not disturb the event
    make_event(&s, 1, 100);
    assert_event_equal(&e, &s.event, 1);
    expect_samples(r, 2, 20, 100);
    expect_blob(r, 2, bytes, 5000);
    expect_blob(r, 3, NULL, 0);
    expect_blob(r, 4, "x", 1);
    assert_int_equal(trace_blob_by_name(r, "source:a.c"), 5);
    assert_int_equal(trace_blob_by_name(r, "nothing"), 0);
    const char *name;
    uint64_t size;
    assert_true(trace_blob_info(r, 1, &name, &size));
    assert_string_equal(name, "/lib/big");
    assert_int_equal(size, large);
    assert_false(trace_blob_info(r, 0, &name, &size));
    assert_false(trace_blob_info(r, 7, &name, &size));
    int fd = trace_blob_fd(r, 1, &err);
    assert_int_equal(fd, trace_blob_fd(r, 1, &err));
    assert_int_equal(pwrite(fd, "x", 1, 0), -1); // sealed
    assert_int_equal(trace_blob_fd(r, 7, &err), -1);
    assert_int_equal(err.status, RF_BAD_TRACE);
    trace_close(r);
    close(big);
    close(copy);
    close(small);
    free(data);
}

static void test_output_file(void **state) {
    (void)state;
    struct rf_error err = {0};
    struct trace_writer *w = NULL;
    // What cannot be created leaves what was there alone.
    spit("precious", 8);
    assert_int_equal(trace_create("/nonexistent/folder/x.refork", &header, 0, &w, &err), -1);
    assert_int_equal(err.status, RF_CANNOT);
    assert_int_equal(trace_create("/dev/full", &header, 0, &w, &err), -1);
    assert_non_null(strstr(err.text, strerror(ENOSPC)));
    size_t size;
    uint8_t *data = slurp(&size);
    assert_int_equal(size, 8);
    free(data);

    // Open descriptors: close-on-exec, and out of the way of the program's own numbers.
    int before = dup(0);
    close(before);
    w = create();
    int after = dup(0);
    close(after);
    assert_int_equal(before, after);
    for (int fd = 3; fd < 1024; fd++) {
        char link[64], target[256];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, target, sizeof target - 1);
        if (n < 0) continue;
        target[n] = 0;
        if (strcmp(target, trace_path) != 0) continue;
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_true(fd >= 700);
    }
    finish(w);
    trace_close(open_trace());
}

static void test_amend(void **state) {
    (void)state;
    struct trace_writer *w = create(), *second = NULL;
    struct rf_error err = {0};
    append_samples(w, 1, 500, 1000);
    assert_int_equal(add_bytes(w, "program", 7, "/bin/program"), 1);
    ok(trace_flush(w, &err));
    assert_int_equal(trace_amend(trace_path, &second, &err), -1); // still being written
    assert_int_equal(err.status, RF_CANNOT);
    assert_non_null(strstr(err.text, "in use"));
    finish(w);
    for (int round = 0; round < 3; round++) {
        ok(trace_amend(trace_path, &w, &err));
        assert_int_equal(trace_event_count(w), 500);
        assert_int_equal(add_bytes(w, "program", 7, "/bin/program"), 1);
        assert_int_equal(add_bytes(w, "int main;", 9, "source:main.c"), 2);
        finish(w);
        struct trace_reader *r = open_trace();
        assert_false(trace_truncated(r, NULL));
        assert_int_equal(trace_blob_count(r), 2);
        assert_int_equal(trace_blob_by_name(r, "source:main.c"), 2);
        expect_blob(r, 2, "int main;", 9);
        expect_samples(r, 1, 500, 1000);
        expect_end(r);
        trace_close(r);
    }
}

// ---- size and memory ----
static void append_syscalls(struct trace_writer *w, int count) {
    uint64_t seed = 1, time = 0;
    struct event e = {.kind = EV_SYSCALL, .flags = EVF_REGS, .tid = 4711, .ret = 1};
    struct piece piece = {.kind = PIECE_MEM, .mem = {0x7fffffffde00}, .len = 1};
    e.regs.rip = 0x7ffff7e5a0d0;
    e.regs.rsp = 0x7fffffffdd90;
    e.regs.rcx = e.regs.rip;
    e.regs.r11 = 0x246;
    e.regs.rsi = piece.mem.address;
    e.regs.rdx = 1;
    e.pieces = &piece;
    e.piece_count = 1;
    for (int i = 0; i < count; i++) {
        char byte = (char)rng(&seed);
        e.time_us = time += 4 + rng(&seed) % 8; // as a clock has it: no two steps alike
        e.regs.rbx = (uint64_t)i;               // the program's loop counter
        e.regs.r8 = 0x5555555592a0 + rng(&seed) % 16 * 16;
        piece.data = &byte;
        ok(trace_append(w, &e, &err));
    }
}

static void test_size_of_a_million_syscalls(void **state) {
    (void)state;
    struct trace_writer *w = create();
    append_syscalls(w, 1000000);
    finish(w);
    struct stat st;
    assert_int_equal(stat(trace_path, &st), 0);
    print_message("1,000,000 syscalls: %lld bytes\n", (long long)st.st_size);
    assert_true(st.st_size < 8000000);
    struct trace_reader *r = open_trace();
    assert_int_equal(trace_last_event(r), 1000000);
    trace_close(r);
}

#if !(SANITIZED)
// Both in a process of its own: ru_maxrss is a high-water mark.
static void test_memory_of_the_writer(void **state) {
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct rusage before, after;
        getrusage(RUSAGE_SELF, &before);
        struct trace_writer *w = create();
        int fd = make_file("sparse", "x", 1);
        uint64_t id;
        struct rf_error err = {0};
        if (ftruncate(fd, 300 << 20) < 0 || trace_add_file(w, fd, "sparse", &id, &err) < 0) _exit(1);
        append_syscalls(w, 1000000);
        append_samples(w, 1000001, 1006000, 1 << 20);
        if (trace_finish(w, &err) < 0) _exit(2);
        getrusage(RUSAGE_SELF, &after);
        long kilobytes = after.ru_maxrss - before.ru_maxrss;
        print_message("memory of the writer: %ld KiB\n", kilobytes);
        _exit(kilobytes < 32 << 10 ? 0 : 3);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}
#endif

// ---- dump and info ----
static void test_dump(void **state) {
    (void)state;
    struct trace_writer *w = create();
    struct piece texts[] = {
        {.kind = PIECE_TEXT, .text = {TEXT_PATH}, .data = "/bin/sam\033ple", .len = 12},
        {.kind = PIECE_TEXT, .text = {TEXT_ARG}, .data = "sample", .len = 6},
        {.kind = PIECE_TEXT, .text = {TEXT_ARG}, .data = "\xff\xfe", .len = 2},
        {.kind = PIECE_MAP, .map = {0x400000, 0x1000, 5}, .data = "/bin/sample", .len = 11}};
    struct piece why = {.kind = PIECE_TEXT, .text = {TEXT_MESSAGE}, .data = "there is no room", .len = 16};
    struct event events[] = {
        {.kind = EV_EXEC, .tid = 10, .pieces = texts, .piece_count = 4},
        {.kind = EV_ENTER, .tid = 10, .nr = SYS_read, .flags = EVF_REGS, .regs = {.rdi = 3, .rdx = 4096}},
        {.kind = EV_BIRTH, .tid = 10, .ret = 11, .aux = 10, .flags = EVF_THREAD | EVF_VM},
        {.kind = EV_BIRTH, .tid = 11, .ret = 12, .aux = 12},
        {.kind = EV_SYSCALL, .tid = 11, .nr = SYS_read, .ret = -EAGAIN},
        {.kind = EV_DEATH, .tid = 12, .ret = 11, .flags = EVF_KILLED | EVF_LAST},
        {.kind = EV_END, .tid = 10, .nr = END_FAILED, .time_us = 2500000, .pieces = &why, .piece_count = 1},
    };
    const int count = sizeof events / sizeof *events;
    for (int i = 0; i < count; i++)
        ok(trace_append(w, &events[i], &err));
    append_samples(w, (uint64_t)count + 1, 300, 100);
    finish(w);

    struct trace_reader *r = open_trace();
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ok(dump_events(out, r, 0, 0, 0, &err));
    fclose(out);
    int lines = 0;
    for (size_t i = 0; i < size; i++) {
        lines += text[i] == '\n';
        assert_true(text[i] == '\n' || (unsigned char)text[i] >= ' ');
    }
    assert_int_equal(lines, 300);
    assert_non_null(strstr(text, "/bin/sam\\x1bple"));
    assert_non_null(strstr(text, "= -1 EAGAIN (Resource temporarily unavailable)"));
    assert_non_null(strstr(text, "killed by SIGSEGV"));
    assert_non_null(strstr(text, "could not go on"));
    free(text);

    out = open_memstream(&text, &size);
    ok(dump_events(out, r, 3, 5, 11, &err)); // events 4 and 5 are of task 11
    fclose(out);
    unsigned long first, second;
    assert_int_equal(sscanf(text, "%lu%*[^\n]\n%lu", &first, &second), 2);
    assert_int_equal(first, 4);
    assert_int_equal(second, 5);
    assert_null(strstr(strchr(strchr(text, '\n') + 1, '\n') + 1, "\n"));
    free(text);
    trace_close(r);
}

static void test_info(void **state) {
    (void)state;
    struct trace_writer *w = create();
    struct piece texts[] = {{.kind = PIECE_TEXT, .text = {TEXT_PATH}, .data = "/bin/sample", .len = 11},
                            {.kind = PIECE_TEXT, .text = {TEXT_ARG}, .data = "\xff\xfe", .len = 2}};
    struct event events[] = {
        {.kind = EV_EXEC, .tid = 10, .pieces = texts, .piece_count = 2},
        {.kind = EV_BIRTH, .tid = 10, .ret = 11, .aux = 10, .flags = EVF_THREAD | EVF_VM},
        {.kind = EV_BIRTH, .tid = 11, .ret = 12, .aux = 12},
        {.kind = EV_DEATH, .tid = 12, .ret = 11, .flags = EVF_KILLED | EVF_LAST},
        {.kind = EV_END, .tid = 10, .nr = END_BY_ITSELF, .ret = 3, .time_us = 2500000},
    };
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        ok(trace_append(w, &events[i], &err));
    finish(w);

    struct trace_reader *r = open_trace();
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ok(dump_info(out, trace_path, r, &err));
    fclose(out);
    assert_non_null(strstr(text, "/bin/sample"));
    assert_non_null(strstr(text, "exit status 3"));
    assert_non_null(strstr(text, "2.500000 s"));
    assert_non_null(strstr(text, "2023-11-14T22:13:20Z"));
    free(text);

    out = open_memstream(&text, &size);
    ok(dump_info_json(out, trace_path, r, &err));
    fclose(out);
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "program")), "/bin/sample");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "end"), "status")), 3);
    assert_true(json_is_false(json_object_get(json, "truncated")));
    const json_t *tasks = json_object_get(json, "tasks"), *task = json_array_get(tasks, 2);
    assert_int_equal(json_array_size(tasks), 3);
    assert_int_equal(json_integer_value(json_object_get(task, "pid")), 12);
    assert_int_equal(json_integer_value(json_object_get(task, "parent")), 11);
    assert_int_equal(json_integer_value(json_object_get(task, "birth")), 3);
    assert_int_equal(json_integer_value(json_object_get(task, "death")), 4);
    assert_int_equal(json_integer_value(json_object_get(task, "signal")), 11);
    assert_string_equal(json_string_value(json_object_get(task, "name")), "sample");
    json_decref(json);
    free(text);
    trace_close(r);

    // A damaged trace is described as far as it goes, and is an error.
    uint8_t *data = slurp(&size);
    data[sizeof(struct disk_header) + sizeof(struct disk_chunk)] ^= 1;
    spit(data, size);
    free(data);
    r = open_trace();
    out = open_memstream(&text, &size);
    struct rf_error err = {0};
    assert_int_equal(dump_info(out, trace_path, r, &err), -1);
    assert_int_equal(err.status, RF_BAD_TRACE);
    assert_int_equal(dump_events(out, r, 0, 0, 0, &err), -1);
    assert_int_equal(err.status, RF_BAD_TRACE);
    fclose(out);
    assert_non_null(strstr(text, "a machine"));
    free(text);
    trace_close(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c),
        cmocka_unit_test(test_bytes_of_an_event),
        cmocka_unit_test(test_roundtrip),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_many_tasks),
        cmocka_unit_test(test_huge_event),
        cmocka_unit_test(test_blobs),
        cmocka_unit_test(test_output_file),
        cmocka_unit_test(test_amend),
        cmocka_unit_test(test_size_of_a_million_syscalls),
#if !(SANITIZED)
        cmocka_unit_test(test_memory_of_the_writer),
#endif
        cmocka_unit_test(test_dump),
        cmocka_unit_test(test_info),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
