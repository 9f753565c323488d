// Memory that changes by a write elsewhere: a private mapping's page that nobody has written shows what its file becomes, by
// whichever call and in every process; a file that grows or is cut; /proc/PID/mem and process_vm_writev, into oneself and a child.
#include "program.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/uio.h>

static int temporary(void) {
    char name[] = "/tmp/refork-seen-XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0 && unlink(name) == 0);
    return fd;
}

static void fill(int fd, char c, size_t size) {
    static char block[3 * PAGE];
    memset(block, c, size);
    CHECK(pwrite(fd, block, size, 0) == (ssize_t)size);
}

static void by_each_call(void) {
    int fd = temporary(), other = temporary();
    fill(fd, 'a', 3 * PAGE);
    fill(other, 'o', PAGE);
    char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    char *q = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE);
    CHECK(p != MAP_FAILED && q != MAP_FAILED);
    p[2 * PAGE] = 'm'; // a page of its own from now on
    CHECK(pwrite(fd, "one", 3, 5) == 3 && !memcmp(p + 4, "aonea", 5));
    CHECK(lseek(fd, PAGE, SEEK_SET) == PAGE && write(fd, "two", 3) == 3 && !memcmp(p + PAGE, "twoa", 4) &&
          *q == 't');
    struct iovec v[2] = {{"th", 2}, {"ree", 3}};
    CHECK(writev(fd, v, 2) == 5 && !memcmp(p + PAGE, "twothreea", 9) && !memcmp(q, "twothreea", 9));
    CHECK(pwritev(fd, v, 2, 2 * PAGE - 2) == 5 && !memcmp(p + 2 * PAGE - 3, "athmaa", 6));
    loff_t from = 0, to = 100;
    CHECK(copy_file_range(other, &from, fd, &to, 10, 0) == 10 && !memcmp(p + 99, "aooooooooooa", 12));
    // A child sees it as well, and so does its mapping of it what it writes.
    pid_t child = fork();
    if (!child) {
        CHECK(pwrite(fd, "child", 5, 200) == 5 && !memcmp(p + 199, "achilda", 7));
        _exit(3);
    }
    CHECK(reap(child) == 3 && !memcmp(p + 199, "achilda", 7));
    CHECK(munmap(p, 3 * PAGE) == 0 && munmap(q, PAGE) == 0);
    close(fd);
    close(other);
}

static sig_atomic_t volatile faults;
static char *volatile faulting;

static void on_bus(int sig) {
    (void)sig;
    faults++;
    CHECK(mmap(faulting, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
          faulting);
}

static void touch(char *at, bool beyond) {
    faulting = at;
    faults = 0;
    char c = *(volatile char *)at;
    CHECK(faults == beyond);
    (void)c;
}

static void by_size(void) {
    CHECK(signal(SIGBUS, on_bus) != SIG_ERR);
    int fd = temporary();
    char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK(ftruncate(fd, PAGE + 10) == 0);
    touch(p, false);
    touch(p + PAGE + 5000 - 4096, false);
    CHECK(pwrite(fd, "x", 1, 3 * PAGE - 1) == 1);
    CHECK(p[3 * PAGE - 1] == 'x' && p[2 * PAGE] == 0);
    touch(p + 3 * PAGE, true);
    CHECK(pwrite(fd, "abc", 3, 2 * PAGE) == 3 && p[2 * PAGE + 1] == 'b');
    CHECK(ftruncate(fd, 2 * PAGE + 1) == 0);
    CHECK(p[2 * PAGE] == 'a' && p[2 * PAGE + 1] == 0);
    CHECK(ftruncate(fd, PAGE) == 0);
    touch(p + 2 * PAGE, true);
    touch(p + PAGE, true);
    CHECK(munmap(p, 4 * PAGE) == 0);
    close(fd);
}

static volatile int word = 1, words[4];

static void by_memory(void) {
    int two = 2, fd = open("/proc/self/mem", O_RDWR);
    CHECK(fd >= 0 && pwrite(fd, &two, sizeof two, (off_t)(uintptr_t)&word) == sizeof two && word == 2);
    two = 3;
    CHECK(lseek(fd, (off_t)(uintptr_t)&word, SEEK_SET) == (off_t)(uintptr_t)&word);
    CHECK(write(fd, &two, sizeof two) == sizeof two && word == 3);
    close(fd);
    int ready[2], go[2];
    char c;
    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    pid_t child = fork();
    if (!child) {
        CHECK(write(ready[1], "r", 1) == 1 && read(go[0], &c, 1) == 1);
        CHECK(words[0] == 10 && words[1] == 11 && words[3] == 13 && word == 20);
        _exit(4);
    }
    CHECK(read(ready[0], &c, 1) == 1);
    int values[] = {10, 11, 13}, twenty = 20;
    struct iovec from = {values, sizeof values}, to[2] = {{(void *)words, 8}, {(void *)&words[3], 4}};
    CHECK(process_vm_writev(child, &from, 1, to, 2, 0) == 12);
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/mem", child);
    fd = open(name, O_WRONLY);
    CHECK(fd >= 0 && pwrite(fd, &twenty, 4, (off_t)(uintptr_t)&word) == 4);
    CHECK(write(go[1], "g", 1) == 1 && reap(child) == 4 && word == 3 && words[0] == 0);
    CHECK(process_vm_writev(getpid(), &from, 1, to, 2, 0) == 12 && words[3] == 13);
}

int main(void) {
    by_each_call();
    by_size();
    by_memory();
    printf("seen at %lld\n", now_ns());
    return 0;
}
