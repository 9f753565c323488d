// What children call between fork and exec or _exit, for refork lint (tests/checks/lint_calls.sh).
//   lint_calls threaded|single|raw|safe|spawn|handlers|grandchild [PROGRAM]
#include "program.h"

#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER, begin = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static int done;
static char *volatile kept;

static void *thread(void *unused) {
    pthread_mutex_lock(&begin);
    while (!done)
        pthread_cond_wait(&ended, &begin);
    pthread_mutex_unlock(&begin);
    return unused;
}

static void write_log(const char *text) {
    pthread_mutex_lock(&log_mutex);
    write(1, text, strlen(text));
    pthread_mutex_unlock(&log_mutex);
}

// Each of these has its own line in the check.
static void call_unsafe(void) {
    for (int i = 0; i < 3; i++)
        write_log("child\n");
    setenv("CHILD", "1", 1);
    kept = malloc(70000);
    kept[0] = 1;
    printf("child %d\n", 7);
    fflush(stdout);
}

static void call_safe(void) {
    char text[16];
    memset(text, 'x', sizeof text);
    strcpy(text, "safe\n");
    dup2(1, 9);
    write(1, text, strlen(text));
    close(9);
}

static void run(const char *mode, char *program) {
    if (strcmp(mode, "safe") && strcmp(mode, "handlers")) call_unsafe();
    if (!strcmp(mode, "handlers")) write_log("child\n");
    call_safe();
    if (!program) _exit(0);
    char *argv[] = {program, NULL};
    execve(program, argv, environ);
    _exit(127);
}

static void prepare(void) {
    pthread_mutex_lock(&log_mutex);
}

static void release(void) {
    pthread_mutex_unlock(&log_mutex);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "threaded";
    char *program = argc > 2 ? argv[2] : NULL;
    bool single = !strcmp(mode, "single"), spawn = !strcmp(mode, "spawn");
    pthread_t other;
    int status = 0;
    if (!single) CHECK(pthread_create(&other, NULL, thread, NULL) == 0);
    if (!strcmp(mode, "handlers")) pthread_atfork(prepare, release, release);
    for (int i = 0; i < 2; i++) {
        pid_t pid = -1;
        char *child[] = {"/bin/true", NULL};
        if (spawn)
            CHECK(posix_spawn(&pid, child[0], NULL, NULL, child, environ) == 0);
        else if (!strcmp(mode, "raw"))
            pid = _Fork();
        else
            pid = fork();
        if (pid == 0 && !strcmp(mode, "grandchild")) {
            pid = fork();
            if (pid == 0) run(mode, program);
            waitpid(pid, &status, 0);
            _exit(0);
        }
        if (pid == 0) run(mode, program);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
    if (single) return 0;
    pthread_mutex_lock(&begin);
    done = 1;
    pthread_cond_signal(&ended);
    pthread_mutex_unlock(&begin);
    pthread_join(other, NULL);
    return 0;
}
