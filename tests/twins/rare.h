// The rare twins of the samples: the same locks, but nobody waits with one in the hand. A worker takes the lock for an
// instant every 5 ms; main forks once, 2 ms after it began, and the child takes it, too.
//   PROGRAM NAME           the twin of samples/NAME
//   PROGRAM NAME fixed     with fork handlers around the lock, or fork() in place of _Fork(), or, where the lock is a
//                          library's own, with a child that keeps out of the library
#ifndef REFORK_TESTS_TWINS_RARE_H
#define REFORK_TESTS_TWINS_RARE_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct twin {
    const char *name;
    void (*set_up)(void);
    void (*lock)(void);   // or the whole use of a library
    void (*unlock)(void); // NULL: of a library, or never (an initialisation)
    void (*child)(void);  // what the child does in place of `lock`
    void (*before)(void); // the fork handlers, where they are not `lock`, `unlock` and `unlock`
    void (*in_parent)(void);
    void (*in_child)(void);
    pid_t (*fork)(void); // NULL: fork
    int late;            // the child comes to the lock when the worker has ended
    int nested;          // a child of main does all of it
    int only_first;      // only the worker's first use holds the lock: the fork is well before it
};

static const struct twin *rare;
static volatile int rare_uses;

static void rare_sleep_ms(long ms) {
    struct timespec left;
    left.tv_sec = 0;
    left.tv_nsec = ms * 1000000;
    nanosleep(&left, NULL);
}

static void *rare_work(void *unused) {
    pthread_setname_np(pthread_self(), "worker");
    for (int i = 0; i < 3; i++) {
        rare_sleep_ms(rare->only_first ? 30 : 5);
        rare->lock();
        rare_uses = i + 1;
        if (rare->unlock) rare->unlock();
    }
    return unused;
}

static void rare_child(int fixed, int go) {
    char byte;
    if (rare->late && read(go, &byte, 1) != 1) _exit(1);
    if (!fixed || rare->unlock || rare->fork) (rare->child ? rare->child : rare->lock)();
    _exit(7);
}

static int rare_reap(pid_t child) {
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int rare_run(int fixed) {
    int go[2];
    pthread_t worker;
    if (pipe(go)) return 1;
    if (rare->set_up) rare->set_up();
    if (fixed && rare->unlock && !rare->fork &&
        pthread_atfork(rare->before ? rare->before : rare->lock,
                       rare->in_parent ? rare->in_parent : rare->unlock,
                       rare->in_child ? rare->in_child : rare->unlock))
        return 1;
    if (pthread_create(&worker, NULL, rare_work, NULL)) return 1;
    rare_sleep_ms(2);
    pid_t child = rare->fork && !fixed ? rare->fork() : fork();
    if (child == 0) rare_child(fixed, go[0]);
    if (rare->late) pthread_join(worker, NULL);
    if (write(go[1], "", 1) != 1) return 1;
    if (rare_reap(child) != 7) return 1;
    if (!rare->late) pthread_join(worker, NULL);
    return 0;
}

static int rare_main(int argc, char **argv, const struct twin *twins, size_t count) {
    for (size_t i = 0; argc > 1 && i < count; i++)
        if (!strcmp(twins[i].name, argv[1])) rare = &twins[i];
    if (!rare) {
        for (size_t i = 0; i < count; i++)
            puts(twins[i].name);
        return argc > 1;
    }
    int fixed = argc > 2 && !strcmp(argv[2], "fixed");
    if (!rare->nested) return rare_run(fixed);
    pid_t server = fork();
    if (server == 0) _exit(rare_run(fixed));
    return rare_reap(server);
}

#endif
