// A pre-forking server: a pool of children that serve one request each and end, as with "max requests per child". The child
// that replaces the last of them is forked while a thread of the server writes its audit record: it waits for ever.
//   prefork N        so many children before that one
//   prefork N fixed  ... which is forked after the record was written: no deadlock
#include "program.h"

#include <stdbool.h>

// Of the server's main: what a debugger has to unfold.
struct pool_state {
    const char *what;
    int served;
    enum { IDLE, REPLACING } state;
    struct {
        char name[8];
        double load;
        bool audited;
    } last;
    int numbers[3];
    pthread_mutex_t *lock;
};

static pthread_mutex_t audit_lock = PTHREAD_MUTEX_INITIALIZER;
static int requests[2], writing[2], written[2];

static void audit(const char *what) {
    pthread_mutex_lock(&audit_lock);
    CHECK(write(STDERR_FILENO, what, strlen(what)) >= 0);
    pthread_mutex_unlock(&audit_lock);
}

static void *audit_writer(void *unused) {
    char byte;
    pthread_mutex_lock(&audit_lock);
    CHECK(write(writing[1], "", 1) == 1);
    CHECK(read(written[0], &byte, 1) == 1); // a slow disk
    pthread_mutex_unlock(&audit_lock);
    return unused;
}

static pid_t start_worker(bool audits) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child) return child;
    char request;
    CHECK(read(requests[0], &request, 1) == 1);
    if (audits) audit("served\n");
    _exit(0);
}

int main(int argc, char **argv) {
    CHECK(argc > 1);
    bool fixed = argc > 2;
    int count = atoi(argv[1]);
    char byte;
    CHECK(count > 0 && count <= 1000);
    pid_t pool[count];
    CHECK(!pipe(requests) && !pipe(writing) && !pipe(written));
    for (int i = 0; i < count; i++)
        pool[i] = start_worker(false);
    for (int i = 0; i < count; i++)
        CHECK(write(requests[1], "r", 1) == 1);
    for (int i = 0; i < count; i++)
        CHECK(reap(pool[i]) == 0);
    pthread_t writer;
    CHECK(!pthread_create(&writer, NULL, audit_writer, NULL));
    CHECK(read(writing[0], &byte, 1) == 1);
    if (fixed) CHECK(write(written[1], "", 1) == 1 && !pthread_join(writer, NULL));
    volatile struct pool_state pool_state = {"pre\tfork", count,      REPLACING, {"w\303\2741", 0.5, true},
                                             {7, -8, 9},  &audit_lock};
    pid_t last = start_worker(true);
    pool_state.served++;
    CHECK(write(requests[1], "r", 1) == 1);
    CHECK(reap(last) == 0);
    return 0;
}
