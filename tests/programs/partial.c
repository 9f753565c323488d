// A call that fails with EFAULT after the kernel has filled the first page of its buffer.
#include "program.h"
#include <sys/mman.h>
#include <sys/socket.h>
int main(void) {
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
