#include "core/cpu/xstate.h"

#include <cpuid.h>
#include <string.h>

enum { LEGACY = 512, SW_RESERVED = 464, HEADER_END = 576, X87_AND_SSE = 3, FIRST = 2, PKRU = 9 };

void xstate_layout_here(struct xstate_layout *out) {
    uint32_t c, d;
    memset(out, 0, sizeof *out);
    if (__get_cpuid_max(0, NULL) < 0xd) return;
    // Components of the kernel alone (XSS) have no place: their offset is 0.
    for (uint32_t i = FIRST; i < XSTATE_COMPONENTS - 1; i++)
        __cpuid_count(0xd, i, out->component[i].size, out->component[i].offset, c, d);
}

static bool fits(const struct xstate_layout *l, size_t i, size_t size) {
    uint32_t at = l->component[i].offset, len = l->component[i].size;
    return len && at >= HEADER_END && at <= size && len <= size - at;
}

static bool all_zero(const uint8_t *bytes, size_t len) {
    return !len || (!bytes[0] && !memcmp(bytes, bytes + 1, len - 1));
}

size_t xstate_packed_most(size_t size) {
    return LEGACY + size + XSTATE_COMPONENTS * 2 * sizeof(uint32_t);
}

size_t xstate_pack(const struct xstate_layout *layout, const uint8_t *xstate, size_t size, uint8_t *out) {
    if (size < LEGACY) return 0;
    memcpy(out, xstate, SW_RESERVED);
    memset(out + SW_RESERVED, 0, LEGACY - SW_RESERVED);
    size_t used = LEGACY;
    for (uint32_t i = FIRST; i < XSTATE_COMPONENTS; i++) {
        if (!fits(layout, i, size)) continue;
        const uint8_t *from = xstate + layout->component[i].offset;
        const uint32_t head[2] = {i, layout->component[i].size};
        if (all_zero(from, head[1])) continue;
        memcpy(out + used, head, sizeof head);
        memcpy(out + used + sizeof head, from, head[1]);
        used += sizeof head + head[1];
    }
    return used;
}

// The component at *at of the packed form, and *at behind it. NULL: there is no good one.
static const uint8_t *next_component(const uint8_t *packed, size_t len, size_t *at, uint32_t head[2]) {
    if (len - *at < 2 * sizeof *head) return NULL;
    memcpy(head, packed + *at, 2 * sizeof *head);
    size_t left = len - *at - 2 * sizeof *head;
    if (head[0] < FIRST || head[0] >= XSTATE_COMPONENTS || !head[1] || head[1] > left) return NULL;
    const uint8_t *bytes = packed + *at + 2 * sizeof *head;
    *at += 2 * sizeof *head + head[1];
    return bytes;
}

bool xstate_packed_good(const void *packed, size_t len) {
    uint32_t before = 0;
    if (len < LEGACY || !all_zero((const uint8_t *)packed + SW_RESERVED, LEGACY - SW_RESERVED)) return false;
    for (size_t at = LEGACY; at < len;) {
        uint32_t head[2];
        if (!next_component(packed, len, &at, head) || head[0] <= before) return false;
        before = head[0];
    }
    return true;
}

uint64_t xstate_unpack(const struct xstate_layout *layout, const void *packed, size_t len, uint8_t *xstate,
                       size_t size) {
    uint64_t components = X87_AND_SSE, lost = 0;
    if (size < LEGACY || len < LEGACY) return ~0ull;
    memset(xstate, 0, size);
    memcpy(xstate, packed, LEGACY);
    for (size_t at = LEGACY; at < len;) {
        uint32_t head[2];
        const uint8_t *bytes = next_component(packed, len, &at, head);
        if (!bytes) return ~0ull;
        if (fits(layout, head[0], size) && layout->component[head[0]].size == head[1]) {
            memcpy(xstate + layout->component[head[0]].offset, bytes, head[1]);
            components |= 1ull << head[0];
        } else if (head[0] != PKRU) {
            lost |= 1ull << head[0];
        }
    }
    if (size >= HEADER_END) memcpy(xstate + LEGACY, &components, sizeof components);
    return lost;
}
