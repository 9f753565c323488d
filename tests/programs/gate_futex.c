// A lock without a symbol and without a function, as many libraries have their own: an instruction in the program's
// code and a futex call. The argument says which: cmpxchg, xchg.
#include "program.h"

#include <linux/futex.h>
#include <stdbool.h>

static volatile int word, stop, shared;
static bool use_xchg;

static inline __attribute__((always_inline)) bool try_cmpxchg(void) {
    int old = 0;
    __asm__ volatile("lock cmpxchg %2, %1" : "+a"(old), "+m"(word) : "r"(1) : "memory");
    return old == 0;
}

static inline __attribute__((always_inline)) bool try_xchg(void) {
    int value = 2;
    __asm__ volatile("xchg %0, %1" : "+r"(value), "+m"(word) : : "memory");
    return value == 0;
}

static __attribute__((noinline)) void use_shared(void) {
    if (use_xchg) {
        while (!try_xchg())
            syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
    } else {
        while (!try_cmpxchg())
            syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
    }
    shared++;
    __atomic_store_n(&word, 0, __ATOMIC_RELEASE);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *work(void *unused) {
    (void)unused;
    while (!stop) {
        sleep_ms(2);
        use_shared();
    }
    return NULL;
}

int main(int argc, char **argv) {
    use_xchg = argc > 1 && !strcmp(argv[1], "xchg");
    pthread_t worker;
    CHECK(!pthread_create(&worker, NULL, work, NULL));
    sleep_ms(11);
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        use_shared();
        _exit(7);
    }
    CHECK(reap(child) == 7);
    stop = 1;
    pthread_join(worker, NULL);
    puts("done");
    return 0;
}
