// libgomp: a team of threads whose parallel region has run before; the child has none of them. The twin's child asks for one thread.
// libs: -fopenmp
// header: omp.h
// debian: libgomp1
// expect: vanished-waker lockkind=libgomp_barrier waiting=region,in_child focus=region
#include "server.h"

#include <omp.h>
#include <stdbool.h>

static bool healthy;
static int sum;

static void region(int threads) {
#pragma omp parallel num_threads(threads) reduction(+ : sum)
    sum += omp_get_thread_num();
}

static void worker(void) {
    hold();
}

static void in_child(void) {
    region(healthy ? 1 : 3);
}

int main(int argc, char **argv) {
    (void)argv;
    healthy = argc > 1;
    region(3);
    return serve(argc);
}
