// A mutex that is a member of an object on the heap, which others reach through smart pointers: it is named by type and member.
//
// expect: orphaned-lock lock=app::Config::mutex_ lockkind=pthread_mutex holder=reloader acquired=app::Config::reload
//     waiting=app::Config::get fork=main/fork
// expect: cross-process-wait cause=orphaned-lock waiting=main
// status: 120
#include "samples/stage.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace app {

class Config {
  public:
    std::string get(const std::string &key) {
        std::lock_guard<std::mutex> guard(mutex_);
        return values_[key];
    }
    void reload() {
        std::lock_guard<std::mutex> guard(mutex_);
        values_.clear();
        hold_over_fork();
    }

  private:
    std::map<std::string, std::string> values_;
    std::mutex mutex_;
};

struct Server {
    std::string name;
    std::shared_ptr<Config> config = std::make_shared<Config>();
};

} // namespace app

int main() {
    auto server = std::make_unique<app::Server>();
    std::thread reloader([&] {
        thread_name("reloader");
        server->config->reload();
    });
    gate_wait(&held);
    pid_t child = fork();
    if (child == 0) _exit((int)server->config->get("port").size());
    gate_open(&forked);
    reloader.join();
    return reap(child);
}
