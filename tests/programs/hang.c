// Hangs, or seems to, in the way that its argument names: for `refork diagnose`. Says "ready" when all threads are
// started; tests/checks/diagnose.sh knows what is to be said of each.
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/futex.h>

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER, second = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static sem_t permits;
static pthread_barrier_t met;
static pthread_mutex_t *common;
static FILE *file;
static volatile int flag;

static void rest(void) {
    for (;;)
        pause();
}

static void ready(void) {
    puts("ready");
    fflush(stdout);
}

static void start(void *(*routine)(void *)) {
    pthread_t t;
    if (pthread_create(&t, NULL, routine, NULL)) abort();
}

static pid_t parent_waits(pid_t child) {
    ready();
    waitpid(child, NULL, 0);
    return child;
}

// ---- a thread holds something, and main forks

static void log_begin(void) {
    pthread_mutex_lock(&log_mutex);
}

static void *write_report(void *unused) {
    pthread_setname_np(pthread_self(), "worker");
    log_begin();
    pthread_barrier_wait(&met);
    rest();
    return unused;
}

static void *hold_table(void *unused) {
    pthread_setname_np(pthread_self(), "tables");
    pthread_rwlock_wrlock(&table_lock);
    pthread_barrier_wait(&met);
    rest();
    return unused;
}

static void *hold_table_to_read(void *unused) {
    pthread_setname_np(pthread_self(), "reader");
    pthread_rwlock_rdlock(&table_lock);
    pthread_barrier_wait(&met);
    rest();
    return unused;
}

static void *hold_file(void *unused) {
    pthread_setname_np(pthread_self(), "writer");
    flockfile(file);
    pthread_barrier_wait(&met);
    rest();
    return unused;
}

static void *wait_for_work(void *unused) {
    pthread_mutex_lock(&first);
    pthread_barrier_wait(&met);
    for (;;)
        pthread_cond_wait(&work, &first);
    return unused;
}

// samples/mutex_deadlock.c, but the worker never ends.
static void logger(void) {
    start(write_report);
    pthread_barrier_wait(&met);
    pid_t child = fork();
    if (!child) log_begin();
    parent_waits(child);
}

static void writer(void) {
    start(hold_table);
    pthread_barrier_wait(&met);
    pid_t child = fork();
    if (!child) pthread_rwlock_rdlock(&table_lock);
    parent_waits(child);
}

static void reader(void) {
    start(hold_table_to_read);
    pthread_barrier_wait(&met);
    pid_t child = fork();
    if (!child) pthread_rwlock_wrlock(&table_lock);
    parent_waits(child);
}

// fork() would make the locks of all FILEs anew.
static void stdio(void) {
    file = fopen("/dev/null", "w");
    start(hold_file);
    pthread_barrier_wait(&met);
    pid_t child = _Fork();
    if (!child) fputc('x', file);
    parent_waits(child);
}

static void forker(void) {
    start(wait_for_work);
    pthread_barrier_wait(&met);
    pthread_mutex_lock(&recursive);
    pid_t child = fork();
    if (!child) pthread_mutex_lock(&recursive);
    parent_waits(child);
}

static void semaphore(void) {
    start(wait_for_work);
    pthread_barrier_wait(&met);
    pid_t child = fork();
    if (!child) sem_wait(&permits);
    parent_waits(child);
}

static void *lock_and_end(void *unused) {
    pthread_mutex_lock(&first);
    return unused;
}

static void ended(void) {
    pthread_t t;
    if (pthread_create(&t, NULL, lock_and_end, NULL)) abort();
    pthread_join(t, NULL);
    ready();
    pthread_mutex_lock(&first);
}

// ---- not the fault of a fork

static void *second_then_first(void *unused) {
    pthread_mutex_lock(&second);
    pthread_barrier_wait(&met);
    pthread_mutex_lock(&first);
    return unused;
}

static void order(void) {
    start(second_then_first);
    pthread_mutex_lock(&first);
    pthread_barrier_wait(&met);
    ready();
    pthread_mutex_lock(&second);
}

static void twice(void) {
    pthread_mutex_lock(&first);
    ready();
    pthread_mutex_lock(&first);
}

static void *set_flag_later(void *unused) {
    pthread_barrier_wait(&met);
    rest();
    flag = 1;
    return unused;
}

static void spin(void) {
    start(set_flag_later);
    pthread_barrier_wait(&met);
    pid_t child = fork();
    while (!child && !flag)
        ;
    parent_waits(child);
}

// Spins as well, but the thread that will end that is there.
static void spin_here(void) {
    start(set_flag_later);
    pthread_barrier_wait(&met);
    ready();
    while (!flag)
        ;
}

// ---- nothing is wrong

static void share(void) {
    pthread_mutexattr_t a;
    common = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(common, &a);
    pthread_mutex_lock(common);
    if (fork()) {
        ready();
        rest();
    }
    pthread_mutex_lock(common);
}

static void pool(void) {
    for (int i = 0; i < 3; i++)
        start(wait_for_work);
    for (int i = 0; i < 3; i++)
        pthread_barrier_wait(&met);
    ready();
    char byte;
    if (read(STDIN_FILENO, &byte, 1)) return; // a server that waits for requests
}

// Until it is killed.
static void idle(void) {
    ready();
    sem_wait(&permits);
}

static void paused(void) {
    ready();
    pause();
}

static void busy(void) {
    start(wait_for_work);
    pthread_barrier_wait(&met);
    ready();
    for (volatile unsigned long i = 0;; i++)
        ;
}

static void handler(int signal) {
    (void)signal;
    sem_post(&permits);
}

// Waits for a semaphore that a signal handler posts.
static void signaled(void) {
    sigaction(SIGUSR2, &(struct sigaction){.sa_handler = handler}, NULL);
    ready();
    while (sem_wait(&permits))
        ;
}

// ---- what a stop must not disturb: each thread says when its call returns

static void returned(const char *call, long result) {
    printf("%s returned %ld, %s\n", call, result, result < 0 ? strerror(errno) : "no error");
    fflush(stdout);
    rest();
}

static void *in_futex(void *unused) {
    static int word;
    pthread_barrier_wait(&met);
    returned("futex", syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL));
    return unused;
}

static void *in_timed_futex(void *unused) {
    static int word;
    struct timespec hour = {.tv_sec = 3600};
    pthread_barrier_wait(&met);
    returned("timed futex", syscall(SYS_futex, &word, FUTEX_WAIT, 0, &hour));
    return unused;
}

static void *in_epoll(void *unused) {
    struct epoll_event e;
    int fd = epoll_create1(0);
    pthread_barrier_wait(&met);
    returned("epoll_wait", epoll_wait(fd, &e, 1, -1));
    return unused;
}

static void *in_sigwait(void *unused) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_barrier_wait(&met);
    returned("sigwaitinfo", sigwaitinfo(&set, NULL));
    return unused;
}

static void *in_semop(void *unused) {
    int id = semget(IPC_PRIVATE, 1, 0600);
    struct sembuf take = {.sem_op = -1};
    pthread_barrier_wait(&met);
    semctl(id, 0, SETVAL, 0);
    printf("semaphore set %d\n", id);
    fflush(stdout);
    returned("semop", semop(id, &take, 1));
    return unused;
}

static void *in_sleep(void *unused) {
    pthread_barrier_wait(&met);
    returned("nanosleep", nanosleep(&(struct timespec){.tv_sec = 3600}, NULL));
    return unused;
}

static void *in_read(void *unused) {
    int ends[2];
    char byte;
    if (pipe(ends)) abort();
    pthread_barrier_wait(&met);
    returned("read", read(ends[0], &byte, 1));
    return unused;
}

static void calls(void) {
    static void *(*const all[])(void *) = {in_futex, in_timed_futex, in_epoll, in_sigwait,
                                           in_semop, in_sleep,       in_read};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        start(all[i]);
        pthread_barrier_wait(&met);
    }
    ready();
    rest();
}

// Counts signals; the first one of another kind ends it.
static volatile sig_atomic_t counted, over;

static void count(int signal) {
    if (signal == SIGTERM)
        over = 1;
    else
        counted++;
}

static void signals(void) {
    struct sigaction a = {.sa_handler = count};
    sigset_t none;
    sigaction(SIGRTMIN, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGTERM); // taken between two sleeps only
    sigprocmask(SIG_BLOCK, &both, NULL);
    sigemptyset(&none);
    ready();
    while (!over) {
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        sigprocmask(SIG_SETMASK, &none, NULL);
        sigprocmask(SIG_BLOCK, &both, NULL);
    }
    printf("%d signals\n", (int)counted);
}

static const struct {
    const char *name;
    void (*run)(void);
} ways[] = {
    {"logger", logger},   {"spin", spin},   {"spin_here", spin_here}, {"writer", writer},
    {"reader", reader},   {"stdio", stdio}, {"forker", forker},       {"semaphore", semaphore},
    {"ended", ended},     {"order", order}, {"twice", twice},         {"share", share},
    {"pool", pool},       {"busy", busy},   {"signaled", signaled},   {"calls", calls},
    {"signals", signals}, {"idle", idle},   {"paused", paused},
};

int main(int argc, char **argv) {
    pthread_barrier_init(&met, NULL, 2);
    sem_init(&permits, 0, 0);
    for (size_t i = 0; argc == 2 && i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(argv[1], ways[i].name)) {
            ways[i].run();
            return 0;
        }
    return 2;
}
