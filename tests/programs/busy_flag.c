// The tightest loop there is: while (!flag) n++.
#include "busy.h"

static void busy(int index) {
    volatile uint64_t *n = (volatile uint64_t *)&turns[index];
    volatile int *flag = (volatile int *)&stop;
    while (!*flag)
        ++*n;
}
