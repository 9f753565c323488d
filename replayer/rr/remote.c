#include "replayer/rr/remote.h"

#include "core/array.h"
#include "core/guard.h"
#include "replayer/gdb/packet.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
    CHUNK = 4096, // bytes of memory, asked for and kept at once
    CHUNKS_MOST = 16384,
    REGISTERS_MOST = 512,
    FILES_DEEP = 4,       // descriptions that include others
    PART = 2048,          // bytes of a file, or of a description, in one answer
    FILE_MOST = 64 << 20, // bytes
    THREADS_MOST = 65536,
};

struct chunk {
    uint64_t address;
    size_t len; // readable bytes of it
    uint8_t *bytes;
};

struct reg {
    char name[24];
    unsigned size, offset; // bytes, in the answer to g
};

struct remote {
    int fd;
    struct packets *packets;
    bool multiprocess, back;
    struct reg *regs;
    size_t reg_count;
    struct chunk *chunks;
    size_t chunk_count;
    struct hash index;
    char output[512]; // what the last question made the server print
};

// ---- asking

// The answer, valid until the next question; NULL: the server is gone.
__attribute__((format(printf, 3, 4))) static const char *ask(struct remote *r, size_t *len,
                                                             const char *format, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    packet_answer(r->packets, text);
    size_t n, used = 0;
    const char *answer = packet_read(r->packets, &n);
    // "O" and hexadecimal digits: output, of the program or of a monitor command.
    while (answer && answer[0] == 'O' && strcmp(answer, "OK")) {
        used += packet_unhex(answer + 1, n - 1, r->output + used, sizeof r->output - 1 - used);
        answer = packet_read(r->packets, &n);
    }
    r->output[used] = 0;
    if (len) *len = n;
    return answer;
}

static int gone(struct rf_error *err) {
    return rf_fail(err, RF_CANNOT, "the replay's server has ended");
}

static const char *thread_text(const struct remote *r, const struct remote_thread *t, char text[40]) {
    if (r->multiprocess)
        snprintf(text, 40, "p%x.%x", (unsigned)t->pid, (unsigned)t->tid);
    else
        snprintf(text, 40, "%x", (unsigned)t->tid);
    return text;
}

// "p1f.2a", or "2a". What follows it, NULL: it is none.
static const char *thread_read(const char *at, struct remote_thread *out) {
    char *end;
    *out = (struct remote_thread){0};
    if (*at == 'p') {
        out->pid = (int)strtoul(at + 1, &end, 16);
        if (end == at + 1 || *end != '.') return NULL;
        at = end + 1;
    }
    out->tid = (int)strtoul(at, &end, 16);
    return end == at ? NULL : end;
}

// ---- registers, by the server's own description

static bool attribute(const char *tag, const char *end, const char *name, char *out, size_t size) {
    size_t len = strlen(name);
    for (const char *at = tag; at + len + 2 < end; at++) {
        if (strncmp(at, name, len) || at[len] != '=' || (at[-1] != ' ' && at[-1] != '\n' && at[-1] != '\t'))
            continue;
        char quote = at[len + 1];
        const char *from = at + len + 2, *to = memchr(from, quote, (size_t)(end - from));
        if (!to || (size_t)(to - from) >= size) return false;
        memcpy(out, from, (size_t)(to - from));
        out[to - from] = 0;
        return true;
    }
    return false;
}

// A whole object of qXfer; from malloc.
static char *object(struct remote *r, const char *name, const char *annex) {
    char *all = NULL;
    size_t used = 0, len;
    for (;;) {
        const char *part = ask(r, &len, "qXfer:%s:read:%s:%zx,%x", name, annex, used, PART);
        if (!part || (part[0] != 'm' && part[0] != 'l') || used + len > FILE_MOST) break;
        bool last = part[0] == 'l' || len == 1;
        char *more = realloc(all, used + len);
        if (!more) break;
        all = more;
        memcpy(all + used, part + 1, len - 1);
        used += len - 1;
        all[used] = 0;
        if (last) return all;
    }
    free(all);
    return NULL;
}

static bool describe(struct remote *r, const char *annex, int deep) {
    scoped_free char *xml = object(r, "features", annex);
    for (const char *tag = xml; tag && (tag = strchr(tag, '<')); tag++) {
        const char *end = strchr(tag, '>');
        char value[64];
        if (!end) break;
        if (!strncmp(tag, "<xi:include", 11) && attribute(tag, end, "href", value, sizeof value)) {
            if (deep == FILES_DEEP || !describe(r, value, deep + 1)) return false;
        } else if (!strncmp(tag, "<reg ", 5) && attribute(tag, end, "bitsize", value, sizeof value)) {
            struct reg reg = {.size = (unsigned)strtoul(value, NULL, 10) / 8};
            if (!reg.size || reg.size > 256 || r->reg_count == REGISTERS_MOST) return false;
            if (r->reg_count) reg.offset = r->regs[r->reg_count - 1].offset + r->regs[r->reg_count - 1].size;
            attribute(tag, end, "name", reg.name, sizeof reg.name);
            array_push(r->regs, r->reg_count, reg);
        }
    }
    return xml != NULL;
}

// The registers of a user_regs_struct by gdb's names (its features/i386/64bit-*.xml); those that are not there stay 0.
#define ROW(gdb, member)                                                                                     \
    { gdb, offsetof(struct user_regs_struct, member) }
static const struct {
    const char *name;
    size_t at;
} rows[] = {
    ROW("rax", rax),
    ROW("rbx", rbx),
    ROW("rcx", rcx),
    ROW("rdx", rdx),
    ROW("rsi", rsi),
    ROW("rdi", rdi),
    ROW("rbp", rbp),
    ROW("rsp", rsp),
    ROW("r8", r8),
    ROW("r9", r9),
    ROW("r10", r10),
    ROW("r11", r11),
    ROW("r12", r12),
    ROW("r13", r13),
    ROW("r14", r14),
    ROW("r15", r15),
    ROW("rip", rip),
    ROW("eflags", eflags),
    ROW("cs", cs),
    ROW("ss", ss),
    ROW("ds", ds),
    ROW("es", es),
    ROW("fs", fs),
    ROW("gs", gs),
    ROW("orig_rax", orig_rax),
    ROW("fs_base", fs_base),
    ROW("gs_base", gs_base),
};
#undef ROW

int remote_registers(struct remote *r, const struct remote_thread *t, struct user_regs_struct *out,
                     struct rf_error *err) {
    char text[40];
    size_t len;
    const char *answer = ask(r, NULL, "Hg%s", thread_text(r, t, text));
    *out = (struct user_regs_struct){0};
    if (!answer) return gone(err);
    if (strcmp(answer, "OK")) return rf_fail(err, RF_CANNOT, "the replay has no thread %d here", t->tid);
    answer = ask(r, &len, "g");
    if (!answer) return gone(err);
    for (size_t i = 0; i < r->reg_count; i++) {
        const struct reg *reg = &r->regs[i];
        uint64_t value = 0;
        if (reg->size > sizeof value || (reg->offset + reg->size) * 2 > len) continue;
        if (packet_unhex(answer + reg->offset * 2, reg->size * 2, &value, sizeof value) != reg->size)
            continue;
        // Of 4 bytes only orig_rax would have a sign, and it has 8.
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
            if (!strcmp(rows[k].name, reg->name)) memcpy((char *)out + rows[k].at, &value, sizeof value);
    }
    if (!out->rsp)
        return rf_fail(err, RF_CANNOT, "the replay does not tell the registers of thread %d", t->tid);
    return 0;
}

// ---- memory

static void forget(struct remote *r) {
    for (size_t i = 0; i < r->chunk_count; i++)
        free(r->chunks[i].bytes);
    free(r->chunks);
    r->chunks = NULL;
    r->chunk_count = 0;
    hash_release(&r->index);
}

static uint64_t chunk_key(const void *remote, size_t i) {
    return hash_mix(((const struct remote *)remote)->chunks[i].address);
}

static bool chunk_same(const void *remote, size_t i, const void *address) {
    return ((const struct remote *)remote)->chunks[i].address == *(const uint64_t *)address;
}

static const struct chunk *chunk_at(struct remote *r, uint64_t address) {
    uint32_t found = hash_find(&r->index, hash_mix(address), chunk_same, r, &address);
    if (found) return &r->chunks[found - 1];
    if (r->chunk_count == CHUNKS_MOST) forget(r);
    struct chunk c = {.address = address, .bytes = calloc(1, CHUNK)};
    size_t len;
    const char *answer = ask(r, &len, "m%" PRIx64 ",%x", address, CHUNK);
    rf_assert(c.bytes);
    if (answer && answer[0] != 'E') c.len = packet_unhex(answer, len, c.bytes, CHUNK);
    if (!hash_room(&r->index, r->chunk_count, chunk_key, r)) rf_assert(false);
    array_push(r->chunks, r->chunk_count, c);
    *hash_slot(&r->index, hash_mix(address), chunk_same, r, &address) = (uint32_t)r->chunk_count;
    return &r->chunks[r->chunk_count - 1];
}

bool remote_read(void *remote, uint64_t address, void *buffer, size_t len) {
    struct remote *r = remote;
    uint8_t *to = buffer;
    if (len && address + len - 1 < address) return false;
    while (len) {
        uint64_t base = address & -(uint64_t)CHUNK;
        size_t from = (size_t)(address - base), n = CHUNK - from < len ? CHUNK - from : len;
        const struct chunk *c = chunk_at(r, base);
        if (from + n > c->len) return false;
        memcpy(to, c->bytes + from, n);
        to += n;
        address += n;
        len -= n;
    }
    return true;
}

char *remote_file(struct remote *r, const char *path, size_t *size) {
    char name[512 + 1] = "";
    size_t used = 0, len = strlen(path);
    char *all = calloc(1, 1);
    if (len > 256 || !all) {
        free(all);
        return NULL;
    }
    for (size_t i = 0; i < len; i++)
        snprintf(name + 2 * i, 3, "%02x", (unsigned char)path[i]);
    // gdbserver wants to be told whose file system it is: 0, its own.
    const char *answer = ask(r, NULL, "vFile:setfs:0") ? ask(r, NULL, "vFile:open:%s,0,0", name) : NULL;
    if (!answer || answer[0] != 'F' || answer[1] == '-') {
        free(all);
        return NULL;
    }
    unsigned fd = (unsigned)strtoul(answer + 1, NULL, 16);
    while (used < FILE_MOST) {
        answer = ask(r, &len, "vFile:pread:%x,%x,%zx", fd, PART, used);
        const char *data = answer && answer[0] == 'F' && answer[1] != '-' ? memchr(answer, ';', len) : NULL;
        size_t n = data ? len - (size_t)(data + 1 - answer) : 0;
        char *more = n ? realloc(all, used + n + 1) : NULL;
        if (!more) break;
        all = more;
        memcpy(all + used, data + 1, n);
        used += n;
        all[used] = 0;
    }
    ask(r, NULL, "vFile:close:%x", fd);
    *size = used;
    return all;
}

// ---- threads, moves

static void name_thread(struct remote *r, struct remote_thread *t) {
    char text[40];
    size_t len;
    const char *answer = ask(r, &len, "qThreadExtraInfo,%s", thread_text(r, t, text));
    size_t n = answer && answer[0] != 'E' ? packet_unhex(answer, len, t->name, sizeof t->name - 1) : 0;
    t->name[n] = 0;
}

int remote_threads(struct remote *r, struct remote_thread **out, size_t *count, struct rf_error *err) {
    *out = NULL;
    *count = 0;
    const char *answer = ask(r, NULL, "qfThreadInfo");
    while (answer && answer[0] == 'm' && *count < THREADS_MOST) {
        for (const char *at = answer + 1; at && *at; at = at && *at == ',' ? at + 1 : NULL) {
            struct remote_thread t;
            at = thread_read(at, &t);
            if (at) array_push(*out, *count, t);
        }
        answer = ask(r, NULL, "qsThreadInfo");
    }
    if (!answer) {
        free(*out);
        return gone(err);
    }
    for (size_t i = 0; i < *count; i++)
        name_thread(r, &(*out)[i]);
    return 0;
}

static int read_stop(const char *answer, struct remote_stop *out, struct rf_error *err) {
    *out = (struct remote_stop){0};
    if (!answer) return gone(err);
    if (answer[0] == 'W' || answer[0] == 'X') {
        out->how = REMOTE_EXITED;
        out->signal = (int)strtoul(answer + 1, NULL, 16);
        return 0;
    }
    if ((answer[0] != 'T' && answer[0] != 'S') || strlen(answer) < 3)
        return rf_fail(err, RF_CANNOT, "the replay's server refuses to go on: '%.60s'", answer);
    char digits[3] = {answer[1], answer[2]};
    out->signal = (int)strtoul(digits, NULL, 16);
    for (const char *at = answer + 3; answer[0] == 'T' && *at;
         at = strchr(at, ';') ? strchr(at, ';') + 1 : "") {
        struct remote_thread t;
        const char *value = strchr(at, ':');
        if (!value) break;
        size_t len = (size_t)(++value - at);
        if (!strncmp(at, "thread:", len) && thread_read(value, &t)) {
            out->pid = t.pid;
            out->tid = t.tid;
        } else if (!strncmp(at, "watch:", len) || !strncmp(at, "awatch:", len)) {
            out->watched = strtoull(value, NULL, 16);
        } else if (!strncmp(at, "replaylog:", len)) {
            out->how = !strncmp(value, "begin", 5) ? REMOTE_BEGIN : REMOTE_END;
        }
    }
    return 0;
}

int remote_watch(struct remote *r, uint64_t address, unsigned size, bool on, struct rf_error *err) {
    const char *answer = ask(r, NULL, "%c2,%" PRIx64 ",%x", on ? 'Z' : 'z', address, size);
    if (!answer) return gone(err);
    if (!strcmp(answer, "OK")) return 0;
    return rf_fail(err, RF_CANNOT, "the replay's server sets no watchpoint at 0x%" PRIx64, address);
}

int remote_break(struct remote *r, uint64_t address, bool on, struct rf_error *err) {
    const char *answer = ask(r, NULL, "%c0,%" PRIx64 ",1", on ? 'Z' : 'z', address);
    if (!answer) return gone(err);
    if (!strcmp(answer, "OK")) return 0;
    return rf_fail(err, RF_CANNOT, "the replay's server sets no breakpoint at 0x%" PRIx64, address);
}

int remote_go(struct remote *r, enum remote_way way, const struct remote_thread *t, struct remote_stop *out,
              struct rf_error *err) {
    char text[40] = "-1";
    if (t) thread_text(r, t, text);
    forget(r);
    const char *answer;
    if (way == REMOTE_BACK || way == REMOTE_STEP_BACK) {
        if (!r->back) return rf_fail(err, RF_CANNOT, "this server cannot go back");
        if (t && !ask(r, NULL, "Hc%s", text)) return gone(err);
        answer = ask(r, NULL, way == REMOTE_BACK ? "bc" : "bs");
    } else if (way == REMOTE_STEP && t) {
        answer = ask(r, NULL, "vCont;s:%s", text);
    } else {
        answer = ask(r, NULL, "vCont;c");
    }
    return read_stop(answer, out, err);
}

uint64_t remote_event(struct remote *r, int tid) {
    // rr's own command (its version 5.6 has no thread in it); ours is gdb's 'monitor when'.
    char question[3][64] = {"", "qRRCmd:when", "qRcmd,7768656e"};
    snprintf(question[0], sizeof question[0], "qRRCmd:when:%d", tid);
    for (size_t i = 0; i < 3; i++) {
        char text[256];
        size_t len;
        const char *answer = ask(r, &len, "%s", question[i]);
        if (!answer) return 0;
        text[packet_unhex(answer, len, text, sizeof text - 1)] = 0;
        const char *at = strstr(*r->output ? r->output : text, "event");
        const char *digits = at ? strpbrk(at, "0123456789") : NULL;
        if (digits) return strtoull(digits, NULL, 10);
    }
    return 0;
}

// ---- the connection

static int shake_hands(struct remote *r, struct remote_stop *first, struct rf_error *err) {
    const char *answer =
        ask(r, NULL, "qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+;xmlRegisters=i386");
    if (!answer) return gone(err);
    r->multiprocess = strstr(answer, "multiprocess+");
    r->back = strstr(answer, "ReverseContinue+");
    if (strstr(answer, "QStartNoAckMode+")) {
        answer = ask(r, NULL, "QStartNoAckMode");
        if (!answer) return gone(err);
        if (!strcmp(answer, "OK")) packets_no_ack(r->packets);
    }
    // gdbserver 13 fails an assertion when it is asked for registers before this.
    if (read_stop(ask(r, NULL, "?"), first, err)) return -1;
    if (describe(r, "target.xml", 0) && r->reg_count && !strcmp(r->regs[0].name, "rax")) return 0;
    return rf_fail(err, RF_CANNOT, "this is no server of an x86-64 process: it describes no such registers");
}

int remote_connect(int port, struct remote **out, struct remote_stop *first, struct rf_error *err) {
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) < 0) {
        rf_fail_errno(err, RF_CANNOT, "cannot connect to the replay's server at port %d", port);
        if (fd >= 0) close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct remote *r = calloc(1, sizeof *r);
    rf_assert(r);
    r->fd = fd;
    r->packets = packets_new(fd);
    packets_expand_runs(r->packets);
    if (shake_hands(r, first, err)) {
        remote_close(r);
        return -1;
    }
    *out = r;
    return 0;
}

void remote_close(struct remote *r) {
    if (!r) return;
    forget(r);
    packets_free(r->packets);
    close(r->fd);
    free(r->regs);
    free(r);
}

bool remote_goes_back(const struct remote *r) {
    return r->back;
}
