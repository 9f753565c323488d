// The address space: mapped files (private and shared), mremap, holes, protections, brk, a growing stack,
// memory shared between processes, MAP_FIXED over live pages, madvise.
#include "program.h"

#include <fcntl.h>
#include <sys/mman.h>

static uint64_t deep(int levels) {
    volatile char frame[8192];
    memset((void *)frame, levels, sizeof frame);
    return levels ? deep(levels - 1) + (unsigned char)frame[4000] : (unsigned char)frame[17];
}

static void files(void) {
    char path[] = "/tmp/refork-mappings-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    char page[PAGE];
    for (int i = 0; i < 4; i++) {
        memset(page, 'a' + i, sizeof page);
        CHECK(write(fd, page, sizeof page) == PAGE);
    }
    char *private = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
    CHECK(private != MAP_FAILED && shared != MAP_FAILED);
    private[0] = 'P';
    shared[0] = 'S';
    CHECK(msync(shared, 2 * PAGE, MS_SYNC) == 0);
    char c;
    CHECK(pread(fd, &c, 1, PAGE) == 1 && c == 'S');
    CHECK(pread(fd, &c, 1, 0) == 1 && c == 'a');
    CHECK(pwrite(fd, "W", 1, 2 * PAGE) == 1);
    printf("files: %p %p: %c%c%c %c%c\n", (void *)private, (void *)shared, private[0], private[2 * PAGE + 1],
           private[3 * PAGE], shared[0], shared[PAGE]);
    CHECK(shared[PAGE] == 'W');
    CHECK(munmap(private + PAGE, PAGE) == 0);
    CHECK(private[2 * PAGE + 5] == 'c');
    CHECK(munmap(private, 4 * PAGE) == 0 && munmap(shared, 2 * PAGE) == 0);
    CHECK(close(fd) == 0 && unlink(path) == 0);
}

static void moves(void) {
    char *a = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(a != MAP_FAILED);
    memset(a, 'x', 2 * PAGE);
    char *b = mremap(a, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    CHECK(b != MAP_FAILED && b[2 * PAGE - 1] == 'x' && b[2 * PAGE] == 0);
    b[63 * PAGE] = 'y';
    char *c = mremap(b, 64 * PAGE, PAGE, 0);
    CHECK(c == b);
    char *d = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(d != MAP_FAILED);
    char *e = mremap(c, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, d + 3 * PAGE);
    CHECK(e == d + 3 * PAGE && e[10] == 'x');
    CHECK(mprotect(d, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
    d[PAGE] = 'd';
    CHECK(mmap(d, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == d);
    CHECK(d[0] == 0 && d[PAGE] == 'd');
    CHECK(madvise(d + PAGE, PAGE, MADV_DONTNEED) == 0 && d[PAGE] == 0);
    printf("moves: %p %p %p %p\n", (void *)a, (void *)b, (void *)d, (void *)e);

    char *top = sbrk(0);
    CHECK(sbrk(100 * PAGE) == top);
    memset(top, 'b', 100 * PAGE);
    CHECK(sbrk(-50 * PAGE) == top + 100 * PAGE);
    CHECK(top[49 * PAGE] == 'b');
    printf("brk: %p\n", (void *)top);
}

static void share(void) {
    struct {
        pthread_mutex_t mutex;
        uint64_t count;
        char text[64];
    } *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->mutex, &attr);
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (children[i]) continue;
        for (int n = 0; n < 3000; n++) {
            pthread_mutex_lock(&shared->mutex);
            shared->count += (uint64_t)i + 1;
            if (n % 1000 == 0) sleep_ms(2);
            pthread_mutex_unlock(&shared->mutex);
        }
        snprintf(shared->text + 16 * i, 16, "pid %d", getpid());
        _exit(i);
    }
    for (int i = 0; i < 3; i++)
        CHECK(reap(children[i]) == i);
    CHECK(shared->count == 18000);
    printf("shared: %llu, %s, %s, %s\n", (unsigned long long)shared->count, shared->text, shared->text + 16,
           shared->text + 32);

    int fd = memfd_create("refork", 0);
    CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0);
    char *here = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *again = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(here != MAP_FAILED && again != MAP_FAILED);
    pid_t child = fork();
    if (child == 0) {
        strcpy(here, "from the child");
        _exit(0);
    }
    CHECK(reap(child) == 0);
    CHECK(!strcmp(again, "from the child"));
    printf("memfd: %s\n", again);
}

int main(void) {
    files();
    moves();
    share();
    printf("stack: %llu\n", (unsigned long long)deep(200));
    return 0;
}
