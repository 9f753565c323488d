#include "core/decode/memory.h"

#include "core/abi.h"
#include "core/decode/socket.h"
#include "core/decode/structs.h"
#include "core/decode/values.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>

// As strace has them: bytes of a text, elements of an array.
enum { TEXT_SHOWN = 32, ELEMENTS_SHOWN = 32, PATH_SHOWN = 4096 };
enum { POLLED_MOST = 1 << 20 }; // the largest limit of open files (fs.nr_open), which poll() refuses to pass

// A text up to its NUL, at most `max` bytes of it; false: unreadable.
static bool add_string(struct text *t, struct decode_memory memory, uint64_t address, size_t max) {
    char data[PATH_SHOWN + 1];
    size_t have = 0, len;
    for (bool end = false; !end && have < max + 1;) {
        size_t chunk = next_page(address + have) - (address + have);
        if (chunk > 256) chunk = 256;
        if (chunk > max + 1 - have) chunk = max + 1 - have;
        len = decode_bytes(memory, address + have, data + have, chunk);
        end = len < chunk || memchr(data + have, 0, len);
        have += len;
    }
    len = strnlen(data, have);
    if (len == have && have <= max) return false; // no NUL where memory ends
    text_quoted(t, data, len < max ? len : max, len > max);
    return true;
}

static bool add_bytes(struct text *t, struct decode_memory memory, uint64_t address, uint64_t len, bool hex) {
    char data[TEXT_SHOWN];
    size_t shown = len < sizeof data ? (size_t)len : sizeof data;
    if (!address || (shown && !decode_read(memory, address, data, shown))) return false;
    if (!hex) {
        text_quoted(t, data, shown, len > shown);
        return true;
    }
    text_add(t, "\"");
    for (size_t i = 0; i < shown; i++)
        text_add(t, "\\x%02x", (unsigned char)data[i]);
    text_add(t, len > shown ? "\"..." : "\"");
    return true;
}

static bool add_struct(struct text *t, const struct decode_call *c, struct decode_memory memory,
                       enum decode_struct which, uint64_t address) {
    char data[512];
    size_t size = decode_struct_size(which);
    if (size > sizeof data || !decode_read(memory, address, data, size)) return false;
    decode_struct(t, c, which, data);
    return true;
}

static bool add_array(struct text *t, const struct decode_call *c, struct decode_memory memory,
                      enum decode_struct which, uint64_t address, uint64_t count) {
    size_t size = decode_struct_size(which), begin = t->used;
    text_add(t, "[");
    for (uint64_t i = 0; i < count; i++) {
        if (i) text_add(t, ", ");
        if (i == ELEMENTS_SHOWN) {
            text_add(t, "...");
            break;
        }
        if (add_struct(t, c, memory, which, address + i * size)) continue;
        t->used = begin; // shown as an address
        if (begin < t->size) t->data[begin] = 0;
        return false;
    }
    text_add(t, "]");
    return true;
}

static bool add_number(struct text *t, struct decode_memory memory, uint64_t address, size_t size) {
    int64_t value = 0;
    if (!decode_read(memory, address, &value, size)) return false;
    text_add(t, "[%lld]", size == 4 ? (long long)(int32_t)value : (long long)value);
    return true;
}

static bool add_pair(struct text *t, const struct decode_call *c, uint64_t address) {
    int fds[2];
    if (!decode_read(c->out, address, fds, sizeof fds)) return false;
    text_add(t, "[");
    decode_descriptor(t, c, fds[0]);
    text_add(t, ", ");
    decode_descriptor(t, c, fds[1]);
    text_add(t, "]");
    return true;
}

// argv: ["ls", "-l"].
static bool add_strings(struct text *t, struct decode_memory memory, uint64_t address) {
    uint64_t string;
    if (!decode_read(memory, address, &string, sizeof string)) return false;
    text_add(t, "[");
    for (int i = 0; string; i++) {
        if (i) text_add(t, ", ");
        if (i == ELEMENTS_SHOWN) {
            text_add(t, "...");
            break;
        }
        if (!add_string(t, memory, string, TEXT_SHOWN)) decode_pointer(t, string);
        if (!decode_read(memory, address + 8 * ((uint64_t)i + 1), &string, sizeof string)) break;
    }
    text_add(t, "]");
    return true;
}

static bool add_environment(struct text *t, struct decode_memory memory, uint64_t address) {
    uint64_t string;
    int count = 0;
    while (count < 100000 && decode_read(memory, address + 8 * (uint64_t)count, &string, 8) && string)
        count++;
    if (!address || !memory.read) return false;
    decode_pointer(t, address);
    text_add(t, " /* %d var%s */", count, count == 1 ? "" : "s");
    return true;
}

static bool add_sigset(struct text *t, struct decode_memory memory, uint64_t address) {
    uint64_t set;
    if (!decode_read(memory, address, &set, sizeof set)) return false;
    decode_sigset(t, set);
    return true;
}

static bool add_status(struct text *t, const struct decode_call *c, uint64_t address) {
    int status;
    if (c->result == 0 || !decode_read(c->out, address, &status, sizeof status)) return false;
    text_add(t, "[");
    decode_status(t, status);
    text_add(t, "]");
    return true;
}

// Before a call that the kernel has answered the set has what was asked for; behind it, what is ready.
static bool add_fd_set(struct text *t, const struct decode_call *c, struct decode_memory memory,
                       uint64_t address) {
    uint8_t bits[128] = {0};
    int count = (int)c->args[0];
    if (count < 0 || count > (int)sizeof bits * 8 ||
        !decode_read(memory, address, bits, (size_t)(count + 63) / 64 * 8))
        return false;
    bool first = true;
    text_add(t, "[");
    for (int fd = 0; fd < count; fd++) {
        if (!(bits[fd / 8] >> fd % 8 & 1)) continue;
        if (!first) text_add(t, " ");
        decode_descriptor(t, c, fd);
        first = false;
    }
    text_add(t, "]");
    return true;
}

static bool add_poll(struct text *t, const struct decode_call *c, struct decode_memory memory,
                     uint64_t address, uint64_t count, bool ready) {
    size_t begin = t->used, shown = 0;
    if (count > POLLED_MOST) return false;
    text_add(t, "[");
    for (uint64_t i = 0; i < count && shown <= ELEMENTS_SHOWN; i++) {
        struct pollfd p;
        if (!decode_read(memory, address + i * sizeof p, &p, sizeof p)) {
            t->used = begin;
            if (begin < t->size) t->data[begin] = 0;
            return false;
        }
        if (ready && !p.revents) continue;
        text_add(t, shown++ ? ", " : "");
        if (shown > ELEMENTS_SHOWN) {
            text_add(t, "...");
            break;
        }
        text_add(t, "{fd=");
        decode_descriptor(t, c, p.fd);
        text_add(t, ready ? ", revents=" : ", events=");
        decode_flags(t, SET_poll, (uint16_t)(ready ? p.revents : p.events));
        text_add(t, "}");
    }
    text_add(t, "]");
    return true;
}

struct entry_head { // what getdents and getdents64 have in common
    uint64_t inode, offset;
    uint16_t length;
};

static bool add_entries(struct text *t, const struct decode_call *c, uint64_t address) {
    int count = 0;
    for (int64_t at = 0; at + 18 < c->result; count++) {
        uint16_t length;
        if (!decode_read(c->out, address + (uint64_t)at + offsetof(struct entry_head, length), &length, 2) ||
            length < 18)
            return false;
        at += length;
    }
    decode_pointer(t, address);
    text_add(t, " /* %d entr%s */", count, count == 1 ? "y" : "ies");
    return true;
}

// strace's order: the stack first. The addresses count only with the flags that use them.
static void add_clone(struct text *t, const struct decode_call *c) {
    static const struct {
        const char *name;
        uint64_t flags;
        int arg;
    } more[] = {{"parent_tid", 0x100000, 2}, {"tls", 0x80000, 4}, {"child_tidptr", 0x1200000, 3}};
    text_add(t, "child_stack=");
    decode_pointer(t, c->args[1]);
    text_add(t, ", flags=");
    decode_value(t, c, (struct form){FORM_CLONE, 0, 0}, c->args[0], 8);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        if (!(c->args[0] & more[i].flags)) continue;
        text_add(t, ", %s=", more[i].name);
        uint64_t tid = 0;
        if (more[i].arg == 2 && decode_read(c->out, c->args[2], &tid, 4))
            text_add(t, "[%d]", (int)tid);
        else
            decode_pointer(t, c->args[more[i].arg]);
    }
}

static bool add_length(struct text *t, const struct decode_call *c, uint64_t address) {
    uint32_t length;
    if (!decode_read(c->out, address, &length, sizeof length)) return false;
    if (c->has_length && c->length != length)
        text_add(t, "[%u => %u]", c->length, length);
    else
        text_add(t, "[%u]", length);
    return true;
}

static bool add_option(struct text *t, const struct decode_call *c, struct decode_memory memory, bool out,
                       uint64_t address, uint64_t arg) {
    uint32_t length = (uint32_t)c->args[arg];
    if (out && !decode_read(c->out, c->args[arg], &length, sizeof length)) return false;
    if (length == 4) return add_number(t, memory, address, 4);
    return add_bytes(t, memory, address, length, true);
}

// The length of a call that failed.
static bool add_untouched(struct text *t, const struct decode_call *c) {
    text_add(t, "[%u]", c->length);
    return true;
}

bool decode_is_late(enum form_kind kind) {
    switch (kind) {
    case FORM_BYTES_OUT:
    case FORM_INT_OUT:
    case FORM_LONG_OUT:
    case FORM_PAIR_OUT:
    case FORM_STRUCT_OUT:
    case FORM_ARRAY_OUT:
    case FORM_IOVEC_OUT:
    case FORM_ADDRESS_OUT:
    case FORM_LENGTH:
    case FORM_MESSAGE_OUT:
    case FORM_SIGSET_OUT:
    case FORM_STATUS_OUT:
    case FORM_ENTRIES_OUT:
    case FORM_STRING_OUT:
    case FORM_HEX_OUT:
    case FORM_OPTION_OUT:
    case FORM_LEFT:
    case FORM_CLONE_ALL:
        return true;
    default:
        return false;
    }
}

static bool add_late(struct text *t, const struct decode_call *c, struct form form, uint64_t address) {
    uint64_t result = c->result < 0 ? 0 : (uint64_t)c->result;
    switch (form.kind) {
    case FORM_BYTES_OUT:
    case FORM_HEX_OUT:
        return add_bytes(t, c->out, address, result, form.kind == FORM_HEX_OUT);
    case FORM_INT_OUT:
        return add_number(t, c->out, address, 4);
    case FORM_LONG_OUT:
        return add_number(t, c->out, address, 8);
    case FORM_PAIR_OUT:
        return add_pair(t, c, address);
    case FORM_STRUCT_OUT:
    case FORM_LEFT:
        return add_struct(t, c, c->out, form.which, address);
    case FORM_ARRAY_OUT:
        return add_array(t, c, c->out, form.which, address, result);
    case FORM_IOVEC_OUT:
        return decode_iovec(t, (struct decode_memory[2]){c->out, c->out}, address, c->args[form.arg], result);
    case FORM_ADDRESS_OUT:
        return decode_address_out(t, c, address, c->args[form.arg]);
    case FORM_LENGTH:
        return add_length(t, c, address);
    case FORM_MESSAGE_OUT:
        return decode_message(t, c, c->out, address, result);
    case FORM_SIGSET_OUT:
        return add_sigset(t, c->out, address);
    case FORM_STATUS_OUT:
        return add_status(t, c, address);
    case FORM_ENTRIES_OUT:
        return add_entries(t, c, address);
    case FORM_STRING_OUT:
        return add_string(t, c->out, address, TEXT_SHOWN);
    case FORM_OPTION_OUT:
        return add_option(t, c, c->out, true, address, form.arg);
    default:
        return false;
    }
}

static bool add_early(struct text *t, const struct decode_call *c, struct form form, uint64_t address) {
    struct decode_memory both = c->in.read ? c->in : c->out; // what the call leaves as it was
    switch (form.kind) {
    case FORM_PATH:
        return add_string(t, c->in, address, PATH_SHOWN - 1);
    case FORM_STRING:
        return add_string(t, c->in, address, TEXT_SHOWN);
    case FORM_STRINGS:
        return add_strings(t, c->in, address);
    case FORM_ENVIRONMENT:
        return add_environment(t, c->in, address);
    case FORM_BYTES_IN:
        return add_bytes(t, c->in, address, c->args[form.arg], false);
    case FORM_INT_IN:
        return add_number(t, c->in, address, 4);
    case FORM_LONG_IN:
        return add_number(t, c->in, address, 8);
    case FORM_STRUCT_IN:
    case FORM_TIMEOUT:
        return add_struct(t, c, c->in, form.which, address);
    case FORM_PAIR_IN:
        return add_array(t, c, c->in, form.which, address, 2);
    case FORM_ARRAY_IN:
        return add_array(t, c, c->in, form.which, address, c->args[form.arg]);
    case FORM_IOVEC_IN:
        return decode_iovec(t, (struct decode_memory[2]){c->in, c->in}, address, c->args[form.arg],
                            UINT64_MAX);
    case FORM_ADDRESS_IN:
        return decode_address(t, c->in, address, (uint32_t)c->args[form.arg]);
    case FORM_MESSAGE_IN:
        return decode_message(t, c, c->in, address, UINT64_MAX);
    case FORM_OPTION_IN:
        return add_option(t, c, c->in, false, address, form.arg);
    case FORM_SIGSET_IN:
        return add_sigset(t, c->in, address);
    case FORM_FD_SET:
        return add_fd_set(t, c, c->in, address);
    case FORM_POLL:
        return add_poll(t, c, both, address, (uint32_t)c->args[form.arg], false);
    default:
        return false;
    }
}

void decode_memory(struct text *t, const struct decode_call *c, struct form form, uint64_t address) {
    bool failed = is_error(c->result);
    bool shown = false;
    if (form.kind == FORM_CLONE_ALL) {
        add_clone(t, c);
        return;
    }
    if (address && !decode_is_late(form.kind))
        shown = add_early(t, c, form, address);
    else if (address && failed && form.kind == FORM_LENGTH && c->has_length)
        shown = add_untouched(t, c);
    else if (address && (failed == (form.kind == FORM_LEFT)))
        shown = add_late(t, c, form, address);
    if (!shown) decode_pointer(t, address);
}

// What one argument has to add to the result; false: nothing.
static bool add_ready(struct text *t, const struct decode_call *c, struct form form, int i) {
    static const char *const names[] = {"", "in ", "out ", "except "};
    size_t begin = t->used;
    bool good = false;
    if (form.kind == FORM_POLL) {
        good = add_poll(t, c, c->out, c->args[i], (uint32_t)c->args[form.arg], true);
    } else if (form.kind == FORM_TIMEOUT) {
        text_add(t, "left ");
        good = add_struct(t, c, c->out, form.which, c->args[i]);
    } else if (i <= 3) {
        text_add(t, "%s", names[i]);
        size_t set = t->used;
        good = add_fd_set(t, c, c->out, c->args[i]) && strcmp(t->data + set, "[]") != 0;
    }
    if (good) return true;
    t->used = begin;
    if (begin < t->size) t->data[begin] = 0;
    return false;
}

void decode_ready(struct text *t, const struct decode_call *c, const struct form forms[6]) {
    char data[2048];
    struct text ready = text_in(data, sizeof data);
    bool waits = false;
    for (int i = 0; i < 6; i++) {
        uint8_t kind = forms[i].kind;
        if (kind != FORM_POLL && kind != FORM_FD_SET && kind != FORM_TIMEOUT) continue;
        waits = true;
        if (c->result <= 0 || !c->args[i]) continue;
        size_t before = ready.used;
        if (before) text_add(&ready, ", ");
        if (add_ready(&ready, c, forms[i], i)) continue;
        ready.used = before;
        data[before] = 0;
    }
    if (waits && c->result == 0)
        text_add(t, " (Timeout)");
    else if (ready.used)
        text_add(t, " (%s)", data);
}
