// Calls that write more than fits into one event of a trace, into memory of their own and into a file that is mapped shared; and more
// shared mappings than a small table holds.
#include "program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

enum { PART = 50 << 20, FILES = 400 };

static unsigned long sum(const unsigned char *bytes, size_t len) {
    unsigned long s = 0;
    for (size_t i = 0; i < len; i += 4096)
        s = s * 31 + bytes[i];
    return s;
}

int main(void) {
    int fd = memfd_create("source", 0), other = memfd_create("copy", 0);
    CHECK(fd >= 0 && other >= 0 && ftruncate(fd, 2 * PART) == 0 && ftruncate(other, 2 * PART) == 0);
    unsigned char *memory = mmap(NULL, 2 * PART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *shared = mmap(NULL, 2 * PART, PROT_READ, MAP_SHARED, other, 0);
    CHECK(memory != MAP_FAILED && shared != MAP_FAILED);
    for (long at = 0; at < 2 * PART; at += 4096)
        memory[at] = (unsigned char)((at >> 12) + (at >> 22));
    CHECK(pwrite(fd, memory, 2 * PART, 0) == 2 * PART);
    unsigned long want = sum(memory, 2 * PART);
    memset(memory, 0, 2 * PART);
    CHECK(read(fd, memory, 2 * PART) == 2 * PART);
    CHECK(sum(memory, 2 * PART) == want);
    memset(memory, 0, 2 * PART);
    struct iovec parts[2] = {{memory + PART, PART}, {memory, PART}};
    CHECK(preadv(fd, parts, 2, 0) == 2 * PART);
    CHECK(sum(memory, 2 * PART) != want && memory[0] == (unsigned char)((PART >> 12) + (PART >> 22)));
    CHECK(write(other, memory, 2 * PART) == 2 * PART && sum(shared, 2 * PART) == sum(memory, 2 * PART));
    for (int i = 0; i < FILES; i++) {
        int one = memfd_create("one", 0);
        CHECK(one >= 0 && ftruncate(one, 4096) == 0);
        int *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, one, 0);
        CHECK(page != MAP_FAILED && pwrite(one, &i, sizeof i, 0) == sizeof i && *page == i);
        close(one);
    }
    printf("%lu, %lu\n", want, sum(shared, 2 * PART));
    return 0;
}
