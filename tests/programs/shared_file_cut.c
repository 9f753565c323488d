// A file mapped MAP_SHARED that is cut, punched and copied into under the mapping, and pages beyond its end: SIGBUS, until a call
// makes the file longer.
#include "program.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>

static sigjmp_buf back;

static void on_bus(int sig) {
    siglongjmp(back, sig);
}

static int can_write(volatile char *at) {
    if (sigsetjmp(back, 1)) return 0;
    *at = 'w';
    return 1;
}

// How many pages of the mapping can be written, one after the other.
static int pages_of(char *map) {
    int n = 0;
    while (n < 8 && can_write(map + n * PAGE))
        n++;
    return n;
}

static void beyond_end(const char *what, int fd, const char *path) {
    CHECK(fd >= 0);
    char *map = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED && pages_of(map) == 0);
    CHECK(ftruncate(fd, 100) == 0 && pages_of(map) == 1);
    CHECK(pwrite(fd, "x", 1, PAGE) == 1 && pages_of(map) == 2);
    CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 6 * PAGE) != 0 || pages_of(map) == 2);
    CHECK(posix_fallocate(fd, 0, 3 * PAGE - 5) == 0 && pages_of(map) == 3);
    CHECK(read(open("/dev/zero", O_RDONLY), map + 3 * PAGE, 10) == -1 && errno == EFAULT);
    char *again = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
    CHECK(again != MAP_FAILED && pages_of(again) == 2);
    again = mremap(again, 8 * PAGE, 16 * PAGE, MREMAP_MAYMOVE);
    CHECK(again != MAP_FAILED && pages_of(again) == 2 && *again == 'w');
    int other = open(path, O_RDONLY | O_TRUNC); // empties it although it cannot write
    CHECK(other >= 0 && pages_of(map) == 0 && pages_of(again) == 0);
    CHECK(ftruncate(fd, 2 * PAGE) == 0 && pages_of(map) == 2 && pages_of(again) == 1);
    other = creat(path, 0600);
    CHECK(other >= 0 && pages_of(map) == 0);
    CHECK(write(other, "longer", 6) == 6 && pages_of(map) == 1 && map[5] == 'r');
    fflush(stdout);
    pid_t child = fork();
    if (!child) _exit(pages_of(map) == 1 && ftruncate(fd, 5 * PAGE) == 0 ? pages_of(map) : 90);
    CHECK(reap(child) == 5 && pages_of(map) == 5);
    printf("%s: %d pages at %p\n", what, pages_of(again), (void *)map);
    CHECK(munmap(map, 8 * PAGE) == 0 && close(fd) == 0 && close(other) == 0);
}

int main(void) {
    char path[] = "/tmp/refork-cut-XXXXXX", from_path[] = "/tmp/refork-from-XXXXXX";
    int fd = mkstemp(path), from = mkstemp(from_path);
    CHECK(fd >= 0 && from >= 0 && ftruncate(fd, 16 * PAGE) == 0);
    char *map = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    CHECK(pwrite(from, "copy_file_range", 16, 0) == 16);
    loff_t in = 0, to = 8 * PAGE;
    ssize_t copied = copy_file_range(from, &in, fd, &to, 15, 0);
    CHECK(copied <= 0 || !memcmp(map + 8 * PAGE, "copy_file_range", (size_t)copied));
    memset(map + 9 * PAGE, 'h', PAGE);
    int punched = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 9 * PAGE, PAGE);
    CHECK(punched < 0 || (map[9 * PAGE] == 0 && map[10 * PAGE - 1] == 0));
    memset(map + 10 * PAGE, 't', 6 * PAGE);
    CHECK(ftruncate(fd, 10 * PAGE + 100) == 0);
    CHECK(map[10 * PAGE + 99] == 't' && map[10 * PAGE + 100] == 0);
    CHECK(truncate(path, 12 * PAGE) == 0);
    CHECK(map[11 * PAGE] == 0 && map[12 * PAGE - 1] == 0);
    CHECK(unlink(path) == 0 && unlink(from_path) == 0);
    CHECK(signal(SIGBUS, on_bus) != SIG_ERR);
    char empty[] = "/tmp/refork-end-XXXXXX", memory[64];
    beyond_end("file", mkstemp(empty), empty);
    CHECK(unlink(empty) == 0);
    int memfd = memfd_create("end", 0);
    snprintf(memory, sizeof memory, "/proc/self/fd/%d", memfd);
    beyond_end("memfd", memfd, memory);
    printf("hash %llx at %p\n", (unsigned long long)hash_bytes(1, map, 12 * PAGE), (void *)map);
    return 0;
}
