// Verdicts of recordings made here: one small program (subjects/verdicts.c), a mode for each way to hang (or not to).
#include "core/trace/trace_read.h"
#include "replayer/verdict/examine.h"
#include "replayer/locks/kinds.h"
#include "replayer/session/session.h"
#include "replayer/session/sources.h"
#include "tests/unit/record_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PROGRAM "tests/unit/subjects/verdicts"

// A row ends with the last field that is not 0.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
struct want {
    const char *mode;
    int kind; // of the first finding; -1: none at all
    enum confidence confidence;
    const char *symbol, *lock_kind;
    const char *start; // routine of the holder; NULL: none or not known
    bool vanished, forker, deadlock;
    const char *acquired; // a function in that stack
    const char *waiting;
    size_t edges, findings;
    size_t holders;          // more of them
    const char *waker;       // start routine of the first thread that is missed
    const char *name;        // of the holder
    const char *initialised; // a function of the stack where the lock was made
};

#define P     CONFIDENCE_PROVED
#define L     CONFIDENCE_LIKELY
#define MUTEX "pthread_mutex"

static const struct want wants[] = {
    {"heap", FINDING_ORPHANED_LOCK, P, "table::mutex", MUTEX, "queue_up", true, false, true, "queue_up",
     "want_table", 0, 2, .initialised = "heap"},
    {"contended", FINDING_ORPHANED_LOCK, P, "global.mutex (table::mutex)", MUTEX, "hold", true, false, true,
     "hold", "want_table", 0, 2},
    {"many", FINDING_ORPHANED_LOCK, P, "locks[9]", MUTEX, "hold", true, false, true, "hold", "want_all", 0,
     2},
    {"nested", FINDING_ORPHANED_LOCK, P, "first", MUTEX, "hold", true, false, true, "hold", "want_first", 0,
     3},
    {"shared", -1, P, .deadlock = false},
    {"shared_ended", FINDING_DEAD_HOLDER, P, "lock 0x", MUTEX, NULL, false, false, true, "shared_ended",
     "shared_ended", 0, 1, .initialised = "shared_ended"},
    {"forker", FINDING_SELF_HELD, P, "special", MUTEX, NULL, false, true, true, "forker", "want_special", 0,
     2},
    {"robust", FINDING_ORPHANED_LOCK, P, "special", MUTEX, "hold", true, false, true, "hold", "want_special",
     0, 2},
    {"cycle", FINDING_LOCK_CYCLE, P, "second", MUTEX, "other_order", false, false, true, "other_order",
     "cycle", 1, 1},
    {"child_cycle", FINDING_LOCK_CYCLE, P, "second", MUTEX, "other_order", false, false, true, "other_order",
     "cycle", 1, 2},
    {"self", FINDING_LOCK_CYCLE, P, "first", MUTEX, NULL, false, false, true, "self", "self", 0, 1},
    {"ended", FINDING_DEAD_HOLDER, P, "first", MUTEX, "end_holding", false, false, true, "end_holding",
     "ended", 0, 1},
    {"reader", FINDING_ORPHANED_LOCK, P, "rwlock", "pthread_rwlock", "read_lock", true, false, true,
     "read_lock", "want_write", 0, 2},
    {"writer", FINDING_ORPHANED_LOCK, P, "rwlock", "pthread_rwlock", "write_lock", true, false, true,
     "write_lock", "want_read", 0, 2},
    {"permit", FINDING_ORPHANED_LOCK, L, "sem", "sem", "use_permit", true, false, true, "use_permit",
     "want_permit", 0, 2},
    {"no_signal", FINDING_UNKNOWN_WAIT, P, "cond", "pthread_cond", NULL, false, false, true, NULL,
     "wait_cond", 0, 2},
    {"joined", FINDING_ORPHANED_LOCK, P, "first", MUTEX, "hold", true, false, true, "hold",
     "child_thread_wants", 0, 2},
    {"stack", FINDING_ORPHANED_LOCK, P, "*local, a local variable of thread", MUTEX, "local_lock", true,
     false, true, "local_lock", "want_local", 0, 2},
    {"reset", FINDING_LOCK_CYCLE, P, "first", MUTEX, NULL, false, false, true,
     "released_in_child_then_locked", "released_in_child_then_locked", 0, 2},
    {"readers", FINDING_ORPHANED_LOCK, P, "rwlock", "pthread_rwlock", "read_lock", true, false, true,
     "read_lock", "want_write", 0, 2, .holders = 1},
    {"child_handler", FINDING_ATFORK_CHILD, P, "first", MUTEX, "hold", true, false, true, "hold",
     "want_first", 0, 2},
    {"lost_waiter", FINDING_VANISHED_WAKER, P, "cond", "pthread_cond", NULL, false, false, true, NULL,
     "destroy_cond", 0, 2, .waker = "wait_for_signal"},
    {"event", FINDING_VANISHED_WAKER, L, "done", "sem", NULL, false, false, true, NULL, "want_done", 0, 2,
     .waker = "post_later"},
    {"consumed", FINDING_VANISHED_WAKER, L, "done", "sem", NULL, false, false, true, NULL, "want_done", 0, 2,
     .waker = "poster"},
    {"named", FINDING_ORPHANED_LOCK, P, "first", MUTEX, "hold_unnamed", true, false, true, "hold_unnamed",
     "take_first", 0, 2, .name = "by another"},
    {"twice", FINDING_VANISHED_WAKER, L, "done", "sem", NULL, false, false, true, NULL, "consume_twice", 0, 2,
     .waker = "poster"},
    {"cut", FINDING_ORPHANED_LOCK, L, "first", MUTEX, "hold", true, false, true, "hold", "want_first", 0, 1},
};

static bool names(const struct stack *s, const char *function) {
    for (size_t i = 0; i < s->count; i++) {
        const struct frame *f = &s->frames[i];
        if (f->function && !strcmp(f->function, function) && f->file && strstr(f->file, "/verdicts.c") &&
            f->line > 0)
            return true;
    }
    return false;
}

static const struct held_span *span(const struct verdict *v, const struct finding *f, int pid, bool ghost) {
    for (size_t i = 0; i < v->span_count; i++) {
        const struct held_span *s = &v->spans[i];
        if (s->lock == f->lock.address && s->tid == f->holder.tid && s->pid == pid && s->ghost == ghost)
            return s;
    }
    return NULL;
}

static void check_orphan(const struct verdict *v, const struct finding *f) {
    assert_true(f->acquired.event > 0);
    if (!f->holder.vanished) { // it ended: no fork has to do with that
        assert_int_equal(f->fork.event, 0);
        return;
    }
    assert_true(f->acquired.event < f->fork.event);
    assert_true(f->fork.event < f->waiting.event);
    assert_true(names(&f->fork.stack, "main"));
    assert_int_equal(f->acquired.tid, f->holder.tid);
    assert_int_not_equal(f->holder.pid, f->waiter.pid);
    const struct held_span *real = span(v, f, f->holder.pid, false), *ghost = span(v, f, f->waiter.pid, true);
    assert_non_null(real);
    assert_non_null(ghost);
    assert_int_equal(real->from, f->acquired.event);
    assert_true(!real->to || real->to > f->fork.event); // the holder's process may have ended
    assert_true(ghost->from >= f->fork.event && ghost->to == 0);
}

static void check_consequences(const struct verdict *v) {
    for (size_t i = 1; i < v->count; i++) {
        const struct finding *f = &v->findings[i];
        assert_int_equal(f->kind, FINDING_CROSS_PROCESS_WAIT);
        assert_non_null(f->caused_by);
        assert_true(f->caused_by < f); // causes come first
    }
}

static void check(const struct verdict *v, const struct want *w) {
    assert_int_equal(v->deadlock, w->deadlock);
    assert_int_equal(v->count, w->findings);
    assert_true(v->events > 0);
    assert_non_null(strstr(v->program, w->mode));
    assert_int_not_equal(v->end_reason[0], 0);
    if (w->kind < 0) return;
    const struct finding *f = &v->findings[0];
    assert_int_equal(f->kind, w->kind);
    assert_int_equal(f->confidence, w->confidence);
    assert_int_equal(strncmp(f->lock.symbol, w->symbol, strlen(w->symbol)), 0);
    assert_string_equal(f->lock.kind, w->lock_kind);
    assert_string_equal(f->holder.start_routine, w->start ? w->start : "");
    assert_int_equal(f->holder.tid != 0, w->acquired != NULL);
    assert_int_equal(f->holder.vanished, w->vanished);
    assert_int_equal(f->holder_is_forker, w->forker);
    if (w->acquired) assert_true(names(&f->acquired.stack, w->acquired));
    assert_true(names(&f->waiting.stack, w->waiting));
    assert_int_equal(f->edge_count, w->edges);
    assert_int_not_equal(f->advice[0], 0);
    if (f->kind == FINDING_ORPHANED_LOCK) check_orphan(v, f);
    if (f->kind == FINDING_LOCK_CYCLE && v->count > 1)
        assert_non_null(strstr(f->reason, "The fork is not the cause"));
    if (f->kind == FINDING_LOCK_CYCLE && v->count == 1)
        assert_non_null(strstr(f->reason, "Nothing of this crosses"));
    assert_int_equal(f->holder_count, w->holders);
    for (size_t i = 0; i < f->holder_count; i++)
        assert_true(f->holders[i].task.tid != f->holder.tid && f->holders[i].task.vanished &&
                    names(&f->holders[i].point.stack, w->acquired));
    if (w->name) assert_string_equal(f->holder.name, w->name);
    assert_int_equal(f->initialised.event > 0, w->initialised != NULL);
    if (w->initialised) {
        assert_true(f->initialised.event <= f->acquired.event && f->initialised.tid);
        assert_string_equal(f->initialised.stack.frames[0].function, "pthread_mutex_init");
        assert_true(names(&f->initialised.stack, w->initialised));
    }
    assert_int_equal(f->waker_count > 0, w->waker != NULL);
    if (w->waker) {
        assert_string_equal(f->wakers[0].task.start_routine, w->waker);
        assert_true(f->wakers[0].task.vanished && f->wakers[0].point.event && f->fork.event);
        assert_true(names(&f->wakers[0].point.stack, w->waker));
        assert_int_not_equal(f->reason[0], 0);
    }
    for (size_t i = 0; i < f->edge_count; i++) {
        const struct finding_edge *e = &f->edges[i];
        assert_int_equal(e->waiter.tid, f->holder.tid);
        assert_int_equal(e->holder.tid, f->waiter.tid);
        assert_true(e->acquired.event > 0 && e->acquired.stack.count && e->waiting.stack.count);
    }
    check_consequences(v);
}

// What a thread leaves behind, read from glibc's own structures: needs libc6-dbg.
static void left_behind(void **state) {
    (void)state;
    char trace[96];
    struct session *s;
    const struct verdict *v;
    struct rf_error err = {0};
    snprintf(trace, sizeof trace, "%s/leaves.refork", scratch);
    record_program(built(PROGRAM), "leaves", trace, 0);
    assert_int_equal(session_open(trace, &s, &err), 0);
    if (session_verdict(s, &v, &err) < 0) fail_msg("%s", err.text);
    const struct finding *f = &v->findings[0];
    assert_int_equal(f->kind, FINDING_ORPHANED_LOCK);
    assert_int_equal(f->vanished_count, 1);
    const struct vanished_thread *left = &f->vanished[0];
    assert_string_equal(left->task.start_routine, "leave_things");
    assert_true(left->task.vanished && names(&left->point.stack, "leave_things"));
    assert_in_range(left->stack_bytes, 8 << 20, (8 << 20) + 65536); // with TLS
    assert_int_equal(left->destructors, 3);
    assert_int_equal(left->keys, 1);
    assert_int_equal(left->cache_blocks, 5);
    assert_int_equal(left->cache_bytes, 5 * 40);
    assert_non_null(strstr(f->advice, "No fork handlers"));
    assert_int_equal(v->held_count, 2); // also the one that the child did not come to
    for (size_t i = 0; i < v->held_count; i++) {
        const struct held_lock *l = &v->held_at_fork[i];
        assert_string_equal(l->lock.symbol, l->wanted ? "first" : "second");
        assert_string_equal(l->holder.start_routine, "leave_things");
        assert_int_equal(l->fork, f->fork.event);
        assert_int_equal(l->child, f->waiter.pid);
        assert_true(l->acquired.event < l->fork && names(&l->acquired.stack, "leave_things"));
    }
    assert_int_equal(v->held_at_fork[0].wanted + v->held_at_fork[1].wanted, 1);
    session_close(s);
    unlink(trace);
}

static void verdict_of_mode(void **state) {
    const struct want *w = *state;
    char trace[96];
    struct session *s;
    const struct verdict *v;
    struct rf_error err = {0};
    snprintf(trace, sizeof trace, "%s/%s.refork", scratch, w->mode);
    record_program(built(PROGRAM), w->mode, trace, 0);
    if (session_open(trace, &s, &err) < 0 || session_verdict(s, &v, &err) < 0) fail_msg("%s", err.text);
    struct timeline *t = session_timeline(s);
    check(v, w);
    assert_int_equal(timeline_position(t), 0); // left where it was
    session_close(s);
    unlink(trace);
}

static bool refuse(void *calls, uint64_t done, uint64_t total) {
    (void)done, (void)total;
    ++*(int *)calls;
    return false;
}

static void interrupted(void **state) {
    (void)state;
    char trace[96];
    struct session *s;
    const struct verdict *v;
    struct rf_error err = {0};
    int calls = 0;
    snprintf(trace, sizeof trace, "%s/interrupted.refork", scratch);
    record_program(built(PROGRAM), "nested", trace, 0);
    assert_int_equal(session_open(trace, &s, &err), 0);
    struct timeline *t = session_timeline(s);
    timeline_set_progress(t, refuse, &calls);
    assert_int_equal(session_verdict(s, &v, &err), -1);
    assert_int_equal(err.status, RF_CANNOT);
    assert_non_null(strstr(err.text, "interrupted"));
    assert_int_equal(calls, 1);
    timeline_set_progress(t, NULL, NULL);
    assert_int_equal(session_verdict(s, &v, &err), 0); // and it can be asked again
    assert_int_equal(v->findings[0].kind, FINDING_ORPHANED_LOCK);
    session_close(s);
    unlink(trace);
}

static off_t size_of(const char *path) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void sources_travel(void **state) {
    (void)state;
    char trace[96], name[160], moved[128], source[128];
    struct session *s;
    const struct verdict *v;
    struct rf_error err = {0};
    snprintf(trace, sizeof trace, "%s/sources.refork", scratch);
    snprintf(source, sizeof source, "%s/verdicts.c", scratch);
    snprintf(moved, sizeof moved, "%s/moved.c", scratch);
    run("cp %s %s && gcc -O1 -g -D_GNU_SOURCE -I. -o %s/server %s -pthread", SUBJECTS "verdicts.c", source,
        scratch, source);
    record_program(scratch_path("server"), "forker", trace, 0);
    assert_int_equal(session_open(trace, &s, &err), 0);
    struct timeline *t = session_timeline(s);
    assert_int_equal(session_verdict(s, &v, &err), 0);
    off_t before = size_of(trace);
    if (sources_attach(trace, v, &err) < 0) fail_msg("%s", err.text);
    off_t with = size_of(trace);
    assert_true(with > before);
    assert_int_equal(sources_attach(trace, v, &err), 0);
    assert_int_equal(size_of(trace), with); // all there already
    int line = 0;
    for (size_t i = 0; i < v->findings[0].waiting.stack.count; i++)
        if (names(&(struct stack){&v->findings[0].waiting.stack.frames[i], 1}, "want_special"))
            line = v->findings[0].waiting.stack.frames[i].line;
    assert_true(line > 0);
    session_close(s);

    assert_int_equal(rename(source, moved), 0);
    assert_int_equal(session_open(trace, &s, &err), 0);
    t = session_timeline(s);
    const char *text = timeline_source_line(t, source, line);
    assert_non_null(text);
    if (!strstr(text, "take(&special)")) fail_msg("line %d: %s", line, text);
    assert_int_equal(session_verdict(s, &v, &err), 0); // the trace still replays
    assert_int_equal(v->findings[0].kind, FINDING_SELF_HELD);
    assert_int_equal(sources_attach(trace, v, &err), 0); // nothing on the disk: nothing to do, no error
    session_close(s);
    assert_int_equal(rename(moved, source), 0);

    struct trace_reader *r;
    snprintf(name, sizeof name, "source:%s", source);
    assert_int_equal(trace_open(trace, &r, &err), 0);
    assert_true(trace_blob_by_name(r, name) > 0);
    trace_close(r);
    unlink(trace);
}

// What a thread of std::async runs: between it and the thread's begin there are only the implementation's names.
static void start_routine(void **state) {
    (void)state;
    char program_name[] = "server", libc[] = "libc.so.6", libstdcxx[] = "libstdc++.so.6";
    char work[] = "app::compute(int)", invoke[] = "__invoke_r<int, app::compute>", once[] = "__gthread_once";
    char task[] = "std::__future_base::_Async_state_impl<int>::_M_run()", start[] = "start_thread";
    struct frame frames[] = {
        {.function = work, .module = program_name}, {.function = invoke, .module = program_name},
        {.function = once, .module = program_name}, {.function = task, .module = program_name},
        {.function = NULL, .module = libstdcxx},    {.function = start, .module = libc},
    };
    struct stack s = {frames, sizeof frames / sizeof *frames};
    char routine[64];
    stack_start_routine(&s, routine, sizeof routine);
    assert_string_equal(routine, "app::compute");
    frames[0].library = "libc.a"; // linked in: not the program's own
    stack_start_routine(&s, routine, sizeof routine);
    assert_string_equal(routine, "");
}

int main(void) {
    enum { WANTS = sizeof wants / sizeof *wants };
    struct CMUnitTest tests[WANTS + 4];
    for (size_t i = 0; i < WANTS; i++)
        tests[i] = (struct CMUnitTest){wants[i].mode, verdict_of_mode, NULL, NULL, (void *)&wants[i]};
    tests[WANTS] = (struct CMUnitTest)cmocka_unit_test(interrupted);
    tests[WANTS + 1] = (struct CMUnitTest)cmocka_unit_test(sources_travel);
    tests[WANTS + 2] = (struct CMUnitTest)cmocka_unit_test(left_behind);
    tests[WANTS + 3] = (struct CMUnitTest)cmocka_unit_test(start_routine);
    return cmocka_run_group_tests(tests, scratch_set_up, scratch_tear_down);
}
