// Signal frames in narrow places: a stack that ends at memory which cannot be written, a stack that has no room for a frame, with and
// without a handler elsewhere, a stack whose limit was lowered or raised meanwhile.
#include "program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>

static volatile int hits, *shared;
static ucontext_t back, own;
static char alternate[1 << 16];

static void count(int sig) {
    (void)sig;
    hits++;
}

static void raise_some(void) {
    for (int i = 0; i < 4; i++)
        raise(SIGUSR1);
}

// Behind the stack: 0 nothing, 1 memory without access, 2 a file's page beyond its end, 3 memory that can only be read.
static void beside(int what) {
    const size_t size = 1 << 16;
    char *p = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
         *behind = p + size;
    CHECK(p != MAP_FAILED);
    int fd = open("/dev/null", O_RDONLY), empty = memfd_create("empty", 0);
    CHECK(fd >= 0 && empty >= 0);
    if (what == 0) CHECK(munmap(behind, size) == 0);
    if (what == 1) CHECK(mprotect(behind, size, PROT_NONE) == 0);
    if (what == 2)
        CHECK(mmap(behind, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, empty, 0) == behind);
    if (what == 3) CHECK(mprotect(behind, size, PROT_READ) == 0);
    hits = 0;
    CHECK(getcontext(&own) == 0);
    own.uc_stack.ss_sp = p;
    own.uc_stack.ss_size = size;
    own.uc_link = &back;
    makecontext(&own, raise_some, 0);
    CHECK(swapcontext(&back, &own) == 0);
    CHECK(hits == 4);
    CHECK(munmap(p, size) == 0);
    close(fd);
    close(empty);
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
static int deep(int n) {
    volatile char room[3000];
    room[0] = (char)n;
    shared[1]++;
    return deep(n + 1) + room[0];
}

static void leave(int sig) {
    shared[2] = sig;
    _exit(17);
}

// The stack overflows. `handler`: of SIGSEGV, on the same stack or on one of its own.
static void overflow(int flags, int expected) {
    shared[1] = shared[2] = 0;
    pid_t child = fork();
    if (!child) {
        stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
        CHECK(sigaltstack(&stack, NULL) == 0);
        CHECK(sigaction(SIGSEGV, &(struct sigaction){.sa_handler = leave, .sa_flags = flags}, NULL) == 0);
        _exit(deep(0));
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(status == expected && shared[1] > 20);
    printf("depth %d, handler %d\n", shared[1], shared[2]);
}

// Sends itself a signal for which its stack has no room; SIGSEGV's handler stands on another one.
static void no_room(int flags) {
    pid_t child = fork();
    if (!child) {
        stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
        CHECK(sigaltstack(&stack, NULL) == 0);
        CHECK(signal(SIGUSR1, count) != SIG_ERR);
        if (flags)
            CHECK(sigaction(SIGSEGV, &(struct sigaction){.sa_handler = leave, .sa_flags = flags}, NULL) == 0);
        char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        shared[1] = 3;
        long result, tid = gettid_now(), pid = getpid();
        __asm__ volatile("mov %%rsp, %%r12; mov %[stack], %%rsp; syscall; mov %%r12, %%rsp"
                         : "=a"(result)
                         : "a"(SYS_tgkill), "D"(pid), "S"(tid), "d"(SIGUSR1), [stack] "r"(p + 256)
                         : "r12", "rcx", "r11", "memory");
        _exit(96);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && shared[1] == 3);
    if (flags)
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 17);
    else
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void limit(rlim_t soft) {
    struct rlimit now;
    CHECK(getrlimit(RLIMIT_STACK, &now) == 0);
    now.rlim_cur = soft;
    CHECK(setrlimit(RLIMIT_STACK, &now) == 0);
}

int main(void) {
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED && signal(SIGUSR1, count) != SIG_ERR);
    for (int what = 0; what < 4; what++)
        beside(what);
    overflow(SA_ONSTACK, 17 << 8);
    overflow(0, SIGSEGV);
    no_room(0);
    no_room(SA_ONSTACK);
    limit(300000);
    overflow(SA_ONSTACK, 17 << 8);
    overflow(0, SIGSEGV);
    limit(3 << 20);
    overflow(SA_ONSTACK, 17 << 8);
    printf("frames at %p\n", (void *)&back);
    return 0;
}
