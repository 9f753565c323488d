// Each kind of event that a debugger can catch, once: a signal, a fork, a vfork with an exec, a fault that is handled in the 3rd of
// several passes of its instruction, one that nobody handles.
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static sigjmp_buf back;
volatile int passes, told;

static void on_signal(int number) {
    told += number;
    if (number == SIGSEGV) siglongjmp(back, 1);
}

static int look(const volatile int *at) {
    return *at; // the fault
}

static void looks(void) {
    static const int good = 1;
    for (passes = 0; passes < 5; passes++)
        look(passes == 2 ? (const volatile int *)16 : &good);
}

// For a debugger to call: it never ends.
void spin(void) {
    while (!told || told)
        ;
}

int main(void) {
    signal(SIGUSR2, on_signal);
    signal(SIGSEGV, on_signal);
    raise(SIGUSR2);
    if (!fork()) _exit(0);
    wait(NULL);
    if (!vfork()) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    wait(NULL);
    if (!sigsetjmp(back, 1)) looks();
    signal(SIGSEGV, SIG_DFL);
    look((const volatile int *)32);
    return 0;
}
