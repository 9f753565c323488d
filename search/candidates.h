// From a healthy recording to the situations that may deadlock: which lock a forked child takes, and where a thread that
// the fork would leave behind takes the same one. Nothing is judged here: `refork hunt` lets each happen.
#ifndef REFORK_SEARCH_CANDIDATES_H
#define REFORK_SEARCH_CANDIDATES_H

#include "search/slept.h"
#include "replayer/timeline.h"

enum candidate_kind {
    CANDIDATE_SHARED, // the child takes the lock, and another thread of its parent does
    CANDIDATE_OTHERS, // another thread takes it; the child was not seen to
    CANDIDATE_CHILD,  // the child takes it; no other thread was seen to
    CANDIDATE_WORD,   // a word that both change with atomic instructions, and that may or may not be a lock
    CANDIDATE_KINDS
};
const char *candidate_kind_name(enum candidate_kind kind);

// A fork that makes an address space.
struct candidate_fork {
    uint64_t number; // the program's n-th, from 1
    uint64_t event;  // BIRTH
    uint64_t time_us;
    int forker, child;
    struct slept_call hold; // the last call before it in which the forking task may have slept
    size_t others;          // threads of the forker's process at that moment, without itself
    uint32_t site;          // forks called at the same place have the same
    char place[600];        // "spawn (prog+0x1234, main.c:12)"
};

// One fork at which a candidate may happen, the likeliest first.
struct candidate_fork_use {
    size_t fork;       // index
    bool taken;        // by that fork's child
    uint64_t after_us; // so long after the fork another thread took it; UINT64_MAX: not after it
    uint64_t child_us; // ... the child took it
};

struct candidate {
    enum candidate_kind kind;
    uint32_t fork_site;
    // where it is acquired: a file's name, link-time address of the instruction
    char module[256];
    uint64_t vaddr;
    char function[256]; // "" unknown
    char call[256];     // the instruction only begins to take it: it is taken when this function returns; ""
    // the lock
    char lock[256]; // name, "" unknown
    const char *family;
    uint64_t address;
    char word_module[256]; // "": word_offset is the address
    uint64_t word_offset;
    // why it is likely
    uint64_t hits;     // acquires there by other threads
    size_t takers;     // forks whose child takes it
    unsigned order;    // how many locks the child takes before it
    bool descendant;   // not the child takes it, but a process that the child forks
    bool forker_holds; // the forking thread holds it itself at the fork: a fork handler takes it
    int32_t held_over; // the first syscall, but futex, in which a thread may sleep that holds it; -1: none
    double score;
    struct candidate_fork_use *uses;
    size_t use_count;
};

struct candidates {
    struct candidate_fork *forks;
    size_t fork_count;
    struct candidate *v; // by descending score
    size_t count;
    size_t fork_sites, sites; // distinct places of forks; of acquires (with their locks)
    size_t tasks;             // of the recording
    bool dropped;             // there were more than fit
};

#define CANDIDATES_MAX 4096

// Re-executes the recording twice. 0, or -1 (also "interrupted"). Release it in either case.
int candidates_find(struct timeline *t, struct candidates *out, struct rf_error *err);
void candidates_release(struct candidates *c);

#endif
