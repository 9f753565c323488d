// spdlog's asynchronous logger: a queue, and a thread that empties it. The child logs until the queue is
// full.
#include "samples/stage.h"

#include <spdlog/async.h>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

int main() {
    spdlog::init_thread_pool(8, 1, [] {
        thread_name("spdlog");
        gate_open(&held);
    });
    auto logger = spdlog::create_async<spdlog::sinks::null_sink_mt>("server");
    logger->info("the logger works");
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 20; i++)
            logger->info("request {}", i);
        say("child: done"); // never comes
        _exit(0);
    }
    spdlog::shutdown();
    return reap(child);
}
