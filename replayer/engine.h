// Inside the replay engine: address spaces (one kernel task each) and virtual tasks (register files).
#ifndef REFORK_REPLAYER_ENGINE_H
#define REFORK_REPLAYER_ENGINE_H

#include "core/annex.h"
#include "core/fdtable.h"
#include "core/syscalls.h"
#include "core/tracee.h"
#include "replayer/replay.h"

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
    bool watched; // debug registers are set
};

struct vtask {
    struct replay_task pub;
    struct space *space; // NULL: dead
    struct fdtable *fds;
    bool at_entry;   // the kernel task would be at the syscall's entry with these registers
    int64_t restart; // result of the last EXIT when it was one of the kernel's restart codes, else 0
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

// ---- watch.c
void watch_arm(struct replay *r, struct space *s);
void watch_hit_now(struct replay *r, struct vtask *v);
void watch_kernel_write(struct replay *r, struct vtask *v, uint64_t address, size_t len);
void watch_forked(struct replay *r, struct space *from, struct space *to);

#endif
