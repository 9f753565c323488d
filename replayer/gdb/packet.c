#include "replayer/gdb/packet.h"

#include "core/error.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INTERRUPT = 3, ESCAPE = '}', FLIP = 0x20, RUN = '*', RUN_LESS = 29, ROOM = PACKET_MOST + 16 };

struct packets {
    int fd;
    bool ack, closed, interrupted, runs;
    uint8_t in[ROOM];
    size_t in_begin, in_end;
    char content[ROOM];
    char *out;
    size_t out_len, out_room;
};

struct packets *packets_new(int fd) {
    struct packets *p = calloc(1, sizeof *p);
    rf_assert(p);
    p->fd = fd;
    p->ack = true;
    return p;
}

void packets_free(struct packets *p) {
    free(p->out);
    free(p);
}

bool packets_closed(const struct packets *p) {
    return p->closed;
}

void packets_expand_runs(struct packets *p) {
    p->runs = true;
}

void packets_no_ack(struct packets *p) {
    p->ack = false;
}

static void write_all(struct packets *p, const void *bytes, size_t len) {
    const char *at = bytes;
    while (len && !p->closed) {
        ssize_t n = send(p->fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            p->closed = true;
            return;
        }
        at += n;
        len -= (size_t)n;
    }
}

// More input; false: none without waiting, or the end.
static bool fill(struct packets *p, bool wait) {
    if (p->in_begin == p->in_end) p->in_begin = p->in_end = 0;
    if (p->in_begin && p->in_end == sizeof p->in) {
        memmove(p->in, p->in + p->in_begin, p->in_end - p->in_begin);
        p->in_end -= p->in_begin;
        p->in_begin = 0;
    }
    if (p->in_end == sizeof p->in || p->closed) return false;
    for (;;) {
        ssize_t n = recv(p->fd, p->in + p->in_end, sizeof p->in - p->in_end, wait ? 0 : MSG_DONTWAIT);
        if (n > 0) {
            p->in_end += (size_t)n;
            return true;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && !wait && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
        p->closed = true;
        return false;
    }
}

bool packet_interrupted(struct packets *p) {
    fill(p, false);
    while (p->in_begin < p->in_end && (p->in[p->in_begin] == INTERRUPT || p->in[p->in_begin] == '+'))
        if (p->in[p->in_begin++] == INTERRUPT) p->interrupted = true;
    bool was = p->interrupted || p->closed;
    p->interrupted = false;
    return was;
}

static int next_byte(struct packets *p) {
    if (p->in_begin == p->in_end && !fill(p, true)) return -1;
    return p->in[p->in_begin++];
}

static int hex_digit(int c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

const char *packet_read(struct packets *p, size_t *len) {
    for (;;) {
        int c = next_byte(p);
        if (c < 0) return NULL;
        if (c != '$') continue; // acknowledgements, a Ctrl-C that came too late
        size_t n = 0;
        uint8_t sum = 0;
        bool escaped = false;
        while ((c = next_byte(p)) >= 0 && c != '#') {
            sum = (uint8_t)(sum + c);
            if (n == PACKET_MOST) return NULL;
            if (!escaped && c == ESCAPE) {
                escaped = true;
                continue;
            }
            if (!escaped && c == RUN && p->runs && n) {
                if ((c = next_byte(p)) < RUN_LESS || n + (size_t)(c - RUN_LESS) >= PACKET_MOST) return NULL;
                sum = (uint8_t)(sum + c);
                memset(p->content + n, p->content[n - 1], (size_t)(c - RUN_LESS));
                n += (size_t)(c - RUN_LESS);
                continue;
            }
            p->content[n++] = (char)(escaped ? c ^ FLIP : c);
            escaped = false;
        }
        int high = hex_digit(next_byte(p)), low = hex_digit(next_byte(p));
        if (high < 0 || low < 0) return NULL;
        bool good = !p->ack || sum == (high << 4 | low);
        if (p->ack) write_all(p, good ? "+" : "-", 1);
        if (!good) continue;
        p->content[n] = 0;
        *len = n;
        return p->content;
    }
}

static void room(struct packets *p, size_t more) {
    if (p->out_len + more + 8 <= p->out_room) return;
    p->out_room = (p->out_len + more + 8) * 2;
    p->out = realloc(p->out, p->out_room);
    rf_assert(p->out);
}

static void begin(struct packets *p) {
    room(p, 1);
    if (!p->out_len) p->out[p->out_len++] = '$';
}

void packet_add(struct packets *p, const char *format, ...) {
    va_list list, again;
    begin(p);
    va_start(list, format);
    va_copy(again, list);
    int n = vsnprintf(NULL, 0, format, list);
    rf_assert(n >= 0);
    room(p, (size_t)n + 1);
    vsnprintf(p->out + p->out_len, (size_t)n + 1, format, again);
    p->out_len += (size_t)n;
    va_end(list);
    va_end(again);
}

void packet_add_hex(struct packets *p, const void *bytes, size_t len) {
    static const char digits[] = "0123456789abcdef";
    begin(p);
    room(p, 2 * len);
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = ((const uint8_t *)bytes)[i];
        p->out[p->out_len++] = digits[byte >> 4];
        p->out[p->out_len++] = digits[byte & 15];
    }
}

void packet_add_binary(struct packets *p, const void *bytes, size_t len) {
    begin(p);
    room(p, 2 * len);
    for (size_t i = 0; i < len; i++) {
        char c = ((const char *)bytes)[i];
        bool special = c == '#' || c == '$' || c == ESCAPE || c == '*';
        if (special) p->out[p->out_len++] = ESCAPE;
        p->out[p->out_len++] = special ? (char)(c ^ FLIP) : c;
    }
}

size_t packet_length(const struct packets *p) {
    return p->out_len ? p->out_len - 1 : 0;
}

void packet_send(struct packets *p) {
    begin(p);
    uint8_t sum = 0;
    for (size_t i = 1; i < p->out_len; i++)
        sum = (uint8_t)(sum + (uint8_t)p->out[i]);
    room(p, 4);
    p->out_len += (size_t)sprintf(p->out + p->out_len, "#%02x", sum);
    write_all(p, p->out, p->out_len);
    p->out_len = 0;
}

void packet_answer(struct packets *p, const char *text) {
    packet_add(p, "%s", text);
    packet_send(p);
}

size_t packet_unhex(const char *text, size_t len, void *out, size_t size) {
    size_t n = 0;
    for (; n < size && 2 * n + 1 < len; n++) {
        int high = hex_digit(text[2 * n]), low = hex_digit(text[2 * n + 1]);
        if (high < 0 || low < 0) break;
        ((uint8_t *)out)[n] = (uint8_t)(high << 4 | low);
    }
    return n;
}
