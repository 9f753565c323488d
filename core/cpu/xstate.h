// The extended registers of a task in a form that does not depend on the CPU: what an XSTATE piece holds. NT_X86_XSTATE, the
// form of ptrace, has each component where CPUID 0xd of that CPU says (opmask is at 1088 on Intel, at 832 on AMD), and is as
// long as all that the CPU has: 11,008 bytes with AMX, 832 with AVX alone.
//
//   512 bytes  as FXSAVE stores them (x87, MXCSR, XMM), 464 to 511 zero
//   then each component that is not all zeros, in the order of their numbers: u32 number, u32 size, its bytes
//
// A component that is all zeros is in its initial state (Intel SDM vol. 1, 13.6). Sizes are the same on all CPUs.
#ifndef REFORK_CORE_CPU_XSTATE_H
#define REFORK_CORE_CPU_XSTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { XSTATE_COMPONENTS = 64 };

// Where NT_X86_XSTATE of a CPU has its components; size 0: it has no such component.
struct xstate_layout {
    struct {
        uint32_t offset, size;
    } component[XSTATE_COMPONENTS];
};

void xstate_layout_here(struct xstate_layout *out);

// Bytes that a packed state takes at most, of so many bytes of NT_X86_XSTATE.
size_t xstate_packed_most(size_t size);
// Packs `size` bytes of NT_X86_XSTATE into `out`. Returns the bytes used; 0: `size` is too short.
size_t xstate_pack(const struct xstate_layout *layout, const uint8_t *xstate, size_t size, uint8_t *out);
// Is it the packed form?
bool xstate_packed_good(const void *packed, size_t len);
// Makes `size` bytes of NT_X86_XSTATE of the good packed form. Returns the components (bit n: component n) that have no place
// in this layout; PKRU is never among them, since a recorded program has no protection keys.
uint64_t xstate_unpack(const struct xstate_layout *layout, const void *packed, size_t len, uint8_t *xstate,
                       size_t size);

#endif
