// A process-shared mutex: a child has it when it hangs on a mutex of its own, which a thread of the parent held at the
// fork. The parent wants the shared one: that the child hangs is the root of it.
//
// expect: orphaned-lock lock=log_mutex holder=logger start=log_lines waiting=update/pthread_mutex_lock
// expect: cross-process-wait lockkind=pthread_mutex cause=orphaned-lock acquired=update/pthread_mutex_lock
//     waiting=read_table/pthread_mutex_lock
// status: 120
#include "samples/stage.h"

#include <sys/mman.h>

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t *table_mutex; // in memory that both processes have

static void make_mutex(void) {
    table_mutex = mmap(NULL, sizeof *table_mutex, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (table_mutex == MAP_FAILED) abort();
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(table_mutex, &attr);
}

static void *log_lines(void *unused) {
    (void)unused;
    thread_name("logger");
    pthread_mutex_lock(&log_mutex);
    hold_over_fork();
    pthread_mutex_unlock(&log_mutex);
    return NULL;
}

static void update(void) {
    pthread_mutex_lock(table_mutex);
    gate_open(&settled);
    pthread_mutex_lock(&log_mutex);
    pthread_mutex_unlock(&log_mutex);
    pthread_mutex_unlock(table_mutex);
}

static void read_table(void) {
    pthread_mutex_lock(table_mutex);
    pthread_mutex_unlock(table_mutex);
}

int main(void) {
    make_mutex();
    pthread_t logger = thread_start(log_lines);
    gate_wait(&held);
    pid_t child = fork();
    if (child == 0) {
        update();
        _exit(0);
    }
    gate_open(&forked);
    pthread_join(logger, NULL);
    gate_wait(&settled);
    read_table();
    return reap(child);
}
