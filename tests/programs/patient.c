// Children of forks that look stuck and are not: patient CASE ends with status 0 when left alone. The parent has a
// thread, so that a child is one that a fork left without it.
#include "program.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_spinlock_t spin;
static atomic_int held;
static bool quiet;
static volatile int flag;
static struct shared {
    atomic_int flag, beats;
    volatile int plain;
    pthread_mutex_t mutex;
    sem_t sem;
} * shared;

// Asleep until another thread wakes it, which none does: no lock is involved, so nobody can say that none will.
static void sleep_for_ever(void) {
    static uint32_t word;
    syscall(SYS_futex, &word, 128 /* FUTEX_WAIT | FUTEX_PRIVATE_FLAG */, 0, NULL, NULL, 0);
}

static void *holder(void *unused) {
    (void)unused;
    pthread_mutex_lock(&mutex);
    pthread_spin_lock(&spin);
    atomic_store(&held, 1);
    for (;;)
        quiet ? sleep_for_ever() : (void)pause();
    return NULL;
}

static struct timespec in_ms(long ms) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

// ---- gives up by itself

static void counts_attempts(void) {
    int left = 60;
    struct timespec t;
    do
        t = in_ms(2);
    while (pthread_mutex_timedlock(&mutex, &t) == ETIMEDOUT && --left);
    CHECK(!left);
}

static void counts_sleeps(void) {
    for (int i = 0; i < 1500 && !flag; i++)
        sleep_ms(1);
}

static void counts_yields(void) {
    for (long i = 0; i < 20000 && !flag; i++)
        sched_yield();
}

static void counts_spins(void) {
    for (volatile long i = 0; i < 100000000 && !flag; i++)
        continue;
}

static void counts_in_float(void) {
    for (double x = 0; x < 1000 && !flag; x += 0.5)
        sched_yield();
}

static void deadline(void) {
    for (long long end = now_ns() + 3000000000ll; now_ns() < end && !flag;)
        sleep_ms(2);
}

// Compares seconds first, and nanoseconds in the last one alone.
static void deadline_seconds(void) {
    struct timespec now, end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += 5;
    do {
        sleep_ms(2);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (!flag && (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec)));
}

static void walks_list(void) {
    static struct node { struct node *next; } nodes[600];
    for (int i = 0; i < 599; i++)
        nodes[i].next = &nodes[i + 1];
    for (struct node *n = nodes; n && !flag; n = n->next)
        sched_yield();
}

static void walks_text(void) {
    static char text[600];
    memset(text, 'x', sizeof text - 1);
    for (const char *p = text; *p && !flag; p++)
        sched_yield();
}

// A background worker that is polite: the next number decides, nobody knows when.
static void computes_politely(void) {
    for (uint32_t x = 1; (x = x * 1664525u + 1013904223u) >> 14 != 7 && !flag;)
        sched_yield();
}

static void computes_on_time(void) {
    long long start = now_ns();
    for (uint32_t x = 1; (x = x * 1664525u + 1013904223u) >> 20 != 7 && now_ns() > start && !flag;)
        sleep_ms(1);
}

// For seconds: three such numbers in a row fall again and again, as the nanoseconds of a clock do.
static void computes_for_long(void) {
    long long start = now_ns();
    for (uint32_t x = 1; (x = x * 1664525u + 1013904223u) >> 20 != 7 && now_ns() > start && !flag;)
        sleep_ms(5);
}

static void computes(void) {
    for (uint32_t i = 0, x = 1; i < 900000000 && !flag; i++)
        x = x * 1664525u + 1013904223u, flag = x == 12345 && i < 5;
}

// What moves away from 0 comes back to it.
static void computes_all(void) {
    for (uint32_t i = 1; i && !flag; i++)
        continue;
}

// ---- is told by somebody

static void *sets_later(void *unused) {
    (void)unused;
    sleep_ms(1500);
    flag = 1;
    return NULL;
}

static void start_setter(void) {
    pthread_t t;
    CHECK(!pthread_create(&t, NULL, sets_later, NULL));
}

static void thread_spins(void) {
    start_setter();
    while (!flag)
        continue;
}

static void thread_yields(void) {
    start_setter();
    while (!flag)
        sched_yield();
}

static void thread_naps(void) {
    start_setter();
    while (!flag)
        sleep_ms(1);
}

static void *joins_setter(void *unused) {
    pthread_t t;
    CHECK(!pthread_create(&t, NULL, sets_later, unused));
    pthread_join(t, NULL);
    return NULL;
}

static void thread_joined(void) {
    pthread_t t;
    CHECK(!pthread_create(&t, NULL, joins_setter, NULL));
    pthread_join(t, NULL);
}

static sem_t done;

static void *posts_later(void *unused) {
    sets_later(unused);
    sem_post(&done);
    return NULL;
}

static void thread_posts(void) {
    pthread_t t;
    CHECK(!sem_init(&done, 0, 0) && !pthread_create(&t, NULL, posts_later, NULL));
    while (sem_wait(&done) < 0)
        continue;
}

static void shared_spins(void) {
    while (!atomic_load(&shared->flag))
        continue;
}

static void shared_naps(void) {
    while (!shared->plain)
        sleep_ms(1);
}

static void shared_timed(void) {
    struct timespec t;
    do
        t = in_ms(2);
    while (sem_timedwait(&shared->sem, &t) < 0);
}

static void shared_mutex(void) {
    struct timespec t;
    do
        t = in_ms(5);
    while (pthread_mutex_timedlock(&shared->mutex, &t) == ETIMEDOUT);
    pthread_mutex_unlock(&shared->mutex);
}

// ---- files that somebody still has

static int pipes[2], sockets[2], event;

static void waits_for_event(void) {
    uint64_t count;
    CHECK(read(event, &count, sizeof count) == sizeof count);
}

static void waits_for_socket(void) {
    char c;
    CHECK(recv(sockets[0], &c, 1, 0) == 1);
}

// In a set that it has by a fork; the parent adds what is ready.
static int set;

static void waits_in_epoll(void) {
    struct epoll_event e;
    CHECK(epoll_wait(set, &e, 1, -1) == 1);
}

static void waits_in_poll(void) {
    struct pollfd fds[] = {{.fd = pipes[0], .events = POLLIN}, {.fd = sockets[0], .events = POLLIN}};
    CHECK(poll(fds, 2, -1) > 0);
}

static int lock_file;

static void waits_for_flock(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", lock_file);
    int own = open(path, O_RDWR);
    CHECK(own >= 0 && flock(own, LOCK_EX) == 0);
}

static void waits_for_range(void) {
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
    CHECK(fcntl(lock_file, F_SETLKW, &range) == 0);
}

static int semaphores;

static void waits_for_sysv(void) {
    struct sembuf down = {.sem_num = 0, .sem_op = -1};
    CHECK(semop(semaphores, &down, 1) == 0);
}

// ---- nobody but itself has the file, and it ends all the same

static void socket_gives_up(void) {
    int own[2];
    char c;
    struct timeval limit = {.tv_sec = 1};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, own) == 0);
    CHECK(setsockopt(own[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    CHECK(read(own[0], &c, 1) < 0 && errno == EAGAIN);
}

// A timer's signal ends it.
static void stop(int sig);

static void alarmed(void) {
    signal(SIGALRM, stop);
    alarm(2);
    while (!flag)
        sleep_ms(2);
}

static void alarmed_pipe(void) {
    int own[2];
    char c;
    struct sigaction once = {.sa_handler = stop};
    const struct itimerval soon = {.it_value.tv_sec = 1};
    CHECK(pipe(own) == 0 && sigaction(SIGALRM, &once, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
    CHECK(read(own[0], &c, 1) < 0 && errno == EINTR);
}

// Its own child is ended by an alarm, and then the pipe.
static void alarmed_writer(void) {
    int own[2];
    char c;
    CHECK(pipe(own) == 0);
    if (!fork()) {
        alarm(2);
        CHECK(read(own[0], &c, 1) < 0);
        _exit(1);
    }
    close(own[1]);
    CHECK(read(own[0], &c, 1) == 0);
}

static void epoll_gives_up(void) {
    struct epoll_event e = {.events = EPOLLIN};
    int own = epoll_create1(0);
    CHECK(own >= 0 && epoll_ctl(own, EPOLL_CTL_ADD, event, &e) == 0);
    CHECK(epoll_wait(own, &e, 1, 1000) == 0);
}

// A timer's file in the set.
static void epoll_timer(void) {
    struct epoll_event e = {.events = EPOLLIN};
    int own = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec when = {.it_value.tv_sec = 1};
    CHECK(own >= 0 && timer >= 0 && timerfd_settime(timer, 0, &when, NULL) == 0);
    CHECK(epoll_ctl(own, EPOLL_CTL_ADD, event, &e) == 0 && epoll_ctl(own, EPOLL_CTL_ADD, timer, &e) == 0);
    CHECK(epoll_wait(own, &e, 1, -1) == 1);
}

// ---- serves until it is ended

static void heartbeat(void) {
    for (;;) {
        sleep_ms(2);
        atomic_fetch_add(&shared->beats, 1);
    }
}

static void writes(void) {
    for (;;) {
        sleep_ms(2);
        CHECK(write(2, "", 0) == 0);
    }
}

static void idles(void) {
    for (;;)
        sleep_ms(2);
}

static void idles_spinning(void) {
    for (;;)
        continue;
}

static void stop(int sig) {
    (void)sig;
    flag = 1;
}

static void handles(void) {
    signal(SIGTERM, stop);
    while (!flag)
        sleep_ms(2);
}

static void handles_timed(void) {
    static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
    signal(SIGTERM, stop);
    pthread_mutex_lock(&own);
    while (!flag) {
        struct timespec t = in_ms(2);
        pthread_cond_timedwait(&cond, &own, &t);
    }
}

static void pauses(void) {
    for (;;)
        pause();
}

static void awaits_signal(void) {
    sigset_t all;
    int sig;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    CHECK(sigwait(&all, &sig) == 0 && sig == SIGTERM);
}

static void handles_spinning(void) {
    signal(SIGTERM, stop);
    while (!flag)
        continue;
}

static void polls_parent(void) {
    for (pid_t parent = getppid(); getppid() == parent;)
        sleep_ms(2);
}

static const struct row {
    const char *name;
    void (*child)(void);
    enum { WAITS, TELLS, ENDS, QUIET } parent; // QUIET: it waits, and its thread for what never comes
} cases[] = {
    {"counts-attempts", counts_attempts, WAITS},
    {"counts-sleeps", counts_sleeps, WAITS},
    {"counts-yields", counts_yields, WAITS},
    {"counts-spins", counts_spins, WAITS},
    {"counts-in-float", counts_in_float, WAITS},
    {"deadline", deadline, WAITS},
    {"deadline-seconds", deadline_seconds, WAITS},
    {"walks-list", walks_list, WAITS},
    {"walks-text", walks_text, WAITS},
    {"computes-politely", computes_politely, WAITS},
    {"computes-on-time", computes_on_time, WAITS},
    {"computes-for-long", computes_for_long, WAITS},
    {"computes", computes, WAITS},
    {"computes-all", computes_all, WAITS},
    {"thread-spins", thread_spins, WAITS},
    {"thread-yields", thread_yields, WAITS},
    {"thread-naps", thread_naps, WAITS},
    {"thread-joined", thread_joined, WAITS},
    {"thread-posts", thread_posts, WAITS},
    {"shared-spins", shared_spins, TELLS},
    {"shared-naps", shared_naps, TELLS},
    {"shared-timed", shared_timed, TELLS},
    {"shared-mutex", shared_mutex, TELLS},
    {"heartbeat", heartbeat, ENDS},
    {"writes", writes, ENDS},
    {"idles", idles, ENDS},
    {"idles-spinning", idles_spinning, ENDS},
    {"handles", handles, ENDS},
    {"handles-timed", handles_timed, ENDS},
    {"handles-spinning", handles_spinning, ENDS},
    {"polls-parent", polls_parent, ENDS},
    {"pauses", pauses, ENDS},
    {"awaits-signal", awaits_signal, ENDS},
    {"event", waits_for_event, TELLS},
    {"socket", waits_for_socket, TELLS},
    {"epoll", waits_in_epoll, TELLS},
    {"poll", waits_in_poll, TELLS},
    {"flock", waits_for_flock, TELLS},
    {"range", waits_for_range, TELLS},
    {"sysv", waits_for_sysv, TELLS},
    {"socket-gives-up", socket_gives_up, QUIET},
    {"alarmed", alarmed, QUIET},
    {"alarmed-pipe", alarmed_pipe, QUIET},
    {"alarmed-writer", alarmed_writer, QUIET},
    {"epoll-gives-up", epoll_gives_up, QUIET},
    {"epoll-timer", epoll_timer, QUIET},
};

static void share(void) {
    pthread_mutexattr_t a;
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->mutex, &a);
    sem_init(&shared->sem, 1, 0);
    pthread_mutex_lock(&shared->mutex);
}

static void open_files(void) {
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 5};
    char path[] = "/tmp/refork-patient-XXXXXX";
    CHECK(pipe(pipes) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    CHECK((event = eventfd(0, 0)) >= 0 && (set = epoll_create1(0)) >= 0);
    CHECK((lock_file = mkstemp(path)) >= 0 && unlink(path) == 0);
    CHECK(flock(lock_file, LOCK_EX) == 0 && fcntl(lock_file, F_SETLK, &range) == 0);
    CHECK((semaphores = semget(IPC_PRIVATE, 1, 0600)) >= 0);
}

static void tell(void) {
    sleep_ms(2000);
    struct epoll_event e = {.events = EPOLLOUT};
    struct sembuf up = {.sem_num = 0, .sem_op = 1};
    CHECK(write(event, &(uint64_t){1}, sizeof(uint64_t)) == sizeof(uint64_t) &&
          write(sockets[1], "x", 1) == 1);
    CHECK(epoll_ctl(set, EPOLL_CTL_ADD, pipes[1], &e) == 0 && flock(lock_file, LOCK_UN) == 0);
    struct flock none = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    CHECK(fcntl(lock_file, F_SETLK, &none) == 0 && semop(semaphores, &up, 1) == 0);
    atomic_store(&shared->flag, 1);
    shared->plain = 1;
    sem_post(&shared->sem);
    pthread_mutex_unlock(&shared->mutex);
}

int main(int argc, char **argv) {
    const struct row *row = CASE_OF(cases, argc, argv);
    if (!row) return argc > 1;
    pthread_t t;
    quiet = row->parent == QUIET;
    share();
    open_files();
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    CHECK(!pthread_create(&t, NULL, holder, NULL));
    while (!atomic_load(&held))
        sched_yield();
    pid_t pid = fork();
    if (!pid) {
        row->child();
        _exit(0);
    }
    int status;
    if (row->parent == TELLS) tell();
    if (row->parent == ENDS) {
        sleep_ms(3000);
        kill(pid, SIGTERM);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(row->parent == ENDS || status == 0);
    CHECK(semctl(semaphores, 0, IPC_RMID) == 0);
    puts("well");
    return 0;
}
