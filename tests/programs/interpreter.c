// An interpreter's lock: whoever runs has it, and gives it away to sleep. A worker writes an entry to a log every 5 ms
// with the log's lock held over the write(2), and for that moment only it has not the interpreter's. To fork, a thread
// needs the interpreter's lock: held at fork() it keeps the worker out. The child writes to the log, too.
//   fixed     the child keeps out of the log
//   around    the forking thread has the log's lock over the fork
//   released  the log's lock is given back before the write
//   apart     nobody else writes to the log
//   handler   a fork handler takes the interpreter's lock, not the one that forks
//   free      there is no such lock
//   thread    not the main thread forks
//   early     the worker writes once, and main just after it, long before the fork
//   heap      the log's lock is on the heap, and another log has one that is taken there first
#include "program.h"

#include <fcntl.h>
#include <semaphore.h>

static pthread_mutex_t interpreter = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER, *log_of[] = {&log_lock, &log_lock};
static const char *how;
static int null_file;
static sem_t about; // early: the worker is about to write

static int is(const char *word) {
    return strstr(how, word) != NULL;
}

static void take(void) {
    if (is("free")) return;
    pthread_mutex_lock(&interpreter);
}

static void give(void) {
    if (is("free")) return;
    pthread_mutex_unlock(&interpreter);
}

static void sleep_without(long ms) {
    give();
    sleep_ms(ms);
    take();
}

static void log_entry(pthread_mutex_t *lock) {
    pthread_mutex_lock(lock);
    if (is("released")) pthread_mutex_unlock(lock);
    give();
    CHECK(write(null_file, "entry\n", 6) == 6);
    take();
    if (!is("released")) pthread_mutex_unlock(lock);
}

static void *work(void *unused) {
    pthread_setname_np(pthread_self(), "worker");
    take();
    for (int i = 0; i < (is("early") ? 1 : 4); i++) {
        sleep_without(5);
        sem_post(&about);
        for (int k = is("heap") ? 1 : 0; k >= 0 && !is("apart"); k--)
            log_entry(log_of[k]);
    }
    give();
    return unused;
}

static void fork_once(void) {
    if (is("around")) {
        give();
        pthread_mutex_lock(&log_lock);
        take();
    }
    if (is("handler")) give();
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        if (is("handler")) take();
        if (!is("fixed") && !is("around")) log_entry(log_of[0]);
        _exit(7);
    }
    if (is("handler")) take();
    if (is("around")) pthread_mutex_unlock(&log_lock);
    give();
    CHECK(reap(child) == 7);
    take();
}

static void *run(void *unused) {
    take();
    if (is("early")) {
        give();
        CHECK(!sem_wait(&about));
        take();
        log_entry(log_of[0]);
        sleep_without(20);
    }
    for (int i = 0; i < 2; i++) {
        sleep_without(2);
        fork_once();
    }
    give();
    return unused;
}

int main(int argc, char **argv) {
    pthread_t worker, forker;
    how = argc > 1 ? argv[1] : "";
    null_file = open("/dev/null", O_WRONLY);
    if (is("handler")) CHECK(!pthread_atfork(take, give, give));
    for (int i = 0; is("heap") && i < 2; i++) {
        log_of[i] = malloc(sizeof *log_of[i]);
        CHECK(log_of[i] && !pthread_mutex_init(log_of[i], NULL));
    }
    CHECK(!pthread_create(&worker, NULL, work, NULL));
    if (is("thread")) {
        CHECK(!pthread_create(&forker, NULL, run, NULL));
        pthread_join(forker, NULL);
    } else {
        run(NULL);
    }
    pthread_join(worker, NULL);
    puts("done");
    return 0;
}
