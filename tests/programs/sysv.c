// System V shared memory between processes: attached twice, read-only too, detached, removed.
#include "program.h"

#include <sys/ipc.h>
#include <sys/shm.h>

int main(void) {
    int id = shmget(IPC_PRIVATE, 10000, IPC_CREAT | 0600);
    CHECK(id >= 0);
    int *here = shmat(id, NULL, 0);
    CHECK(here != (void *)-1);
    here[5] = 55;
    const int *again = shmat(id, NULL, SHM_RDONLY);
    CHECK(again != (void *)-1 && again[5] == 55);
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        here[6] = 66;
        int *mine = shmat(id, NULL, 0);
        CHECK(mine != (void *)-1 && mine[5] == 55);
        mine[7] = 77;
        CHECK(shmdt(mine) == 0);
        _exit(3);
    }
    CHECK(reap(child) == 3);
    CHECK(again[6] == 66 && here[7] == 77);
    printf("shm %d at %p and %p: %d %d %d\n", id, (void *)here, (void *)again, here[5], again[6], again[7]);
    CHECK(shmdt(again) == 0 && shmdt(here) == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    return 0;
}
