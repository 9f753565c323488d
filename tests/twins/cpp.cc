// Twins with locks of the C++ library and its run-time.
#include "tests/twins/rare.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" // what a row does not name is none

#include <chrono>
#include <mutex>
#include <semaphore>
#include <shared_mutex>

namespace {

std::mutex log_mutex;
std::timed_mutex timed_mutex;
std::shared_mutex table_mutex;
std::binary_semaphore log_permit(1);

void mutex_lock() {
    log_mutex.lock();
}
void mutex_unlock() {
    log_mutex.unlock();
}
void timed_lock() {
    timed_mutex.lock();
}
void timed_try() {
    while (!timed_mutex.try_lock_for(std::chrono::milliseconds(5)))
        continue;
}
void timed_unlock() {
    timed_mutex.unlock();
}
void table_read() {
    table_mutex.lock_shared();
}
void table_write() {
    table_mutex.lock();
}
void table_unlock() {
    table_mutex.unlock();
}
void table_make() {
    new (&table_mutex) std::shared_mutex;
}
void permit_take() {
    log_permit.acquire();
}
void permit_give() {
    log_permit.release();
}

struct cache {
    long entries[4];
    std::mutex lock;
};
cache *shared_cache;
void cache_make() {
    shared_cache = new cache();
}
void cache_lock() {
    shared_cache->lock.lock();
}
void cache_unlock() {
    shared_cache->lock.unlock();
}

struct buffer {
    char *data = new char[1000];
    ~buffer() { delete[] data; }
};
thread_local buffer input;
void input_lock() {
    input.data[0] = 'x';
    log_mutex.lock();
}

struct config {
    int level = 0;
    config() {
        for (int i = 0; i < 100; i++)
            level += rare_uses + 1;
    }
};
void configure() {
    static config instance;
    if (!instance.level) abort();
}

const twin twins[] = {
    {.name = "std_mutex", .lock = mutex_lock, .unlock = mutex_unlock},
    {.name = "std_timed_mutex", .lock = timed_lock, .unlock = timed_unlock, .child = timed_try},
    {.name = "std_shared_mutex",
     .lock = table_read,
     .unlock = table_unlock,
     .child = table_write,
     .before = table_write,
     .in_child = table_make},
    {.name = "std_semaphore", .lock = permit_take, .unlock = permit_give},
    {.name = "heap_new", .set_up = cache_make, .lock = cache_lock, .unlock = cache_unlock},
    {.name = "thread_local", .lock = input_lock, .unlock = mutex_unlock},
    {.name = "static_guard", .lock = configure},
};

} // namespace

int main(int argc, char **argv) {
    return rare_main(argc, argv, twins, sizeof twins / sizeof *twins);
}
