// How many CPUs a program is told of: as many as alone, in every way that it can ask, and what it chooses of them. cpus N: N are
// meant.
#include "program.h"

#include <cpuid.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>

enum { OFTEN = 40 }; // so often that the program would make these calls by itself

static char text[1 << 20];

static const char *whole(const char *path) {
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    size_t n = fread(text, 1, sizeof text - 1, f);
    CHECK(n < sizeof text - 1 && feof(f));
    text[n] = 0;
    fclose(f);
    return text;
}

// The last number of one of the kernel's lists, "0-7"; read as it comes, and by pread.
static int last_of(const char *path) {
    char first[64] = "", again[64] = "";
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && read(fd, first, sizeof first - 1) > 0 && read(fd, again, sizeof again - 1) == 0);
    for (int i = 0; i < OFTEN; i++)
        CHECK(pread(fd, again, sizeof again - 1, 0) == (ssize_t)strlen(first) && !strcmp(first, again));
    close(fd);
    const char *dash = strrchr(first, '-');
    return atoi(dash ? dash + 1 : first);
}

static int lines_with(const char *path, const char *start) {
    int count = 0;
    for (const char *line = whole(path); line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        count += !strncmp(line, start, strlen(start));
    return count;
}

// "1f", "ff,ffffffff"
static void parse_mask(const char *from, cpu_set_t *set) {
    size_t digits = strspn(from, "0123456789abcdef,");
    int cpu = 0;
    CPU_ZERO(set);
    for (size_t i = digits; i-- > 0;) {
        if (from[i] == ',') continue;
        int digit = from[i] <= '9' ? from[i] - '0' : from[i] - 'a' + 10;
        for (int bit = 0; bit < 4; bit++, cpu++)
            if (digit >> bit & 1) CPU_SET(cpu, set);
    }
}

// "0-3,7"
static void parse_list(const char *from, cpu_set_t *set) {
    CPU_ZERO(set);
    for (const char *at = from; *at >= '0' && *at <= '9';) {
        char *end;
        long first = strtol(at, &end, 10), last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        for (long cpu = first; cpu <= last; cpu++)
            CPU_SET((int)cpu, set);
        at = *end == ',' ? end + 1 : end;
    }
}

// The lines of a task's status say what sched_getaffinity says.
static void compare_status(const char *path, const cpu_set_t *set) {
    cpu_set_t said;
    const char *line = strstr(whole(path), "\nCpus_allowed:\t");
    CHECK(line != NULL);
    parse_mask(strchr(line, '\t') + 1, &said);
    CHECK(CPU_EQUAL(set, &said));
    line = strstr(text, "\nCpus_allowed_list:\t");
    CHECK(line != NULL);
    parse_list(strchr(line, '\t') + 1, &said);
    CHECK(CPU_EQUAL(set, &said));
}

// Where it is told that it runs is one of those; each way of asking gives the same.
static void compare_here(const cpu_set_t *set) {
    unsigned cpu = 0, node = 0, aux = 0, eax, ebx, ecx, edx;
    for (int i = 0; i < OFTEN; i++)
        CHECK(getcpu(&cpu, &node) == 0 && CPU_ISSET(cpu, set));
    CHECK(sched_getcpu() >= 0 && CPU_ISSET(sched_getcpu(), set));
    if (__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && edx >> 27 & 1) {
        __builtin_ia32_rdtscp(&aux);
        CHECK((aux & 0xfff) == cpu && aux >> 12 == node);
    }
}

static void compare(void) {
    cpu_set_t set;
    char path[64];
    CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
    if (gettid() == getpid()) compare_status("/proc/self/status", &set); // the first thread's
    compare_status("/proc/thread-self/status", &set);
    snprintf(path, sizeof path, "/proc/self/task/%d/status", gettid());
    compare_status(path, &set);
    compare_here(&set);
}

static void *thread(void *unused) {
    (void)unused;
    cpu_set_t all, one;
    compare();
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &all)) continue;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
        compare();
    }
    return NULL;
}

// What the files about all CPUs say.
static void compare_files(int count) {
    static const char *const lists[] = {"/sys/devices/system/cpu/online", "/sys/devices/system/cpu/possible",
                                        "/sys/devices/system/cpu/present"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        CHECK(last_of(lists[i]) == count - 1);
    CHECK(sysconf(_SC_NPROCESSORS_ONLN) == count && sysconf(_SC_NPROCESSORS_CONF) == count);
    CHECK(lines_with("/proc/cpuinfo", "processor\t") == count);
    CHECK(lines_with("/proc/stat", "cpu") == count + 1 && strstr(text, "\nctxt ") != NULL);
    if (access("/sys/devices/system/node/node0/cpulist", R_OK) == 0)
        CHECK(last_of("/sys/devices/system/node/node0/cpulist") == count - 1);
    if (access("/sys/fs/cgroup/cpuset.cpus.effective", R_OK) == 0)
        CHECK(last_of("/sys/fs/cgroup/cpuset.cpus.effective") == count - 1);
    if (access("/sys/fs/cgroup/cpuset/cpuset.cpus", R_OK) == 0)
        CHECK(last_of("/sys/fs/cgroup/cpuset/cpuset.cpus") == count - 1);
    if (access("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", R_OK) == 0)
        CHECK(!strcmp(whole("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), "-1\n"));
    int fd = open("/proc/cpuinfo", O_RDONLY), close_on_exec = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
    CHECK(fcntl(fd, F_GETFD) == 0 && fcntl(close_on_exec, F_GETFD) == FD_CLOEXEC);
    CHECK(read(fd, text, 9) == 9 && !memcmp(text, "processor", 9));
    close(fd);
    close(close_on_exec);
}

int main(int argc, char **argv) {
    cpu_set_t all, one, again, none;
    int cpu = -1;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    printf("%d %ld %ld\n", CPU_COUNT(&all), sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_NPROCESSORS_CONF));
    if (argc > 1) {
        CHECK(CPU_COUNT(&all) == atoi(argv[1]));
        compare_files(atoi(argv[1]));
    }
    compare();
    pthread_t other;
    CHECK(pthread_create(&other, NULL, thread, NULL) == 0 && pthread_join(other, NULL) == 0);
    compare();
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all)) cpu = i;
    CPU_ZERO(&one);
    CPU_ZERO(&none);
    CPU_SET(cpu, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK(sched_getaffinity(0, sizeof again, &again) == 0 && CPU_EQUAL(&one, &again));
    CHECK(sched_setaffinity(0, sizeof none, &none) < 0 && errno == EINVAL);
    compare();
    pid_t child = fork(); // has its parent's
    if (!child) {
        compare();
        _exit(sched_getaffinity(0, sizeof again, &again) == 0 && CPU_EQUAL(&one, &again) ? 0 : 1);
    }
    CHECK(reap(child) == 0);
    CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
    return 0;
}
