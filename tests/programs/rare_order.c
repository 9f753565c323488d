// Deadlocks that need one switch at the right instruction: two threads that come to their locks far apart, and nobody sleeps, so
// that which of them runs when is all that decides.
//   rare_order cycle    each takes two mutexes, in opposite orders
//   rare_order atfork   fork handlers take them in one order, the other thread in the other
//   rare_order orphan   a fork while the other thread holds the mutex that the child takes
//   rare_order KIND ordered   the same in one order, or with fork handlers: no schedule deadlocks
#include "program.h"

enum { TURNS = 24, EARLY = 2, LATE = TURNS - 2 };

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t cache_mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *kind;
static int ordered;
static char line[2][4096];

static void log_lock(void) {
    pthread_mutex_lock(&log_mutex);
}
static void log_unlock(void) {
    pthread_mutex_unlock(&log_mutex);
}
static void cache_lock(void) {
    pthread_mutex_lock(&cache_mutex);
}
static void cache_unlock(void) {
    pthread_mutex_unlock(&cache_mutex);
}

static void log_then_cache(void) {
    log_lock();
    cache_lock();
    cache_unlock();
    log_unlock();
}

static void cache_then_log(void) {
    cache_lock();
    log_lock();
    log_unlock();
    cache_unlock();
}

static void spawn(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        if (!strcmp(kind, "orphan")) log_then_cache();
        _exit(7);
    }
    CHECK(reap(child) == 7);
}

static void refresh(void) { // the thread's
    if (strcmp(kind, "orphan") != 0 && ordered)
        cache_then_log();
    else
        log_then_cache();
}

static void finish(void) { // the main thread's
    if (!strcmp(kind, "cycle"))
        cache_then_log();
    else
        spawn();
}

static void work(int who) {
    for (int i = 0; i < 40; i++) {
        // Something to do, with few calls of libraries.
        for (size_t k = 0; k < sizeof line[who] / 8; k++)
            line[who][k] = (char)(line[who][k] * 31 + (char)k + i);
    }
    snprintf(line[who], sizeof line[who], "turn of %d", who);
}

static void *use(void *unused) {
    (void)unused;
    for (int i = 0; i < TURNS; i++) {
        work(1);
        if (i == EARLY) refresh();
    }
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc > 1);
    kind = argv[1];
    ordered = argc > 2 && !strcmp(argv[2], "ordered");
    if (!strcmp(kind, "atfork") || (!strcmp(kind, "orphan") && ordered)) {
        // Prepare handlers run in the reverse order: the cache's first. An orphan's twin takes them as its threads do.
        int log_first = !strcmp(kind, "orphan");
        if (!log_first) CHECK(!pthread_atfork(log_lock, log_unlock, log_unlock));
        CHECK(!pthread_atfork(cache_lock, cache_unlock, cache_unlock));
        if (log_first) CHECK(!pthread_atfork(log_lock, log_unlock, log_unlock));
    }
    pthread_t thread;
    CHECK(!pthread_create(&thread, NULL, use, NULL));
    for (int i = 0; i < TURNS; i++) {
        work(0);
        if (i == LATE) finish();
    }
    pthread_join(thread, NULL);
    puts("done");
    return 0;
}
