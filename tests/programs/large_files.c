// Files whose size says nothing of what is in them: sparse, of many GiB, mapped shared and privately, with a few pages in use; a
// memfd of TiB of which small parts are mapped twice.
#include "program.h"

#include <fcntl.h>
#include <sys/mman.h>

static void sparse(size_t size, int flags) {
    char name[] = "/tmp/refork-large-XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0 && unlink(name) == 0 && ftruncate(fd, (off_t)size) == 0);
    CHECK(pwrite(fd, "begin", 5, 100) == 5 && pwrite(fd, "middle", 6, (off_t)size / 2) == 6);
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK(!memcmp(p + 100, "begin", 6) && !memcmp(p + size / 2, "middle", 7) && p[size - 1] == 0);
    p[size - 1] = p[size / 4] = 'w';
    CHECK(lseek(fd, 0, SEEK_CUR) == 0); // refork looks for holes by another descriptor
    CHECK(pwrite(fd, "end", 3, (off_t)size - 3) == 3);
    CHECK(p[size - 1] == (flags == MAP_SHARED ? 'd' : 'w') && p[size / 4] == 'w');
    CHECK(munmap(p, size) == 0);
    p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED && p[size - 1] == 'd' && p[size / 4] == (flags == MAP_SHARED ? 'w' : 0));
    CHECK(munmap(p, size) == 0);
    close(fd);
}

static void twice(size_t size) {
    int fd = memfd_create("twice", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    const off_t at = (off_t)(size / 2);
    unsigned char *x = mmap(NULL, 65536, PROT_READ | PROT_EXEC, MAP_SHARED, fd, at);
    unsigned char *w = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
    CHECK(x != MAP_FAILED && w != MAP_FAILED);
    memcpy(w, "\xb8\x2a\0\0\0\xc3", 6); // mov $42,%eax; ret
    CHECK(((int (*)(void))(uintptr_t)x)() == 42);
    pid_t child = fork();
    if (!child) {
        w[1] = 43;
        _exit(0);
    }
    CHECK(reap(child) == 0 && ((int (*)(void))(uintptr_t)x)() == 43);
    close(fd);
}

int main(void) {
    sparse(100ul << 20, MAP_SHARED);
    sparse(100ul << 20, MAP_PRIVATE);
    sparse(20ul << 30, MAP_SHARED);
    sparse(7ul << 30, MAP_PRIVATE);
    twice(3ul << 40);
    printf("large at %lld\n", now_ns());
    return 0;
}
