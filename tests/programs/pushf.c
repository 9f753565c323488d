// A busy loop that reads its flags: neither single steps nor stubs may leave a mark in them.
#include "flags.h"

#define TRAP_FLAG 0x100ul

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
    return run_flags(busy);
}
