// A static variable of a function is initialised by the first thread that comes by; a hidden guard makes
// others wait. The thread that vanishes in the middle of it leaves a guard that says "being initialised"
// for ever.
//
// expect: orphaned-lock confidence=proved lock=guard_variable_for_config()::instance
//         lockkind=guard_of_a_static holder=worker start=warm_up acquired=config/cxa_guard_acquire
//         waiting=config/cxa_guard_acquire fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

struct Config {
    Config() { hold_over_fork(); } // reads a file, say
    int level = 1;
};

static Config &config() {
    static Config instance;
    return instance;
}

static void *warm_up(void *) {
    thread_name("worker");
    config();
    return nullptr;
}

static void run_child() {
    if (config().level != 1) abort();
    say("child: done"); // never comes
    _exit(0);
}

int main() {
    thread_start(warm_up);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}
