#include "replayer/gdb/target.h"

#include "core/abi.h"
#include "core/tracee.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { READ_MOST = PACKET_MOST / 2 - 16 };

static bool in_scratch(const struct gdb *g, int tid) {
    return g->scratch && scratch_tid(g->scratch) == tid;
}

bool target_registers(struct gdb *g, int tid, struct register_file *out) {
    *out = (struct register_file){.xstate = calloc(1, XSTATE_MAX)};
    rf_assert(out->xstate);
    if (in_scratch(g, tid)) {
        out->user = *scratch_regs(g->scratch);
        out->xstate_size = scratch_get_xstate(g->scratch, out->xstate, XSTATE_MAX);
        return true;
    }
    if (stops_regs(g->stops, tid, &out->user)) {
        out->xstate_size = replay_task_xstate(g->replay, tid, out->xstate, XSTATE_MAX);
        return true;
    }
    target_registers_free(out);
    return false;
}

void target_registers_free(struct register_file *f) {
    free(f->xstate);
    f->xstate = NULL;
}

bool target_diverted(struct gdb *g) {
    struct user_regs_struct own;
    if (!g->scratch || !stops_regs(g->stops, scratch_tid(g->scratch), &own)) return false;
    const struct user_regs_struct *now = scratch_regs(g->scratch);
    return now->rip != own.rip || now->rsp != own.rsp;
}

// Writing makes a copy that is written to: the recording stays as it is.
static struct scratch *writable(struct gdb *g) {
    struct user_regs_struct regs;
    struct rf_error ignored;
    if (in_scratch(g, g->tid)) return g->scratch;
    if (!stops_regs(g->stops, g->tid, &regs)) return NULL;
    scratch_free(g->scratch);
    g->scratch = NULL;
    if (scratch_new(g->replay, g->tid, &regs, &g->scratch, &ignored) < 0) return NULL;
    return g->scratch;
}

static void answer_registers(struct gdb *g, int first, int end) {
    struct register_file f;
    if (!target_registers(g, g->tid, &f)) {
        packet_answer(g->packets, "E03");
        return;
    }
    for (int i = first; i < end; i++) {
        uint8_t bytes[REGISTER_BYTES];
        size_t size = registers_get(&f, i, bytes);
        packet_add_hex(g->packets, bytes, size);
    }
    packet_send(g->packets);
    target_registers_free(&f);
}

static bool keep_registers(struct gdb *g, const struct register_file *f) {
    struct scratch *s = writable(g);
    if (!s) return false;
    *scratch_regs(s) = f->user;
    return !f->xstate_size || scratch_set_xstate(s, f->xstate, f->xstate_size);
}

static void set_registers(struct gdb *g, int first, int end, const char *hex, size_t len) {
    struct register_file f;
    bool done = writable(g) && target_registers(g, g->tid, &f);
    if (!done) {
        packet_answer(g->packets, "E03");
        return;
    }
    for (int i = first; i < end && done; i++) {
        uint8_t bytes[REGISTER_BYTES];
        size_t size = registers_size(i);
        if (len < 2 * size || packet_unhex(hex, 2 * size, bytes, size) != size) break;
        done = registers_set(&f, i, bytes, size);
        hex += 2 * size;
        len -= 2 * size;
    }
    done = done && keep_registers(g, &f);
    target_registers_free(&f);
    packet_answer(g->packets, done ? "OK" : "E01");
}

static bool read_memory(struct gdb *g, uint64_t address, void *buffer, size_t len) {
    if (in_scratch(g, g->tid)) return scratch_read(g->scratch, address, buffer, len);
    return stops_read(g->stops, g->tid, address, buffer, len);
}

static void answer_memory(struct gdb *g, uint64_t address, size_t len) {
    if (len > READ_MOST) len = READ_MOST;
    uint8_t *buffer = malloc(len + 1);
    rf_assert(buffer);
    // As much as is there: gdb asks for whole lines of its cache.
    size_t n = len;
    while (n && !read_memory(g, address, buffer, n)) {
        uint64_t page = page_down(address + n - 1);
        n = page > address ? (size_t)(page - address) : 0;
    }
    if (n || !len)
        packet_add_hex(g->packets, buffer, n);
    else
        packet_add(g->packets, "E14");
    packet_send(g->packets);
    free(buffer);
}

static void write_memory(struct gdb *g, uint64_t address, const void *bytes, size_t len) {
    struct scratch *s = writable(g);
    bool done = s && (!len || scratch_write(s, address, bytes, len));
    packet_answer(g->packets, done ? "OK" : "E14");
}

void target_general(struct gdb *g, const char *p, size_t len) {
    uint64_t address, size;
    unsigned number;
    int at = 0;
    const char *data = memchr(p, p[0] == 'P' ? '=' : ':', len);
    size_t data_len = data ? len - (size_t)(data + 1 - p) : 0;
    switch (p[0]) {
    case 'g':
        answer_registers(g, 0, registers_count());
        return;
    case 'G':
        set_registers(g, 0, registers_count(), p + 1, len - 1);
        return;
    case 'p':
        if (sscanf(p + 1, "%x", &number) == 1 && number < (unsigned)registers_count())
            answer_registers(g, (int)number, (int)number + 1);
        else
            packet_answer(g->packets, "E01");
        return;
    case 'P':
        if (data && sscanf(p + 1, "%x", &number) == 1 && number < (unsigned)registers_count())
            set_registers(g, (int)number, (int)number + 1, data + 1, data_len);
        else
            packet_answer(g->packets, "E01");
        return;
    default:
        break;
    }
    if (sscanf(p + 1, "%" SCNx64 ",%" SCNx64 "%n", &address, &size, &at) != 2 || (p[0] != 'm' && !data)) {
        packet_answer(g->packets, "E01");
    } else if (p[0] == 'm') {
        answer_memory(g, address, size);
    } else if (p[0] == 'X') {
        if (size == data_len)
            write_memory(g, address, data + 1, data_len);
        else
            packet_answer(g->packets, "E01");
    } else {
        char *bytes = malloc(data_len / 2 + 1);
        rf_assert(bytes);
        size_t n = packet_unhex(data + 1, data_len, bytes, data_len / 2);
        if (n == size)
            write_memory(g, address, bytes, n);
        else
            packet_answer(g->packets, "E01");
        free(bytes);
    }
}
