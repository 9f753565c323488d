// A busy loop that restores its flags by popf, after which the kernel takes the trap flag of single steps for the program's own.
#include "program.h"

static volatile int stop;

// Flags kept over a turn: a loop on carry, as big number code has it.
static void *carry(void *arg) {
    unsigned long n = 0, lost = 0;
    while (!stop) {
        unsigned char kept;
        __asm__ volatile("stc\n\tpushf\n\tmovq $0, -256(%%rsp)\n\tclc\n\tpopf\n\tsetc %0"
                         : "=q"(kept)
                         :
                         : "cc", "memory");
        if (!kept) lost++;
        n++;
    }
    CHECK(lost == 0);
    *(unsigned long *)arg = n;
    return NULL;
}

int main(void) {
    pthread_t t;
    unsigned long n = 0;
    CHECK(pthread_create(&t, NULL, carry, &n) == 0);
    for (int i = 0; i < 5; i++)
        sleep_ms(10);
    stop = 1;
    CHECK(pthread_join(t, NULL) == 0);
    printf("%lu\n", n);
    return 0;
}
