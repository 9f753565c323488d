// What stands behind a C++ lock, by the way the code comes to it, beside an idle thread of the child. First argument: what owns the
// lock; second: how it is held.
//
// case map lock: orphaned-lock confidence=proved lock=Entry::entry_lock holder=keeper
// case hash lock: orphaned-lock confidence=proved lock=Entry::entry_lock holder=keeper
// case shared lock: orphaned-lock confidence=proved lock=Entry::entry_lock holder=keeper
// case unique lock: orphaned-lock confidence=proved lock=Entry::entry_lock holder=keeper
// case optional lock: orphaned-lock confidence=proved lock=chosen.entry_lock_(Entry::entry_lock) holder=keeper
// case pointers lock: orphaned-lock confidence=proved lock=Entry::entry_lock holder=keeper
// case map write: orphaned-lock confidence=proved lock=Entry::table holder=keeper lockkind=pthread_rwlock
// case unique read: orphaned-lock confidence=proved lock=Entry::table holder=keeper lockkind=pthread_rwlock
// case shared alone: vanished-waker lock=Entry::changed waker=keeper lockkind=pthread_cond
// case map over: none
// case unique written: none
// case shared told: none
#include "samples/stage.h"

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>

struct Entry {
    int id = 0;
    std::mutex entry_lock;
    std::shared_mutex table;
    std::condition_variable changed;
    bool ready = false;
};

static std::string what, how;
static std::map<int, Entry> tree;
static std::map<int, std::shared_ptr<Entry>> pointers;
static std::unordered_map<std::string, Entry> hash;
static std::shared_ptr<Entry> shared;
static std::unique_ptr<Entry> unique;
static std::optional<Entry> chosen;

static Entry &entry() {
    if (what == "map") return tree[3];
    if (what == "hash") return hash["b"];
    if (what == "pointers") return *pointers[2];
    if (what == "shared") return *shared;
    if (what == "unique") return *unique;
    return *chosen;
}

static void tell(Entry &e) {
    std::lock_guard<std::mutex> guard(e.entry_lock);
    e.ready = true;
    e.changed.notify_all();
}

static bool ends_before() {
    return how == "over" || how == "written" || how == "told";
}

static void until_forked() {
    if (!ends_before()) hold_over_fork();
}

static void *keep(void *nothing) {
    thread_name("keeper");
    Entry &e = entry();
    if (how == "write" || how == "written") {
        std::unique_lock<std::shared_mutex> guard(e.table);
        until_forked();
    } else if (how == "read") {
        std::shared_lock<std::shared_mutex> guard(e.table);
        until_forked();
    } else if (how == "alone" || how == "told") {
        until_forked();
        tell(e);
    } else {
        std::lock_guard<std::mutex> guard(e.entry_lock);
        until_forked();
    }
    return nothing;
}

static void *idle(void *) {
    for (;;)
        pause();
}

static void use(Entry &e) {
    if (how == "write" || how == "written" || how == "read") {
        std::unique_lock<std::shared_mutex> guard(e.table);
    } else {
        std::unique_lock<std::mutex> guard(e.entry_lock);
        if (how == "alone" || how == "told") e.changed.wait(guard, [&] { return e.ready; });
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    what = argv[1];
    how = argv[2];
    for (int i = 0; i < 6; i++) {
        tree[i].id = i;
        hash[std::string(1, static_cast<char>('a' + i))].id = i;
        pointers[i] = std::make_shared<Entry>();
    }
    shared = std::make_shared<Entry>();
    unique = std::make_unique<Entry>();
    chosen.emplace();
    pthread_t keeper = thread_start(keep);
    if (ends_before())
        pthread_join(keeper, nullptr);
    else
        gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        if (how != "alone") thread_start(idle);
        use(entry());
        _exit(0);
    }
    gate_open(&forked);
    return reap(child);
}
