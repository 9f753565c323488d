// A forked worker starts a thread of its own, and then takes a mutex that a thread of its parent held at the fork. Whatever its
// own thread does, nobody can give that mutex back. First argument: what that thread does; a second one: the worker handles
// SIGTERM, or SIGALRM, which comes every 20 ms: its handler only counts ("ticks"), jumps out of the wait after a second
// ("leaves"), or gives the mutex back then ("unlocks").
//
// case none: orphaned-lock confidence=proved lock=log_lock holder=writer
// case pause: orphaned-lock confidence=proved lock=log_lock holder=writer
// case nap: orphaned-lock confidence=proved lock=log_lock holder=writer
// case epoll: orphaned-lock confidence=proved lock=log_lock holder=writer
// case condition: orphaned-lock confidence=proved lock=log_lock holder=writer
// case pipe: orphaned-lock confidence=proved lock=log_lock holder=writer
// case busy: orphaned-lock confidence=proved lock=log_lock holder=writer
// case same: orphaned-lock confidence=proved lock=log_lock holder=writer
// case heartbeat handler: orphaned-lock confidence=proved lock=log_lock holder=writer
// case pause handler: orphaned-lock confidence=proved lock=log_lock holder=writer
// case none handler: orphaned-lock confidence=proved lock=log_lock holder=writer
// case none ticks: orphaned-lock confidence=proved lock=log_lock holder=writer
// case epoll ticks: orphaned-lock confidence=proved lock=log_lock holder=writer
// case pause leaves: none
// case pause unlocks: none
// case remake: none
// case release: none
#include "samples/stage.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/time.h>

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER, queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_filled = PTHREAD_COND_INITIALIZER;
static volatile unsigned long counted;
static volatile sig_atomic_t quit;

static void on_term(int number) {
    quit = number;
}

static volatile sig_atomic_t ticks;
static sigjmp_buf out;

static void count(int number) {
    (void)number;
    ticks++;
}

static void leave(int number) {
    (void)number;
    if (++ticks == 50) siglongjmp(out, 1);
}

static void unlock(int number) {
    (void)number;
    if (++ticks == 50) pthread_mutex_unlock(&log_lock);
}

static void tick(void (*handler)(int)) {
    const struct itimerval every = {{0, 20000}, {0, 20000}};
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

static void *write_log(void *nothing) {
    thread_name("writer");
    pthread_mutex_lock(&log_lock);
    hold_over_fork();
    pthread_mutex_unlock(&log_lock);
    return nothing;
}

static void *use_epoll(void *nothing) {
    struct epoll_event event;
    epoll_wait(epoll_create1(0), &event, 1, -1);
    return nothing;
}

static void *use_queue(void *nothing) {
    pthread_mutex_lock(&queue_lock);
    for (;;)
        pthread_cond_wait(&queue_filled, &queue_lock);
    return nothing;
}

static void *use_pipe(void *nothing) {
    int ends[2];
    char byte;
    if (!pipe(ends)) (void)!read(ends[0], &byte, 1);
    return nothing;
}

static void *use_cpu(void *nothing) {
    for (;;)
        counted++;
    return nothing;
}

static void *use_pause(void *nothing) {
    for (;;)
        pause();
    return nothing;
}

static void *use_sleep(void *nothing) {
    for (;;)
        usleep(50000);
    return nothing;
}

static void *beat(void *nothing) {
    for (;; usleep(30000))
        (void)!write(open("/dev/null", O_WRONLY | O_CLOEXEC), ".", 1);
    return nothing;
}

static void *take_same(void *nothing) {
    pthread_mutex_lock(&log_lock);
    return nothing;
}

// glibc lets any thread give back a normal mutex.
static void *release(void *nothing) {
    usleep(900000);
    pthread_mutex_unlock(&log_lock);
    return nothing;
}

static void *(*job(const char *name))(void *) {
    static const struct {
        const char *name;
        void *(*routine)(void *);
    } jobs[] = {{"pause", use_pause}, {"nap", use_sleep},   {"epoll", use_epoll}, {"condition", use_queue},
                {"pipe", use_pipe},   {"busy", use_cpu},    {"same", take_same},  {"heartbeat", beat},
                {"release", release}, {"remake", use_pause}};
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        if (!strcmp(name, jobs[i].name)) return jobs[i].routine;
    return NULL;
}

static int worker(const char *name, const char *how) {
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL);
    if (job(name)) thread_start(job(name));
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL); // its own thread does not handle them
    if (!strcmp(how, "ticks")) tick(count);
    if (!strcmp(how, "unlocks")) tick(unlock);
    if (!strcmp(how, "leaves")) {
        if (sigsetjmp(out, 1)) return 0;
        tick(leave);
    }
    if (!strcmp(name, "remake")) pthread_mutex_init(&log_lock, NULL);
    pthread_mutex_lock(&log_lock);
    pthread_mutex_unlock(&log_lock);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    if (argc > 2 && !strcmp(argv[2], "handler")) signal(SIGTERM, on_term);
    thread_start(write_log);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) _exit(worker(argv[1], argc > 2 ? argv[2] : ""));
    return reap(child);
}
