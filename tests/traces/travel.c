// What tests/traces has recordings of: what depends on the CPU, in a program that is small (musl, static). AVX2 and FMA
// where cpuid shows them, the frame of a signal, xgetbv and xsave, threads, a fork. Prints what came of it.
#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static uint64_t hash(uint64_t h, const void *data, size_t len) {
    const unsigned char *p = data;
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3ull;
    return h;
}

__attribute__((target("avx2,fma,bmi2"))) static uint64_t by_avx2(uint64_t seed) {
    float out[8];
    __m256 sum = _mm256_set1_ps((float)(seed % 1000)), step = _mm256_set_ps(1, 2, 3, 4, 5, 6, 7, 8);
    for (int i = 0; i < 100; i++)
        sum = _mm256_fmadd_ps(sum, _mm256_set1_ps(0.5f), step);
    _mm256_storeu_ps(out, sum);
    return hash(_pext_u64(seed, 0xff00ff00ff00ff00ull), out, sizeof out);
}

static uint64_t by_sse(uint64_t seed) {
    float out[4];
    __m128 sum = _mm_set1_ps((float)(seed % 1000)), step = _mm_set_ps(1, 2, 3, 4);
    for (int i = 0; i < 100; i++)
        sum = _mm_add_ps(_mm_mul_ps(sum, _mm_set1_ps(0.5f)), step);
    _mm_storeu_ps(out, sum);
    return hash(seed, out, sizeof out);
}

static uint64_t frame;

// A register that a handler has changed is back when it has returned.
static uint64_t across_signal(uint64_t value) {
    long result = SYS_tkill;
    uint64_t after;
    __asm__ volatile("movq %2, %%xmm5; syscall; movq %%xmm5, %1"
                     : "+a"(result), "=r"(after)
                     : "r"(value), "D"(gettid()), "S"(SIGUSR1)
                     : "rcx", "r11", "memory", "xmm5");
    return after;
}

static void on_signal(int signal, siginfo_t *info, void *context) {
    const ucontext_t *u = context;
    const char *state = (const char *)u->uc_mcontext.fpregs;
    uint32_t words[6]; // magic, size with the second magic, components, size
    memcpy(words, state + 464, sizeof words);
    __asm__ volatile("pxor %%xmm5, %%xmm5" ::: "xmm5");
    frame = hash(hash((uint64_t)signal, info, sizeof *info), state, words[0] == 0x46505853 ? words[1] : 512);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t total;
static bool avx2;

static void *work(void *number) {
    for (int i = 0; i < 50; i++) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        uint64_t seed = (uint64_t)now.tv_nsec + (uint64_t)(uintptr_t)number;
        uint64_t value = avx2 ? by_avx2(seed) : by_sse(seed);
        pthread_mutex_lock(&mutex);
        total = hash(total, &value, sizeof value);
        pthread_mutex_unlock(&mutex);
    }
    uint64_t mine = (uint64_t)(uintptr_t)&number;
    if (across_signal(mine) != mine) abort();
    return NULL;
}

int main(void) {
    static uint8_t area[4096] __attribute__((aligned(64)));
    uint32_t a, b, c, d, xcr0 = 0;
    __cpuid(1, a, b, c, d);
    if (c & bit_OSXSAVE) {
        __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(d) : "c"(0));
        __asm__ volatile("xsave %0" : "+m"(area) : "a"(7), "d"(0));
    }
    if (__get_cpuid_max(0, NULL) >= 7 && (c & bit_FMA) && (xcr0 & 6) == 6) {
        __cpuid_count(7, 0, a, b, c, d);
        avx2 = b & bit_AVX2 && b & bit_BMI2;
    }
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    pthread_t threads[3];
    for (intptr_t i = 0; i < 3; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)i)) return 1;
    pid_t child = fork();
    if (!child) {
        uint64_t value = avx2 ? by_avx2(7) : by_sse(7);
        printf("child: %016llx\n", (unsigned long long)value);
        return 0;
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    int status;
    if (waitpid(child, &status, 0) != child || status) return 1;
    printf("avx2 %d, xcr0 %x, hwcap %lx, xsave %016llx\n", avx2, xcr0, getauxval(AT_HWCAP),
           (unsigned long long)hash(0, area, sizeof area));
    printf("total %016llx, frame %016llx\n", (unsigned long long)total, (unsigned long long)frame);
    return 0;
}
