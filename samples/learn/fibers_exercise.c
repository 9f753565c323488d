// To be repaired: the child waits for the log's mutex, which a sleeping fiber had at the fork.
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static ucontext_t scheduler, fiber;
static char stack[65536];

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void say(const char *line) {
    dprintf(STDOUT_FILENO, "%s\n", line);
}

static void log_fiber(void) {
    pthread_mutex_lock(&log_mutex);
    say("fiber: begins a line");
    swapcontext(&fiber, &scheduler); // another fiber's turn
    say("fiber: ends it");
    pthread_mutex_unlock(&log_mutex);
}

static void *run_fibers(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "worker");
    getcontext(&fiber);
    fiber.uc_stack.ss_sp = stack;
    fiber.uc_stack.ss_size = sizeof stack;
    fiber.uc_link = &scheduler;
    makecontext(&fiber, log_fiber, 0);
    swapcontext(&scheduler, &fiber);
    sleep_ms(600); // the other fiber works
    swapcontext(&scheduler, &fiber);
    return NULL;
}

static void report(void) {
    pthread_mutex_lock(&log_mutex);
    say("child: report");
    pthread_mutex_unlock(&log_mutex);
}

int main(void) {
    pthread_t worker;
    pthread_create(&worker, NULL, run_fibers, NULL);
    sleep_ms(60);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        report();
        _exit(0);
    }
    waitpid(child, NULL, 0);
    pthread_join(worker, NULL);
    say("main: done");
    return 0;
}
