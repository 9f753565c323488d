// atfork_order, repaired: the handlers take the locks in the same order as all other code.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t cache_mutex = PTHREAD_MUTEX_INITIALIZER;

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

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

static void *refresh_cache(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "worker");
    log_lock();
    puts("worker: refreshing the cache");
    fflush(stdout);
    sleep_ms(300);
    cache_lock(); // held by the thread that is inside fork()
    puts("worker: done");
    cache_unlock();
    log_unlock();
    return NULL;
}

int main(void) {
    pthread_atfork(cache_lock, cache_unlock, cache_unlock); // registered first: its prepare handler runs last
    pthread_atfork(log_lock, log_unlock, log_unlock);       // ... and this one runs first
    pthread_t worker;
    pthread_create(&worker, NULL, refresh_cache, NULL);
    sleep_ms(100); // only time keeps the two in order, as in programs that this happens to
    puts("main: fork");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, NULL, 0);
    pthread_join(worker, NULL);
    puts("main: done");
    return 0;
}
