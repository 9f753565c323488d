// test_symbols.c: data objects and the lines where they are.
#include <pthread.h>
#include <string.h>

struct queue {
    char name[16];
    pthread_mutex_t mutex;
    int count;
};
pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER; // mark log_mutex
static struct queue jobs = {.name = "jobs"};           // mark jobs
struct queue empty[4];                                 // in .bss
volatile int sink;
__attribute__((noinline)) void *worker(void *p) {
    static int calls = 7; // mark calls
    calls++;
    strcpy(jobs.name, "x");
    pthread_mutex_lock(&log_mutex);
    pthread_mutex_lock(&jobs.mutex);
    __asm__ volatile("int3\n\tnop" ::"a"(&calls), "b"(&jobs), "c"(empty) : "memory"); // mark stop
    sink += jobs.count + empty[1].count;
    return p;
}

int main(void) {
    return worker(0) != 0;
}
