// glog: the lock of its sinks is held while a sink of the program's takes a line.
// pkg: libglog
// debian: libgoogle-glog-dev
// expect: orphaned-lock confidence=proved lock=libglog.so* lockkind=pthread_rwlock holder=worker acquired=google::LogMessage::Flush,worker waiting=google::LogMessage::Flush,in_child
#include "server.h"

#include <glog/logging.h>

struct slow_sink : google::LogSink {
    void send(google::LogSeverity, const char *, const char *, int, const struct tm *, const char *,
              size_t) override {
        hold();
    }
};

static void worker(void) {
    LOG(INFO) << "request";
}

static void in_child(void) {
    LOG(INFO) << "child";
}

int main(int argc, char **argv) {
    google::InitGoogleLogging(argv[0]);
    slow_sink sink;
    google::AddLogSink(&sink);
    return serve(argc);
}
