// To be repaired: the child gives a job to a pool whose thread is not there.
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t job_there = PTHREAD_COND_INITIALIZER;
static pthread_cond_t job_done = PTHREAD_COND_INITIALIZER;
static int submitted, finished;

static void say(const char *line) {
    dprintf(STDOUT_FILENO, "%s\n", line);
}

static void *work(void *unused) {
    (void)unused;
    pthread_mutex_lock(&mutex);
    for (;;) {
        while (finished == submitted)
            pthread_cond_wait(&job_there, &mutex);
        finished++;
        pthread_cond_broadcast(&job_done);
    }
    return NULL;
}

static void start_pool(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
}

static void do_job(void) {
    pthread_mutex_lock(&mutex);
    int mine = ++submitted;
    pthread_cond_signal(&job_there);
    while (finished < mine)
        pthread_cond_wait(&job_done, &mutex);
    pthread_mutex_unlock(&mutex);
}

int main(void) {
    start_pool();
    do_job();
    say("main: a job is done");
    pid_t child = fork();
    if (child == 0) {
        do_job();
        say("child: a job is done");
        _exit(0);
    }
    waitpid(child, NULL, 0);
    do_job();
    say("main: another job is done");
    return 0;
}
