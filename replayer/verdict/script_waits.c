#include "replayer/verdict/script_waits.h"

#include <string.h>

// A file of Python's own library (its last parts), and a function there; NULL: any.
struct place {
    const char *file, *function;
};

static const struct place answers[] = {
    {"/concurrent/futures/_base.py", NULL}, // Future.result, as_completed, wait
    {"/multiprocessing/pool.py", NULL},     // ThreadPool: ApplyResult.get
    {"/queue.py", "Queue.join"},
};

static const struct place workers[] = {
    {"/concurrent/futures/thread.py", "_worker"},
    {"/multiprocessing/pool.py", "worker"},
};

static bool is_at(const struct script_call *c, const struct place *p) {
    size_t have = c->file ? strlen(c->file) : 0, want = strlen(p->file);
    if (have < want || strcmp(c->file + have - want, p->file) != 0) return false;
    return !p->function || (c->function && !strcmp(c->function, p->function));
}

static bool passes(const struct stack *s, const struct place *places, size_t count) {
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->frames[i].script_count; k++)
            for (size_t n = 0; n < count; n++)
                if (is_at(&s->frames[i].script[k], &places[n])) return true;
    return false;
}

bool script_is_known(const struct stack *s) {
    for (size_t i = 0; i < s->count; i++)
        if (s->frames[i].script_count) return true;
    return false;
}

bool script_awaits_answer(const struct stack *s) {
    return passes(s, answers, sizeof answers / sizeof *answers);
}

bool script_is_worker(const struct stack *s) {
    return passes(s, workers, sizeof workers / sizeof *workers);
}
