// How many CPUs a program is told of: as many as alone, in every way that it can ask, and what it chooses of them.
#include "program.h"

#include <sched.h>

int main(void) {
    cpu_set_t all, one, again, none;
    int cpu = -1;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    printf("%d %ld %ld\n", CPU_COUNT(&all), sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_NPROCESSORS_CONF));
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
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
    return 0;
}
