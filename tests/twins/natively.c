// Runs a program N times without refork, sixteen at a time, and prints how many of the runs ended with status 0, how many hung,
// and how many ended otherwise: "good hung failed".
//   natively N PROGRAM [ARG...]
// A run takes some milliseconds. Ten seconds of an idle machine are given to each, more where there is other work (as in
// tests/patience.sh).
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TOGETHER = 16, PATIENCE = 10 };

struct run {
    pid_t pid;
    double patience; // seconds that are left to it
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// What a second of waiting is worth now: less where more tasks want a core than there are.
static double worth(void) {
    double load = 0, cores = (double)sysconf(_SC_NPROCESSORS_ONLN);
    FILE *f = fopen("/proc/loadavg", "re");
    if (f && fscanf(f, "%lf", &load) != 1) load = 0;
    if (f) fclose(f);
    return load > cores ? cores / load : 1;
}

static pid_t start(char **argv) {
    pid_t pid = fork();
    if (pid) return pid;
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    setpgid(0, 0); // what it leaves behind can be killed with it
    execvp(argv[0], argv);
    _exit(127);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    long left = atol(argv[1]), good = 0, hung = 0, failed = 0;
    double before = now();
    struct run runs[TOGETHER] = {0};
    for (int active = 0; left || active;) {
        double passed = (now() - before) * worth();
        before = now();
        for (struct run *r = runs; r < runs + TOGETHER; r++) {
            if (!r->pid && left) {
                r->pid = start(argv + 2);
                r->patience = PATIENCE;
                if (r->pid < 0) return 2;
                left--;
                active++;
            }
            int status;
            if (!r->pid) continue;
            if (waitpid(r->pid, &status, WNOHANG) == r->pid) {
                *(WIFEXITED(status) && !WEXITSTATUS(status) ? &good : &failed) += 1;
            } else if ((r->patience -= passed) < 0) {
                kill(-r->pid, SIGKILL);
                waitpid(r->pid, &status, 0);
                hung++;
            } else {
                continue;
            }
            r->pid = 0;
            active--;
        }
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
    printf("%ld %ld %ld\n", good, hung, failed);
    return 0;
}
