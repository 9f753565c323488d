// A process-shared semaphore: the child waits for main's post, main waits for the child to end.
//
// expect: cross-process-wait lockkind=sem waiting=main
// expect: cross-process-wait cause=cross-process-wait waiting=main
// status: 120
#include "samples/stage.h"

#include <semaphore.h>
#include <sys/mman.h>

int main(void) {
    sem_t *begin = mmap(NULL, sizeof *begin, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (begin == MAP_FAILED || sem_init(begin, 1, 0)) return 1;
    pid_t child = fork();
    if (child == 0) {
        sem_wait(begin);
        _exit(0);
    }
    return reap(child);
}
