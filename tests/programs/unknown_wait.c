// A child that waits on a futex that is no lock of any kind: what it waits for is not known.
#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int word;

int main(void) {
    pid_t pid = fork();
    if (!pid) syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0);
    return waitpid(pid, 0, 0) < 0;
}
