// How an argument of a system call, or a member of a struct, is to be written.
#ifndef REFORK_CORE_DECODE_FORM_H
#define REFORK_CORE_DECODE_FORM_H

#include "core/decode/sets.h"
#include "core/tracee.h"

#include <stdbool.h>
#include <stdint.h>

enum form_kind {
    FORM_NONE,
    // ---- numbers
    FORM_INT,      // signed, decimal
    FORM_UINT,     // unsigned, decimal
    FORM_HEX,      //
    FORM_OCT,      //
    FORM_PTR,      // NULL or hexadecimal
    FORM_FD,       // with the file's name, if it is known
    FORM_DIRFD,    // the same, or AT_FDCWD
    FORM_SIGNAL,   // SIGINT
    FORM_TYPE,     // st_mode: S_IFREG|0644
    FORM_DEVICE,   // makedev(8, 1)
    FORM_FLAGS,    // of a set
    FORM_ENUM,     // of a set
    FORM_REQUEST,  // of a multiplexed call (core/calls/syscall_requests.h)
    FORM_CLONE,    // CLONE_VM|SIGCHLD
    FORM_LIMIT,    // a resource limit: RLIM64_INFINITY, 8192*1024
    FORM_PORT,     // htons(80)
    FORM_PROTOCOL, // of a socket of the family in argument 0
    FORM_UNUSED,   // an argument that this call has and does not use
    // ---- what a struct holds by itself
    FORM_CHARS,  // text up to a NUL
    FORM_SIGSET, // [INT TERM]
    FORM_STRUCT, // another struct
    // ---- addresses of what the call reads (_IN), or has written when it returns (_OUT)
    FORM_PATH,        // text up to a NUL, whole
    FORM_STRING,      // the same, shortened
    FORM_STRINGS,     // argv
    FORM_ENVIRONMENT, // its address and the number of strings
    FORM_BYTES_IN,    // so many bytes as argument `arg` says
    FORM_BYTES_OUT,   // so many as the result says
    FORM_INT_IN,      // [5]
    FORM_INT_OUT,     //
    FORM_LONG_IN,     // the same, of 8 bytes
    FORM_LONG_OUT,    //
    FORM_PAIR_OUT,    // two descriptors
    FORM_STRUCT_IN,   //
    FORM_STRUCT_OUT,  //
    FORM_ARRAY_IN,    // of structs, argument `arg` says how many
    FORM_ARRAY_OUT,   // the result says how many
    FORM_IOVEC_IN,    // the bytes, argument `arg` says of how many parts
    FORM_IOVEC_OUT,   //
    FORM_ADDRESS_IN,  // a sockaddr, argument `arg` is its length
    FORM_ADDRESS_OUT, // argument `arg` is the address of its length
    FORM_LENGTH,      // the length that goes in and comes out: [16 => 2]
    FORM_MESSAGE_IN,  // a msghdr
    FORM_MESSAGE_OUT, //
    FORM_OPTION_IN,   // of a socket: argument `arg` is its length
    FORM_SIGSET_IN,   //
    FORM_SIGSET_OUT,  //
    FORM_STATUS_OUT,  // of a child
    FORM_FD_SET,      // argument 0 says of how many descriptors; what is ready follows the result
    FORM_POLL,        // argument `arg` says how many; what is ready follows the result
    FORM_ENTRIES_OUT, // of a directory
    FORM_STRING_OUT,  // text up to a NUL
    FORM_HEX_OUT,     // as FORM_BYTES_OUT, of bytes that are no text
    FORM_OPTION_OUT,  // of a socket: its length is the argument behind it
    FORM_PAIR_IN,     // two structs
    FORM_LEFT,        // a struct that is written when a signal ended the call
    FORM_CLONE_ALL,   // all arguments of clone
    FORM_TIMEOUT,     // a struct; what is left of it follows the result
    FORM_KINDS
};

struct form {
    uint8_t kind;  // enum form_kind
    uint8_t which; // enum decode_set, enum decode_struct
    uint8_t arg;   // another argument of the call; of a number that is an argument, its bytes
};

// Memory of the program as it was at a moment; read NULL: unknown, all of it.
struct decode_memory {
    tracee_reader read;
    void *context;
};

// One call of a task.
struct decode_call {
    long nr;
    uint64_t args[6];
    int64_t result;               // known when the call has returned
    struct decode_memory in, out; // at its entry, and behind it
    // The file that a descriptor leads to, into `name`; false: unknown. NULL: none is known.
    bool (*descriptor)(void *context, int fd, char *name, size_t size);
    void *descriptor_context;
    uint32_t length; // decode_entry: what FORM_LENGTH was at the entry
    bool has_length;
};

// As many bytes as can be read, up to `len`.
size_t decode_bytes(struct decode_memory memory, uint64_t address, void *buffer, size_t len);
bool decode_read(struct decode_memory memory, uint64_t address, void *buffer, size_t len);

#endif
