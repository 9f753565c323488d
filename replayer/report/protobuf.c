#include "replayer/report/protobuf.h"

#include "core/error.h"
#include "core/printable.h"

#include <stdlib.h>
#include <string.h>

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2 };

static void add(struct protobuf *m, const void *data, size_t len) {
    if (m->room - m->used < len) {
        m->room = (m->used + len) * 2;
        m->data = realloc(m->data, m->room);
        rf_assert(m->data);
    }
    if (len) memcpy(m->data + m->used, data, len);
    m->used += len;
}

static void add_varint(struct protobuf *m, uint64_t value) {
    uint8_t bytes[10];
    size_t len = 0;
    do {
        bytes[len++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    add(m, bytes, len);
}

static void add_tag(struct protobuf *m, unsigned field, enum wire_type type) {
    add_varint(m, (uint64_t)field << 3 | type);
}

void protobuf_number(struct protobuf *m, unsigned field, uint64_t value) {
    add_tag(m, field, WIRE_VARINT);
    add_varint(m, value);
}

void protobuf_fixed64(struct protobuf *m, unsigned field, uint64_t value) {
    add_tag(m, field, WIRE_FIXED64);
    add(m, &value, sizeof value);
}

void protobuf_string(struct protobuf *m, unsigned field, const char *text) {
    size_t len = strlen(text);
    add_tag(m, field, WIRE_LENGTH);
    add_varint(m, len);
    char *copy = strdup(text);
    rf_assert(copy);
    printable(copy); // keeps the length
    add(m, copy, len);
    free(copy);
}

void protobuf_message(struct protobuf *m, unsigned field, struct protobuf *part) {
    add_tag(m, field, WIRE_LENGTH);
    add_varint(m, part->used);
    add(m, part->data, part->used);
    part->used = 0;
}

void protobuf_release(struct protobuf *m) {
    free(m->data);
    *m = (struct protobuf){0};
}
