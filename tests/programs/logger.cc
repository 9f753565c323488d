// A child logs by a function that is only there inlined, and each lock is taken through the standard library's wrapper. "hold": the worker
// has the log's lock at the fork. "protected": fork handlers take it.
#include <atomic>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static std::mutex log_mutex, queue_mutex;
static std::atomic<bool> hold, held, ended;
static std::atomic<int> forks;

template <typename... Args> static void info(const Args &...args) {
    std::lock_guard<std::mutex> guard(log_mutex);
    const std::string line = (std::string() + ... + args);
    if (write(STDOUT_FILENO, line.data(), line.size()) < 0) abort();
    held = true;
    while (hold && !forks)
        usleep(100); // a wait for a state
}

// Between two calls: the queue's lock, and then the log's.
static void work(const std::string &name) {
    while (!ended) {
        usleep(100); // so that it is asleep at the fork
        queue_mutex.lock();
        queue_mutex.unlock();
        info("worker ", name, "\n");
    }
}

static void lock_log() {
    log_mutex.lock();
}
static void unlock_log() {
    log_mutex.unlock();
}

int main(int argc, char **argv) {
    hold = argc > 1 && !strcmp(argv[1], "hold");
    if (argc > 1 && !strcmp(argv[1], "protected")) pthread_atfork(lock_log, unlock_log, unlock_log);
    std::thread worker(work, "one");
    while (!held)
        usleep(100);
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (!child) {
            info("child\n");
            _exit(0);
        }
        forks++;
        waitpid(child, nullptr, 0);
    }
    ended = true;
    worker.join();
}
