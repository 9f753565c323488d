// oneTBB: the child enqueues a task, which a worker of its arena would do.
// pkg: tbb
// debian: libtbb-dev
// expect: unexplained-wait waiting=in_child
#include "server.h"

#include <atomic>
#include <tbb/concurrent_queue.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

static tbb::concurrent_bounded_queue<int> answers;
static bool healthy;

static void ask(void) {
    int answer;
    tbb::task_arena arena(4);
    arena.enqueue([] { answers.push(1); });
    answers.pop(answer);
}

static void worker(void) {
    if (!healthy) ask();
    hold();
}

static void in_child(void) {
    ask();
}

int main(int argc, char **argv) {
    (void)argv;
    healthy = argc > 1;
    _exit(serve(argc));
}
