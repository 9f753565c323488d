// The trace file: what is cut off, damaged, foreign or could not be written is refused or read as a prefix,
// by name and byte offset, and never crashes the reader.
#include "tests/unit/trace_samples.h"

#include "core/loop_site.h"
#include "core/trace/crc32c.h"
#include "core/trace/trace_format.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

// A recorder that is killed in the middle: the file has its final name and is readable up to its last whole
// chunk.
static void test_killed_writer(void **state) {
    (void)state;
    unlink(trace_path);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct rf_error err = {0};
        struct trace_writer *w;
        static struct sample s;
        if (trace_create(trace_path, &header, 0, &w, &err) < 0) _exit(1);
        bool told = false;
        for (uint64_t n = 1;; n++) {
            make_event(&s, n, 5000);
            if (trace_append(w, &s.event, &err) < 0) _exit(2);
            if (n % 100 == 0 && trace_flush(w, &err) < 0) _exit(3);
            if (told || trace_written_bytes(w) < 300000) continue;
            told = true;
            if (write(pipes[1], "x", 1) != 1) _exit(4);
        }
    }
    close(pipes[1]);
    char byte;
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    close(pipes[0]);
    kill(pid, SIGKILL);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    struct trace_reader *r = open_trace();
    uint64_t at;
    assert_true(trace_truncated(r, &at));
    assert_true(at >= 300000);
    uint64_t last = trace_last_event(r);
    assert_true(last >= 100);
    assert_int_equal(last % 100, 0);
    expect_samples(r, 1, last, 5000);
    expect_end(r);
    trace_close(r);

    // It can be amended all the same, and still says that it was cut.
    struct trace_writer *w = NULL;
    ok(trace_amend(trace_path, &w, &err));
    assert_int_equal(add_bytes(w, "text", 4, "source:x.c"), 1);
    finish(w);
    r = open_trace();
    uint64_t cut;
    assert_true(trace_truncated(r, &cut));
    assert_int_equal(cut, at);
    expect_samples(r, 1, last, 5000);
    expect_end(r);
    expect_blob(r, 1, "text", 4);
    trace_close(r);
}

// Beyond RLIMIT_FSIZE the kernel raises SIGXFSZ, whose default action would end the recorder.
static void test_disk_full(void **state) {
    (void)state;
    unlink(trace_path);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit = {400000, 400000};
        struct rf_error err = {0};
        struct trace_writer *w;
        static struct sample s;
        signal(SIGXFSZ, SIG_DFL);
        if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || trace_create(trace_path, &header, 0, &w, &err) < 0)
            _exit(1);
        int result = 0;
        for (uint64_t n = 1; result == 0; n++) {
            make_event(&s, n, 5000);
            result = trace_append(w, &s.event, &err);
            if (result == 0 && n % 100 == 0) result = trace_flush(w, &err);
        }
        bool named =
            err.status == RF_CANNOT && strstr(err.text, strerror(EFBIG)) && strstr(err.text, trace_path);
        uint64_t id;
        if (!named || trace_add_bytes(w, "x", 1, "x", &id, &err) == 0 || trace_flush(w, &err) == 0) _exit(2);
        memset(&err, 0, sizeof err);
        if (trace_finish(w, &err) == 0 || !strstr(err.text, strerror(EFBIG))) _exit(3);
        // Not even the header: nothing is left behind.
        limit.rlim_cur = 100;
        if (setrlimit(RLIMIT_FSIZE, &limit) < 0) _exit(4);
        char other[160];
        snprintf(other, sizeof other, "%s.other", trace_path);
        if (trace_create(other, &header, 0, &w, &err) == 0 || !strstr(err.text, strerror(EFBIG))) _exit(5);
        _exit(access(other, F_OK) == 0 ? 6 : 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    struct trace_reader *r = open_trace();
    uint64_t at;
    assert_true(trace_truncated(r, &at));
    struct trace_sizes sizes;
    trace_get_sizes(r, &sizes);
    assert_int_equal(at, sizes.file); // half a chunk was cut away
    uint64_t last = trace_last_event(r);
    assert_true(last >= 100);
    expect_samples(r, 1, last, 5000);
    expect_end(r);
    trace_close(r);
}

static void test_versions(void **state) {
    (void)state;
    finish(create());
    size_t size;
    uint8_t *data = slurp(&size);
    struct disk_header h;
    memcpy(&h, data, sizeof h);
    h.format = TRACE_FORMAT + 41;
    strcpy(h.refork_version, "9.9\033[31m");
    h.crc = crc32c(0, &h, offsetof(struct disk_header, crc));
    memcpy(data, &h, sizeof h);
    spit(data, size);
    struct trace_reader *r;
    struct rf_error err = {0};
    assert_int_equal(trace_open(trace_path, &r, &err), -1);
    assert_int_equal(err.status, RF_BAD_TRACE);
    char want[128];
    snprintf(want, sizeof want, "made by refork 9.9?[31m, format %d; this refork reads format %d",
             TRACE_FORMAT + 41, TRACE_FORMAT);
    assert_non_null(strstr(err.text, want));
    // Not a trace at all.
    spit("#!/bin/sh\necho this is a script and no trace\n", 45);
    assert_int_equal(trace_open(trace_path, &r, &err), -1);
    assert_int_equal(err.status, RF_BAD_TRACE);
    assert_non_null(strstr(err.text, "not a refork trace"));
    assert_int_equal(trace_open(folder, &r, &err), -1);
    assert_int_equal(trace_open("/nonexistent", &r, &err), -1);
    free(data);
}

// ---- events that are not as core/events.def says ----

// The reason why an event that says this is not read.
static void refused(const struct event *e, const char *why) {
    struct trace_writer *w = create();
    struct event good = {.kind = EV_NOTE, .tid = 1}, bad = *e;
    ok(trace_append(w, &good, &err));
    ok(trace_append(w, &bad, &err));
    finish(w);
    struct trace_reader *r = open_trace();
    struct rf_error err = {0};
    struct event got;
    assert_int_equal(trace_next(r, &got, &err), 1);
    assert_int_equal(trace_next(r, &got, &err), -1);
    assert_int_equal(err.status, RF_BAD_TRACE);
    if (!strstr(err.text, why) || !strstr(err.text, "event 2,")) fail_msg("%s", err.text);
    trace_close(r);
}

static void refused_piece(const struct piece *p, const char *why) {
    struct piece copy = *p;
    refused(&(struct event){.kind = EV_STUCK, .tid = 1, .pieces = &copy, .piece_count = 1}, why);
}

static void test_numbers_of_no_enum(void **state) {
    (void)state;
    static const char reason[] = "no such reason for the end", place[] = "no such place for a signal";
    refused(&(struct event){.kind = EV_END}, reason);
    refused(&(struct event){.kind = EV_END, .nr = END_REASONS}, reason);
    refused(&(struct event){.kind = EV_END, .nr = -1}, reason);
    refused(&(struct event){.kind = EV_SIGNAL, .tid = 1, .nr = 6, .aux = SIGNAL_PLACES}, place);
    refused(&(struct event){.kind = EV_SIGNAL, .tid = 1, .nr = 6, .aux = ~0ull}, place);
    refused(&(struct event){.kind = EV_SIGNAL, .tid = 1, .nr = 65}, "no such signal");
    refused(&(struct event){.kind = EV_SIGNAL, .tid = 1, .nr = 0}, "no such signal");
    refused(&(struct event){.kind = EV_TRAP, .tid = 1, .nr = TRAP_KINDS}, "no such trapped instruction");
    refused(&(struct event){.kind = EV_BREAK, .tid = 1, .nr = 2}, "no such place for a break");
    refused(&(struct event){.kind = EV_NOTE, .flags = 128}, "no such flag");
    refused_piece(&(struct piece){.kind = PIECE_TEXT, .text = {TEXT_KINDS}}, "no such kind of text");
    refused_piece(&(struct piece){.kind = PIECE_WAIT, .wait = {WAIT_KINDS}}, "no such kind of wait");
    refused_piece(&(struct piece){.kind = PIECE_WAIT, .wait = {WAIT_OUTSIDE}}, "no such kind of wait");
    refused_piece(&(struct piece){.kind = PIECE_WORD, .word = {.size = 9}}, "a word has 1 to 8 bytes");
    refused_piece(&(struct piece){.kind = PIECE_WORD, .word = {.size = 1ull << 63}},
                  "a word has 1 to 8 bytes");
}

static void test_pieces_of_a_wrong_size(void **state) {
    (void)state;
    static const char size[] = "a piece's data has a wrong size";
    static const char zeros[4096];
    static const struct {
        int kind;
        size_t size;
    } kinds[] = {
        {PIECE_REGS, sizeof(struct user_regs_struct)},
        {PIECE_SIGINFO, sizeof(siginfo_t)},
        {PIECE_SITE, sizeof(struct loop_site)},
        {PIECE_HASH, 0},
        {PIECE_PEER, 0},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct piece p = {.kind = (uint8_t)kinds[i].kind, .data = zeros, .len = kinds[i].size + 1};
        refused_piece(&p, size);
        if (!kinds[i].size) continue;
        p.len = kinds[i].size - 1;
        refused_piece(&p, size);
        p.len = 0;
        p.data = NULL;
        refused_piece(&p, size);
    }
}

// ---- damage ----
enum { SMALL = 12 };

static void make_small(void) {
    struct trace_writer *w = create();
    append_samples(w, 1, 5, 40);
    assert_int_equal(add_bytes(w, "content of a file that is mapped", 32, "/bin/program"), 1);
    append_samples(w, 6, SMALL, 40);
    finish(w);
}

struct outcome {
    uint64_t events; // read and as written
    bool blob;
    bool truncated;
    struct rf_error error; // of opening or reading; status 0: none
};

// Reads all of a damaged copy of the small trace. Whatever is read must be what was written.
static struct outcome read_small(void) {
    struct outcome o = {0};
    struct trace_reader *r = NULL;
    if (trace_open(trace_path, &r, &o.error) < 0) return o;
    o.truncated = trace_truncated(r, NULL);
    struct event e;
    static struct sample s;
    while (trace_next(r, &e, &o.error) == 1) {
        make_event(&s, ++o.events, 40);
        assert_event_equal(&e, &s.event, o.events);
    }
    for (uint64_t id = 1; id <= trace_blob_count(r); id++) {
        struct rf_error err = {0};
        if (trace_blob_fd(r, id, &err) < 0) {
            o.error = err;
            continue;
        }
        expect_blob(r, id, "content of a file that is mapped", 32);
        o.blob = true;
    }
    trace_close(r);
    return o;
}

static void assert_reported(const struct outcome *o, size_t at) {
    if (o->error.status == 0) return;
    if (o->error.status != RF_BAD_TRACE || !strstr(o->error.text, "byte "))
        fail_msg("at %zu: status %d, '%s'", at, o->error.status, o->error.text);
}

static void test_truncation_at_every_byte(void **state) {
    (void)state;
    make_small();
    size_t size;
    uint8_t *data = slurp(&size);
    uint64_t events = SMALL;
    for (size_t len = size; len-- > 0;) {
        assert_int_equal(truncate(trace_path, (off_t)len), 0);
        struct outcome o = read_small();
        assert_reported(&o, len);
        // A prefix that says so, the shorter the less; nothing at all within the header.
        if (len < sizeof(struct disk_header))
            assert_int_equal(o.error.status, RF_BAD_TRACE);
        else if (o.error.status == 0)
            assert_true(o.truncated);
        assert_true(o.events <= events);
        events = o.events;
    }
    assert_int_equal(events, 0);
    free(data);
}

static void test_every_bit(void **state) {
    (void)state;
    make_small();
    size_t size;
    uint8_t *data = slurp(&size);
    int fd = open(trace_path, O_WRONLY | O_CLOEXEC);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        uint8_t byte = data[bit / 8] ^ (uint8_t)(1u << bit % 8);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
        struct outcome o = read_small();
        assert_int_equal(pwrite(fd, &data[bit / 8], 1, (off_t)(bit / 8)), 1);
        assert_reported(&o, bit / 8);
        // Every byte of the file is under a checksum: no flip may pass unsaid.
        if (o.error.status == 0 && !o.truncated)
            fail_msg("bit %zu of byte %zu went unnoticed", bit % 8, bit / 8);
    }
    close(fd);
    free(data);
}

// Whoever reads only a part of the file can ask for the rest: nothing in it is without a checksum.
static void test_verify(void **state) {
    (void)state;
    make_small();
    size_t size;
    uint8_t *data = slurp(&size);
    int fd = open(trace_path, O_WRONLY | O_CLOEXEC);
    struct trace_reader *r = open_trace();
    struct event e;
    struct rf_error err = {0};
    assert_int_equal(trace_next(r, &e, &err), 1);
    assert_int_equal(trace_verify(r, &err), 0);
    assert_int_equal(trace_next(r, &e, &err), 1); // where the cursor was
    assert_int_equal(e.number, 2);
    trace_close(r);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        uint8_t byte = data[bit / 8] ^ (uint8_t)(1u << bit % 8);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
        err = (struct rf_error){0};
        if (trace_open(trace_path, &r, &err) == 0) {
            int verified = trace_verify(r, &err);
            trace_close(r);
            if (verified == 0) fail_msg("bit %zu of byte %zu went unnoticed", bit % 8, bit / 8);
        }
        assert_int_equal(err.status, RF_BAD_TRACE);
        if (!strstr(err.text, "byte ") && !strstr(err.text, "format")) fail_msg("no byte in '%s'", err.text);
        assert_int_equal(pwrite(fd, &data[bit / 8], 1, (off_t)(bit / 8)), 1);
    }
    close(fd);
    // Cut between chunks or within one: not damaged.
    for (size_t len = size - 1; len >= sizeof(struct disk_header); len--) {
        assert_int_equal(truncate(trace_path, (off_t)len), 0);
        r = open_trace();
        assert_true(trace_truncated(r, NULL));
        assert_int_equal(trace_verify(r, &err), 0);
        trace_close(r);
    }
    free(data);
}

static void test_no_amend_over_damage(void **state) {
    (void)state;
    make_small();
    size_t size;
    uint8_t *data = slurp(&size);
    data[sizeof(struct disk_header)] ^= 1; // the first chunk's magic
    spit(data, size - 1);                  // and no index
    struct trace_writer *w = NULL;
    struct rf_error err = {0};
    assert_int_equal(trace_amend(trace_path, &w, &err), -1);
    assert_int_equal(err.status, RF_BAD_TRACE);
    size_t now;
    uint8_t *after = slurp(&now);
    assert_int_equal(now, size - 1);
    assert_memory_equal(after, data, now);
    free(after);
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_writer),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_numbers_of_no_enum),
        cmocka_unit_test(test_pieces_of_a_wrong_size),
        cmocka_unit_test(test_truncation_at_every_byte),
        cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_no_amend_over_damage),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
