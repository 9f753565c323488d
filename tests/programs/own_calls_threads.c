// Three threads make calls that refork lets the program make by itself, with library calls, a lock and a pipe between them, and write
// down in which order they took the lock.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, ROUNDS = 60 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char order[THREADS * ROUNDS + 1];
static int taken, fd, ends[2];

static void *work(void *number) {
    const long me = (long)number;
    char bytes[16] = "";
    struct stat st;
    struct timespec now;
    for (int i = 0; i < ROUNDS; i++) {
        for (long k = 0; k < 7 + me; k++) {
            getppid();
            clock_gettime(CLOCK_MONOTONIC, &now);
        }
        if (fstat(fd, &st) || pread(fd, bytes, 8, i) != 8 || lseek(fd, i, SEEK_SET) != i ||
            read(fd, bytes, 4) != 4 || strnlen(bytes, sizeof bytes) > 8)
            return number;
        if (write(ends[1], bytes, 1) != 1 || read(ends[0], bytes, 1) != 1) return number;
        pthread_mutex_lock(&mutex);
        order[taken++] = (char)('a' + me);
        for (int k = 0; k < 3; k++)
            syscall(SYS_gettid);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    (void)argc;
    fd = open(argv[0], O_RDONLY);
    if (fd < 0 || pipe(ends)) return 1;
    for (long i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)i)) return 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    puts(order);
    return taken != THREADS * ROUNDS;
}
