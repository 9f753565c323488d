// Children that crash, beside a worker that changes pointers without a lock, and for which the fork is not to blame: one
// through a pointer that was good in the parent and that the child itself spoilt, one through a bad pointer that the
// worker wrote in a call that was over at the fork, one through a pointer of its own, one through a bad pointer that
// nobody ever mends. No finding.
//
// expect: none
// status: 139
#include "samples/stage.h"

#include <sys/mman.h>

#define BAD ((int *)0x7f0000000010)

static int *volatile page, *volatile over, *volatile kept, *volatile own;

__attribute__((noinline)) static void change(int *volatile *place, int *value) {
    *place = value;
}

static void *worker(void *memory) {
    thread_name("worker");
    change(&over, BAD);
    kept = BAD;
    page = memory;
    hold_over_fork();
    page = memory + 8;
    change(&over, memory);
    gate_wait(&settled);
    return NULL;
}

__attribute__((noinline)) static int use(int *volatile *place) {
    return **place;
}

int main(void) {
    int status = 0;
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) abort();
    pthread_t thread;
    if (pthread_create(&thread, NULL, worker, memory)) abort();
    gate_wait(&held);
    pid_t children[4];
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i]) continue;
        if (i == 0) munmap(memory, 4096);
        if (i == 2) own = BAD;
        _exit(use(i == 0 ? &page : i == 1 ? &over : i == 2 ? &own : &kept)); // crashes
    }
    gate_open(&forked);
    for (int i = 0; i < 4; i++)
        status = reap(children[i]);
    gate_open(&settled);
    pthread_join(thread, NULL);
    return status;
}
