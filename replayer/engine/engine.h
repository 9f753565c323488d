// Inside the replay engine: address spaces (one kernel task each) and virtual tasks (register files).
#ifndef REFORK_REPLAYER_ENGINE_ENGINE_H
#define REFORK_REPLAYER_ENGINE_ENGINE_H

#include "core/annex.h"
#include "core/code.h"
#include "core/fdtable.h"
#include "core/syscalls.h"
#include "core/tracee.h"
#include "replayer/engine/breakpoints.h"
#include "replayer/engine/replay.h"

struct vtask;

// A MAP_SHARED object: a file or anonymous memory that several spaces may map.
struct shared_object {
    uint64_t identity;
    int fd; // memfd
    uint64_t size, blob;
};

struct space_map {
    struct view_map v;
    int flags;
    uint64_t identity; // of the shared object, 0: private
    bool announced;    // to the client of the breakpoints
};

struct space {
    int refs; // virtual tasks
    uint32_t id;
    pid_t pid; // the kernel task
    int mem_fd;
    struct vtask *loaded; // whose extended registers the kernel task holds
    struct space_map *maps;
    size_t map_count, map_room;
    uint64_t brk; // 0: unknown yet
    uint64_t stack_limit;
    bool watched;           // debug registers are set
    struct planted *breaks; // breaks.c: sorted by address
    size_t break_count, break_room;
    uint64_t breaks_of;      // whose they are: a generation
    bool breaks_muted;       // some of them
    bool maps_changed;       // since they were announced
    struct loop_site *sites; // where loops may have counting stubs
    size_t site_count;
};

struct vtask {
    struct replay_task pub;
    struct space *space; // NULL: dead
    struct fdtable *fds;
    int comm_fd, comm_tid; // an open /proc/self/task/TID/comm; comm_tid 0: none
    bool at_entry;         // the kernel task would be at the syscall's entry with these registers
    int64_t restart;       // result of the last EXIT when it was one of the kernel's restart codes, else 0
    size_t xstate_size;
    unsigned char *xstate;
};

struct watch {
    uint64_t address;
    int len;
    uint32_t space; // id
    uint64_t value;
    watch_callback hit;
    void *context;
    bool all; // writes that change nothing as well
};

struct breaks {
    bool on;
    struct break_client client;
    uint64_t generation; // of clients
    struct break_counts counts;
    struct code_page *page; // while a mapping is announced
    struct planted *fresh;
    size_t fresh_count, fresh_room;
};

struct replay {
    struct trace_reader *trace;
    struct replay_options options;
    uint64_t position;
    struct event event;
    bool have_event;
    pid_t template_pid; // an empty address space to fork new ones from
    struct space **spaces;
    size_t space_count;
    struct vtask **tasks;
    size_t task_count;
    struct shared_object *objects;
    size_t object_count;
    uint32_t space_ids;
    struct watch watch;
    struct breaks breaks;
    char **names; // interned
    size_t name_count;
    struct blob_map {
        const void *data;
        size_t size;
    } * blobs; // by blob id
    size_t blob_count;
    struct view_map *view_maps; // of the last replay_view
    struct rf_error *error;     // of the step that is under way
};

// ---- stub.c: kernel tasks
int stub_template(struct replay *r, struct rf_error *err);
// A kernel task with an empty address space / with a copy of `from`.
pid_t stub_new(struct replay *r, struct rf_error *err);
pid_t stub_fork(pid_t from, struct rf_error *err);
void stub_kill(pid_t pid);
// Runs one call in the kernel task from the replay page; its registers are whatever they are afterwards.
long stub_call(pid_t pid, long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);
// waitpid that survives EINTR; false when the task is gone. Sets *interrupted when the user asked to stop.
bool stub_wait(pid_t pid, int *status);

// ---- space.c: address spaces and their maps
struct space *space_new(struct replay *r, struct rf_error *err);
struct space *space_fork(struct replay *r, struct space *from, struct rf_error *err);
void space_unref(struct replay *r, struct space *s);
int space_map(struct replay *r, struct space *s, const struct piece *map, const struct piece *share,
              bool exec_image, struct rf_error *err);
int space_mmap_anonymous(struct replay *r, struct space *s, uint64_t address, uint64_t length, int prot,
                         int flags, struct rf_error *err);
// Executes the like of a POLICY_MEMORY call that succeeded in the recording with `ret`.
int space_syscall(struct replay *r, struct space *s, const struct event *e, const uint64_t args[6],
                  struct rf_error *err);
int space_write_file(struct replay *r, const struct piece *p, struct rf_error *err);
void space_note_unmap(struct space *s, uint64_t start, uint64_t end);
const char *replay_intern(struct replay *r, const void *text, size_t len);
int remap_shared(struct replay *r, struct space *s, struct rf_error *err);

// ---- step.c
int step_event(struct replay *r, const struct event *e, struct rf_error *err);
struct vtask *vtask_find(const struct replay *r, int tid); // the live one, else the last dead one
void vtask_load(struct vtask *v);
void vtask_unload(struct space *s); // saves the extended registers of the loaded one
void vtask_free(struct vtask *v);
// Resumes v (PTRACE_SYSEMU) to its next stop; watch hits on the way are reported and passed. v->pub.regs is
// current afterwards.
int vtask_run(struct replay *r, struct vtask *v, int *status, struct rf_error *err);
// Its next stop, whatever it is, after one instruction or more.
int vtask_resume(struct replay *r, struct vtask *v, bool one, int *status, struct rf_error *err);

// One instruction of v.
int vtask_single_step(struct replay *r, struct vtask *v, struct rf_error *err);

// ---- check.c
int diverged(struct replay *r, const struct event *e, struct vtask *v, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int check_regs(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err);
void divergence_regs(char *out, size_t size, const struct user_regs_struct *want,
                     const struct user_regs_struct *have);
void describe_status(char *out, size_t size, int status);

// ---- state.c: finding the place of a STATE event
int state_search(struct replay *r, struct vtask *v, const struct event *e, struct rf_error *err);

// ---- breaks.c
// Memory of the program as it sees it itself, without breakpoints; writes keep them where the instruction stays
// the same. Like tracee_read, tracee_write, tracee_poke otherwise.
bool space_read(const struct space *s, uint64_t address, void *buffer, size_t len);
bool space_write(struct space *s, uint64_t address, const void *bytes, size_t len);
bool space_poke(struct space *s, uint64_t address, const void *bytes, size_t len);
void breaks_copy(struct space *to, const struct space *from);
void breaks_free(struct space *s);
// [start, end) is mapped anew, or not at all any more.
void breaks_unmapped(struct space *s, uint64_t start, uint64_t end);
// [start, end) shall have none, before or after a change of its protection.
void breaks_take_out(struct replay *r, struct space *s, uint64_t start, uint64_t end);
// All spaces are others now; a step is over.
void breaks_restored(struct replay *r);
void breaks_stepped(struct replay *r);
// Is there one in memory at `address`, or (lifted) one that the search under way keeps out?
bool breaks_at(const struct space *s, uint64_t address, bool lifted);
// v is about to execute the instruction at its rip, where one is: tells the client and gets behind it. 1 done, 0 it
// stopped in another way (*status), -1.
int breaks_hit(struct replay *r, struct vtask *v, int *status, struct rf_error *err);
// A loop's site that a PATCH event may follow; that event.
void breaks_site(struct space *s, const struct loop_site *site);
void breaks_patched(struct space *s);
// A search patches [address, address + len), with (site not NULL) a comparing stub whose displaced instructions begin
// at offset `displaced`: takes breakpoints out there and puts them into the stub, which is in memory already.
void breaks_search(struct space *s, const struct loop_site *site, uint64_t address, size_t len,
                   size_t displaced);
void breaks_search_again(struct space *s, const struct loop_site *site); // the stub was written anew
void breaks_searched(struct space *s, const struct loop_site *site, uint64_t address, size_t len);

// ---- replay.c
// The content of a blob, mapped and kept; NULL: unreadable.
const void *replay_blob(struct replay *r, uint64_t id, size_t *size);

// ---- watch.c
void watch_arm(struct replay *r, struct space *s);
void watch_hit_now(struct replay *r, struct vtask *v);
void watch_kernel_write(struct replay *r, struct vtask *v, uint64_t address, size_t len);
void watch_forked(struct replay *r, struct space *from, struct space *to);

#endif
