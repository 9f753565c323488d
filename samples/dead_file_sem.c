// A semaphore as a lock, in a file that processes map. One that has it ends on an error, and the next one waits for ever.
// The file has a name: anybody could open it. But nobody else has.
//
// expect: dead-holder confidence=likely lockkind=sem holder=printer ended=exited acquired=print
//     waiting=print
// expect: cross-process-wait cause=dead-holder waiting=main
// status: 120
#include "samples/shared.h"

#include <semaphore.h>

static sem_t *printer_lock;

static sem_t *map_file(void) {
    int fd = open("dead_file_sem.shared", O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(sem_t))) abort();
    void *memory = mmap(NULL, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) abort();
    close(fd);
    return memory;
}

static void print(const char *line) {
    sem_wait(printer_lock);
    if (!line) _exit(3);
    say(line);
    sem_post(printer_lock);
}

static pid_t start(const char *line) {
    pid_t child = fork();
    if (child) return child;
    thread_name("printer");
    printer_lock = map_file(); // at another place than its parent
    print(line);
    _exit(0);
}

int main(void) {
    printer_lock = map_file();
    sem_init(printer_lock, 1, 1);
    reap(start("first"));
    reap(start(NULL));
    return reap(start("last"));
}
