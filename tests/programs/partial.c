// A call that fails with EFAULT after the kernel has filled the first page of its buffer: the second one cannot be written, or is a
// guard page (madvise, as glibc 2.42 makes them for threads), which also a load finds.
#include "program.h"
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <signal.h>

static sigjmp_buf out_of_it;
static void caught(int sig) {
    siglongjmp(out_of_it, sig);
}

static void guard_page(void) {
    enum { GUARD_INSTALL = 102, GUARD_REMOVE = 103 };
    volatile char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = page[4096] = 'a';
    if (madvise((char *)page + 4096, 4096, GUARD_INSTALL) != 0) return; // before Linux 6.13
    signal(SIGSEGV, caught);
    int sig = sigsetjmp(out_of_it, 1);
    if (!sig) page[4096] = 'b';
    CHECK(sig == SIGSEGV);
    int zero = open("/dev/zero", O_RDONLY);
    printf("%zd %d\n", read(zero, (char *)page, 8192), page[0]);
    CHECK(madvise((char *)page + 4096, 4096, GUARD_REMOVE) == 0 && page[4096] == 0);
    page[4096] = 'c';
    close(zero);
}

int main(void) {
    guard_page();
    char *half = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mprotect(half + 4096, 4096, PROT_READ) == 0);
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    static char out[8192];
    memset(out, 'o', sizeof out);
    CHECK(write(pair[1], out, sizeof out) == (ssize_t)sizeof out);
    ssize_t n = recv(pair[0], half, 8192, 0);
    printf("%zd %d: %d\n", n, errno, half[0]);
    return 0;
}
