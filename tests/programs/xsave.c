// What shows which registers the CPU believes to be in use, which changes with every context switch: xgetbv with
// ecx 1, and the headers and left-out parts of xsave, xsavec and xsaveopt. Prints a hash of all of it; what was
// saved must come back by xrstor.
#include "program.h"

#include <cpuid.h>
#include <stdbool.h>

// All of a CPU with AMX takes 11,008 bytes (CPUID leaf 0xd, ecx).
static _Alignas(64) unsigned char area[16384];

static uint64_t in_use(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
    return (uint64_t)high << 32 | low;
}

static void pause_a_while(void) {
    for (volatile int i = 0; i < 100000; i++)
        ;
}

int main(void) {
    uint32_t a, b, c, d;
    __cpuid(1, a, b, c, d);
    if (!(c & bit_OSXSAVE)) {
        puts("no xsave here");
        return 0;
    }
    uint32_t c1 = c;
    __cpuid_count(0xd, 1, a, b, c, d);
    bool opt = a & 1, compact = a & 2, avx = c1 & bit_AVX;
    uint64_t h = 0xcbf29ce484222325ull;
    for (int round = 0; round < 900; round++) {
        double put = round + 0.5, got = 0;
        // Legacy registers in their initial state: the first that a CPU leaves out.
        __asm__ volatile("fninit");
        if (avx)
            __asm__ volatile("vzeroall" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
        pause_a_while();
        uint64_t use = compact ? in_use() : 0;
        h = hash_bytes(h, &use, sizeof use);
        memset(area, 0, sizeof area);
        if (round % 3 == 0)
            __asm__ volatile("movsd %1,%%xmm5; xsave %0"
                             : "+m"(area)
                             : "m"(put), "a"(~0u), "d"(~0u)
                             : "xmm5");
        else if (round % 3 == 1 && opt)
            __asm__ volatile("movsd %1,%%xmm5; xsaveopt64 %0"
                             : "+m"(area)
                             : "m"(put), "a"(3), "d"(0)
                             : "xmm5");
        else if (compact)
            __asm__ volatile("movsd %1,%%xmm5; xsavec %0"
                             : "+m"(area)
                             : "m"(put), "a"(~0u), "d"(~0u)
                             : "xmm5");
        else
            continue;
        h = hash_bytes(h, area, sizeof area);
        __asm__ volatile("pxor %%xmm5,%%xmm5; xrstor %1; movsd %%xmm5,%0"
                         : "=m"(got)
                         : "m"(area), "a"(2), "d"(0)
                         : "xmm5");
        CHECK(got == put);
    }
    printf("xsave: hash %016llx\n", (unsigned long long)h);
    return 0;
}
