#include "recorder/task.h"

#include "core/abi.h"
#include "recorder/hooks.h"
#include "recorder/space.h"
#include "recorder/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

void set_landmark(struct task *t, const struct user_regs_struct *regs) {
    t->landmark = *regs;
    t->at_landmark = true;
    t->stepped = false;
    t->interrupt_wanted = 0;
    t->on_break = t->at_tick = false;
    t->arrival_count = 0;
    t->in_code = false;
}

void set_landmark_in_code(struct task *t, const struct user_regs_struct *regs) {
    set_landmark(t, regs);
    t->in_code = true;
}

bool task_read(void *task, uint64_t address, void *buffer, size_t len) {
    struct task *t = task;
    return tracee_read(t->tid, t->mm->mem_fd, address, buffer, len);
}

enum { PAGES_AT_ONCE = 64 };

// Reads the byte at each address and writes it back; process_vm_writev respects protection. All by two calls: redis asks for 30
// pages at each epoll_wait.
static bool can_write_bytes(int tid, struct iovec *remote, size_t count) {
    char bytes[PAGES_AT_ONCE];
    struct iovec local = {bytes, count};
    return process_vm_readv(tid, &local, 1, remote, count, 0) == (ssize_t)count &&
           process_vm_writev(tid, &local, 1, remote, count, 0) == (ssize_t)count;
}

bool task_can_write(const struct task *t, uint64_t address, uint64_t size) {
    struct iovec remote[PAGES_AT_ONCE];
    size_t count = 0;
    for (uint64_t at = address; at < address + size; at = next_page(at)) {
        remote[count++] = (struct iovec){(void *)at, 1};
        if (count < PAGES_AT_ONCE) continue;
        if (!can_write_bytes(t->tid, remote, count)) return false;
        count = 0;
    }
    return !count || can_write_bytes(t->tid, remote, count);
}

struct task *task_find(struct recorder *r, int tid) {
    for (struct task *t = r->tasks; t; t = t->next)
        if (t->tid == tid) return t;
    return NULL;
}

int task_tid_for(const struct task *seer, const struct task *t) {
    int depth = seer->names.depth;
    bool seen =
        depth < t->names.depth || (depth == t->names.depth && (!depth || seer->names.own == t->names.own));
    return !depth ? t->tid : seen ? t->names.tids[depth] : 0;
}

struct task *task_called(struct recorder *r, const struct task *seer, int tid) {
    for (struct task *t = r->tasks; t; t = t->next)
        if (task_tid_for(seer, t) == tid) return t;
    return NULL;
}

// "NSpid:" of /proc/PID/status has them all, the outermost first.
void task_read_names(struct task *t) {
    char path[64], line[512];
    struct stat st;
    struct task_names n = {.depth = -1};
    snprintf(path, sizeof path, "/proc/%d/ns/pid", t->tid);
    if (stat(path, &st) == 0) n.own = st.st_ino;
    snprintf(path, sizeof path, "/proc/%d/status", t->tid);
    FILE *f = fopen(path, "re");
    while (f && n.depth < 0 && fgets(line, sizeof line, f)) {
        char *at = line + 6;
        if (strncmp(line, "NSpid:", 6)) continue;
        for (int tid, used; n.depth < NAMESPACES - 1 && sscanf(at, "%d%n", &tid, &used) == 1; at += used)
            n.tids[++n.depth] = tid;
    }
    if (f) fclose(f);
    if (n.depth > 0) t->names = n;
}

struct task *task_new(struct recorder *r, int tid, struct process *p, struct mm *mm) {
    struct task *t = calloc(1, sizeof *t);
    rf_assert(t);
    t->tid = tid;
    t->process = p;
    p->refs++;
    t->mm = mm;
    t->number = ++r->task_numbers;
    t->state = TASK_READY;
    struct task **link = &r->tasks;
    while (*link)
        link = &(*link)->next;
    *link = t;
    return t;
}

static void process_unref(struct recorder *r, struct process *p) {
    if (--p->refs > 0) return;
    if (--p->sighand->refs == 0) free(p->sighand);
    for (struct process **link = &r->processes; *link; link = &(*link)->next)
        if (*link == p) {
            *link = p->next;
            break;
        }
    free(p);
}

void task_ended(struct recorder *r, struct task *t, int status) {
    hooks_ended(r, t, status);
    if (t->process->refs == 1 && t->process->pid == r->leader) {
        r->result->signaled = WIFSIGNALED(status);
        r->result->status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
        r->leader = 0;
    }
    for (struct task **link = &r->tasks; *link; link = &(*link)->next)
        if (*link == t) {
            *link = t->next;
            break;
        }
    while (t->signals) {
        struct held_signal *s = t->signals;
        t->signals = s->next;
        free(s);
    }
    if (r->current == t) r->current = NULL;
    if (r->next == t) r->next = NULL;
    if (r->deferred == t) r->deferred = NULL;
    if (t->fds) fdtable_unref(t->fds);
    scratch_release(t);
    mm_unref(t->mm);
    process_unref(r, t->process);
    free(t->plan);
    free(t->arrivals);
    free(t->was);
    free(t->dying);
    t->was = NULL;
    t->was_count = 0;
    t->plan = NULL;
    t->arrivals = NULL;
    t->state = TASK_DEAD;
    t->next = r->ended;
    r->ended = t;
}

void tasks_reap(struct recorder *r) {
    while (r->ended) {
        struct task *t = r->ended;
        r->ended = t->next;
        free(t);
    }
}
