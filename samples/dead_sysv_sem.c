// A semaphore of System V as a lock, taken without SEM_UNDO by a process that is killed.
//
// expect: dead-holder lockkind=System_V_semaphore holder=writer ended=SIGKILL endedby=dead_sysv_sem acquired=take
//     waiting=take
// expect: cross-process-wait cause=dead-holder waiting=main
// status: 120
#include "samples/stage.h"

#include <signal.h>
#include <sys/sem.h>

static int set;

static void take(short flags) {
    struct sembuf take = {.sem_num = 1, .sem_op = -1, .sem_flg = flags};
    semop(set, &take, 1);
}

static void give(void) {
    struct sembuf give = {.sem_num = 1, .sem_op = 1};
    semop(set, &give, 1);
}

int main(void) {
    set = semget(IPC_PRIVATE, 2, 0600);
    if (set < 0) return 1;
    semctl(set, 1, SETVAL, 1);
    pid_t first = fork();
    if (!first) {
        take(0);
        give();
        take(SEM_UNDO); // the kernel gives this one back
        _exit(0);
    }
    reap(first);
    pid_t writer = fork();
    if (!writer) {
        thread_name("writer");
        take(0);
        gate_open(&held);
        for (;;)
            pause();
    }
    gate_wait(&held);
    kill(writer, SIGKILL);
    reap(writer);
    pid_t next = fork();
    if (!next) {
        take(0);
        _exit(0);
    }
    int status = reap(next);
    semctl(set, 0, IPC_RMID);
    return status;
}
