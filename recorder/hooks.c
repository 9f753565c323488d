#include "recorder/hooks.h"

void hooks_add(struct recorder *r, const struct recorder_hooks *hooks) {
    rf_assert(r->hook_count < (int)(sizeof r->hooks / sizeof *r->hooks));
    r->hooks[r->hook_count++] = hooks;
}

void hooks_keep_lasting(struct recorder *r) {
    int n = 0;
    for (int i = 0; i < r->hook_count; i++)
        if (r->hooks[i]->lasting) r->hooks[n++] = r->hooks[i];
    r->hook_count = n;
}

#define TELL(NAME, ...)                                                                                      \
    do {                                                                                                     \
        for (int i = 0; i < r->hook_count; i++)                                                              \
            if (r->hooks[i]->NAME) r->hooks[i]->NAME(__VA_ARGS__);                                           \
    } while (0)

// Ends the function with the first answer that is not 0.
#define ASK(NAME, ...)                                                                                       \
    do {                                                                                                     \
        for (int i = 0; i < r->hook_count; i++) {                                                            \
            __typeof__(r->hooks[i]->NAME(__VA_ARGS__)) answer =                                              \
                r->hooks[i]->NAME ? r->hooks[i]->NAME(__VA_ARGS__) : 0;                                      \
            if (answer) return answer;                                                                       \
        }                                                                                                    \
        return 0;                                                                                            \
    } while (0)

bool hooks_hold(const struct recorder *r, const struct task *t) {
    ASK(holds, r, t);
}

void hooks_poll(struct recorder *r) {
    for (int i = 0; i < r->hook_count && !r->stop_all; i++)
        if (r->hooks[i]->poll) r->hooks[i]->poll(r);
}

const struct recorder_hooks *hooks_chooser(const struct recorder *r) {
    for (int i = 0; i < r->hook_count; i++)
        if (r->hooks[i]->choose) return r->hooks[i];
    return NULL;
}

bool hooks_due(const struct recorder *r) {
    ASK(due, r);
}

bool hooks_tick(struct recorder *r, struct task *t) {
    ASK(tick, r, t);
}

bool hooks_idle(struct recorder *r) {
    ASK(idle, r);
}

bool hooks_patient(const struct recorder *r) {
    ASK(patient, r);
}

bool hooks_undecided(const struct recorder *r) {
    ASK(undecided, r);
}

void hooks_look_outside(struct recorder *r) {
    TELL(look_outside, r);
}

bool hooks_signal_stops(struct recorder *r, struct task *t, const siginfo_t *info, enum signal_place at,
                        const struct user_regs_struct *regs) {
    ASK(signal_stops, r, t, info, at, regs);
}

void hooks_signal_came(struct recorder *r, int signal, bool handled) {
    TELL(signal_came, r, signal, handled);
}

bool hooks_job_stops(struct recorder *r, struct task *t) {
    ASK(job_stops, r, t);
}

void hooks_resume(struct recorder *r, struct task *t) {
    TELL(resume, r, t);
}

bool hooks_walk(struct recorder *r, struct task *t) {
    ASK(walk, r, t);
}

bool hooks_interrupted(struct recorder *r, struct task *t) {
    ASK(interrupted, r, t);
}

void hooks_landmark(struct recorder *r, struct task *t) {
    TELL(landmark, r, t);
}

void hooks_stopped(struct recorder *r, struct task *t, bool outside) {
    TELL(stopped, r, t, outside);
}

void hooks_calls_made(struct recorder *r, uint64_t count) {
    TELL(calls_made, r, count);
}

void hooks_disturbed(struct recorder *r, struct task *t) {
    TELL(disturbed, r, t);
}

void hooks_call_begins(struct recorder *r, struct task *t) {
    TELL(call_begins, r, t);
}

bool hooks_answer(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    ASK(answer, r, t, regs);
}

void hooks_call_waits(struct recorder *r, struct task *t) {
    TELL(call_waits, r, t);
}

void hooks_asleep(struct recorder *r, struct task *t) {
    TELL(asleep, r, t);
}

int64_t hooks_tell(struct recorder *r, struct task *t, int64_t ret) {
    for (int i = 0; i < r->hook_count; i++)
        if (r->hooks[i]->tells) ret = r->hooks[i]->tells(r, t, ret);
    return ret;
}

void hooks_returned(struct recorder *r, struct task *t, int64_t ret) {
    TELL(returned, r, t, ret);
}

bool hooks_at_clone(struct recorder *r, struct task *t) {
    ASK(at_clone, r, t);
}

void hooks_born(struct recorder *r, struct task *t, struct task *child) {
    TELL(born, r, t, child);
}

void hooks_forked(struct recorder *r, struct task *t, struct task *child) {
    TELL(forked, r, t, child);
}

void hooks_exec(struct recorder *r, struct task *t) {
    TELL(exec, r, t);
}

bool hooks_end_waits(struct recorder *r, struct task *t, int status) {
    ASK(ends, r, t, status);
}

void hooks_ended(struct recorder *r, struct task *t, int status) {
    TELL(ended, r, t, status);
}

void hooks_end(struct recorder *r) {
    TELL(end, r);
}

void hooks_mapped(struct recorder *r, struct task *t, const struct module_facts *facts,
                  const struct piece_map *map, const struct mapped_file *file) {
    TELL(mapped, r, t, facts, map, file);
}

enum break_wish hooks_at_breakpoint(struct recorder *r, struct task *t, const struct breakpoint *b,
                                    const struct user_regs_struct *regs) {
    ASK(at_breakpoint, r, t, b, regs);
}

void hooks_landed(struct recorder *r, struct task *t, const struct breakpoint *b) {
    TELL(landed, r, t, b);
}

bool hooks_lock_is_lost(const struct recorder *r, const struct task *t) {
    ASK(lock_is_lost, r, t);
}

bool hooks_release(struct recorder *r) {
    ASK(release, r);
}
