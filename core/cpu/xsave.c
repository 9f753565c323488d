#include "core/cpu/xsave.h"

#include <cpuid.h>
#include <string.h>

enum {
    X87 = 1,
    SSE = 2,
    AVX = 4,
    LEGACY_END = 512,
    HEADER_END = 576,
    XCOMP_BV = LEGACY_END + 8,
    MXCSR = 24, // and its mask behind it
    ST = 32,
    XMM = 160,
    XMM_END = 416,
};
#define COMPACT (1ull << 63)

uint64_t xsave_xcr0(void) {
    uint32_t a, b, c, d;
    if (__get_cpuid_max(0, NULL) < 0xd) return 0;
    __cpuid(1, a, b, c, d);
    if (!(c & bit_OSXSAVE)) return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (uint64_t)d << 32 | a;
}

struct component {
    uint32_t size, standard; // offset in the standard format
    bool aligned;            // to 64 bytes in the compacted format
};

static struct component component(int i) {
    uint32_t size, standard, flags, d;
    __cpuid_count(0xd, (uint32_t)i, size, standard, flags, d);
    return (struct component){size, standard, flags >> 1 & 1};
}

// Calls visit for each component above SSE of `wanted`, with its place in an area of this format; returns the
// area's end.
static size_t walk(uint64_t wanted, bool compact,
                   void (*visit)(void *context, const struct component *c, size_t at), void *context) {
    size_t end = HEADER_END;
    for (int i = 2; i < 63; i++) {
        if (!(wanted >> i & 1)) continue;
        struct component c = component(i);
        size_t at = !compact ? c.standard : c.aligned ? (end + 63) & ~(size_t)63 : end;
        if (visit) visit(context, &c, at);
        if (at + c.size > end) end = at + c.size;
    }
    return end;
}

size_t xsave_area_size(uint64_t request, bool compact) {
    return walk(request & xsave_xcr0(), compact, NULL, NULL);
}

struct copy {
    const uint8_t *from;
    size_t from_size;
    uint8_t *to;
    bool short_of;
};

static void copy_component(void *context, const struct component *c, size_t at) {
    struct copy *copy = context;
    if (c->standard + c->size <= copy->from_size)
        memcpy(copy->to + at, copy->from + c->standard, c->size);
    else
        copy->short_of = true;
}

bool xsave_store(uint64_t request, bool compact, const uint8_t *xstate, size_t xstate_size, uint8_t *area) {
    uint64_t wanted = request & xsave_xcr0(), old, now;
    if (xstate_size < HEADER_END) return false;
    if (wanted & X87) {
        memcpy(area, xstate, MXCSR);
        memcpy(area + ST, xstate + ST, XMM - ST);
    }
    // MXCSR goes with AVX as well in the standard format, with SSE alone in the compacted one (SDM 13.7, 13.10).
    if (wanted & (compact ? SSE : SSE | AVX)) memcpy(area + MXCSR, xstate + MXCSR, ST - MXCSR);
    if (wanted & SSE) memcpy(area + XMM, xstate + XMM, XMM_END - XMM);
    memcpy(&old, area + LEGACY_END, sizeof old);
    now = compact ? wanted : old | wanted;
    memcpy(area + LEGACY_END, &now, sizeof now);
    now = wanted | COMPACT;
    if (compact) memcpy(area + XCOMP_BV, &now, sizeof now);
    struct copy copy = {xstate, xstate_size, area, false};
    walk(wanted, compact, copy_component, &copy);
    return !copy.short_of;
}
