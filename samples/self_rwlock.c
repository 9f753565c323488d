// The forking thread holds a read-write lock for writing. In the parent, locking it again is found out
// (EDEADLK); the child has another TID and waits.
//
// expect: self-held confidence=proved lock=table_lock lockkind=pthread_rwlock holder=self_rwlock
//         acquired=main/pthread_rwlock_wrlock waiting=run_child/pthread_rwlock_rdlock forker=true
//         fork=main/fork
// expect: cross-process-wait cause=self-held
// status: 120
#include "samples/stage.h"

static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;

static void run_child(void) {
    pthread_rwlock_rdlock(&table_lock);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    pthread_rwlock_wrlock(&table_lock);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    pthread_rwlock_unlock(&table_lock);
    return reap(child);
}
