// How many CPUs a program is told of: as many as alone, in every way that it can ask, and what it chooses of them. cpus N: N are
// meant.
#include "program.h"

#include <fcntl.h>
#include <sched.h>

// The last number of one of the kernel's lists, "0-7"; read as it comes, and by pread.
static int last_of(const char *name) {
    char path[64], text[64] = "", again[64] = "";
    snprintf(path, sizeof path, "/sys/devices/system/cpu/%s", name);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0 && read(fd, again, sizeof again - 1) == 0);
    CHECK(pread(fd, again, sizeof again - 1, 0) == (ssize_t)strlen(text) && !strcmp(text, again));
    close(fd);
    const char *dash = strrchr(text, '-');
    return atoi(dash ? dash + 1 : text);
}

int main(int argc, char **argv) {
    cpu_set_t all, one, again, none;
    int cpu = -1;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    printf("%d %ld %ld\n", CPU_COUNT(&all), sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_NPROCESSORS_CONF));
    if (argc > 1) {
        int count = atoi(argv[1]);
        unsigned here = 0;
        CHECK(CPU_COUNT(&all) == count && sysconf(_SC_NPROCESSORS_ONLN) == count);
        CHECK(last_of("online") == count - 1 && last_of("possible") == count - 1 &&
              last_of("present") == count - 1);
        CHECK(getcpu(&here, NULL) == 0 && here < (unsigned)count);
        // Often enough that the program would make these calls by itself.
        char first[64] = "", again_read[64] = "";
        int list = open("/sys/devices/system/cpu/online", O_RDONLY);
        for (int i = 0; i < 40; i++) {
            CHECK(pread(list, i ? again_read : first, sizeof first - 1, 0) > 0);
            CHECK(!i || !strcmp(first, again_read));
            CHECK(getcpu(&here, NULL) == 0 && here < (unsigned)count);
        }
        close(list);
    }
    for (int i = 0; i < CPU_SETSIZE && cpu < 0; i++)
        if (CPU_ISSET(i, &all)) cpu = i;
    CPU_ZERO(&one);
    CPU_ZERO(&none);
    CPU_SET(cpu, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK(sched_getaffinity(0, sizeof again, &again) == 0 && CPU_EQUAL(&one, &again));
    CHECK(sched_setaffinity(0, sizeof none, &none) < 0 && errno == EINVAL);
    pid_t child = fork(); // has its parent's
    if (!child) _exit(sched_getaffinity(0, sizeof again, &again) == 0 && CPU_EQUAL(&one, &again) ? 0 : 1);
    CHECK(reap(child) == 0);
    CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
    return 0;
}
