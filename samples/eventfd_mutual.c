// The child waits for main's signal to begin, in an eventfd that both have. Main waits for the child to end.
//
// expect: cross-process-wait lockkind=eventfd waiting=begin/read
// expect: cross-process-wait cause=cross-process-wait waiting=main
// status: 120
#include "samples/stage.h"

#include <stdint.h>
#include <sys/eventfd.h>

static void begin(int event) {
    uint64_t count;
    if (read(event, &count, sizeof count) != sizeof count) abort();
}

int main(void) {
    int event = eventfd(0, 0);
    if (event < 0) return 1;
    pid_t child = fork();
    if (child == 0) {
        begin(event);
        _exit(0);
    }
    return reap(child);
}
