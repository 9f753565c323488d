// A mutex that is a member of something. A vanished thread holds it, and the child wants it. Argument: how the code comes to it. It
// is named by type and member, and what the stack is about is the innermost function outside of the library's headers.
//
// case this: orphaned-lock lock=Config::mutex_ focus=Config::get*
// case base: orphaned-lock lock=Base::base_mutex
// case array: orphaned-lock lock=Config::mutex_ focus=lambda_at_members.cc:*
// case vector: orphaned-lock lock=Config::mutex_ focus=lambda_at_members.cc:*
// case pointers: orphaned-lock lock=Config::mutex_ focus=lambda_at_members.cc:*
// case table: orphaned-lock lock=Config::mutex_ focus=lambda_at_members.cc:*
// case member: orphaned-lock lock=App::Part::lock focus=lambda_at_members.cc:*
// case elements: orphaned-lock lock=Config::mutex_ focus=lambda_at_members.cc:*
// case shared: orphaned-lock lock=Config::mutex_ focus=lambda_at_members.cc:*
// case capture: orphaned-lock lock=Config::mutex_ focus=lambda_at_members.cc:*
// case local: orphaned-lock lock=Config::mutex_ focus=lambda_at_members.cc:*
// case plain: orphaned-lock lock=plain,_a_local_variable_of_* focus=lambda_at_members.cc:*
// case optional: orphaned-lock lock=Config::mutex_ focus=Config::get*
// case static: orphaned-lock lock=registry.config.mutex__(Config::mutex_) focus=lambda_at_members.cc:*
// case own: orphaned-lock lock=Registry::own()::r.config.mutex__(Config::mutex_) focus=lambda_at_members.cc:*
// case nowhere: orphaned-lock lock=heap_lock_*
#include "samples/stage.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

struct Config {
    std::string name;
    int version = 1;
    std::mutex mutex_;
    int get() {
        std::lock_guard<std::mutex> guard(mutex_);
        return version;
    }
};

struct Base {
    virtual ~Base() = default;
    std::mutex base_mutex;
    virtual int ask() {
        std::lock_guard<std::mutex> guard(base_mutex);
        return 1;
    }
};

struct Other {
    virtual ~Other() = default;
    int number = 0;
};

struct Derived : Other, Base {
    int ask() override { return Base::ask() + number; }
};

struct App {
    char name[40];
    struct Part {
        long count;
        std::mutex lock;
    } part;
    Config elements[3];
    std::vector<std::unique_ptr<Config>> pointers;
};

struct Registry {
    int count = 0;
    Config config;
    static Registry &own() {
        static Registry r;
        return r;
    }
};

static App *app;
static Config *array, **table;
static std::shared_ptr<Config> shared;
static Registry registry;
static std::function<void()> hold, take;

static void *keep(void *nothing) {
    thread_name("keeper");
    hold();
    hold_over_fork();
    return nothing;
}

template <class Mutex, class Use> static void holds(Mutex &mutex, Use use) {
    hold = [&mutex] { mutex.lock(); };
    take = use;
}

int main(int argc, char **argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    app = new App;
    for (int i = 0; i < 4; i++)
        app->pointers.push_back(std::make_unique<Config>());
    array = new Config[4];
    table = static_cast<Config **>(calloc(4, sizeof *table));
    for (int i = 0; i < 4; i++)
        table[i] = new Config;
    auto unique = std::make_unique<Config>();
    shared = std::make_shared<Config>();
    std::unique_ptr<Base> base = std::make_unique<Derived>();
    std::vector<Config> vector(3);
    std::optional<Config> optional;
    optional.emplace();
    Config local;
    std::mutex plain;
    auto *hidden = reinterpret_cast<std::mutex *>(static_cast<char *>(calloc(3, 100)) + 120);
    if (what == "this") holds(unique->mutex_, [&] { unique->get(); });
    if (what == "base") holds(base->base_mutex, [&] { base->ask(); });
    if (what == "array") holds(array[2].mutex_, [] { array[2].mutex_.lock(); });
    if (what == "vector") holds(vector[1].mutex_, [&vector] { vector[1].mutex_.lock(); });
    if (what == "pointers") holds(app->pointers[2]->mutex_, [] { app->pointers[2]->mutex_.lock(); });
    if (what == "table") holds(table[3]->mutex_, [] { table[3]->mutex_.lock(); });
    if (what == "member") holds(app->part.lock, [] { app->part.lock.lock(); });
    if (what == "elements") holds(app->elements[1].mutex_, [] { app->elements[1].mutex_.lock(); });
    if (what == "shared") holds(shared->mutex_, [] { shared->mutex_.lock(); });
    if (what == "capture") holds(unique->mutex_, [config = unique.get()] { config->mutex_.lock(); });
    if (what == "local") holds(local.mutex_, [&local] { local.mutex_.lock(); });
    if (what == "plain") holds(plain, [&plain] { plain.lock(); });
    if (what == "optional") holds(optional->mutex_, [&] { optional->get(); });
    if (what == "static") holds(registry.config.mutex_, [] { registry.config.mutex_.lock(); });
    if (what == "own") holds(Registry::own().config.mutex_, [] { Registry::own().config.mutex_.lock(); });
    // Nothing that has a type leads to this one.
    if (what == "nowhere")
        holds(*hidden, [place = reinterpret_cast<uintptr_t>(hidden)] {
            reinterpret_cast<std::mutex *>(place)->lock();
        });
    thread_start(keep);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        take();
        _exit(0);
    }
    return reap(child);
}
