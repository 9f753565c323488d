// The lock history against its second witness, the watchpoint search for the last writer: at every fork both must
// name the same holder, who took the lock in the same slice. And what is kept of it.
#include "replayer/session/session.h"
#include "replayer/verdict/holder.h"
#include "replayer/names/cache.h"
#include "replayer/locks/history.h"
#include "replayer/locks/takers.h"
#include "tests/unit/record_program.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int setup(void **state) {
    (void)state;
    scratch_make();
    return setenv("XDG_CACHE_HOME", scratch, 1);
}

// Records a program that the Makefile built, as "samples/spawn".
static const char *recorded(const char *name) {
    const char *trace = scratch_path("p.refork");
    record_program(built(name), NULL, trace, 0);
    return trace;
}

static enum lock_rule rule_of(const struct lock *l) {
    if (l->owner) return RULE_OWNER;
    if (l->done) return RULE_NONE;
    switch (l->family) {
    case LOCK_WORD:
    case LOCK_MUTEX:
        return RULE_WORD;
    case LOCK_RWLOCK:
        return RULE_RWLOCK;
    case LOCK_GUARD:
        return RULE_GUARD;
    default:
        return RULE_NONE;
    }
}

static struct lock_history *history_of(struct timeline *t, bool no_cache, const char *path) {
    struct lock_history *h;
    struct rf_error err = {0};
    const struct lock_history_options o = {.no_cache = no_cache, .trace_path = path};
    if (lock_history_make(t, &o, &h, &err) < 0) fail_msg("%s", err.text);
    return h;
}

enum { HELD = 64 };

// What the history says is held in the parent of `space` when it is forked. Returns how many holders were compared.
// Both re-execute to the acquire; the watchpoint stops behind it, the history before it.
static void compare_stacks(const struct watched_lock *watched, const struct lock *l, const struct holder *who,
                           const struct lock_span *span) {
    struct stack one, other;
    struct rf_error err = {0};
    if (!span->holder.ordinal) return;
    if (holder_stack(watched, who, &one, NULL, &err) < 0 ||
        lock_history_stack(watched->timeline, l, lock_asked_at(&span->holder), NULL, &other, &err) < 0)
        fail_msg("%s", err.text);
    // The callers: what is inlined at the place itself may end between the two.
    size_t i = 0, k = 0;
    assert_true(one.count > 1 && other.count > 1);
    while (i < one.count && one.frames[i].pc == one.frames[0].pc)
        i++;
    while (k < other.count && other.frames[k].pc == other.frames[0].pc)
        k++;
    assert_int_equal(one.count - i, other.count - k);
    for (; i < one.count; i++, k++)
        if (one.frames[i].pc != other.frames[k].pc)
            fail_msg("a caller is at 0x%lx or 0x%lx", one.frames[i].pc, other.frames[k].pc);
    free(one.frames);
    free(other.frames);
}

static int compare_fork(struct timeline *t, const struct history *events, const struct lock_history *h,
                        size_t space) {
    uint64_t fork = events->spaces[space].begin;
    size_t parent = events->spaces[space].parent;
    struct lock_span held[HELD];
    size_t n = lock_history_held(h, fork, events->spaces[parent].pid, held, HELD);
    int compared = 0;
    assert_true(n <= HELD);
    for (size_t i = 0; i < n; i++) {
        const struct lock *l = &h->words.locks[held[i].lock];
        const struct lock_ref ref = {.rule = rule_of(l), .base = l->last_address, .word = l->last_address};
        struct holder who;
        struct rf_error err = {0};
        if (ref.rule == RULE_NONE || l->space == LOCK_SHARED || held[i].holder.reader ||
            held[i].holder.inherited)
            continue;
        const struct watched_lock watched = {t, events, parent, &ref};
        if (holder_find(&watched, fork, &who, &err) < 0) fail_msg("%s", err.text);
        if (who.tid != held[i].holder.tid || who.event != held[i].holder.asked)
            fail_msg("fork %lu, %s at 0x%lx: the history says task %d in event %lu, the watchpoint task %d "
                     "in event %lu",
                     fork, lock_history_string(h, l->name), l->last_address, held[i].holder.tid,
                     held[i].holder.asked, who.tid, who.event);
        compare_stacks(&watched, l, &who, &held[i]);
        compared++;
    }
    return compared;
}

static int compare(const char *name) {
    struct timeline *t;
    struct history events;
    struct rf_error err = {0};
    const char *trace = recorded(name);
    if (timeline_open(trace, &t, &err) < 0) fail_msg("%s: %s", name, err.text);
    if (history_read(t, &events, &err) < 0) fail_msg("%s: %s", name, err.text);
    struct lock_history *h = history_of(t, true, trace);
    int compared = 0;
    for (size_t i = 0; i < events.space_count; i++)
        if (events.spaces[i].parent != NONE) compared += compare_fork(t, &events, h, i);
    lock_history_free(h);
    history_release(&events);
    timeline_close(t);
    return compared;
}

static void test_both_witnesses(void **state) {
    (void)state;
    // tests/sample.sh compares the verdict of each sample with the history; here all that is held at each fork.
    static const char *const samples[] = {"mutex_deadlock",       "mutex_recursive", "mutex_robust",
                                          "rwlock_writer_writer", "rwlock_claimed",  "libc_setenv",
                                          "libc_random",          "spin_ttas",       "atfork_order"};
    int compared = 0;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char name[64];
        snprintf(name, sizeof name, "samples/%s", samples[i]);
        compared += compare(name);
    }
    print_message("%d holders at forks of the samples\n", compared);
    assert_true(compared > 20);
    assert_true(compare("tests/programs/lock_kinds") >= 2);
    assert_true(compare("tests/programs/threads_forks") >= 2);
    // Written too often for a watchpoint over the whole slice: the holder is found at its end.
    assert_true(compare("tests/programs/hot_lock") >= 2);
}

// ---- a result that is kept

static void same_history(const struct lock_history *a, const struct lock_history *b) {
    assert_int_equal(a->words.count, b->words.count);
    assert_int_equal(a->words.span_count, b->words.span_count);
    assert_int_equal(a->words.op_count, b->words.op_count);
    assert_int_equal(a->place_count, b->place_count);
    for (size_t i = 0; i < a->words.op_count; i++) {
        const struct lock_op *x = &a->words.ops[i], *y = &b->words.ops[i];
        assert_true(x->lock == y->lock && x->kind == y->kind && x->tid == y->tid && x->ordinal == y->ordinal);
        assert_true(x->pc == y->pc && x->event == y->event && x->before == y->before && x->after == y->after);
    }
    for (size_t i = 0; i < a->words.count; i++) {
        assert_int_equal(a->words.locks[i].acquired, b->words.locks[i].acquired);
        assert_string_equal(lock_history_string(a, a->words.locks[i].name),
                            lock_history_string(b, b->words.locks[i].name));
    }
}

static void change(const char *path, long offset, int how) {
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    if (how < 0) {
        assert_int_equal(ftruncate(fileno(f), offset), 0);
    } else {
        fseek(f, offset, SEEK_SET);
        int c = fgetc(f);
        fseek(f, offset, SEEK_SET);
        fputc(c ^ how, f);
    }
    fclose(f);
}

static void test_kept(void **state) {
    (void)state;
    struct timeline *t;
    struct rf_error err = {0};
    char kept[200];
    const char *trace = recorded("tests/programs/lock_kinds");
    snprintf(kept, sizeof kept, "%s.locks", trace);
    if (timeline_open(trace, &t, &err) < 0) fail_msg("%s", err.text);
    struct lock_history *first = history_of(t, false, trace), *again;
    struct stat st;
    assert_int_equal(stat(kept, &st), 0);
    assert_int_equal(timeline_position(t), timeline_last(t));
    // From the file: nothing is re-executed.
    if (timeline_seek(t, 10, &err) < 0) fail_msg("%s", err.text);
    again = history_of(t, false, trace);
    assert_int_equal(timeline_position(t), 10);
    same_history(first, again);
    lock_history_free(again);
    // Damaged anywhere, or cut: as good as none, and made anew.
    srand(3);
    for (int i = 0; i < 12; i++) {
        change(kept, rand() % st.st_size, i % 4 ? 1 << rand() % 8 : -1);
        if (timeline_seek(t, 10, &err) < 0) fail_msg("%s", err.text);
        again = history_of(t, false, trace);
        assert_int_equal(timeline_position(t), timeline_last(t));
        same_history(first, again);
        lock_history_free(again);
    }
    // Nothing can be written beside the trace: the user's cache is used.
    unlink(kept);
    assert_int_equal(mkdir(kept, 0700), 0);
    again = history_of(t, false, trace);
    lock_history_free(again);
    if (timeline_seek(t, 10, &err) < 0) fail_msg("%s", err.text);
    again = history_of(t, false, trace);
    assert_int_equal(timeline_position(t), 10);
    same_history(first, again);
    lock_history_free(again);
    rmdir(kept);
    lock_history_free(first);
    timeline_close(t);
}

static void test_questions(void **state) {
    (void)state;
    struct session *s;
    struct rf_error err = {0};
    struct lock_history *h;
    struct lock_span held[HELD];
    const char *trace = recorded("samples/mutex_deadlock");
    if (session_open(trace, &s, &err) < 0) fail_msg("%s", err.text);
    struct timeline *t = session_timeline(s);
    if (session_locks(s, &h, &err) < 0) fail_msg("%s", err.text);
    size_t n = lock_history_held(h, timeline_last(t), 0, held, HELD);
    const struct lock *mutex = NULL;
    struct lock_span span = {0};
    for (size_t i = 0; i < n && i < HELD; i++) {
        const struct lock *l = &h->words.locks[held[i].lock];
        if (strcmp(lock_history_string(h, l->name), "log_mutex") != 0 || held[i].holder.inherited) continue;
        mutex = l;
        span = held[i];
    }
    assert_non_null(mutex);
    assert_string_equal(lock_history_task_name(h, span.holder.tid), "worker");
    int pid = h->spaces[mutex->space].pid;
    assert_ptr_equal(lock_history_lock(h, pid, mutex->last_address), mutex);
    const struct lock_op *op = lock_history_last_acquire(h, pid, mutex->last_address, timeline_last(t));
    assert_non_null(op);
    assert_int_equal(op->event, span.holder.event);
    assert_null(lock_history_last_acquire(h, pid, mutex->last_address, op->event - 1));
    struct stack stack;
    if (lock_history_stack(t, mutex, (struct access_at){op->event, op->ordinal}, NULL, &stack, &err) < 0)
        fail_msg("%s", err.text);
    bool found = false;
    for (size_t i = 0; i < stack.count; i++)
        found |= stack.frames[i].file && strstr(stack.frames[i].file, "mutex_deadlock.c");
    assert_true(found);
    free(stack.frames);
    session_close(s);
}

// In the middle of a slice, too: the timeline is good for everything afterwards.
static bool stop_later(void *context, uint64_t done, uint64_t total) {
    (void)done, (void)total;
    return --*(int *)context > 0;
}

static void test_interrupted(void **state) {
    (void)state;
    struct timeline *t;
    struct rf_error err = {0};
    struct lock_history *h = NULL;
    // With stops, as without it is over before it can be interrupted.
    const struct lock_history_options o = {.no_cache = true, .no_probes = true};
    const char *trace = recorded("tests/programs/threads_forks");
    if (timeline_open(trace, &t, &err) < 0) fail_msg("%s", err.text);
    struct lock_history *whole = history_of(t, true, trace);
    for (int calls = 1; calls < 4; calls++) {
        int left = calls;
        assert_int_equal(timeline_seek(t, 0, &err), 0);
        timeline_set_progress(t, stop_later, &left);
        assert_int_equal(lock_history_make(t, &o, &h, &err), -1);
        assert_string_equal(err.text, "interrupted");
        timeline_set_progress(t, NULL, NULL);
        if (timeline_seek(t, timeline_last(t), &err) < 0) fail_msg("%s", err.text);
        h = history_of(t, true, trace);
        same_history(whole, h);
        lock_history_free(h);
    }
    lock_history_free(whole);
    timeline_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_witnesses),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests(tests, setup, scratch_tear_down);
}
