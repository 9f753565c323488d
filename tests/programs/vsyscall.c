// The three calls of the vsyscall page, as programs from before 2012 make them, and a 32-bit call beside the 64-bit one with its number.
#include "program.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/time.h>

static sigjmp_buf no_ia32;
static volatile sig_atomic_t in_ia32;

static void on_fault(int sig) {
    (void)sig;
    if (in_ia32) siglongjmp(no_ia32, 1);
    puts("this kernel has no vsyscall page");
    fflush(stdout);
    _exit(0);
}

static long ia32(long nr) {
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(nr), "b"(0), "c"(0), "d"(0)
                     : "memory", "r8", "r9", "r10", "r11");
    return result;
}

int main(void) {
    long (*const vgettimeofday)(struct timeval *, struct timezone *) = (void *)0xffffffffff600000;
    long (*const vtime)(time_t *) = (void *)0xffffffffff600400;
    long (*const vgetcpu)(unsigned *, unsigned *, void *) = (void *)0xffffffffff600800;
    struct timeval tv = {0}, before, after;
    struct timezone zone;
    time_t seconds = 0;
    unsigned cpu = ~0u, node = ~0u;
    // Number 20 is getpid there and writev here; 4 is write there and stat here.
    signal(SIGSEGV, on_fault);
    in_ia32 = 1;
    if (!sigsetjmp(no_ia32, 1)) {
        long pid = ia32(20);
        CHECK(pid == getpid() || pid == -ENOSYS);
    } else {
        puts("this kernel has no 32-bit calls");
    }
    in_ia32 = 0;
    for (int i = 0; i < 3; i++) {
        CHECK(gettimeofday(&before, NULL) == 0);
        CHECK(vgettimeofday(&tv, &zone) == 0);
        CHECK(gettimeofday(&after, NULL) == 0);
        CHECK(!timercmp(&tv, &before, <) && !timercmp(&tv, &after, >));
        CHECK(vgettimeofday(NULL, NULL) == 0);
        long result = vtime(&seconds);
        // time(2) is the time of the last tick: behind gettimeofday's by some milliseconds.
        CHECK(result == seconds && seconds + 1 >= tv.tv_sec && vtime(NULL) >= seconds);
        CHECK(vgetcpu(&cpu, &node, NULL) == 0 && cpu < 4096 && node < 1024);
        printf("%ld.%06ld, %ld, CPU %u of node %u\n", (long)tv.tv_sec, (long)tv.tv_usec, result, cpu, node);
    }
    return 0;
}
