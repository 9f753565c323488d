// Rare rules for memory, each printed as without refork: READ_IMPLIES_EXEC, PROT_GROWSDOWN, advice for ranges, the auxiliary vector.
#include "program.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/uio.h>

static const unsigned char answer[] = {0xb8, 42, 0, 0, 0, 0xc3}; // mov $42,%eax; ret
static sigjmp_buf out_of_it;

static void caught(int sig) {
    siglongjmp(out_of_it, sig);
}

// Executes the bytes at `code`: what they answer, or less than 0: they cannot be executed.
static int execute(const void *code) {
    int sig = sigsetjmp(out_of_it, 1);
    int (*run)(void);
    memcpy(&run, &code, sizeof run);
    return sig ? -sig : run();
}

static char *pages(size_t count, int protection) {
    char *p = mmap(NULL, count * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static void *in_thread(void *code) {
    printf("a thread's: %d\n", execute(memcpy(pages(1, PROT_READ | PROT_WRITE), code, sizeof answer)));
    return NULL;
}

static void readable_runs(void) {
    int before = personality(0xffffffff);
    printf("personality %x\n", before);
    char *plain = memcpy(pages(1, PROT_READ | PROT_WRITE), answer, sizeof answer);
    printf("without: %d\n", execute(plain));
    CHECK(personality((unsigned)before | READ_IMPLIES_EXEC) == before);
    printf("personality %x\n", personality(0xffffffff));
    char *mapped = memcpy(pages(1, PROT_READ | PROT_WRITE), answer, sizeof answer);
    char *opened = pages(1, PROT_NONE);
    CHECK(mprotect(opened, PAGE, PROT_READ | PROT_WRITE) == 0);
    memcpy(opened, answer, sizeof answer);
    char *heap = sbrk(4 * PAGE);
    CHECK(heap != (void *)-1);
    heap = memcpy(heap + 2 * PAGE, answer, sizeof answer);
    printf("%d, mapped %d, opened %d, heap %d\n", execute(plain), execute(mapped), execute(opened),
           execute(heap));
    pid_t child = fork();
    if (!child) _exit(execute(memcpy(pages(1, PROT_READ | PROT_WRITE), answer, sizeof answer)));
    printf("a child's: %d\n", reap(child));
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, in_thread, plain) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(personality((unsigned)before | ADDR_NO_RANDOMIZE) >= 0);
    printf("personality %x\n", personality((unsigned)before));
    printf("personality %x\n", personality(0xffffffff));
}

// glibc makes the stack executable so, for a library that needs it.
static void down_to_the_end(void) {
    char *here = (char *)((uintptr_t)__builtin_frame_address(0) & ~(PAGE - 1));
    unsigned char code[sizeof answer];
    memcpy(code, answer, sizeof answer);
    CHECK(mprotect(here, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC | PROT_GROWSDOWN) == 0);
    volatile char deep[20 * PAGE];
    memcpy((char *)deep, answer, sizeof answer);
    printf("on the stack: %d, %d\n", execute(code), execute((char *)deep));
    char *room = pages(64, PROT_NONE);
    CHECK(munmap(room, 64 * PAGE) == 0);
    char *grows = mmap(room + 60 * PAGE, PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    CHECK(grows == room + 60 * PAGE);
    grows[-4 * PAGE] = grows[-1] = 'g';
    CHECK(mprotect(grows - PAGE, PAGE, PROT_READ | PROT_GROWSDOWN) == 0);
    int sig = sigsetjmp(out_of_it, 1);
    if (!sig) grows[-4 * PAGE] = 'h';
    printf("below: signal %d, %c\n", sig, grows[-4 * PAGE]);
    errno = 0;
    int result = mprotect(here, PAGE, PROT_READ | PROT_WRITE | PROT_GROWSUP);
    printf("up: %d %s\n", result, strerror(errno));
}

static void advised(const char *what, int fd, struct iovec *ranges, int count, int advice, const char *p) {
    errno = 0;
    long done = syscall(SYS_process_madvise, fd, ranges, count, advice, 0);
    printf("%s: %ld %s:", what, done, strerror(errno));
    for (int i = 0; i < 8; i++)
        if (i != 5) printf(" %d", p[i * PAGE]);
    puts("");
}

// Alone and first: the recorder looked into what stood on its stack.
static void advised_odd(void) {
    char *p = pages(8, PROT_READ | PROT_WRITE);
    struct iovec odd = {p + 16, 2 * PAGE};
    advised("odd first", (int)syscall(SYS_pidfd_open, getpid(), 0), &odd, 1, MADV_COLD, p);
}

static void advice(void) {
    char *p = pages(8, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 8; i++)
        p[i * PAGE] = (char)('a' + i);
    CHECK(munmap(p + 5 * PAGE, PAGE) == 0);
    int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    pid_t child = fork();
    if (!child) {
        pause();
        _exit(0);
    }
    struct iovec two[] = {{p, PAGE}, {p + 2 * PAGE, PAGE}},
                 cut[] = {{p + 3 * PAGE, PAGE}, {p + 4 * PAGE, 3 * PAGE}},
                 odd[] = {{p + 7 * PAGE, PAGE}, {p + 1, PAGE}}, hole = {p + 5 * PAGE, 2 * PAGE};
    int other = (int)syscall(SYS_pidfd_open, child, 0);
    advised("another's", other, two, 2, MADV_DONTNEED, p);
    advised("cold", fd, two, 2, MADV_COLD, p);
    advised("own", fd, two, 2, MADV_DONTNEED, p);
    advised("a hole", fd, cut, 2, MADV_DONTNEED, p);
    p[6 * PAGE] = 'G';
    advised("a hole first", fd, &hole, 1, MADV_DONTNEED, p);
    advised("odd", fd, odd, 2, MADV_DONTNEED, p);
    p[0] = 'A';
    long freed = syscall(SYS_process_madvise, fd, two, 1, MADV_FREE, 0);
    CHECK(freed < 0 || p[0] == 'A' || p[0] == 0);
    printf("freed: %ld\n", freed);
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
}

static void auxiliary(void) {
    enum { PR_GET_AUXV = 0x41555856 };
    unsigned char all[1024] = {0}, file[1024] = {0}, few[24] = {0};
    long size = prctl(PR_GET_AUXV, all, sizeof all, 0, 0), some = prctl(PR_GET_AUXV, few, 20, 0, 0);
    int fd = open("/proc/self/auxv", O_RDONLY);
    ssize_t length = read(fd, file, sizeof file);
    CHECK(length > 0 && close(fd) == 0);
    if (size < 0) return; // before Linux 6.4
    CHECK(some == size && !memcmp(all, few, 20) && !few[20]);
    CHECK(!memcmp(all, file, (size_t)length));
    printf("%ld bytes\n", size);
}

static void result(const char *what, long of) {
    printf("%s: %s\n", what, of == -1 ? strerror(errno) : of ? "done" : "0");
}

// PR_SET_MDWE: what was written is not executed.
static void no_gain(void) {
    enum { SET = 65, GET = 66, REFUSE = 1, NO_INHERIT = 2, RX = PROT_READ | PROT_EXEC };
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    char *code = pages(2, RX), *data = pages(2, PROT_READ | PROT_WRITE);
    result("alone it means nothing", prctl(SET, NO_INHERIT, 0, 0, 0));
    result("other arguments", prctl(SET, REFUSE, 1, 0, 0));
    pid_t child = fork();
    if (!child) {
        result("not for children", prctl(SET, REFUSE | NO_INHERIT, 0, 0, 0));
        printf("is %d\n", prctl(GET, 0, 0, 0, 0));
        fflush(stdout);
        pid_t grandchild = fork();
        if (!grandchild) _exit(prctl(GET, 0, 0, 0, 0));
        _exit(10 + reap(grandchild));
    }
    printf("a grandchild's: %d\n", reap(child));
    result("set", prctl(SET, REFUSE, 0, 0, 0));
    result("again", prctl(SET, REFUSE, 0, 0, 0));
    result("off", prctl(SET, 0, 0, 0, 0));
    result("both at once", (long)mmap(NULL, PAGE, PROT_WRITE | PROT_EXEC, flags, -1, 0));
    result("execute", mprotect(data, PAGE, RX));
    result("read", mprotect(data, PAGE, PROT_READ));
    result("execute what only reads", mprotect(data, PAGE, RX));
    result("code as before", mprotect(code, PAGE, RX));
    result("write code", mprotect(code, PAGE, RX | PROT_WRITE));
    result("code no more", mprotect(code, PAGE, PROT_READ | PROT_WRITE));
    result("code again", mprotect(code, PAGE, RX));
    fflush(stdout);
    child = fork();
    if (!child) {
        printf("is %d\n", prctl(GET, 0, 0, 0, 0));
        result("a child's", mprotect(data, PAGE, RX));
        fflush(stdout);
        execl("/bin/sh", "sh", "-c", "echo a shell runs; exit 3", (char *)NULL);
        _exit(4);
    }
    printf("a shell: %d\n", reap(child));
}

int main(void) {
    advised_odd();
    signal(SIGSEGV, caught);
    auxiliary();
    readable_runs();
    down_to_the_end();
    advice();
    no_gain();
    return 0;
}
