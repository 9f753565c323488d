// A file mapped MAP_SHARED that is cut, punched and copied into under the mapping.
#include "program.h"

#include <fcntl.h>
#include <sys/mman.h>

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
    printf("hash %llx at %p\n", (unsigned long long)hash_bytes(1, map, 12 * PAGE), (void *)map);
    return 0;
}
