// To be repaired: fork() never returns when a callback of the table calls it.
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOTS = 2 };

static pthread_rwlock_t slots_lock = PTHREAD_RWLOCK_INITIALIZER;
static const char *const slots[SLOTS] = {"child: backup", "child: mail"};

static void say(const char *line) {
    dprintf(STDOUT_FILENO, "%s\n", line);
}

// The child shall find a table that nobody is in the middle of changing.
static void lock_slots(void) {
    pthread_rwlock_wrlock(&slots_lock);
}

static void unlock_slots(void) {
    pthread_rwlock_unlock(&slots_lock);
}

static void start(const char *slot) {
    pid_t child = fork();
    if (child == 0) {
        say(slot);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void each_slot(void (*callback)(const char *slot)) {
    pthread_rwlock_rdlock(&slots_lock);
    for (int i = 0; i < SLOTS; i++)
        callback(slots[i]);
    pthread_rwlock_unlock(&slots_lock);
}

int main(void) {
    pthread_atfork(lock_slots, unlock_slots, unlock_slots);
    each_slot(start);
    say("main: done");
    return 0;
}
