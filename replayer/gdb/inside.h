// One gdb that is being served. Private to the files of this folder that answer it.
#ifndef REFORK_REPLAYER_GDB_INSIDE_H
#define REFORK_REPLAYER_GDB_INSIDE_H

#include "replayer/engine/scratch.h"
#include "replayer/gdb/packet.h"
#include "replayer/gdb/registers.h"
#include "replayer/gdb/server.h"
#include "replayer/gdb/stops.h"

struct session;

struct checkpoint_mark {
    int number;
    struct place place;
};

struct gdb {
    struct packets *packets;
    struct timeline *timeline;
    struct replay *replay;
    struct stops *stops;
    const char *path;
    struct stop stop; // where it stands
    int tid;          // Hg: of registers and memory
    bool resumed;     // gdb waits for the answer to a resume packet
    bool lldb;
    bool over_edge; // a step at the recording's end was told as made
    bool forks, vforks, execs;
    // The next resume packet does not move: gdb sends it by itself behind what it was told, and hears then that a vforked child has left
    // its parent's memory, or where it is.
    enum { MOVES, STAYS, VFORK_IS_DONE } next;
    struct command going; // the last one that gdb gave
    struct known_image {
        int pid;
        char *loaded; // its program and libraries as gdb read them last
    } * known;
    size_t known_count;
    // `monitor event N` says where; gdb moves only with a resume packet, so its next reverse-continue goes there.
    bool jump;
    struct command jump_to;
    // What gdb has written, or runs, by itself; NULL: nothing.
    struct scratch *scratch;
    // The machine's answers to monitor commands come from a replay of their own.
    struct session *session;
    struct checkpoint_mark *marks;
    size_t mark_count;
    struct open_blob { // vFile
        uint64_t blob; // MAPS: the text below
    } files[64];
    char *maps; // of /proc/PID, as it was when it was opened last
    size_t maps_size;
    struct rf_error error; // why the replay cannot go on
};

#endif
