// Messages in protobuf's wire format (protobuf.dev/programming-guides/encoding): a field is its number and wire type as a varint, and
// then its value; varints have 7 bits a byte, the lowest first.
#ifndef REFORK_REPLAYER_REPORT_PROTOBUF_H
#define REFORK_REPLAYER_REPORT_PROTOBUF_H

#include <stddef.h>
#include <stdint.h>

struct protobuf {
    uint8_t *data; // protobuf_release frees it
    size_t used, room;
};

void protobuf_number(struct protobuf *m, unsigned field, uint64_t value); // uint64, int64, enum, bool
void protobuf_fixed64(struct protobuf *m, unsigned field, uint64_t value);
// As UTF-8: what is none becomes '?'.
void protobuf_string(struct protobuf *m, unsigned field, const char *text);
// `part` as a field of `m`; `part` is empty then and can be filled again.
void protobuf_message(struct protobuf *m, unsigned field, struct protobuf *part);
void protobuf_release(struct protobuf *m);

#endif
