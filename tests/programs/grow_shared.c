// Shared mappings that mremap makes longer, shorter and moves: of a file that grew, of memfd, of anonymous memory;
// a fork sees the pages that were added.
#include "program.h"

#include <fcntl.h>
#include <sys/mman.h>

static void grow(const char *what, int fd) {
    CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0);
    char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    p[5] = 'a';
    CHECK(ftruncate(fd, 16 * PAGE) == 0);
    CHECK(pwrite(fd, "w", 1, 9 * PAGE) == 1);
    p = mremap(p, PAGE, 16 * PAGE, MREMAP_MAYMOVE);
    CHECK(p != MAP_FAILED && p[5] == 'a' && p[9 * PAGE] == 'w' && p[15 * PAGE] == 0);
    p[14 * PAGE] = 'x';
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        CHECK(p[14 * PAGE] == 'x');
        p[15 * PAGE] = 'c';
        _exit(4);
    }
    CHECK(reap(child) == 4);
    CHECK(p[15 * PAGE] == 'c');
    char c;
    CHECK(pread(fd, &c, 1, 14 * PAGE) == 1 && c == 'x');
    char *q = mremap(p, 16 * PAGE, 10 * PAGE, 0);
    CHECK(q == p && q[9 * PAGE] == 'w');
    char *again = mmap(NULL, 16 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(again != MAP_FAILED && again[15 * PAGE] == 'c' && again[9 * PAGE] == 'w');
    q[9 * PAGE] = 'y';
    CHECK(again[9 * PAGE] == 'y');
    printf("%s: %p %p %c%c%c\n", what, (void *)q, (void *)again, again[5], again[9 * PAGE], again[15 * PAGE]);
    CHECK(munmap(q, 10 * PAGE) == 0 && munmap(again, 16 * PAGE) == 0 && close(fd) == 0);
}

int main(void) {
    char path[] = "/tmp/refork-grow-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && unlink(path) == 0);
    grow("file", fd);
    grow("memfd", memfd_create("refork", 0));

    char *a = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(a != MAP_FAILED);
    a[3 * PAGE] = 'm';
    char *b = mremap(a, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a + 4 * PAGE);
    CHECK(b == a + 4 * PAGE && b[3 * PAGE] == 'm');
    // length 0: a second mapping of the same pages
    char *c = mremap(b, 0, 4 * PAGE, MREMAP_MAYMOVE);
    CHECK(c != MAP_FAILED && c != b && c[3 * PAGE] == 'm');
    c[PAGE] = 'n';
    CHECK(b[PAGE] == 'n');
    printf("anonymous: %p %p %c%c\n", (void *)b, (void *)c, c[3 * PAGE], b[PAGE]);
    return 0;
}
