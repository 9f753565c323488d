// A mutex in a structure on the heap has no name: it is told by the call that allocated the structure. (Before that, and
// behind it, other blocks come and go.)
//
// expect: orphaned-lock confidence=proved lockkind=pthread_mutex lock=queue::lock allocated=calloc:queue_new/calloc
//         holder=worker start=write_report acquired=write_report/pthread_mutex_lock
//         waiting=run_child/pthread_mutex_lock fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

struct queue {
    char name[24];
    pthread_mutex_t lock;
};

static struct queue *jobs;

static struct queue *queue_new(const char *name) {
    free(malloc(sizeof(struct queue))); // the same block, most likely
    struct queue *q = calloc(1, sizeof *q);
    if (!q) abort();
    strcpy(q->name, name);
    pthread_mutex_init(&q->lock, NULL);
    free(malloc(sizeof(struct queue)));
    return q;
}

static void *write_report(void *unused) {
    (void)unused;
    thread_name("worker");
    pthread_mutex_lock(&jobs->lock);
    hold_over_fork();
    pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

static void run_child(void) {
    pthread_mutex_lock(&jobs->lock);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    jobs = queue_new("jobs");
    thread_start(write_report);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}
