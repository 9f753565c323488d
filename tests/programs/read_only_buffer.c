// Buffers that the kernel cannot write to, in calls that may sleep: EFAULT as without refork, nothing written.
#include "program.h"

#include <poll.h>
#include <sys/mman.h>

static int waiting[2];

static void *other_thread(void *arg) {
    char c;
    CHECK(read(waiting[0], &c, 1) == 1);
    return arg;
}

static void *late_writer(void *fds) {
    sleep_ms(10);
    CHECK(write(((int *)fds)[1], "late", 4) == 4);
    return NULL;
}

int main(void) {
    pthread_t t, late;
    CHECK(pipe(waiting) == 0);
    CHECK(pthread_create(&t, NULL, other_thread, NULL) == 0);
    char *only_read = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(only_read != MAP_FAILED);
    char *volatile nowhere = NULL;
    int fds[2];
    char c;

    CHECK(pipe(fds) == 0 && write(fds[1], "x", 1) == 1);
    CHECK(read(fds[0], only_read, 1) == -1 && errno == EFAULT);
    CHECK(only_read[0] == 0);
    CHECK(read(fds[0], nowhere, 1) == -1 && errno == EFAULT);
    CHECK(read(fds[0], &c, 1) == 1 && c == 'x');

    // one that sleeps first
    CHECK(pthread_create(&late, NULL, late_writer, fds) == 0);
    CHECK(read(fds[0], only_read, 4) == -1 && errno == EFAULT);
    CHECK(pthread_join(late, NULL) == 0 && only_read[0] == 0);

    // INOUT: what the kernel must read it can, only the answer has no place
    CHECK(poll((struct pollfd *)only_read, 1, 10) == -1 && errno == EFAULT);
    CHECK(write(waiting[1], "x", 1) == 1);
    CHECK(pthread_join(t, NULL) == 0);
    printf("%p\n", (void *)only_read);
    return 0;
}
