// Packets of gdb's remote serial protocol (gdb's manual, "Remote Protocol") over a stream socket.
#ifndef REFORK_REPLAYER_GDB_PACKET_H
#define REFORK_REPLAYER_GDB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACKET_MOST = 65536 }; // bytes of one packet's content, as qSupported tells gdb

struct packets;

struct packets *packets_new(int fd); // the descriptor stays the caller's
void packets_free(struct packets *p);

// The next packet: its content, unescaped and ended by a 0 that does not count; valid until the next call. NULL: the
// other side is gone, or sent what is no packet.
const char *packet_read(struct packets *p, size_t *len);
// Ctrl-C has come; never waits. A request that is not asked for stays until it is.
bool packet_interrupted(struct packets *p);
// The other side is gone.
bool packets_closed(const struct packets *p);
// The side that asks (gdb's): answers may have a byte once and how often it is repeated ("Overview" there).
void packets_expand_runs(struct packets *p);
// After QStartNoAckMode.
void packets_no_ack(struct packets *p);

// The answer is collected and sent by packet_send.
void packet_add(struct packets *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void packet_add_hex(struct packets *p, const void *bytes, size_t len);
void packet_add_binary(struct packets *p, const void *bytes, size_t len); // escaped
size_t packet_length(const struct packets *p);                            // collected so far
void packet_send(struct packets *p);
// One whole answer.
void packet_answer(struct packets *p, const char *text);

// Two hexadecimal digits a byte. The number of bytes; stops at what is no digit.
size_t packet_unhex(const char *text, size_t len, void *out, size_t room);

#endif
