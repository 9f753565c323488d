// Calls that are made in an arena of memory, each held against the ranges of its row: see test_syscall_ranges.c.
#ifndef REFORK_TESTS_UNIT_CHECKED_CALLS_H
#define REFORK_TESTS_UNIT_CHECKED_CALLS_H

#include "core/calls/syscall_ranges.h"
#include "core/calls/syscalls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#define ARENA_SIZE (256 * 1024)
#define CALLS_MAX  64
#define GAP        64
#define RUNS       4

static uint8_t *arena, *before;
static size_t arena_used;
static uint8_t pattern;
// Which bytes an OUT range claimed and the call left alone, in every run so far.
static uint8_t *kept[CALLS_MAX];
static bool tried[1024]; // which calls a scenario makes
static int call_index, run;
static unsigned long calls_made, bytes_checked;

// A buffer in the arena, still holding the pattern.
static void *room(size_t size) {
    arena_used = (arena_used + GAP + 15) & ~(size_t)15;
    assert_true(arena_used + size + GAP < ARENA_SIZE);
    void *p = arena + arena_used;
    memset(p, pattern, size);
    arena_used += size;
    return p;
}

static void *room_with(const void *data, size_t size) {
    return memcpy(room(size), data, size);
}

static bool read_self(void *context, uint64_t address, void *buffer, size_t len) {
    (void)context;
    struct iovec local = {buffer, len}, remote = {(void *)address, len};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len;
}

static int64_t raw(long nr, const uint64_t a[6]) {
    register uint64_t r10 __asm__("r10") = a[3];
    register uint64_t r8 __asm__("r8") = a[4];
    register uint64_t r9 __asm__("r9") = a[5];
    int64_t result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static bool within(const struct syscall_range *r, uint64_t address) {
    return address >= r->address && address - r->address < r->size;
}

static void describe(const char *what, long nr, const uint64_t args[6], int64_t result, size_t offset) {
    char text[256];
    syscall_format(nr, args, text, sizeof text);
    fail_msg("%s = %lld: %s (arena+%zu, %p)", text, (long long)result, what, offset,
             (void *)(arena + offset));
}

static int64_t call(long nr, const uint64_t args[6]) {
    struct syscall_range entry[SYSCALL_RANGES], out[SYSCALL_RANGES];
    int entries = syscall_ranges(nr, args, NULL, read_self, NULL, entry);
    assert_true(entries >= 0);
    tried[nr] = true;
    memcpy(before, arena, ARENA_SIZE);
    int64_t result = raw(nr, args);
    int n = syscall_ranges(nr, args, &result, read_self, NULL, out);
    assert_true(n >= 0);
    assert_true(call_index < CALLS_MAX);
    if (run == 0) assert_non_null(kept[call_index] = calloc(1, ARENA_SIZE));
    for (size_t i = 0; i < ARENA_SIZE; i++) {
        uint64_t address = (uint64_t)(uintptr_t)(arena + i);
        bool changed = arena[i] != before[i], claimed = false, must = false;
        for (int k = 0; k < n; k++) {
            if (out[k].dir == RANGE_IN || !within(&out[k], address)) continue;
            claimed = true;
            must |= out[k].dir == RANGE_OUT;
        }
        if (changed && !claimed) describe("a byte changed that no range claims", nr, args, result, i);
        bytes_checked += must;
        bool unwritten = must && !changed;
        kept[call_index][i] = unwritten && (run == 0 || kept[call_index][i]);
        if (run == RUNS - 1 && kept[call_index][i])
            describe("a byte claimed as OUT was not written", nr, args, result, i);
    }
    for (int k = 0; k < n; k++) {
        if (out[k].arg >= 0) assert_int_equal(out[k].address, args[(int)out[k].arg]);
        bool fits = false;
        for (int e = 0; e < entries; e++)
            fits |= out[k].address >= entry[e].address &&
                    out[k].address + out[k].size <= entry[e].address + entry[e].size;
        // value-result lengths may say more than there was room: INOUT, readable
        if (!fits && out[k].dir != RANGE_INOUT)
            describe("more is claimed at exit than at entry", nr, args, result,
                     out[k].address - (uintptr_t)arena);
    }
    call_index++;
    calls_made++;
    return result;
}

#define U(x)              ((uint64_t)(uintptr_t)(x))
#define C0(n)             call(n, (uint64_t[6]){0})
#define C1(n, a)          call(n, (uint64_t[6]){(uint64_t)(a)})
#define C2(n, a, b)       call(n, (uint64_t[6]){(uint64_t)(a), (uint64_t)(b)})
#define C3(n, a, b, c)    call(n, (uint64_t[6]){(uint64_t)(a), (uint64_t)(b), (uint64_t)(c)})
#define C4(n, a, b, c, d) call(n, (uint64_t[6]){(uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d)})
#define C5(n, a, b, c, d, e)                                                                                 \
    call(n, (uint64_t[6]){(uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e)})
#define C6(n, a, b, c, d, e, f)                                                                              \
    call(n, (uint64_t[6]){(uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e),         \
                          (uint64_t)(f)})
#define OK(x) assert_true((x) >= 0)

#endif
