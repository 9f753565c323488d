// What a program learns of its CPU. cpu_shown [generated|xop]: also from code made at run time; or it uses an instruction that
// hardly any CPU has (vprotb, of AMD's XOP), and handles the SIGILL.
#include "program.h"

#include <cpuid.h>
#include <setjmp.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>

static sigjmp_buf illegal;
static uint32_t frame_size;

static void on_illegal(int signal) {
    siglongjmp(illegal, signal);
}

// The extended registers in the frame say how long they are, and end with a second magic number.
static void on_user(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    const ucontext_t *u = context;
    const uint8_t *state = (const uint8_t *)u->uc_mcontext.fpregs;
    uint32_t magic1, extended, magic2;
    memcpy(&magic1, state + 464, 4);
    memcpy(&extended, state + 468, 4);
    if (magic1 != 0x46505853) return; // a CPU without XSAVE
    memcpy(&magic2, state + extended - 4, 4);
    CHECK(magic2 == 0x46505845);
    memcpy(&frame_size, state + 480, 4);
    CHECK(frame_size == extended - 4);
}

static void generated(void) {
    // push %rbx; mov $1,%eax; cpuid; mov %ecx,%esi; xor %ecx,%ecx; test $1<<27,%esi; je 1f; xgetbv; jmp 2f; 1: xor %eax,%eax;
    // 2: pop %rbx; ret
    static const uint8_t code[] = {0x53, 0xb8, 1,    0,    0,    0,    0x0f, 0xa2, 0x89, 0xce, 0x31,
                                   0xc9, 0xf7, 0xc6, 0,    0,    0,    0x08, 0x74, 0x05, 0x0f, 0x01,
                                   0xd0, 0xeb, 0x02, 0x31, 0xc0, 0x5b, 0xc3, 0x0f, 0x01, 0xd0};
    uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    memcpy(page, code, sizeof code);
    for (int i = 0; i < 3; i++)
        printf("generated code: xcr0 %x\n", ((unsigned (*)(void))(uintptr_t)page)());
    CHECK(page[29] == 0x0f); // behind the end: not code, and nothing of anybody else's
}

int main(int argc, char **argv) {
    uint32_t a, b, c, d, c1, d1;
    const char *what = argc > 1 ? argv[1] : "";
    CHECK(__get_cpuid(1, &a, &b, &c1, &d1));
    CHECK((getauxval(AT_HWCAP) & ~(unsigned long)d1) == 0); // the kernel leaves bits out of it
    bool rdrand = c1 & bit_RDRND, avx512 = false, avx2 = false;
    if (__get_cpuid_max(0, NULL) >= 7) {
        __cpuid_count(7, 0, a, b, c, d);
        avx512 = b & bit_AVX512F;
        avx2 = b & bit_AVX2;
    }
    uint32_t xcr0 = 0, size = 0;
    if (c1 & bit_OSXSAVE) {
        __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(d) : "c"(0));
        __cpuid_count(0xd, 0, a, b, c, d);
        CHECK(a == xcr0);
        size = b;
    }
    struct sigaction action = {.sa_sigaction = on_user, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && raise(SIGUSR1) == 0);
    static uint8_t area[512] __attribute__((aligned(16)));
    __asm__ volatile("fxsave %0" : "+m"(area));
    printf("avx2 %d avx512 %d rdrand %d xcr0 %x xsave %u leaves %u\n", avx2, avx512, rdrand, xcr0, size,
           __get_cpuid_max(0, NULL));
    printf("hwcap2 %lx, frame of %u bytes, fxsave %016llx, mask %x\n", getauxval(AT_HWCAP2), frame_size,
           (unsigned long long)hash_bytes(0, area, 416), *(uint32_t *)(void *)(area + 28));
    if (!strcmp(what, "generated")) generated();
    if (!strcmp(what, "xop")) {
        signal(SIGILL, on_illegal);
        if (sigsetjmp(illegal, 1))
            puts("no xop");
        else
            __asm__ volatile(".byte 0x8f,0xe8,0x78,0xc0,0xc0,0x01" ::: "xmm0");
    }
    return 0;
}
