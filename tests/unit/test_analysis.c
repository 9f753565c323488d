// Verdicts of recordings made here: one small program, a mode for each way to hang (or not to).
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

static const char program[] =
    "#include <pthread.h>\n"
    "#include <semaphore.h>\n"
    "#include <signal.h>\n"
    "#include <stdio.h>\n"
    "#include <stdlib.h>\n"
    "#include <string.h>\n"
    "#include <sys/mman.h>\n"
    "#include <sys/wait.h>\n"
    "#include <unistd.h>\n"
    "struct table { char name[24]; pthread_mutex_t mutex; };\n"
    "static struct table *table;\n"
    "static struct table global = {\"global\", PTHREAD_MUTEX_INITIALIZER};\n"
    "static pthread_mutex_t locks[10], first = PTHREAD_MUTEX_INITIALIZER, second = "
    "PTHREAD_MUTEX_INITIALIZER;\n"
    "static pthread_mutex_t special;\n"
    "static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;\n"
    "static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;\n"
    "static sem_t sem;\n"
    "static int ready[2];\n"
    "static void tell(void) { if (write(ready[1], \"x\", 1) != 1) abort(); }\n"
    "static void told(void) { char c; if (read(ready[0], &c, 1) != 1) abort(); }\n"
    "static sem_t never;\n"
    "static void stay(void) { sem_wait(&never); }\n"
    "static void start(void *(*routine)(void *), void *arg) {\n"
    "    pthread_t t;\n"
    "    if (pthread_create(&t, NULL, routine, arg)) abort();\n"
    "}\n"
    "static void take(pthread_mutex_t *m) { pthread_mutex_lock(m); }\n"
    "static void *hold_unnamed(void *m) { take(m); tell(); stay(); return m; }\n"
    "static void take_first(void) { take(&first); }\n"
    "static void in_child(void (*work)(void));\n"
    "static void in_child(void (*work)(void)) {\n"
    "    pid_t pid = fork();\n"
    "    if (pid == 0) { work(); _exit(0); }\n"
    "    waitpid(pid, NULL, 0);\n"
    "}\n"
    "static void named(void) {\n"
    "    pthread_t t;\n"
    "    if (pthread_create(&t, NULL, hold_unnamed, &first)) abort();\n"
    "    told();\n"
    "    pthread_setname_np(t, \"by another\");\n"
    "    in_child(take_first);\n"
    "}\n"
    "static void *hold(void *m) { pthread_setname_np(pthread_self(), \"holder\"); take(m); tell(); stay(); "
    "return m; }\n"
    "static void *queue_up(void *m) { pthread_setname_np(pthread_self(), \"queue\"); tell(); take(m); "
    "stay(); return m; }\n"
    "static void want_table(void) { take(&table->mutex); }\n"
    "static void heap(void) {\n"
    "    table = calloc(1, sizeof *table);\n"
    "    pthread_mutex_init(&table->mutex, NULL);\n"
    "    take(&table->mutex);\n"
    "    start(queue_up, &table->mutex);\n"
    "    told();\n"
    "    usleep(20000); // the queue has left its mark\n"
    "    pthread_mutex_unlock(&table->mutex); // queue takes it with 0 -> 2, or the holder before it\n"
    "    start(hold, &table->mutex);\n"
    "    usleep(20000);\n"
    "    in_child(want_table);\n"
    "}\n"
    "static void contended(void) {\n"
    "    start(hold, &global.mutex); told();\n"
    "    start(queue_up, &global.mutex); told();\n"
    "    start(queue_up, &global.mutex); told();\n"
    "    usleep(20000);\n"
    "    table = &global;\n"
    "    in_child(want_table);\n"
    "}\n"
    "static void *churn(void *arg) {\n"
    "    unsigned x = (unsigned)(size_t)arg * 7919 + 1;\n"
    "    for (int i = 0; i < 60; i++) {\n"
    "        x = x * 1664525 + 1013904223;\n"
    "        pthread_mutex_t *m = &locks[(x >> 16) % 9];\n"
    "        pthread_mutex_lock(m);\n"
    "        if (!(x >> 28)) usleep(100);\n"
    "        pthread_mutex_unlock(m);\n"
    "    }\n"
    "    stay();\n"
    "    return NULL;\n"
    "}\n"
    "static void want_all(void) { for (int i = 9; i >= 0; i--) take(&locks[i]); }\n"
    "static void many(void) {\n"
    "    for (int i = 0; i < 10; i++) pthread_mutex_init(&locks[i], NULL);\n"
    "    for (size_t i = 0; i < 19; i++) start(churn, (void *)i);\n"
    "    usleep(3000);\n"
    "    start(hold, &locks[9]); told();\n"
    "    usleep(3000);\n"
    "    in_child(want_all);\n"
    "}\n"
    "static void want_first(void) { take(&first); }\n"
    "static void grandchild(void) { in_child(want_first); }\n"
    "static void nested(void) { start(hold, &first); told(); in_child(grandchild); }\n"
    "static void shared(void) {\n"
    "    pthread_mutexattr_t a;\n"
    "    pthread_mutexattr_init(&a);\n"
    "    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);\n"
    "    pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);\n"
    "    pthread_mutex_init(m, &a);\n"
    "    take(m);\n"
    "    pid_t pid = fork();\n"
    "    if (pid == 0) { take(m); pthread_mutex_unlock(m); _exit(0); }\n"
    "    usleep(50000);\n"
    "    pthread_mutex_unlock(m);\n"
    "    waitpid(pid, NULL, 0);\n"
    "}\n"
    "static void shared_ended(void) {\n"
    "    pthread_mutexattr_t a;\n"
    "    pthread_mutexattr_init(&a);\n"
    "    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);\n"
    "    pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);\n"
    "    pthread_mutex_init(m, &a);\n"
    "    pid_t pid = fork();\n"
    "    if (pid == 0) { take(m); _exit(0); }\n"
    "    waitpid(pid, NULL, 0);\n"
    "    take(m);\n"
    "}\n"
    "static void want_special(void) { take(&special); }\n"
    "static void forker(void) {\n"
    "    pthread_mutexattr_t a;\n"
    "    pthread_mutexattr_init(&a);\n"
    "    pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);\n"
    "    pthread_mutex_init(&special, &a);\n"
    "    take(&special);\n"
    "    in_child(want_special);\n"
    "}\n"
    "static void robust(void) {\n"
    "    pthread_mutexattr_t a;\n"
    "    pthread_mutexattr_init(&a);\n"
    "    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);\n"
    "    pthread_mutex_init(&special, &a);\n"
    "    start(hold, &special); told();\n"
    "    start(queue_up, &special); told();\n"
    "    usleep(20000);\n"
    "    in_child(want_special);\n"
    "}\n"
    "static void *other_order(void *arg) { pthread_setname_np(pthread_self(), \"other\"); take(&second); "
    "tell(); usleep(20000); take(&first); return arg; }\n"
    "static void cycle(void) { start(other_order, NULL); told(); take(&first); usleep(50000); take(&second); "
    "}\n"
    "static void child_cycle(void) { start(hold, &locks[0]); told(); in_child(cycle); }\n"
    "static void self(void) { take(&first); take(&first); }\n"
    "static void *end_holding(void *m) { take(m); tell(); return m; }\n"
    "static void ended(void) { start(end_holding, &first); told(); usleep(10000); take(&first); }\n"
    "static void *read_lock(void *arg) { pthread_rwlock_rdlock(&rwlock); tell(); stay(); return arg; }\n"
    "static void *read_briefly(void *arg) { pthread_rwlock_rdlock(&rwlock); pthread_rwlock_unlock(&rwlock); "
    "tell(); return arg; }\n"
    "static void want_write(void) { pthread_rwlock_wrlock(&rwlock); }\n"
    "static void reader(void) {\n"
    "    start(read_briefly, NULL); told();\n"
    "    start(read_lock, NULL); told();\n"
    "    start(read_briefly, NULL); told();\n"
    "    in_child(want_write);\n"
    "}\n"
    "static void *write_lock(void *arg) { pthread_rwlock_wrlock(&rwlock); tell(); stay(); return arg; }\n"
    "static void want_read(void) { pthread_rwlock_rdlock(&rwlock); }\n"
    "static void writer(void) { start(write_lock, NULL); told(); in_child(want_read); }\n"
    "static void *use_permit(void *arg) { sem_wait(&sem); tell(); stay(); return arg; }\n"
    "static void want_permit(void) { sem_wait(&sem); }\n"
    "static void permit(void) { sem_init(&sem, 0, 1); start(use_permit, NULL); told(); "
    "in_child(want_permit); }\n"
    "static void wait_cond(void) { take(&first); pthread_cond_wait(&cond, &first); }\n"
    "static void no_signal(void) { start(hold, &second); told(); in_child(wait_cond); }\n"
    "static void *child_thread_wants(void *arg) { take(&first); return arg; }\n"
    "static void join_stuck(void) { pthread_t t; if (pthread_create(&t, NULL, child_thread_wants, NULL)) "
    "abort(); pthread_join(t, NULL); }\n"
    "static void joined(void) { start(hold, &first); told(); in_child(join_stuck); }\n"
    "static void *local_lock(void *arg) { pthread_mutex_t mine = PTHREAD_MUTEX_INITIALIZER; "
    "*(pthread_mutex_t **)arg = &mine; take(&mine); tell(); stay(); return arg; }\n"
    "static pthread_mutex_t *local;\n"
    "static void want_local(void) { take(local); }\n"
    "static void stack(void) { start(local_lock, &local); told(); in_child(want_local); }\n"
    "static void released_in_child_then_locked(void) {\n"
    "    pthread_mutex_init(&first, NULL); // a child handler would do this\n"
    "    take(&first);\n"
    "    take(&first);\n"
    "}\n"
    "static void reset(void) { start(hold, &first); told(); in_child(released_in_child_then_locked); }\n"
    "static void handler(int s) { (void)s; }\n"
    "static void readers(void) { start(read_lock, NULL); told(); start(read_lock, NULL); told(); "
    "in_child(want_write); }\n"
    "static void nothing(void) { }\n"
    "static void child_handler(void) {\n"
    "    pthread_atfork(NULL, NULL, want_first);\n"
    "    start(hold, &first); told();\n"
    "    in_child(nothing);\n"
    "}\n"
    "static void *wait_for_signal(void *arg) { take(&first); tell(); pthread_cond_wait(&cond, &first); "
    "return arg; "
    "}\n"
    "static void destroy_cond(void) { pthread_cond_destroy(&cond); }\n"
    "static void lost_waiter(void) { start(wait_for_signal, NULL); told(); usleep(20000); "
    "in_child(destroy_cond); "
    "}\n"
    "int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);\n"
    "static void destroy(void *unused) { (void)unused; }\n"
    "static void *leave_things(void *arg) {\n"
    "    pthread_key_t used, unused, plain;\n"
    "    void *blocks[5];\n"
    "    pthread_key_create(&used, destroy); pthread_key_create(&unused, destroy); "
    "pthread_key_create(&plain, NULL);\n"
    "    pthread_setspecific(used, &used); pthread_setspecific(plain, &plain);\n"
    "    for (int i = 0; i < 3; i++) __cxa_thread_atexit_impl(destroy, NULL, &destroy);\n"
    "    for (int i = 0; i < 5; i++) blocks[i] = malloc(40);\n"
    "    for (int i = 0; i < 5; i++) free(blocks[i]);\n"
    "    take(&second); take(&first); tell(); stay();\n"
    "    return arg;\n"
    "}\n"
    "static void leaves(void) { start(leave_things, NULL); told(); in_child(want_first); }\n"
    "static sem_t done;\n"
    "static void *post_later(void *arg) { tell(); usleep(50000); sem_post(&done); stay(); return arg; }\n"
    "static void want_done(void) { sem_wait(&done); }\n"
    "static void event(void) { start(post_later, NULL); told(); in_child(want_done); }\n"
    "static void *poster(void *arg) { sem_post(&done); tell(); stay(); return arg; }\n"
    "static void consume_twice(void) { sem_wait(&done); sem_wait(&done); }\n"
    "static void twice(void) { start(poster, NULL); told(); in_child(consume_twice); }\n"
    "static void *consumer(void *arg) { sem_wait(&done); tell(); stay(); return arg; }\n"
    "static void consumed(void) { start(poster, NULL); told(); start(poster, NULL); told(); start(consumer, "
    "NULL); told(); sem_wait(&done); in_child(want_done); }\n"
    "static pid_t recorder;\n"
    "static void lonely(void) {\n"
    "    if (fork() == 0) { want_first(); _exit(0); }\n"
    "    for (;;) { usleep(20000); kill(recorder, SIGTERM); } // the first one ends main, the second one the "
    "recording\n"
    "}\n"
    "// Nothing is stuck for certain: a handler could help, and nobody waits for the grandchild. Then the "
    "recorder goes away.\n"
    "static void cut(void) {\n"
    "    signal(SIGUSR1, handler);\n"
    "    start(hold, &first); told();\n"
    "    recorder = getppid();\n"
    "    if (fork() == 0) { lonely(); _exit(0); }\n"
    "    stay();\n"
    "}\n"
    "int main(int argc, char **argv) {\n"
    "    static const struct { const char *name; void (*run)(void); } modes[] = {\n"
    "#define M(x) {#x, x}\n"
    "        M(heap), M(contended), M(many), M(nested), M(shared), M(shared_ended), M(forker), M(robust), "
    "M(cycle), M(child_cycle), M(self),\n"
    "        M(ended), M(reader), M(writer), M(permit), M(no_signal), M(joined), M(stack), M(reset), "
    "M(cut), M(readers), M(child_handler), M(lost_waiter), M(event), M(consumed), M(leaves), M(named), "
    "M(twice),\n"
    "    };\n"
    "    if (argc != 2 || pipe(ready)) return 2;\n"
    "    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)\n"
    "        if (!strcmp(modes[i].name, argv[1])) { modes[i].run(); return 0; }\n"
    "    return 2;\n"
    "}\n";

static int setup(void **state) {
    (void)state;
    scratch_make();
    compile_program("-O1 -g -D_GNU_SOURCE", program);
    return 0;
}

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
    {"contended", FINDING_ORPHANED_LOCK, P, "global+24", MUTEX, "hold", true, false, true, "hold",
     "want_table", 0, 2},
    {"many", FINDING_ORPHANED_LOCK, P, "locks+360", MUTEX, "hold", true, false, true, "hold", "want_all", 0,
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
    {"stack", FINDING_ORPHANED_LOCK, P, "a local variable of thread", MUTEX, "local_lock", true, false, true,
     "local_lock", "want_local", 0, 2},
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
        if (f->function && !strcmp(f->function, function) && f->file && strstr(f->file, "/p.c") &&
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
    record_program("leaves", trace, 0);
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
    record_program(w->mode, trace, 0);
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
    record_program("nested", trace, 0);
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
    snprintf(source, sizeof source, "%s/p.c", scratch);
    snprintf(moved, sizeof moved, "%s/moved.c", scratch);
    record_program("forker", trace, 0);
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
    assert_non_null(strstr(text, "want_special"));
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
    return cmocka_run_group_tests(tests, setup, scratch_tear_down);
}
