// test_unwind.c: a deep stack through a function of musl.
#include <stdio.h>
#include <stdlib.h>

#define KEEP __attribute__((noinline, noclone))
volatile int sink;
KEEP int leaf(int n) {
    __asm__ volatile("int3\n\tnop" ::: "memory");
    return n + sink;
}

static int compare(const void *a, const void *b) {
    return leaf(*(const int *)a - *(const int *)b) - sink;
}

KEEP int sorted(int n) {
    int v[3] = {n, 2, 1};
    qsort(v, 3, sizeof *v, compare);
    return v[0] + sink;
}

KEEP int recurse(int n) {
    volatile char pad[100];
    pad[n] = 1;
    return (n ? recurse(n - 1) : sorted(5)) + pad[n];
}

int main(void) {
    return recurse(4) + sink;
}
