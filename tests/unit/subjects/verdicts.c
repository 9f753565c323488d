// test_analysis.c: a way to hang (or not to) for each name in the table at the end.
#include "samples/stage.h"

#include <linux/futex.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

struct table {
    char name[24];
    pthread_mutex_t mutex;
};
static struct table *table;
static struct table global = {"global", PTHREAD_MUTEX_INITIALIZER};
static pthread_mutex_t locks[10], first = PTHREAD_MUTEX_INITIALIZER, second = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t special;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static sem_t never;
static void stay(void) {
    sem_wait(&never);
}

static void start(void *(*routine)(void *), void *arg) {
    pthread_t t;
    if (pthread_create(&t, NULL, routine, arg)) abort();
}

static void take(pthread_mutex_t *m) {
    pthread_mutex_lock(m);
}

// Returns when somebody sleeps in the futex of m, which is held.
static void until_wanted(pthread_mutex_t *m) {
    while (__atomic_load_n(&m->__data.__lock, __ATOMIC_RELAXED) != 2 &&
           !(__atomic_load_n(&m->__data.__lock, __ATOMIC_RELAXED) & FUTEX_WAITERS)) // so robust ones say it
        sched_yield();
}

static void *hold_unnamed(void *m) {
    take(m);
    gate_open(&held);
    stay();
    return m;
}

static void take_first(void) {
    take(&first);
}

static void in_child(void (*work)(void)) {
    pid_t pid = fork();
    if (pid == 0) {
        work();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static void named(void) {
    pthread_t t;
    if (pthread_create(&t, NULL, hold_unnamed, &first)) abort();
    gate_wait(&held);
    pthread_setname_np(t, "by another");
    in_child(take_first);
}

static void *hold(void *m) {
    thread_name("holder");
    take(m);
    gate_open(&held);
    stay();
    return m;
}

static void *queue_up(void *m) {
    thread_name("queue");
    gate_open(&held);
    take(m);
    stay();
    return m;
}

static void want_table(void) {
    take(&table->mutex);
}

static void heap(void) {
    table = calloc(1, sizeof *table);
    pthread_mutex_init(&table->mutex, NULL);
    take(&table->mutex);
    start(queue_up, &table->mutex);
    gate_wait(&held);
    until_wanted(&table->mutex);
    pthread_mutex_unlock(&table->mutex);
    while (!__atomic_load_n(&table->mutex.__data.__owner, __ATOMIC_RELAXED))
        sched_yield(); // the queue takes it, with 0 -> 2
    start(queue_up, &table->mutex);
    gate_wait(&held);
    in_child(want_table);
}

static void contended(void) {
    start(hold, &global.mutex);
    gate_wait(&held);
    start(queue_up, &global.mutex);
    gate_wait(&held);
    start(queue_up, &global.mutex);
    gate_wait(&held);
    until_wanted(&global.mutex);
    table = &global;
    in_child(want_table);
}

static atomic_int churned;

static void *churn(void *arg) {
    unsigned x = (unsigned)(size_t)arg * 7919 + 1;
    for (int i = 0; i < 60; i++) {
        x = x * 1664525 + 1013904223;
        pthread_mutex_t *m = &locks[(x >> 16) % 9];
        pthread_mutex_lock(m);
        if (!(x >> 28)) usleep(100); // others find it locked
        pthread_mutex_unlock(m);
        churned++;
    }
    stay();
    return NULL;
}

static void want_all(void) {
    for (int i = 9; i >= 0; i--)
        take(&locks[i]);
}

static void until_churned(int times) {
    while (churned < times)
        sched_yield();
}

static void many(void) {
    for (int i = 0; i < 10; i++)
        pthread_mutex_init(&locks[i], NULL);
    for (size_t i = 0; i < 19; i++)
        start(churn, (void *)i);
    until_churned(200);
    start(hold, &locks[9]);
    gate_wait(&held);
    until_churned(500);
    in_child(want_all);
}

static void want_first(void) {
    take(&first);
}

static void grandchild(void) {
    in_child(want_first);
}

static void nested(void) {
    start(hold, &first);
    gate_wait(&held);
    in_child(grandchild);
}

static void shared(void) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutex_init(m, &a);
    take(m);
    pid_t pid = fork();
    if (pid == 0) {
        take(m);
        pthread_mutex_unlock(m);
        _exit(0);
    }
    until_wanted(m);
    pthread_mutex_unlock(m);
    waitpid(pid, NULL, 0);
}

static void shared_ended(void) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutex_init(m, &a);
    pid_t pid = fork();
    if (pid == 0) {
        take(m);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    take(m);
}

static void want_special(void) {
    take(&special);
}

static void forker(void) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&special, &a);
    take(&special);
    in_child(want_special);
}

static void robust(void) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&special, &a);
    start(hold, &special);
    gate_wait(&held);
    start(queue_up, &special);
    gate_wait(&held);
    until_wanted(&special);
    in_child(want_special);
}

static void *other_order(void *arg) {
    thread_name("other");
    take(&second);
    gate_open(&held);
    gate_wait(&settled);
    take(&first);
    return arg;
}

static void cycle(void) {
    start(other_order, NULL);
    gate_wait(&held);
    take(&first);
    gate_open(&settled);
    until_wanted(&first);
    take(&second);
}

static void child_cycle(void) {
    start(hold, &locks[0]);
    gate_wait(&held);
    in_child(cycle);
}

static void self(void) {
    take(&first);
    take(&first);
}

static void *end_holding(void *m) {
    take(m);
    gate_open(&held);
    return m;
}

static void ended(void) {
    start(end_holding, &first);
    gate_wait(&held);
    while (!syscall(SYS_tgkill, getpid(), first.__data.__owner, 0))
        sched_yield(); // it has not ended yet
    take(&first);
}

static void *read_lock(void *arg) {
    pthread_rwlock_rdlock(&rwlock);
    gate_open(&held);
    stay();
    return arg;
}

static void *read_briefly(void *arg) {
    pthread_rwlock_rdlock(&rwlock);
    pthread_rwlock_unlock(&rwlock);
    gate_open(&held);
    return arg;
}

static void want_write(void) {
    pthread_rwlock_wrlock(&rwlock);
}

static void reader(void) {
    start(read_briefly, NULL);
    gate_wait(&held);
    start(read_lock, NULL);
    gate_wait(&held);
    start(read_briefly, NULL);
    gate_wait(&held);
    in_child(want_write);
}

static void *write_lock(void *arg) {
    pthread_rwlock_wrlock(&rwlock);
    gate_open(&held);
    stay();
    return arg;
}

static void want_read(void) {
    pthread_rwlock_rdlock(&rwlock);
}

static void writer(void) {
    start(write_lock, NULL);
    gate_wait(&held);
    in_child(want_read);
}

static void *use_permit(void *arg) {
    sem_wait(&sem);
    gate_open(&held);
    stay();
    return arg;
}

static void want_permit(void) {
    sem_wait(&sem);
}

static void permit(void) {
    sem_init(&sem, 0, 1);
    start(use_permit, NULL);
    gate_wait(&held);
    in_child(want_permit);
}

static void wait_cond(void) {
    take(&first);
    pthread_cond_wait(&cond, &first);
}

static void no_signal(void) {
    start(hold, &second);
    gate_wait(&held);
    in_child(wait_cond);
}

static void *child_thread_wants(void *arg) {
    take(&first);
    return arg;
}

static void join_stuck(void) {
    pthread_t t;
    if (pthread_create(&t, NULL, child_thread_wants, NULL)) abort();
    pthread_join(t, NULL);
}

static void joined(void) {
    start(hold, &first);
    gate_wait(&held);
    in_child(join_stuck);
}

static void *local_lock(void *arg) {
    pthread_mutex_t mine = PTHREAD_MUTEX_INITIALIZER;
    *(pthread_mutex_t **)arg = &mine;
    take(&mine);
    gate_open(&held);
    stay();
    return arg;
}

static pthread_mutex_t *local;
static void want_local(void) {
    take(local);
}

static void stack(void) {
    start(local_lock, &local);
    gate_wait(&held);
    in_child(want_local);
}

static void released_in_child_then_locked(void) {
    pthread_mutex_init(&first, NULL); // a child handler would do this
    take(&first);
    take(&first);
}

static void reset(void) {
    start(hold, &first);
    gate_wait(&held);
    in_child(released_in_child_then_locked);
}

static void handler(int s) {
    (void)s;
}

static void readers(void) {
    start(read_lock, NULL);
    gate_wait(&held);
    start(read_lock, NULL);
    gate_wait(&held);
    in_child(want_write);
}

static void nothing(void) {}
static void child_handler(void) {
    pthread_atfork(NULL, NULL, want_first);
    start(hold, &first);
    gate_wait(&held);
    in_child(nothing);
}

static void *wait_for_signal(void *arg) {
    take(&first);
    gate_open(&held);
    pthread_cond_wait(&cond, &first);
    return arg;
}

static void destroy_cond(void) {
    pthread_cond_destroy(&cond);
}

static void lost_waiter(void) {
    start(wait_for_signal, NULL);
    gate_wait(&held);
    pthread_mutex_lock(&first); // the wait gives it back when it counts as a waiter
    pthread_mutex_unlock(&first);
    in_child(destroy_cond);
}

int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);
static void destroy(void *unused) {
    (void)unused;
}

static void *leave_things(void *arg) {
    pthread_key_t used, unused, plain;
    void *blocks[5];
    pthread_key_create(&used, destroy);
    pthread_key_create(&unused, destroy);
    pthread_key_create(&plain, NULL);
    pthread_setspecific(used, &used);
    pthread_setspecific(plain, &plain);
    for (int i = 0; i < 3; i++)
        __cxa_thread_atexit_impl(destroy, NULL, &destroy);
    for (int i = 0; i < 5; i++)
        blocks[i] = malloc(40);
    for (int i = 0; i < 5; i++)
        free(blocks[i]);
    take(&second);
    take(&first);
    gate_open(&held);
    stay();
    return arg;
}

static void leaves(void) {
    start(leave_things, NULL);
    gate_wait(&held);
    in_child(want_first);
}

static sem_t done;
static void *post_later(void *arg) {
    gate_open(&held);
    gate_wait(&forked);
    sem_post(&done);
    stay();
    return arg;
}

static void want_done(void) {
    sem_wait(&done);
}

static void event(void) {
    start(post_later, NULL);
    gate_wait(&held);
    pid_t pid = fork();
    if (pid == 0) {
        want_done();
        _exit(0);
    }
    gate_open(&forked);
    waitpid(pid, NULL, 0);
}

static void *poster(void *arg) {
    sem_post(&done);
    gate_open(&held);
    stay();
    return arg;
}

static void consume_twice(void) {
    sem_wait(&done);
    sem_wait(&done);
}

static void twice(void) {
    start(poster, NULL);
    gate_wait(&held);
    in_child(consume_twice);
}

static void *consumer(void *arg) {
    sem_wait(&done);
    gate_open(&held);
    stay();
    return arg;
}

static void consumed(void) {
    start(poster, NULL);
    gate_wait(&held);
    start(poster, NULL);
    gate_wait(&held);
    start(consumer, NULL);
    gate_wait(&held);
    sem_wait(&done);
    in_child(want_done);
}

static pid_t recorder;
static void lonely(void) {
    pid_t pid = fork();
    if (pid == 0) {
        want_first();
        _exit(0);
    }
    until_asleep(pid);
    // The first one ends main, the second one the recording; what is sent while one is on its way counts as the same.
    for (;;) {
        kill(recorder, SIGTERM);
        usleep(1000);
    }
}

// Nothing is stuck for certain: a handler could help, and nobody waits for the grandchild. Then the recorder goes away.
static void cut(void) {
    signal(SIGUSR1, handler);
    start(hold, &first);
    gate_wait(&held);
    recorder = getppid();
    if (fork() == 0) {
        lonely();
        _exit(0);
    }
    stay();
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {
#define M(x) {#x, x}
        M(heap),          M(contended),   M(many),        M(nested),   M(shared), M(shared_ended), M(forker),
        M(robust),        M(cycle),       M(child_cycle), M(self),     M(ended),  M(reader),       M(writer),
        M(permit),        M(no_signal),   M(joined),      M(stack),    M(reset),  M(cut),          M(readers),
        M(child_handler), M(lost_waiter), M(event),       M(consumed), M(leaves), M(named),        M(twice),
    };
    if (argc != 2) return 2;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            return 0;
        }
    return 2;
}
