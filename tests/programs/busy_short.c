// A loop of short instructions in a function with a computed jump: no instruction has room for a jump of five bytes, and not all
// ways into it are known.
#include "busy.h"

static void busy(int index) {
    static void *const ways[] = {&&straight, &&counted};
    uint64_t n = 0;
    goto *ways[index];
counted:
    n = 1;
straight:
    __asm__ volatile("1: addq $1,(%1)\n\tmov (%2),%%eax\n\tadd $1,%0\n\ttest %%eax,%%eax\n\tje 1b"
                     : "+r"(n)
                     : "r"(&turns[index]), "r"(&stop)
                     : "eax", "cc", "memory");
}
