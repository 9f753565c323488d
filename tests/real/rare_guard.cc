// The guard of a function's static object: a thread makes it 20 ms after the start, the child of a fork before that makes
// its own. The parent is inside the constructor for some microseconds only.
#include <chrono>
#include <cstdio>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

struct registry {
    int size;
    registry() : size(0) {
        for (int i = 0; i < 100; i++)
            size++;
    }
    registry(const registry &) = delete;
};

static registry &instance() {
    static registry object;
    return object;
}

int main() {
    std::thread worker([] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        instance().size++;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    pid_t child = fork();
    if (!child) _exit(instance().size == 100 ? 7 : 1);
    int status = 0;
    bool good = waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7;
    worker.join();
    std::puts(good ? "done" : "failed");
    return !good;
}
