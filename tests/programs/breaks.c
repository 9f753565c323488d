// Code addresses at which a schedule makes landmarks (breaks.schedule): instructions that push or load the flags, make
// a syscall, stand behind one, or loop onto themselves; from two threads, from a child, and with signals coming.
#include "program.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/wait.h>

static volatile unsigned long handled, sum;

// Flags as the program sees them, TF among them; a syscall; a loop of one instruction.
__asm__(".globl on_flags, off_flags, the_call, behind_call, the_loop, the_lock\n"
        "asm_part:\n"
        "  mov $39, %eax\n" // getpid
        "the_call:\n"
        "  syscall\n"
        "behind_call:\n"
        "  mov $24, %eax\n" // sched_yield: answered, never made
        "  syscall\n"
        "behind_yield:\n"
        "  mov %edi, %ecx\n"
        "on_flags:\n"
        "  pushf\n"
        "  popq %rax\n"
        "  push %rax\n"
        "off_flags:\n"
        "  popf\n"
        "the_loop:\n"
        "  loop the_loop\n"
        "the_lock:\n"
        "  lock addl $1, counter(%rip)\n"
        "  ret\n"
        ".globl asm_part\n"
        ".type asm_part, @function\n .type on_flags, @function\n .type off_flags, @function\n"
        ".type the_call, @function\n .type behind_call, @function\n .type the_loop, @function\n"
        ".type the_lock, @function\n .type behind_yield, @function\n.globl behind_yield\n");
unsigned counter;
unsigned long asm_part(unsigned long turns);

__attribute__((noinline)) void on_alarm(int sig) {
    (void)sig;
    handled++;
}

static void *work(void *unused) {
    (void)unused;
    unsigned long own = 0;
    for (unsigned long i = 1; i <= 60; i++)
        own += asm_part(i % 7 + 1) & 0xcd5; // the arithmetic flags
    return (void *)own;
}

int main(void) {
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 700}, {0, 700}}, NULL);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    pid_t child = fork();
    if (child == 0) _exit((int)((unsigned long)work(NULL) & 127));
    for (int i = 0; i < 2; i++) {
        void *own;
        pthread_join(threads[i], &own);
        sum += (unsigned long)own;
    }
    int status;
    waitpid(child, &status, 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    printf("%u %lx %x\n", counter, sum, status);
    return 0;
}
