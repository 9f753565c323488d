// execve that fails, again and again, while another thread's sleeping calls return in the middle of it.
#include "program.h"

#include <sys/stat.h>

enum { ROUNDS = 300 };

static atomic_int stop;

static void *sleeper(void *arg) {
    uintptr_t naps = 0;
    while (!atomic_load(&stop)) {
        struct timespec t = {.tv_nsec = 20000};
        CHECK(nanosleep(&t, NULL) == 0);
        naps++;
    }
    (void)arg;
    return (void *)naps;
}

int main(void) {
    char path[] = "/tmp/refork-exec-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK(write(fd, "\177ELF no program", 15) == 15 && fchmod(fd, 0700) == 0 && close(fd) == 0);
    pthread_t t;
    CHECK(pthread_create(&t, NULL, sleeper, NULL) == 0);
    char *args[] = {"no-such-program", NULL}, *environment[] = {NULL};
    const char *volatile nowhere = (const char *)8;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(execvp(args[0], args) == -1 && errno == ENOENT);
        CHECK(execve("/", args, environment) == -1 && errno == EACCES);
        CHECK(execve(path, args, environment) == -1 && errno == ENOEXEC);
        CHECK(execve(nowhere, args, environment) == -1 && errno == EFAULT);
    }
    atomic_store(&stop, 1);
    void *naps;
    CHECK(pthread_join(t, &naps) == 0);
    CHECK(unlink(path) == 0);
    printf("%d failures, %lu naps\n", 4 * ROUNDS, (unsigned long)naps);
    return 0;
}
