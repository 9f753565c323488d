// A private System V semaphore: the child waits until main lets it go, main waits for the child to end.
//
// expect: cross-process-wait waiting=wait_for_main
// expect: cross-process-wait cause=cross-process-wait waiting=main
// status: 120
#include "samples/stage.h"

#include <sys/sem.h>

static void wait_for_main(int set) {
    struct sembuf down = {.sem_num = 0, .sem_op = -1};
    if (semop(set, &down, 1)) _exit(1); // the set is removed
}

int main(void) {
    int set = semget(IPC_PRIVATE, 1, 0600);
    if (set < 0) return 1;
    pid_t child = fork();
    if (child == 0) {
        wait_for_main(set);
        _exit(0);
    }
    int status = reap(child);
    semctl(set, 0, IPC_RMID);
    return status;
}
