// Where a `syscall` instruction of the program gets its jump to a stub, and the stub. Pure (bytes in, bytes out).
//
// The instruction that is replaced is one before the `syscall` that has five bytes or more, as `mov $nr,%eax`. It and
// what lies between run in the stub as well; the `syscall` itself and the code between stay, so that whoever jumps there
// finds what was there, and a call that is declined is made at its own place.
#ifndef REFORK_CORE_CALLS_CALL_SITE_H
#define REFORK_CORE_CALLS_CALL_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CALL_JUMP = 5, CALL_STUB_MAX = 256, CALL_PATCH_MAX = 15 };

struct call_site {
    uint64_t address; // of the instruction that is replaced
    uint8_t patch[CALL_PATCH_MAX];
    uint8_t patch_len;
    uint8_t stub[CALL_STUB_MAX];
    size_t stub_len;
};

// `code`: the bytes of the function from `start` up to and with the `syscall` at `syscall_address`. `stub_address` within
// 2 GiB. False: there is no such instruction.
bool call_site_build(const uint8_t *code, uint64_t start, uint64_t syscall_address, uint64_t stub_address,
                     struct call_site *out);

#endif
