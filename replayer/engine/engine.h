// The replay itself: what the files of this folder share. Outside of it only the tests look inside.
#ifndef REFORK_REPLAYER_ENGINE_ENGINE_H
#define REFORK_REPLAYER_ENGINE_ENGINE_H

#include "core/cpu/xstate.h"
#include "replayer/engine/blobs.h"
#include "replayer/engine/breakpoints.h"
#include "replayer/engine/replay.h"
#include "replayer/engine/space.h"
#include "replayer/engine/vtask.h"
#include "replayer/engine/watchpoint.h"

struct breaks {
    bool on;
    struct break_client client;
    uint64_t generation; // of clients
    struct break_counts counts;
    struct code_page *page; // while a mapping is announced
    struct planted *fresh;
    size_t fresh_count;
};

struct replay {
    struct trace_reader *trace;
    struct replay_options options;
    uint64_t position;
    uint64_t time_us; // of the last event that is no PATCH: what comes next began then at the earliest
    struct event event;
    bool have_event;
    void (*at_entry)(void *context, const struct event *e); // replay_watch_calls; NULL: nobody
    void *at_entry_context;
    struct event ahead; // has been read, and is executed next
    bool have_ahead;
    struct call_feed *feed;      // call_feed.c's own
    pid_t template_pid;          // an empty address space to fork new ones from
    struct xstate_layout xstate; // of this CPU
    bool cpuid_faults;           // of this CPU, asked when the recording's did
    bool tsc_traps;              // of this kernel and CPU
    bool foreign;                // this CPU is another one, which a divergence may come from
    struct space **spaces;
    size_t space_count;
    struct vtask **tasks;
    size_t task_count;
    struct shared_object *objects;
    size_t object_count;
    uint32_t space_ids;
    struct watch watch;
    struct breaks breaks;
    struct probe_ring *ring; // NULL: no probes
    char **names;            // interned
    size_t name_count;
    struct blob_map *blobs; // by blob id
    size_t blob_count;
    struct view_map *view_maps; // of the last replay_view
};

#endif
