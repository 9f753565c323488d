// samples/mutex_deadlock.c with a critical section of some nanoseconds, entered every other millisecond: the child
// hardly ever inherits the locked mutex. "protected": with fork handlers that take it. "nested": with a handler that
// takes another one, which the worker holds meanwhile. "apart": nobody else uses it. "dies": the child is killed.
#include "program.h"

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t outer = PTHREAD_MUTEX_INITIALIZER;
static volatile int begun, entries, stop;
static const char *how;

static void log_entry(void) {
    pthread_mutex_lock(&log_mutex);
    entries++;
    pthread_mutex_unlock(&log_mutex);
}

static void *write_report(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "worker");
    while (!stop) {
        sleep_ms(2);
        begun++;
        if (!strcmp(how, "nested")) pthread_mutex_lock(&outer);
        log_entry();
        if (!strcmp(how, "nested")) pthread_mutex_unlock(&outer);
    }
    return NULL;
}

static void *idle(void *unused) {
    (void)unused;
    while (!stop)
        sleep_ms(2);
    return NULL;
}

static void before(void) {
    pthread_mutex_lock(&log_mutex);
}

static void after(void) {
    pthread_mutex_unlock(&log_mutex);
}

static void before_outer(void) {
    pthread_mutex_lock(&outer);
}

static void after_outer(void) {
    pthread_mutex_unlock(&outer);
}

int main(int argc, char **argv) {
    how = argc > 1 ? argv[1] : "";
    if (!strcmp(how, "protected")) pthread_atfork(before, after, after);
    if (!strcmp(how, "nested")) pthread_atfork(before_outer, after_outer, after_outer);
    pthread_t worker;
    CHECK(!pthread_create(&worker, NULL, strcmp(how, "apart") ? write_report : idle, NULL));
    // On a busy machine the worker may come to nothing in that time.
    while (begun < 2 && strcmp(how, "apart") != 0)
        sleep_ms(2);
    sleep_ms(11);
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (!child) {
            if (!strcmp(how, "dies")) raise(SIGKILL);
            log_entry();
            _exit(7);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WEXITSTATUS(status) == 7 || WIFSIGNALED(status));
    }
    stop = 1;
    pthread_join(worker, NULL);
    puts("done");
    return 0;
}
