// A worker is killed while it holds a lock in memory that processes share, and the next worker waits for ever. First argument: the
// lock. The kernel gives back some locks itself when a process dies, and tells of robust ones: of these nothing is said. Second: how
// the supervisor waits for that next worker: "asks" now and then, for ever; or helps it ("none") after so many times, or so long.
//
// case mutex: dead-holder ended=SIGKILL endedby=killed_holder
// case writer: dead-holder ended=SIGKILL
// case reader: dead-holder ended=SIGKILL
// case semaphore: dead-holder ended=SIGKILL
// case named: dead-holder ended=SIGKILL
// case sysv: dead-holder ended=SIGKILL
// case semaphore asks: dead-holder ended=SIGKILL
// case sysv asks: dead-holder ended=SIGKILL
// case robust: none
// case undo: none
// case flock: none
// case record: none
// case semaphore times: none
// case sysv late: none
#include "samples/stage.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <time.h>

static struct shared {
    pthread_mutex_t mutex;
    pthread_rwlock_t rwlock;
    sem_t semaphore;
} * shared;
static sem_t *named;
static int set, file;
static char path[] = "/tmp/refork-case-XXXXXX";
static const char *what;

static int change_record(short type) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(file, F_SETLKW, &lock);
}

static void take(bool first) {
    struct sembuf down = {.sem_op = -1, .sem_flg = strcmp(what, "undo") ? 0 : SEM_UNDO};
    if (!strcmp(what, "mutex") || !strcmp(what, "robust")) {
        if (pthread_mutex_lock(&shared->mutex) == EOWNERDEAD) pthread_mutex_consistent(&shared->mutex);
    } else if (!strcmp(what, "writer") || (!strcmp(what, "reader") && !first)) {
        pthread_rwlock_wrlock(&shared->rwlock);
    } else if (!strcmp(what, "reader")) {
        pthread_rwlock_rdlock(&shared->rwlock);
    } else if (!strcmp(what, "semaphore")) {
        sem_wait(&shared->semaphore);
    } else if (!strcmp(what, "named")) {
        sem_wait(named);
    } else if (!strcmp(what, "sysv") || !strcmp(what, "undo")) {
        semop(set, &down, 1);
    } else if (!strcmp(what, "flock")) {
        flock(open(path, O_RDWR | O_CLOEXEC), LOCK_EX);
    } else if (!strcmp(what, "record")) {
        change_record(F_WRLCK);
    }
}

static void give(void) {
    struct sembuf up = {.sem_op = 1};
    if (!strcmp(what, "mutex") || !strcmp(what, "robust")) pthread_mutex_unlock(&shared->mutex);
    if (!strcmp(what, "writer") || !strcmp(what, "reader")) pthread_rwlock_unlock(&shared->rwlock);
    if (!strcmp(what, "semaphore")) sem_post(&shared->semaphore);
    if (!strcmp(what, "named")) sem_post(named);
    if (!strcmp(what, "sysv")) semop(set, &up, 1);
}

static pid_t worker(bool first) {
    pid_t pid = fork();
    if (pid) return pid;
    take(first);
    if (first) {
        gate_open(&held);
        for (;;)
            pause();
    }
    give();
    _exit(0);
}

static void make(void) {
    pthread_mutexattr_t mutex;
    pthread_rwlockattr_t rwlock;
    char name[64];
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    if (!strcmp(what, "robust")) pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&shared->mutex, &mutex);
    pthread_rwlockattr_init(&rwlock);
    pthread_rwlockattr_setpshared(&rwlock, PTHREAD_PROCESS_SHARED);
    pthread_rwlock_init(&shared->rwlock, &rwlock);
    sem_init(&shared->semaphore, 1, 1);
    snprintf(name, sizeof name, "/refork-case-%d", (int)getpid());
    named = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
    sem_unlink(name);
    set = semget(IPC_PRIVATE, 1, 0600);
    semctl(set, 0, SETVAL, 1);
    file = mkstemp(path);
}

// By waitpid with WNOHANG, and a sleep in between.
static int ask(pid_t child, const char *until) {
    int status, times = 0;
    time_t begin = time(NULL);
    while (waitpid(child, &status, WNOHANG) == 0) {
        bool enough =
            !strcmp(until, "times") ? ++times == 100 : !strcmp(until, "late") && time(NULL) > begin + 2;
        if (enough) {
            give();
            return reap(child);
        }
        usleep(20000);
    }
    return WEXITSTATUS(status);
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    what = argv[1];
    make();
    pid_t first = worker(true);
    gate_wait(&held);
    kill(first, SIGKILL);
    reap(first);
    pid_t second = worker(false);
    int status = argc > 2 ? ask(second, argv[2]) : reap(second);
    semctl(set, 0, IPC_RMID);
    unlink(path);
    return status;
}
