// What the kernel hands out: identities, times, random bytes, addresses, environment.
#include "program.h"

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>

int main(int argc, char **argv) {
    unsigned char bytes[16];
    CHECK(getrandom(bytes, sizeof bytes, 0) == sizeof bytes);
    printf("getrandom ");
    for (size_t i = 0; i < sizeof bytes; i++)
        printf("%02x", bytes[i]);
    printf("\nAT_RANDOM %016llx\n", *(unsigned long long *)getauxval(AT_RANDOM));
    printf("pid %d, parent %d, tid %d, uid %d, gid %d\n", getpid(), getppid(), gettid_now(), getuid(),
           getgid());
    struct timeval tv;
    CHECK(gettimeofday(&tv, NULL) == 0);
    printf("gettimeofday %ld.%06ld, time %ld\n", (long)tv.tv_sec, (long)tv.tv_usec, (long)time(NULL));
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
                                       CLOCK_THREAD_CPUTIME_ID, CLOCK_BOOTTIME};
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        struct timespec t;
        CHECK(clock_gettime(clocks[i], &t) == 0);
        printf("clock %d: %ld.%09ld\n", clocks[i], (long)t.tv_sec, t.tv_nsec);
    }
    struct tms tms;
    printf("times %ld, clock %ld\n", (long)times(&tms), (long)clock());
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    printf("rusage %ld kB, %ld faults\n", usage.ru_maxrss, usage.ru_minflt);
    struct sysinfo info;
    CHECK(sysinfo(&info) == 0);
    printf("sysinfo: up %ld, free %lu\n", info.uptime, info.freeram);
    struct utsname name;
    CHECK(uname(&name) == 0);
    printf("uname %s %s\n", name.nodename, name.release);
    char line[256];
    FILE *f = fopen("/proc/sys/kernel/random/uuid", "r");
    CHECK(f && fgets(line, sizeof line, f));
    fclose(f);
    printf("uuid %s", line);
    f = fopen("/proc/self/stat", "r");
    CHECK(f && fgets(line, sizeof line, f));
    fclose(f);
    printf("stat %s\n", line);
    void *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(map != MAP_FAILED);
    printf("stack %p, code %p, libc %p, heap %p, mmap %p, argv %p of %d\n", (void *)&tv, (void *)main,
           (void *)printf, malloc(10), map, (void *)argv, argc);
    return 0;
}
