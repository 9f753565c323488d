// loads LIBRARY: loads plugin.so at the same address twice, and makes a static object while another thread waits for it.
#include "samples/stage.h"

#include <atomic>
#include <dlfcn.h>

static std::atomic<pid_t> tids[2];

// Its constructor returns when the other thread sleeps, in the wait for the guard.
struct slow {
    slow() {
        for (auto &tid : tids) {
            while (!tid)
                sched_yield();
            if (tid != gettid()) until_asleep(tid);
        }
    }
    int x = 1;
};

static slow &instance() {
    static slow s;
    return s;
}

static void *get(void *tid) {
    *static_cast<std::atomic<pid_t> *>(tid) = gettid();
    instance().x++;
    return tid;
}

int main(int, char **argv) {
    for (int round = 0; round < 2; round++) {
        void *h = dlopen(argv[1], RTLD_NOW);
        if (!h || ((int (*)(int))dlsym(h, "use"))(25) != 25) return 1;
        dlclose(h);
    }
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&t[i], nullptr, get, &tids[i])) return 1;
    for (auto &x : t)
        pthread_join(x, nullptr);
    return 0;
}
