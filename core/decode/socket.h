// What calls about sockets lead to: addresses, messages, their parts.
#ifndef REFORK_CORE_DECODE_SOCKET_H
#define REFORK_CORE_DECODE_SOCKET_H

#include "core/decode/form.h"

// All of these: false when the memory cannot be read, then nothing is added.
// A sockaddr of so many bytes.
bool decode_address(struct text *t, struct decode_memory memory, uint64_t address, uint32_t length);
// The same, of which the call wrote the length to `length_at`.
bool decode_address_out(struct text *t, const struct decode_call *c, uint64_t address, uint64_t length_at);
// "127.0.0.1:80", "[::1]:80", "/run/socket": for people, as part of a descriptor's name.
bool decode_address_name(struct text *t, struct decode_memory memory, uint64_t address, uint32_t length);
// An array of `count` iovecs, read by memory[0]; the bytes that they lead to by memory[1], up to `bytes` in all.
bool decode_iovec(struct text *t, const struct decode_memory memory[2], uint64_t address, uint64_t count,
                  uint64_t bytes);
// A msghdr with its parts, up to `bytes` of them in all.
bool decode_message(struct text *t, const struct decode_call *c, struct decode_memory memory,
                    uint64_t address, uint64_t bytes);

#endif
