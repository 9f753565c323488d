// A file mapped MAP_SHARED that calls change under the mapping: write, pwrite, writev, pwritev, append, sendfile, a
// longer end; by this process, by a child and through another name.
#include "program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

static char *map;

// Never touched before the write: the page is faulted in after it.
static void show(const char *what, long at) {
    printf("%s: %.8s\n", what, map + at);
}

int main(void) {
    char path[] = "/tmp/refork-written-XXXXXX", other[64], from_path[] = "/tmp/refork-from-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && ftruncate(fd, 10 * PAGE + 100) == 0);
    map = mmap(NULL, 24 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    map[0] = 'm';

    CHECK(pwrite(fd, "pwrite\0", 8, 1 * PAGE) == 8 && !strcmp(map + PAGE, "pwrite"));
    CHECK(lseek(fd, 2 * PAGE, SEEK_SET) == 2 * PAGE && write(fd, "write", 6) == 6);
    CHECK(write(fd, "again", 6) == 6 && !strcmp(map + 2 * PAGE, "write") &&
          !strcmp(map + 2 * PAGE + 6, "again"));
    struct iovec parts[] = {{"one ", 4}, {"two", 4}};
    CHECK(lseek(fd, 3 * PAGE - 4, SEEK_SET) > 0 && writev(fd, parts, 2) == 8);
    CHECK(!strcmp(map + 3 * PAGE - 4, "one two"));
    CHECK(pwritev(fd, parts, 2, 4 * PAGE) == 8 && !strcmp(map + 4 * PAGE, "one two"));
    show("pwrite", PAGE);
    show("write", 2 * PAGE);
    show("pwritev", 4 * PAGE);

    // through another name and another description, by a child, with the child's own bytes
    snprintf(other, sizeof other, "%s-link", path);
    CHECK(link(path, other) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        int mine = open(other, O_RDWR);
        char text[32];
        int n = snprintf(text, sizeof text, "pid %d", getpid());
        CHECK(mine >= 0 && pwrite(mine, text, (size_t)n + 1, 5 * PAGE) == n + 1);
        CHECK(!strcmp(map + 5 * PAGE, text));
        strcpy(map + 6 * PAGE, "child");
        _exit(6);
    }
    CHECK(reap(child) == 6);
    CHECK(!strncmp(map + 5 * PAGE, "pid ", 4) && !strcmp(map + 6 * PAGE, "child"));
    show("child", 5 * PAGE);

    // from another file
    int from = mkstemp(from_path);
    CHECK(from >= 0 && pwrite(from, "sendfile", 9, 0) == 9);
    CHECK(lseek(fd, 7 * PAGE, SEEK_SET) == 7 * PAGE);
    off_t start = 0;
    CHECK(sendfile(fd, from, &start, 8) == 8 && !strncmp(map + 7 * PAGE, "sendfile", 8));
    show("sendfile", 7 * PAGE);

    // longer, and appended to
    CHECK(ftruncate(fd, 20 * PAGE) == 0);
    CHECK(map[11 * PAGE] == 0 && map[12 * PAGE - 1] == 0);
    int end = open(path, O_WRONLY | O_APPEND);
    CHECK(end >= 0 && write(end, "appended", 9) == 9 && !strcmp(map + 20 * PAGE, "appended"));
    show("appended", 20 * PAGE);

    CHECK(unlink(path) == 0 && unlink(other) == 0 && unlink(from_path) == 0);
    printf("hash %llx at %p\n", (unsigned long long)hash_bytes(1, map, 20 * PAGE), (void *)map);
    return 0;
}
