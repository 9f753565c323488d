// A forked worker has a thread of its own that idles, and takes a lock of some kind that a thread of its parent held at the fork.
//
// case writer: orphaned-lock confidence=proved lock=rwlock holder=keeper
// case reader: orphaned-lock confidence=proved lock=rwlock holder=keeper
// case recursive: orphaned-lock confidence=proved lock=recursive holder=keeper
// case checked: orphaned-lock confidence=proved lock=checked holder=keeper
// case heap: orphaned-lock confidence=proved holder=keeper
// case member: orphaned-lock confidence=proved lock=table::lock holder=keeper
// case timed: none
#include "samples/stage.h"

#include <stdbool.h>
#include <time.h>

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP,
                       checked = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP, timed = PTHREAD_MUTEX_INITIALIZER,
                       *heap;
typedef struct { // its only name is the typedef's
    int users;
    pthread_mutex_t lock;
} table;
static table *tables;
static const char *what;

static void take(bool first) {
    if (!strcmp(what, "reader") && first)
        pthread_rwlock_rdlock(&rwlock);
    else if (!strcmp(what, "writer") || !strcmp(what, "reader"))
        pthread_rwlock_wrlock(&rwlock);
    if (!strcmp(what, "recursive")) pthread_mutex_lock(&recursive);
    if (!strcmp(what, "checked")) pthread_mutex_lock(&checked);
    if (!strcmp(what, "heap")) pthread_mutex_lock(heap);
    if (!strcmp(what, "member")) pthread_mutex_lock(&tables[3].lock);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    if (!strcmp(what, "timed")) pthread_mutex_timedlock(&timed, &until);
}

static void *keep(void *nothing) {
    thread_name("keeper");
    take(true);
    hold_over_fork();
    return nothing;
}

static bool naps; // what looks on goes on: a pausing thread does not

static void *idle(void *nothing) {
    for (;;)
        naps ? sleep(1) : (unsigned)pause();
    return nothing;
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    what = argv[1];
    naps = argc > 2 && !strcmp(argv[2], "nap");
    heap = malloc(sizeof *heap);
    pthread_mutex_init(heap, NULL);
    tables = calloc(4, sizeof *tables);
    pthread_mutex_init(&tables[3].lock, NULL);
    thread_start(keep);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        thread_start(idle);
        take(false);
        _exit(0);
    }
    return reap(child);
}
