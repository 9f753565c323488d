// A busy loop that restores its flags by popf, after which the kernel takes the trap flag of single steps for the program's own.
#include "flags.h"

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
    return run_flags(carry);
}
