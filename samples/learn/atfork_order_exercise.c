// To be repaired: fork() hangs in its handlers when the worker moves money at that moment.
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t from_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t to_mutex = PTHREAD_MUTEX_INITIALIZER;
static int from = 100, to;

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void lock_from(void) {
    pthread_mutex_lock(&from_mutex);
}

static void unlock_from(void) {
    pthread_mutex_unlock(&from_mutex);
}

static void lock_to(void) {
    pthread_mutex_lock(&to_mutex);
}

static void unlock_to(void) {
    pthread_mutex_unlock(&to_mutex);
}

static void *move_money(void *unused) {
    (void)unused;
    lock_from();
    from -= 10;
    sleep_ms(600);
    lock_to();
    to += 10;
    unlock_to();
    unlock_from();
    dprintf(STDOUT_FILENO, "worker: moved 10\n");
    return NULL;
}

int main(void) {
    pthread_atfork(lock_from, unlock_from, unlock_from);
    pthread_atfork(lock_to, unlock_to, unlock_to);
    pthread_t worker;
    pthread_create(&worker, NULL, move_money, NULL);
    sleep_ms(50);
    pid_t child = fork();
    if (child == 0) {
        lock_from();
        lock_to();
        dprintf(STDOUT_FILENO, "child: all in all %d\n", from + to);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    pthread_join(worker, NULL);
    dprintf(STDOUT_FILENO, "main: done\n");
    return 0;
}
