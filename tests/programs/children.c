// Births and deaths of processes: fork, vfork, posix_spawn, _Fork-like raw clone, wait4 and waitid in their
// kinds, orphans, SIGCHLD, death by signal. Without threads (also built with musl).
#include "program.h"

#include <spawn.h>
#include <sys/resource.h>

extern char **environ;
static volatile sig_atomic_t deaths;

static void on_child(int signal) {
    (void)signal;
    deaths++;
}

static void forks(void) {
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) _exit(i);
        CHECK(reap(child) == i);
    }
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(1);
    }
    int status;
    CHECK(waitpid(child, &status, WNOHANG) == 0);
    CHECK(kill(child, SIGTERM) == 0);
    struct rusage usage;
    CHECK(wait4(child, &status, 0, &usage) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK(waitpid(-1, &status, 0) == -1 && errno == ECHILD);
    printf("forks: %d, child %d, %ld faults\n", getpid(), child, usage.ru_minflt);
}

static void waitids(void) {
    pid_t child = fork();
    if (child == 0) _exit(7);
    siginfo_t info;
    CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
    CHECK(info.si_pid == child && info.si_status == 7 && info.si_code == CLD_EXITED);
    CHECK(waitid(P_ALL, 0, &info, WEXITED) == 0);
    child = fork();
    if (child == 0) {
        raise(SIGSTOP);
        _exit(8);
    }
    int status;
    CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK(kill(child, SIGCONT) == 0);
    CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
    CHECK(reap(child) == 8);
    puts("waitids: good");
}

static void vforks(void) {
    pid_t child = vfork();
    if (child == 0) _exit(3);
    CHECK(reap(child) == 3);
    child = vfork();
    if (child == 0) {
        execl("/bin/echo", "echo", "vfork: hello", (char *)NULL);
        _exit(127);
    }
    CHECK(reap(child) == 0);
    char *const arguments[] = {"echo", "posix_spawn: hello", NULL};
    CHECK(posix_spawnp(&child, "echo", NULL, NULL, arguments, environ) == 0);
    CHECK(reap(child) == 0);
    CHECK(posix_spawn(&child, "/nowhere", NULL, NULL, arguments, environ) == ENOENT);
    child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(4);
    CHECK(reap(child) == 4);
    CHECK(system("exit 5") == 5 << 8);
    FILE *pipe = popen("echo popen: hello", "r");
    char line[64];
    CHECK(pipe && fgets(line, sizeof line, pipe));
    CHECK(pclose(pipe) == 0);
    fputs(line, stdout);
}

static void orphans(void) {
    int fds[2];
    CHECK(pipe(fds) == 0);
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) {
            close(fds[0]);
            while (getppid() == 1)
                break;
            sleep_ms(20);
            CHECK(write(fds[1], "o", 1) == 1);
            _exit(0);
        }
        _exit(0);
    }
    close(fds[1]);
    CHECK(reap(child) == 0);
    char c[2];
    CHECK(read(fds[0], c, 1) == 1 && c[0] == 'o');
    CHECK(read(fds[0], c, 1) == 0); // the orphan is gone
    close(fds[0]);
    puts("orphans: good");
}

static void handlers(void) {
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    CHECK(sigaction(SIGCHLD, &action, NULL) == 0);
    pid_t children[4];
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            sleep_ms(5 * i);
            _exit(i);
        }
    }
    for (int i = 3; i >= 0; i--)
        CHECK(reap(children[i]) == i);
    CHECK(deaths >= 1);
    printf("handlers: %d times SIGCHLD\n", (int)deaths);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    forks();
    waitids();
    vforks();
    orphans();
    handlers();
    return 0;
}
