// Address spaces: a kernel task each, and the list of what is mapped in it.
#ifndef REFORK_REPLAYER_ENGINE_SPACE_H
#define REFORK_REPLAYER_ENGINE_SPACE_H

#include "core/error.h"
#include "core/event.h"
#include "core/view.h"

#include <sys/types.h>

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

struct planted;
struct probe_ring;
struct island;
struct loop_site;
struct replay;
struct vtask;

enum { WATCH_PLACES = 3 }; // debug registers; the fourth one is tracee_stop_at's

struct space {
    int refs; // virtual tasks
    uint32_t id;
    pid_t pid; // the kernel task
    int mem_fd;
    struct vtask *loaded; // whose extended registers the kernel task holds
    struct space_map *maps;
    size_t map_count;
    uint64_t brk;   // 0: unknown yet
    bool heap_runs; // who calls brk has READ_IMPLIES_EXEC
    uint64_t stack_limit;
    // vtask_run ends before the instruction there, even if it is not written yet; 0: nowhere.
    uint64_t stop_at;
    bool stopped_at; // there, or at the end of a string instruction: the last stop
    bool watched;    // debug registers are set, or pages are to be protected (watch_pages):
    uint64_t watch_at[WATCH_PLACES];
    uint8_t watch_len[WATCH_PLACES], watch_reads; // bits: reads are watched, too
    int watch_count;
    bool watch_pages;
    uint8_t watch_fired; // bits: which words the last stop says were accessed (watch_pages)
    struct space_guard { // pages that are protected just now, and what they have otherwise
        int count;
        struct {
            uint64_t address;
            int prot;
        } pages[WATCH_PLACES];
    } guard;
    struct planted *breaks; // memory.h: sorted by address
    size_t break_count;
    uint64_t breaks_of;      // whose they are: a generation
    bool breaks_muted;       // some of them
    bool maps_changed;       // since they were announced
    struct loop_site *sites; // where loops may have counting stubs
    size_t site_count;
    struct probe_ring *ring; // islands.h; NULL: no probes
    struct island **islands;
    size_t island_count;
    bool ring_mapped;
    struct space_calls { // that the program can take from a list (call_feed.h)
        bool on;         // the code for it is there
        unsigned count;
        uint64_t sites[128]; // addresses behind `syscall` instructions that have a jump
    } calls;
    bool stubs_wanted; // islands had to go: those that wish for stubs get new ones
};

// An empty one / a copy of `from`. The caller counts the virtual tasks in it (refs).
struct space *space_new(struct replay *r, struct rf_error *err);
struct space *space_fork(struct replay *r, struct space *from, struct rf_error *err);
void space_unref(struct replay *r, struct space *s);
struct space *space_by_id(const struct replay *r, uint32_t id); // NULL: none
int space_map(struct replay *r, struct space *s, const struct piece *map, const struct piece *share,
              bool exec_image, struct rf_error *err);
// A PIECE_TASKMEM of pages of a file.
int space_file_pages(struct replay *r, struct space *s, const struct piece *p, struct rf_error *err);
// A PIECE_EXTENT: pages of a file's private mapping become zeros, or cannot be accessed any more.
int space_extent(struct replay *r, struct space *s, const struct piece *p, struct rf_error *err);
// The stack can grow down to `floor` from now on.
int space_stack_floor(struct replay *r, struct space *s, uint64_t floor, struct rf_error *err);
// Executes the like of a POLICY_MEMORY call that was made in the recording.
int space_syscall(struct replay *r, struct space *s, const struct event *e, const uint64_t args[6],
                  struct rf_error *err);
// Writes a PIECE_FILE into the shared objects that it is of.
int space_write_file(struct replay *r, const struct piece *p, struct rf_error *err);
// Bytes of the shared object; false: there is none, or it is shorter.
bool space_shared_read(const struct replay *r, uint64_t identity, uint64_t offset, void *buffer, size_t len);
// Maps the shared objects anew, after a checkpoint was restored with copies of them.
int space_remap_shared(struct replay *r, struct space *s, struct rf_error *err);

#endif
