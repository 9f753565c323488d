#include "replayer/verdict/history.h"

#include "core/abi.h"
#include "core/array.h"
#include "core/futex.h"
#include "core/calls/syscalls.h"

#include "replayer/verdict/examine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { REPORT_EVERY = 4096, FACTS_MAX = 8192, LOCKS_KEPT = 8, KILLED_MAX = 8 };

static size_t add_space(struct history *h, struct space_life s) {
    s.last = s.begin;
    array_push(h->spaces, h->space_count, s);
    return h->space_count - 1;
}

static size_t add_life(struct history *h, struct life l) {
    array_push(h->lives, h->life_count, l);
    return h->life_count - 1;
}

static void add_ending(struct history *h, struct ending e) {
    array_push(h->endings, h->ending_count, e);
}

bool life_at(const struct life *l, uint64_t event) {
    return l->birth <= event && (!l->death || l->death > event);
}

size_t history_life(const struct history *h, int tid, uint64_t event) {
    for (size_t i = h->life_count; i-- > 0;)
        if (h->lives[i].tid == tid && life_at(&h->lives[i], event)) return i;
    return NONE;
}

int history_task_in(const struct history *h, size_t space, uint64_t event) {
    for (size_t i = 0; i < h->life_count; i++)
        if (h->lives[i].space == space && life_at(&h->lives[i], event)) return h->lives[i].tid;
    return 0;
}

bool history_shared(const struct history *h, size_t space, uint64_t address, uint64_t event) {
    while (space != NONE) {
        for (size_t i = 0; i < h->shared_count; i++) {
            const struct shared_range *s = &h->shared[i];
            if (s->space == space && address >= s->start && address < s->end && s->from <= event &&
                (!s->to || s->to > event))
                return true;
        }
        event = h->spaces[space].begin;
        space = h->spaces[space].parent;
    }
    return false;
}

static bool is_alive(const struct history *h, int pid) {
    for (size_t i = 0; i < h->life_count; i++)
        if (h->lives[i].pid == pid && !h->lives[i].death) return true;
    return false;
}

bool history_asked_for(const struct history *h, size_t life) {
    const struct life *l = &h->lives[life];
    uint64_t born = h->spaces[l->space].begin;
    bool asked = false;
    for (size_t i = 0; i < h->asked_count && !asked; i++) {
        const struct child_asked *q = &h->asked[i];
        asked = q->pid == l->parent_pid &&
                (q->child ? q->child == l->pid && q->event > born : q->event > born || q->ahead);
    }
    for (size_t i = 0; i < h->action_count && !asked; i++)
        asked = h->actions[i].pid == l->parent_pid && h->actions[i].signal == SIGCHLD;
    return asked && is_alive(h, l->parent_pid);
}

// ---- events

static void append_text(char *out, size_t size, const struct piece *p) {
    size_t used = strlen(out);
    if (used && used + 1 < size) out[used++] = ' ';
    size_t n = p->len < size - used - 1 ? p->len : size - used - 1;
    if (n) memcpy(out + used, p->data, n);
    out[used + n] = 0;
}

static void texts(const struct event *e, uint64_t kind, char *out, size_t size) {
    size_t from = 0;
    for (const struct piece *p; (p = event_piece(e, PIECE_TEXT, &from));)
        if (p->text.kind == kind) append_text(out, size, p);
}

static void on_exec(struct history *h, const struct event *e) {
    int former = e->aux ? (int)e->aux : e->tid;
    size_t old = history_life(h, former, e->number);
    struct life l = {.tid = e->tid, .pid = e->tid, .birth = e->number, .inside = e->tid};
    for (size_t i = 0; i < h->life_count; i++) // of the leader, whose TIDs a thread takes over
        if (h->lives[i].tid == e->tid) l.inside = h->lives[i].inside;
    if (old != NONE) {
        add_ending(h, (struct ending){e->number, h->lives[old].pid, ENDED_EXEC, 0});
        l.pid = h->lives[old].pid;
        l.parent_pid = h->lives[old].parent_pid;
        for (size_t i = 0; i < h->life_count; i++)
            if (h->lives[i].pid == l.pid && !h->lives[i].death) h->lives[i].death = e->number;
    }
    l.space = add_space(h, (struct space_life){.pid = l.pid, .begin = e->number, .parent = NONE});
    add_life(h, l);
    if (h->program[0]) return;
    texts(e, TEXT_ARG, h->program, sizeof h->program);
    if (!h->program[0]) texts(e, TEXT_PATH, h->program, sizeof h->program);
}

static void on_birth(struct history *h, const struct event *e, size_t parent) {
    if (parent == NONE) return;
    const struct piece *inside = event_piece(e, PIECE_INSIDE, NULL);
    struct life l = {.tid = (int)e->ret, .pid = (int)e->aux, .birth = e->number};
    l.inside = inside ? (int)inside->inside.tid : l.tid;
    l.parent_pid = e->flags & EVF_THREAD ? h->lives[parent].parent_pid : h->lives[parent].pid;
    l.space = h->lives[parent].space;
    if (!(e->flags & EVF_VM))
        l.space = add_space(
            h, (struct space_life){.pid = l.pid, .begin = e->number, .parent = l.space, .forker = e->tid});
    add_life(h, l);
}

static void on_map_change(struct history *h, const struct event *e, const struct life *l) {
    uint64_t start = e->nr == SYS_mmap ? (uint64_t)e->ret : l->args[0], end = start + l->args[1];
    for (size_t i = 0; i < h->shared_count; i++) {
        struct shared_range *s = &h->shared[i];
        if (s->space == l->space && !s->to && start < s->end && end > s->start) s->to = e->number;
    }
    if (e->nr != SYS_mmap || !event_piece(e, PIECE_SHARE, NULL)) return;
    array_push(h->shared, h->shared_count,
               (struct shared_range){.space = l->space, .start = start, .end = end, .from = e->number});
}

static void add_fact(struct history *h, struct fd_fact f) {
    if (h->fd_count == FACTS_MAX) return;
    array_push(h->fds, h->fd_count, f);
}

static void on_pair(struct history *h, const struct event *e, const struct life *l) {
    const struct piece *p = event_piece(e, PIECE_MEM, NULL);
    int fds[2];
    if (!p || p->len < sizeof fds) return;
    memcpy(fds, p->data, sizeof fds);
    add_fact(h, (struct fd_fact){FD_MADE, e->number, l->pid, fds[1], 0, 0});
    if (e->nr == SYS_socketpair) add_fact(h, (struct fd_fact){FD_MADE, e->number, l->pid, fds[0], 0, 0});
}

// The kernel's restart codes, include/linux/errno.h: the call goes on waiting.
static bool restarts(int64_t ret) {
    return ret <= -512 && ret >= -516;
}

// The fd that bytes go to or come from; -1: of another call.
static int fd_of_bytes(int32_t nr, const uint64_t args[6]) {
    if (syscall_effect(nr) == EFFECT_WRITE || syscall_effect(nr) == EFFECT_COPY)
        return (int)syscall_effect_on(nr, args);
    return syscall_wait(nr) == WAITS_FD || nr == SYS_shutdown ? (int)args[0] : -1;
}

static void on_use(struct history *h, const struct event *e, const struct life *l, int fd) {
    for (size_t i = h->fd_count; i-- > 0;) { // one is enough; only of numbers that are such an end's
        const struct fd_fact *f = &h->fds[i];
        if (f->fd != fd || f->fact == FD_LOCKED) continue;
        if (f->fact == FD_USED && f->pid == l->pid) return;
        if (f->fact == FD_MADE) {
            add_fact(h, (struct fd_fact){FD_USED, e->number, l->pid, fd, 0, 0});
            return;
        }
    }
}

static bool takes_lock(const struct event *e, const struct life *l) {
    int command = (int)l->args[1];
    if (e->nr == SYS_flock) return command & (LOCK_SH | LOCK_EX);
    return e->nr == SYS_fcntl &&
           (command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW);
}

// The last ones of each fd: between them may be unlocks.
static void on_lock(struct history *h, const struct event *e, const struct life *l) {
    uint64_t request = e->nr == SYS_fcntl ? l->args[2] : 0;
    const struct fd_fact now = {FD_LOCKED, e->number, l->pid, (int)l->args[0], l->tid, request};
    size_t same = 0, first = 0;
    for (size_t i = h->fd_count; i-- > 0;) {
        const struct fd_fact *f = &h->fds[i];
        if (f->fact != FD_LOCKED || f->pid != now.pid || f->fd != now.fd) continue;
        same++;
        first = i;
    }
    if (same >= LOCKS_KEPT) {
        memmove(&h->fds[first], &h->fds[first + 1], (h->fd_count - first - 1) * sizeof *h->fds);
        h->fds[h->fd_count - 1] = now;
        return;
    }
    add_fact(h, now);
}

static void on_fds(struct history *h, const struct event *e, const struct life *l) {
    int fd = fd_of_bytes(e->nr, l->args);
    if (syscall_effect(e->nr) == EFFECT_NEW_PAIR) on_pair(h, e, l);
    if (fd >= 0) on_use(h, e, l, fd);
    if (takes_lock(e, l)) on_lock(h, e, l);
}

// Its calls return again and again, and it is stuck all the same.
static bool waits_in_turns(enum wait_kind kind) {
    return kind == WAIT_TIMED || kind == WAIT_YIELD || kind == WAIT_SPIN;
}

static const struct kill_call {
    int nr, signal; // which argument says the signal
} kill_calls[] = {{SYS_kill, 1},
                  {SYS_tkill, 1},
                  {SYS_tgkill, 2},
                  {SYS_rt_sigqueueinfo, 1},
                  {SYS_rt_tgsigqueueinfo, 2},
                  {SYS_pidfd_send_signal, 1}};

static const struct kill_call *kill_call(const struct event *e) {
    for (size_t i = 0; i < sizeof kill_calls / sizeof *kill_calls; i++)
        if (e->nr == kill_calls[i].nr) return &kill_calls[i];
    return NULL;
}

static bool kills_another(const struct event *e, const struct life *l) {
    return kill_call(e) && (int)l->args[0] != l->pid;
}

// (Of a pidfd it is not known whose it is: as of a group, the first that dies of it is meant.)
static void on_sent(struct history *h, const struct event *e, const struct life *l) {
    const struct kill_call *call = kill_call(e);
    int signal = call ? (int)l->args[call->signal] : 0;
    if (!signal || h->sent_count == FACTS_MAX) return;
    int target = e->nr == SYS_pidfd_send_signal ? 0 : (int)l->args[0];
    array_push(h->sent, h->sent_count, (struct sent_signal){e->number, l->tid, target, signal});
}

static void on_action(struct history *h, const struct event *e, const struct life *l) {
    if (!l->args[1] || h->action_count == FACTS_MAX) return;
    array_push(h->actions, h->action_count,
               (struct action){e->number, l->tid, l->pid, (int)l->args[0], l->args[1]});
}

static void on_return(struct history *h, const struct event *e, size_t life) {
    if (e->kind == EV_EXIT && !restarts(e->ret)) {
        h->lives[life].in_call = false;
        size_t kept = 0;
        for (size_t i = 0; i < h->stuck_count; i++) {
            struct stuck s = h->stuck[i];
            bool own = s.life == life && !waits_in_turns(s.wait) && !s.interrupted && !s.killed;
            if (own && s.guessed && e->ret == -EINTR) own = !(s.interrupted = true);
            if (!own) h->stuck[kept++] = s;
        }
        h->stuck_count = kept;
    }
    bool failed = e->ret < 0 && e->ret > -4096;
    if (!failed && e->nr == SYS_rt_sigaction) on_action(h, e, &h->lives[life]);
    h->kills |= kills_another(e, &h->lives[life]);
    if (!failed) on_sent(h, e, &h->lives[life]);
    h->lives[life].timers |= e->nr == SYS_alarm || e->nr == SYS_setitimer || e->nr == SYS_timer_settime;
    if (!failed) on_fds(h, e, &h->lives[life]);
    if (!failed && (e->nr == SYS_mmap || e->nr == SYS_munmap)) on_map_change(h, e, &h->lives[life]);
}

static void add_stuck(struct history *h, struct stuck s) {
    array_push(h->stuck, h->stuck_count, s);
}

bool stuck_on_file(const struct stuck *s) {
    return s->wait >= WAIT_PIPE_READ && s->wait <= WAIT_SYSV;
}

static void on_stuck(struct history *h, const struct event *e, size_t life) {
    struct stuck s = {.event = e->number, .life = life, .proved = e->flags & EVF_PROVED, .main = e->aux == 1};
    size_t from = 0;
    const struct piece *wait = event_piece(e, PIECE_WAIT, NULL);
    s.wait = wait ? (enum wait_kind)wait->wait.kind : WAIT_OUTSIDE;
    s.object = wait ? wait->wait.object : 0;
    for (const struct piece *p; (p = event_piece(e, PIECE_PEER, &from)) && s.end_count < STUCK_ENDS;)
        s.ends[s.end_count++] = (struct fd_end){(int)p->peer.pid, (int)p->peer.fd};
    from = 0;
    for (const struct piece *p; (p = event_piece(e, PIECE_WORD, &from)) && s.word_count < STUCK_WORDS;)
        s.words[s.word_count++] =
            (struct polled_word){p->word.address, p->word.value, (unsigned)p->word.size, p->word.atomic == 1};
    add_stuck(h, s);
}

// ---- a wait that was ended before its recorder could say

static bool waits_without_end(const struct life *l) {
    return l->in_call && l->nr == SYS_futex && futex_waits_endlessly(l->args);
}

// Somebody lives in the space, and everybody there waits so.
static bool all_wait(const struct history *h, size_t space) {
    bool any = false;
    for (size_t i = 0; i < h->life_count; i++) {
        if (h->lives[i].space != space || h->lives[i].death) continue;
        if (!waits_without_end(&h->lives[i])) return false;
        any = true;
    }
    return any;
}

static void guess_stuck(struct history *h, uint64_t event) {
    for (size_t i = 0; i < h->life_count; i++) {
        const struct life *l = &h->lives[i];
        if (l->death || h->spaces[l->space].parent == NONE || !all_wait(h, l->space)) continue;
        add_stuck(h, (struct stuck){.event = event, .life = i, .guessed = true, .wait = WAIT_FUTEX});
    }
}

static bool known_pid(const struct history *h, int pid) {
    for (size_t i = 0; i < h->life_count; i++)
        if (h->lives[i].pid == pid) return true;
    return false;
}

// ---- a process that others end while it waits

// Did a fork leave threads behind, on the way to this space?
static bool is_without_threads(const struct history *h, size_t space) {
    for (; h->spaces[space].parent != NONE; space = h->spaces[space].parent)
        for (size_t i = 0; i < h->life_count; i++)
            if (h->lives[i].space == h->spaces[space].parent && h->lives[i].tid != h->spaces[space].forker &&
                life_at(&h->lives[i], h->spaces[space].begin))
                return true;
    return false;
}

// The kill of one like it: another child of the same process, that waited for the same word.
static struct stuck *like(struct history *h, const struct life *l) {
    for (size_t i = 0; i < h->stuck_count; i++) {
        const struct life *o = &h->lives[h->stuck[i].life];
        bool siblings = h->spaces[o->space].parent == h->spaces[l->space].parent && o->space != l->space;
        if (h->stuck[i].killed && siblings && o->args[0] == l->args[0]) return &h->stuck[i];
    }
    return NULL;
}

static void add_killed(struct history *h, size_t life, uint64_t event, int signal, bool beside) {
    const struct life *l = &h->lives[life];
    add_stuck(h, (struct stuck){.event = event - 1,
                                .life = life,
                                .killed = event,
                                .since = l->entered,
                                .killing = signal,
                                .proved = !beside,
                                .beside = beside,
                                .main = l->tid == l->pid,
                                .wait = WAIT_FUTEX});
}

// The task of the space that waits so, `life` itself if it does; NONE.
static size_t one_that_waits(const struct history *h, size_t life) {
    for (size_t i = life, n = 0; n <= h->life_count; i = n++)
        if (i < h->life_count && h->lives[i].space == h->lives[life].space && !h->lives[i].death &&
            waits_without_end(&h->lives[i]))
            return i;
    return NONE;
}

// `life` is about to be ended by `signal`. What its other threads do says later whether the wait was for ever.
static void guess_killed(struct history *h, const struct event *e, size_t life, int signal) {
    size_t killed = 0, space = h->lives[life].space, waits = one_that_waits(h, life);
    if (waits == NONE) return;
    for (size_t i = 0; i < h->stuck_count; i++) {
        if (h->stuck[i].killed && h->lives[h->stuck[i].life].space == space) return;
        killed += h->stuck[i].killed != 0;
    }
    if (h->spaces[space].parent == NONE || !is_without_threads(h, space)) return;
    struct stuck *other = like(h, &h->lives[waits]);
    if (other) other->like_it++;
    bool beside = !all_wait(h, space);
    for (size_t i = 0; !other && i < h->life_count && killed < KILLED_MAX; i++)
        if (h->lives[i].space == space && !h->lives[i].death && waits_without_end(&h->lives[i]))
            add_killed(h, i, e->number, signal, beside);
}

// Its handler has come back: it went on, whatever it waited for.
static void drop_killed(struct history *h, int pid) {
    size_t kept = 0;
    for (size_t i = 0; i < h->stuck_count; i++) {
        struct stuck s = h->stuck[i];
        if (!s.killed || s.over || (pid && h->lives[s.life].pid != pid)) h->stuck[kept++] = s;
    }
    h->stuck_count = kept;
}

// How people end what hangs. A parent that ends its idle child does not say that it hangs.
static bool asks_to_end(int signal) {
    return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
}

// From a task of the recording, or of the process's own timer.
static bool is_from_within(const struct history *h, const siginfo_t *info) {
    if (info->si_code == SI_TIMER) return true;
    if (info->si_code == SI_KERNEL) return info->si_signo == SIGALRM;
    return info->si_code <= 0 && known_pid(h, info->si_pid);
}

static bool stops(int signal) {
    return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

static void on_signal(struct history *h, const struct event *e, size_t life) {
    const struct piece *p = event_piece(e, PIECE_SIGINFO, NULL);
    siginfo_t info;
    if (p && p->len == sizeof info && !stops(e->nr)) {
        memcpy(&info, p->data, sizeof info);
        if (is_from_within(h, &info)) guess_killed(h, e, life, e->nr);
    }
    if (!p || p->len != sizeof info || !asks_to_end(e->nr) || h->ended_outside) return;
    memcpy(&info, p->data, sizeof info);
    if (info.si_code != SI_KERNEL && (info.si_code > 0 || known_pid(h, info.si_pid))) return;
    h->ended_outside = true;
    guess_stuck(h, e->number - 1);
}

// Without a handler there is no word of who sent it.
static void on_killed(struct history *h, const struct event *e) {
    int signal = (int)e->ret;
    if (!(e->flags & EVF_KILLED) || h->kills || h->ended_outside) return;
    if (!asks_to_end(signal) && signal != SIGKILL) return;
    h->ended_outside = true;
    guess_stuck(h, e->number - 1);
}

// The last one who sent it to the process, or to its group, or somewhere by a pidfd.
static bool was_sent(const struct history *h, int pid, int signal) {
    for (size_t i = 0; i < h->sent_count; i++)
        if (h->sent[i].signal == signal && (h->sent[i].target == pid || h->sent[i].target <= 0)) return true;
    return false;
}

static bool is_of_timers(int signal) {
    return signal == SIGALRM || signal == SIGVTALRM || signal == SIGPROF;
}

static void on_death(struct history *h, const struct event *e, size_t life) {
    struct life *l = &h->lives[life];
    on_killed(h, e);
    // What ends a process without a handler is no event of its own.
    bool within = was_sent(h, l->pid, (int)e->ret) || (is_of_timers((int)e->ret) && l->timers);
    // The first of its tasks to go decides: behind it the others are alone.
    if (e->flags & EVF_KILLED && within && !h->spaces[l->space].killed) guess_killed(h, e, life, (int)e->ret);
    h->spaces[l->space].killed |= e->flags & EVF_KILLED;
    for (size_t i = 0; e->flags & EVF_LAST && i < h->stuck_count; i++)
        if (h->stuck[i].killed && h->lives[h->stuck[i].life].space == l->space) h->stuck[i].over = true;
    l->death = e->number;
    if (e->flags & EVF_LAST)
        add_ending(h, (struct ending){e->number, l->pid, e->flags & EVF_KILLED ? ENDED_KILLED : ENDED_EXIT,
                                      (int)e->ret});
    if (!(e->flags & EVF_KILLED) || !(e->flags & EVF_LAST)) return;
    // The signal may have come to another thread of the process.
    size_t by = life;
    for (size_t i = 0; i < h->life_count; i++)
        if (h->lives[i].space == l->space && h->lives[i].signal == (int)e->ret &&
            h->lives[i].signal_event > h->lives[by].signal_event)
            by = i;
    uint64_t at = h->lives[by].signal_event ? h->lives[by].signal_event : e->number;
    array_push(h->crashes, h->crash_count, (struct crash){at, by, (int)e->ret});
}

static void on_refusal(struct history *h, const struct event *e) {
    enum { MOST = 64 };
    char text[600] = "", *copy;
    texts(e, TEXT_MESSAGE, text, sizeof text);
    if (!h->first_refused) h->first_refused = e->number;
    if (h->refused_count == MOST || !*text) return;
    rf_assert((copy = strdup(text)));
    array_push(h->refused, h->refused_count, copy);
}

static void on_end(struct history *h, const struct event *e) {
    const size_t size = sizeof h->end_reason;
    h->ended = true;
    const char *text = end_reason_text(e->nr);
    h->cut_short = e->nr == END_FROM_OUTSIDE || e->nr == END_TIME_OVER;
    if (e->nr == END_FAILED) {
        h->end_reason[0] = 0;
        texts(e, TEXT_MESSAGE, h->end_reason, size);
    } else if (e->nr != END_BY_ITSELF) {
        snprintf(h->end_reason, size, "%s", text);
    } else if (e->flags & EVF_KILLED) {
        const char *name = sigabbrev_np((int)e->ret);
        snprintf(h->end_reason, size, "%s, killed by signal %d (SIG%s)", text, (int)e->ret,
                 name ? name : "?");
    } else {
        snprintf(h->end_reason, size, "%s, status %d", text, (int)e->ret);
    }
}

// The life that goes on. Most events are of a task that was here a moment ago.
static size_t present_life(struct history *h, int tid) {
    size_t *recent = &h->recent[(unsigned)tid % (sizeof h->recent / sizeof *h->recent)];
    if (*recent < h->life_count && h->lives[*recent].tid == tid && !h->lives[*recent].death) return *recent;
    for (size_t i = h->life_count; i-- > 0;)
        if (h->lives[i].tid == tid && !h->lives[i].death) return *recent = i;
    return NONE;
}

static void on_asked(struct history *h, const struct event *e, const struct life *l) {
    bool waits = e->nr == SYS_wait4 || e->nr == SYS_waitid || e->nr == SYS_pidfd_open;
    bool signals = e->nr == SYS_signalfd || e->nr == SYS_signalfd4 || e->nr == SYS_rt_sigtimedwait;
    if (!waits && !signals) return;
    bool one = e->nr == SYS_waitid ? l->args[0] == P_PID : waits;
    int child = one ? (int)l->args[e->nr == SYS_waitid] : 0;
    if (child < 0) child = 0;
    for (size_t i = 0; i < h->asked_count; i++) {
        struct child_asked *q = &h->asked[i];
        if (q->pid != l->pid || q->child != child || q->ahead != signals) continue;
        q->event = e->number;
        return;
    }
    if (h->asked_count == FACTS_MAX) return;
    array_push(h->asked, h->asked_count, (struct child_asked){e->number, l->pid, child, signals});
}

// Registers behind the event are those of a handler's first instruction; without them the kernel ends the process.
static void on_handler(struct life *l, const struct event *e) {
    if (!event_piece(e, PIECE_REGS, NULL)) return;
    if (l->handler_count < HANDLERS) l->handlers[l->handler_count] = (struct handler_run){e->number, e->nr};
    l->handler_count++;
}

static void on_event(struct history *h, const struct event *e) {
    size_t life = present_life(h, e->tid);
    if (life != NONE && e->kind != EV_STUCK) h->spaces[h->lives[life].space].last = e->number;
    if (life != NONE && e->flags & EVF_REGS && (e->kind == EV_ENTER || e->kind == EV_SYSCALL)) {
        struct life *l = &h->lives[life];
        uint64_t args[6];
        abi_arguments(&e->regs, args);
        memcpy(l->args, args, sizeof args);
        l->nr = e->nr;
        // A call that nobody came between is one event, also when it was interrupted and goes on.
        l->in_call = e->kind == EV_ENTER || restarts(e->ret);
        on_asked(h, e, l);
        l->entered = e->number;
    }
    switch (e->kind) {
    case EV_EXEC:
        on_exec(h, e);
        break;
    case EV_BIRTH:
        on_birth(h, e, life);
        break;
    case EV_DEATH:
        if (life != NONE) on_death(h, e, life);
        break;
    case EV_SIGNAL:
        if (life == NONE) break;
        h->lives[life].signal = e->nr;
        h->lives[life].signal_event = e->number;
        on_handler(&h->lives[life], e);
        on_signal(h, e, life);
        break;
    case EV_EXIT:
    case EV_SYSCALL:
        if (life == NONE) break;
        if (e->nr == SYS_rt_sigreturn && h->lives[life].handler_count) h->lives[life].handler_count--;
        if (e->nr == SYS_rt_sigreturn) drop_killed(h, h->lives[life].pid);
        on_return(h, e, life);
        break;
    case EV_STUCK:
        if (life != NONE) on_stuck(h, e, life);
        break;
    case EV_NOTE:
        if (e->nr) on_refusal(h, e);
        break;
    case EV_END:
        on_end(h, e);
        break;
    }
}

int history_read(struct timeline *t, struct history *h, struct rf_error *err) {
    uint64_t last = timeline_last(t);
    struct event e;
    memset(h, 0, sizeof *h);
    h->last = last;
    h->cut_short = true;
    strcpy(h->end_reason, "in the middle: the recorder was killed, or the file was cut");
    for (uint64_t n = 1; n <= last; n++) {
        if (timeline_event(t, n, &e, err) < 0) return -1;
        on_event(h, &e);
        if (n % REPORT_EVERY == 0 && timeline_report(t, n, last, err) < 0) return -1;
    }
    drop_killed(h, 0);
    bool known = false, guessed = false;
    for (size_t i = 0; i < h->stuck_count; i++) {
        guessed |= h->stuck[i].guessed;
        known |= !h->stuck[i].guessed && !h->stuck[i].killed;
    }
    size_t kept = 0;
    for (size_t i = 0; known && i < h->stuck_count; i++)
        if (!h->stuck[i].guessed) h->stuck[kept++] = h->stuck[i];
    if (known) h->stuck_count = kept;
    if (!known && !guessed && h->cut_short) guess_stuck(h, last);
    return 0;
}

void history_assume(struct history *h, const int *tids, size_t count, bool alone) {
    h->stuck_count = h->crash_count = 0;
    for (size_t i = 0; i < count; i++) {
        size_t life = history_life(h, tids[i], h->last);
        if (life == NONE) continue;
        const struct life *l = &h->lives[life];
        bool futex = waits_without_end(l),
             child = alone && l->in_call && (l->nr == SYS_wait4 || l->nr == SYS_waitid);
        if (!futex && !child) continue;
        struct stuck s = {.event = h->last,
                          .life = life,
                          .proved = true,
                          .main = i == 0,
                          .asked = true,
                          .assumed = !alone,
                          .wait = futex ? WAIT_FUTEX : WAIT_CHILD};
        if (child) { // which one, 0: any of several
            bool one = l->nr == SYS_wait4 ? (int)l->args[0] > 0 : l->args[0] == P_PID;
            s.object = one ? l->args[l->nr == SYS_wait4 ? 0 : 1] : 0;
        }
        add_stuck(h, s);
    }
}

void history_release(struct history *h) {
    free(h->spaces);
    free(h->lives);
    free(h->stuck);
    free(h->crashes);
    free(h->endings);
    free(h->sent);
    free(h->asked);
    free(h->fds);
    free(h->actions);
    free(h->shared);
    for (size_t i = 0; i < h->refused_count; i++)
        free(h->refused[i]);
    free(h->refused);
    memset(h, 0, sizeof *h);
}
