#include "recorder/end/served.h"

#include "recorder/task.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LOOK_US = 50000,
    // The timer's tick wakes the recorder several times in this time, whatever the program does.
    STILL_US = 500000,
    SERVED_LEAST = 32, // so much of the time counts at least: a 32nd
};

// The first two numbers of schedstat (Documentation/scheduler/sched-stats.rst): nanoseconds that a task ran, and that it was ready
// to run and did not. 0 where the kernel does not tell (CONFIG_SCHED_INFO).
struct schedstat {
    uint64_t ran_ns, delayed_ns;
};

static struct schedstat read_schedstat(const char *path) {
    char text[80], *end;
    struct schedstat s = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return s;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return s;
    text[n] = '\0';
    s.ran_ns = strtoull(text, &end, 10);
    s.delayed_ns = strtoull(end, NULL, 10);
    return s;
}

static uint64_t delayed_ns(const char *path) {
    return read_schedstat(path).delayed_ns;
}

uint64_t served_task_us(const struct task *t) {
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/schedstat", t->tid);
    return read_schedstat(path).ran_ns / 1000;
}

// What has come to *seen since the last look.
static uint64_t grown(uint64_t *seen, uint64_t now) {
    uint64_t more = now > *seen ? now - *seen : 0;
    if (more) *seen = now;
    return more;
}

void served_look(struct recorder *r, uint64_t now) {
    struct served *s = &r->served;
    uint64_t passed = now - s->looked_us;
    if (passed < LOOK_US) return;
    s->looked_us = now;
    uint64_t waited = grown(&s->delayed_ns, delayed_ns("/proc/thread-self/schedstat"));
    for (struct task *t = r->tasks; t; t = t->next) {
        char path[40];
        snprintf(path, sizeof path, "/proc/%d/schedstat", t->tid);
        // Only of the task whose turn it is: the others wait for that one as well. (Of 30 threads that nap beside one that spins all
        // their waits together were the whole time.)
        uint64_t more = grown(&t->delayed_ns, delayed_ns(path));
        if (t == r->current) waited += more;
    }
    waited /= 1000;
    if (passed > STILL_US && waited < passed - STILL_US) waited = passed - STILL_US;
    uint64_t most = passed - passed / SERVED_LEAST; // a limit ends, whatever waits
    s->waited_us += waited < most ? waited : most;
}

uint64_t served_us(const struct recorder *r, uint64_t now) {
    return now > r->served.waited_us ? now - r->served.waited_us : 0;
}

// A look may count a wait as of now that was before `since`.
uint64_t served_since(const struct recorder *r, uint64_t now, uint64_t since) {
    uint64_t us = served_us(r, now);
    return us > since ? us - since : 0;
}
