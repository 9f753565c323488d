// A busy loop that reads its flags: neither single steps nor stubs may leave a mark in them.
#include "program.h"

#define TRAP_FLAG 0x100ul

static volatile int stop;

static void *busy(void *arg) {
    unsigned long n = 0, flags, marked = 0;
    while (!stop) {
        __asm__ volatile("pushf\n\tpop %0" : "=r"(flags));
        n += flags & 0xd5; // the arithmetic ones
        if (flags & TRAP_FLAG) marked++;
    }
    CHECK(marked == 0);
    *(unsigned long *)arg = n;
    return NULL;
}

int main(void) {
    pthread_t t;
    unsigned long n = 0;
    CHECK(pthread_create(&t, NULL, busy, &n) == 0);
    for (int i = 0; i < 5; i++)
        sleep_ms(10);
    stop = 1;
    CHECK(pthread_join(t, NULL) == 0);
    printf("%lu\n", n);
    return 0;
}
