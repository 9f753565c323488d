// libgomp keeps its threads after a parallel region and wakes them for the next one. The child of a fork
// has none of them, and libgomp does not know.
//
// run: OMP_NUM_THREADS=2
// expect: vanished-waker lockkind=libgomp_barrier waker=omp_region waiting=sum fork=main/fork
// expect: cross-process-wait cause=vanished-waker
// status: 120
#include "samples/stage.h"

#include <stdio.h>

static long sum(int n) {
    long total = 0;
#pragma omp parallel for reduction(+ : total)
    for (int i = 0; i < n; i++)
        total += i;
    return total;
}

int main(void) {
    if (sum(1000) != 499500) return 1;
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        sum(1000);
        say("child: done"); // never comes
        _exit(0);
    }
    return reap(child);
}
