// Two threads take two mutexes in opposite orders, or one takes a mutex twice. First argument: which; second: what a thread
// does that has nothing to do with it; third: what the handler of SIGTERM does. A handler that cannot give a mutex back changes
// nothing; of one that might, that wait is only likely to be for ever. Of one that jumps out of the wait when a timer goes off
// nothing is said.
//
// case orders none: lock-cycle confidence=proved
// case orders pause: lock-cycle confidence=proved
// case orders nap: lock-cycle confidence=proved
// case orders accept: lock-cycle confidence=proved
// case orders sigwait: lock-cycle confidence=proved
// case orders pause flag: lock-cycle confidence=proved
// case orders nap pipe: lock-cycle confidence=proved
// case twice none flag: lock-cycle confidence=proved lock=from
// case twice none pipe: lock-cycle confidence=proved lock=from
// case twice none member: lock-cycle confidence=proved lock=from
// case twice none other: lock-cycle confidence=proved lock=from
// case twice none end: lock-cycle confidence=proved lock=from
// case twice pause pointer: lock-cycle confidence=proved lock=from
// case twice pause tries: lock-cycle confidence=proved lock=from
// case twice none unlock: lock-cycle confidence=likely lock=from
// case twice none jump: lock-cycle confidence=likely lock=from
// case twice pause unlock: none
// case twice pause insists: none
// case twice none alarm: none
#include "samples/stage.h"

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>

static pthread_mutex_t from = PTHREAD_MUTEX_INITIALIZER, to = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;
static volatile sig_atomic_t quit;
static sem_t other;
static int wakeup[2];
static sigjmp_buf out;
static struct server {
    long requests;
    int quit;
} * server;
static void (*volatile on_quit)(int);

static void set_flag(int number) {
    quit = number;
}

static void write_pipe(int number) {
    int before = errno;
    char byte = (char)number;
    if (write(wakeup[1], &byte, 1) < 0) quit = -1;
    errno = before;
}

static void set_member(int number) {
    server->quit = number;
}

static void post_other(int number) {
    (void)number;
    sem_post(&other);
}

static void end(int number) {
    _exit(number);
}

static void call_pointer(int number) {
    on_quit(number);
}

static void unlock(int number) {
    (void)number;
    pthread_mutex_unlock(&from);
}

// It gives back what it took itself, if it could.
static void try_it(int number) {
    if (pthread_mutex_trylock(&from)) return;
    quit = number;
    pthread_mutex_unlock(&from);
}

static void insist(int number) {
    if (pthread_mutex_trylock(&from)) quit = number;
    pthread_mutex_unlock(&from);
}

static void jump(int number) {
    siglongjmp(out, number);
}

static void handle(const char *name) {
    static const struct {
        const char *name;
        void (*handler)(int);
    } all[] = {{"flag", set_flag}, {"pipe", write_pipe},      {"member", set_member}, {"other", post_other},
               {"end", end},       {"pointer", call_pointer}, {"unlock", unlock},     {"jump", jump},
               {"tries", try_it},  {"insists", insist}};
    if (!strcmp(name, "alarm")) {
        signal(SIGALRM, jump);
        ualarm(900000, 0);
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(name, all[i].name)) signal(SIGTERM, all[i].handler);
}

static void *idle(void *name) {
    if (!strcmp(name, "accept")) {
        int listener = socket(AF_UNIX, SOCK_STREAM, 0);
        bind(listener, &(struct sockaddr){.sa_family = AF_UNIX},
             sizeof(sa_family_t)); // a name of the kernel's
        listen(listener, 1);
        accept(listener, NULL, NULL);
    }
    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    while (!strcmp(name, "sigwait"))
        sigwait(&set, &number);
    while (!strcmp(name, "nap"))
        usleep(50000);
    for (;;)
        pause();
    return NULL;
}

// It knows how to help: a second later it sends the signal whose handler gives the mutex back.
static void *help(void *nothing) {
    usleep(900000);
    kill(getpid(), SIGTERM);
    return nothing;
}

static void *backward(void *nothing) {
    pthread_mutex_lock(&to);
    pthread_barrier_wait(&both);
    pthread_mutex_lock(&from);
    return nothing;
}

int main(int argc, char **argv) {
    if (argc < 3 || pipe(wakeup)) return 2;
    server = calloc(1, sizeof *server);
    on_quit = set_flag;
    sem_init(&other, 0, 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    bool gives = argc > 3 && (!strcmp(argv[3], "unlock") || !strcmp(argv[3], "insists"));
    bool helped = gives && strcmp(argv[2], "none");
    if (argc > 3) handle(argv[3]);
    pthread_t thread;
    if (helped)
        thread_start(help);
    else if (strcmp(argv[2], "none"))
        pthread_create(&thread, NULL, idle, argv[2]);
    pthread_mutex_lock(&from);
    if (sigsetjmp(out, 1)) return 0;
    if (!strcmp(argv[1], "twice")) {
        pthread_mutex_lock(&from);
        return 0;
    }
    pthread_barrier_init(&both, NULL, 2);
    thread_start(backward);
    pthread_barrier_wait(&both);
    pthread_mutex_lock(&to);
    return 0;
}
