#include "replayer/session/session.h"

#include "replayer/verdict/examine.h"

#include <stdlib.h>
#include <string.h>

struct session {
    struct timeline *timeline;
    char *path;
    struct verdict *verdict;    // NULL: not asked for yet
    struct lock_history *locks; // NULL: not asked for yet
};

int session_open(const char *path, struct session **out, struct rf_error *err) {
    struct session *s = calloc(1, sizeof *s);
    rf_assert(s);
    if (timeline_open(path, &s->timeline, err) < 0) {
        session_close(s);
        return -1;
    }
    s->path = strdup(path);
    rf_assert(s->path);
    *out = s;
    return 0;
}

void session_close(struct session *s) {
    if (!s) return;
    verdict_free(s->verdict);
    lock_history_free(s->locks);
    timeline_close(s->timeline);
    free(s->path);
    free(s);
}

struct timeline *session_timeline(struct session *s) {
    return s->timeline;
}

int session_verdict(struct session *s, const struct verdict **out, struct rf_error *err) {
    if (!s->verdict && examine(s->timeline, &s->verdict, err) < 0) return -1;
    *out = s->verdict;
    return 0;
}

int session_locks(struct session *s, struct lock_history **out, struct rf_error *err) {
    const struct lock_history_options options = {.trace_path = s->path};
    uint64_t before = timeline_position(s->timeline);
    if (!s->locks && (lock_history_make(s->timeline, &options, &s->locks, err) < 0 ||
                      timeline_seek(s->timeline, before, err) < 0))
        return -1;
    *out = s->locks;
    return 0;
}
