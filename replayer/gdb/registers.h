// Registers as gdb's remote protocol has them (registers.def).
#ifndef REFORK_REPLAYER_GDB_REGISTERS_H
#define REFORK_REPLAYER_GDB_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

// General registers and the XSAVE area (NT_X86_XSTATE, standard layout) of a task.
struct register_file {
    struct user_regs_struct user;
    uint8_t *xstate;
    size_t xstate_size;
};

enum { REGISTER_BYTES = 32 };

int registers_count(void);
// Register `number` into `out` as gdb wants it; its size in bytes. 0: no such register.
size_t registers_get(const struct register_file *f, int number, uint8_t out[REGISTER_BYTES]);
// The other way round. false: no such register, or it cannot be written.
bool registers_set(struct register_file *f, int number, const uint8_t *bytes, size_t len);
size_t registers_size(int number); // bytes; 0: no such register
// The target description (XML); static.
const char *registers_description(void);

#endif
