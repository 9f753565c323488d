// What the search for tasks that wait for ever keeps with a recording (recorder.waits).
#ifndef REFORK_RECORDER_WAITS_STATE_H
#define REFORK_RECORDER_WAITS_STATE_H

#include "recorder/state.h"

struct made_file;
struct second_look;
struct word_owners;

struct waits {
    // stuck.c
    uint64_t stuck_since_us;  // somebody has been stuck since then, and it has not been said yet; 0: nobody
    uint64_t stuck_served_us; // the same as served_us() has it
    unsigned rounds;          // of the loop since then
    unsigned looks;           // in vain, since it was due
    unsigned idle_looks;      // since somebody ran
    struct go_program {       // is the program of this address space made by the Go compiler?
        uint32_t mm;
        bool yes;
    } * go;
    size_t go_count;
    const struct task
        *woke; // has woken another of its memory, and nobody else has begun a call since; NULL: none

    struct second_look *second_look; // NULL: none yet
    struct word_owners *word_owners; // NULL: none yet

    // file_waits.c
    struct made_file *made; // pipes, sockets, ... that the recording made
    size_t made_count;
    bool fds_passed;      // over a socket: who holds which pipe cannot be told any more
    bool socket_timeouts; // some socket gives up by itself

    // shared_memory.c
    struct named_memory { // memory with a name in the file system that was looked at last
        uint64_t inode;
        dev_t device;
        uint64_t looked_us;
        bool strangers; // a process outside of the recording has mapped it
    } named_memory;

    // wait_loop.c, spin_loop.c
    uint64_t epoch;     // slices of tasks that are in no known loop (of one space: mm.epoch)
    uint64_t looked_us; // spent on single steps through loops with syscalls
    uint64_t spun_us;   // ... without
};

#endif
