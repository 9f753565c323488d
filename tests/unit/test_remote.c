// The asking side of gdb's protocol, against gdbserver; replays that go back are in tests/checks/rr.sh.
#include "core/cpu/debug_registers.h"
#include "replayer/rr/holder.h"
#include "replayer/rr/remote.h"
#include "replayer/rr/snapshot.h"
#include "tests/unit/record_program.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rr_server server;
static struct remote *remote;
static struct remote_stop first;
static struct rr_trace trace; // one that knows of one process
static struct rr_task task;

static bool have_gdbserver(void) {
    return access("/usr/bin/gdbserver", X_OK) == 0;
}

static int setup(void **state) {
    (void)state;
    if (!have_gdbserver()) return 0;
    struct rf_error err = {0};
    struct rr_line l = {0};
    rr_line_add(&l, "/usr/bin/gdbserver");
    rr_line_add(&l, "--once");
    rr_line_add(&l, "localhost:0");
    rr_line_add(&l, built("tests/unit/subjects/counting"));
    if (rr_server_start(&l, &server, &err) < 0 || remote_connect(server.port, &remote, &first, &err) < 0) {
        print_error("%s\n", err.text);
        return -1;
    }
    task = (struct rr_task){.tid = first.tid, .pid = first.pid, .born = 1};
    trace = (struct rr_trace){.path = "/nonexistent", .tasks = &task, .count = 1};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    remote_close(remote);
    if (server.pid) rr_server_stop(&server);
    remote = NULL;
    server = (struct rr_server){.output = -1};
    return 0;
}

#define NEEDS_GDBSERVER                                                                                      \
    if (!have_gdbserver()) {                                                                                 \
        print_message("no gdbserver: apt install gdbserver\n");                                              \
        skip();                                                                                              \
    }

static const struct remote_thread *the_thread(void) {
    static struct remote_thread t;
    t = (struct remote_thread){.pid = first.pid, .tid = first.tid};
    return &t;
}

static struct snapshot *snapshot_of(struct diagnosis *d) {
    struct snapshot *s;
    struct rf_error err = {0};
    if (rr_snapshot(&trace, &task, remote, ((struct diagnosis *)d)->files, &s, &err) < 0)
        fail_msg("%s", err.text);
    return s;
}

static void test_it_tells_registers_maps_and_symbols(void **state) {
    (void)state;
    NEEDS_GDBSERVER
    struct diagnosis *d = diagnosis_new();
    struct snapshot *s = snapshot_of(d);
    assert_int_equal(s->thread_count, 1);
    const struct view_map *code = view_find(&s->view, s->threads[0].regs.rip);
    assert_non_null(code);
    assert_true(code->prot & 4);
    assert_non_null(view_find(&s->view, s->threads[0].regs.rsp));
    assert_true(symbols_address(d->symbols, &s->view, "counting", "counter") != 0);
    snapshot_free(s);
    diagnosis_free(d);
}

static void test_a_step_moves_and_memory_is_read_anew(void **state) {
    (void)state;
    NEEDS_GDBSERVER
    struct user_regs_struct before, after;
    struct remote_stop stop;
    struct rf_error err = {0};
    uint64_t pushed;
    assert_int_equal(remote_registers(remote, the_thread(), &before, &err), 0);
    // The loader's first instructions: mov %rsp,%rdi; call _dl_start.
    bool called = false;
    for (int i = 0; i < 4 && !called; i++) {
        assert_true(remote_read(remote, before.rsp - 8, &pushed, sizeof pushed));
        assert_int_equal(remote_go(remote, REMOTE_STEP, the_thread(), &stop, &err), 0);
        assert_int_equal(stop.how, REMOTE_STOPPED);
        assert_int_equal(remote_registers(remote, the_thread(), &after, &err), 0);
        assert_true(after.rip != before.rip);
        called = after.rsp == before.rsp - 8;
        if (!called) before = after;
    }
    assert_true(called);
    uint64_t now = 0;
    assert_true(remote_read(remote, after.rsp, &now, sizeof now));
    assert_true(now > before.rip && now < before.rip + 16); // the return address, which was not there before
    assert_false(remote_read(remote, 0, &now, sizeof now));
    assert_false(remote_read(remote, UINT64_MAX - 3, &now, sizeof now));
}

static void test_a_watchpoint_stops_at_each_write(void **state) {
    (void)state;
    NEEDS_GDBSERVER
    if (!debug_registers_work()) {
        print_message(
            "SKIPPED: gdbserver's watchpoints need debug registers, which stop nobody on this machine\n");
        skip();
    }
    struct diagnosis *d = diagnosis_new();
    struct snapshot *s = snapshot_of(d);
    struct remote_stop stop;
    struct rf_error err = {0};
    uint64_t counter = symbols_address(d->symbols, &s->view, "counting", "counter");
    int value, seen = 0;
    assert_int_equal(remote_watch(remote, counter, sizeof value, true, &err), 0);
    while (remote_go(remote, REMOTE_FORWARD, NULL, &stop, &err) == 0 && stop.how == REMOTE_STOPPED) {
        assert_true(remote_read(remote, counter, &value, sizeof value));
        assert_int_equal(value, ++seen);
        assert_int_equal(stop.watched, counter);
    }
    assert_int_equal(seen, 4);
    assert_int_equal(stop.how, REMOTE_EXITED);
    assert_int_equal(stop.signal, 7);
    snapshot_free(s);
    diagnosis_free(d);
}

static void test_a_live_process_does_not_go_back(void **state) {
    (void)state;
    NEEDS_GDBSERVER
    struct remote_stop stop;
    struct rf_error err = {0};
    assert_false(remote_goes_back(remote));
    assert_int_equal(remote_go(remote, REMOTE_BACK, NULL, &stop, &err), -1);
    assert_string_equal(err.text, "this server cannot go back");
}

static void test_nobody_listens(void **state) {
    (void)state;
    struct remote *none;
    struct remote_stop stop;
    struct rf_error err = {0};
    assert_int_equal(remote_connect(1, &none, &stop, &err), -1);
    assert_non_null(strstr(err.text, "cannot connect"));
}

static void test_a_server_that_ends_says_why(void **state) {
    (void)state;
    struct rr_server none;
    struct rr_line l = {0};
    struct rf_error err = {0};
    rr_line_add(&l, "/bin/sh");
    rr_line_add(&l, "-c");
    rr_line_add(&l, "echo hello; echo '[FATAL ./src/a.cc:1:f()] no such thing' >&2; exit 1");
    assert_int_equal(rr_server_start(&l, &none, &err), -1);
    assert_non_null(strstr(err.text, "no such thing"));
    assert_null(strstr(err.text, "FATAL"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_tells_registers_maps_and_symbols, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_step_moves_and_memory_is_read_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_watchpoint_stops_at_each_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_live_process_does_not_go_back, setup, teardown),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_a_server_that_ends_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
