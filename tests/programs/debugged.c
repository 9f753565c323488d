// What tests/checks/gdb.sh looks at with gdb: a function that two threads call in turn, a word that changes a known
// number of times, a loop with a call in it, a recursion, a forked child.
#include "program.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VISITS = 12, TURNS = 300 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int turn;
int visits, total;             // total changes once a visit
static _Thread_local int mine; // visits of this thread

struct pair {
    int left, right;
};

__attribute__((noinline)) static int visit(struct pair pair, const char *who) {
    int sum = pair.left + pair.right;
    visits++;
    mine++;
    total += sum + (int)strlen(who);
    return sum;
}

__attribute__((noinline)) static int depth(int n) {
    return n ? 1 + depth(n - 1) : 0;
}

__attribute__((noinline)) static int busy(int n) {
    int x = 0;
    for (int i = 0; i < n; i++)
        x += depth(i & 3) ^ i;
    return x;
}

static void *run(void *argument) {
    int me = *(int *)argument;
    for (int i = 0; i < VISITS / 2; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != me)
            pthread_cond_wait(&turned, &mutex);
        visit((struct pair){i, me}, me ? "second" : "first");
        turn = !me;
        pthread_cond_signal(&turned);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[2];
    int numbers[2] = {0, 1};
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, run, &numbers[i]) == 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    int x = busy(TURNS);
    pid_t child = fork();
    if (child == 0) _exit(depth(5));
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    printf("%d %d %d %d\n", visits, total, x, WEXITSTATUS(status));
    return 0;
}
