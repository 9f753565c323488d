// What a gdb, or somebody in its place, sends: the packets of the remote protocol. replayer/gdb/packet.h
#include "replayer/gdb/packet.h"
#include "tests/fuzz/driver.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_SENT = 60000 }; // the socket takes so much without a reader

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int ends[2];
    if (size > MOST_SENT || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) return 0;
    // A client that never reads stops the server, and so it does here: each answer to a bad packet takes some of the socket's room.
    bool sent = fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0 &&
                send(ends[0], data, size, MSG_NOSIGNAL) == (ssize_t)size && shutdown(ends[0], SHUT_WR) == 0;
    struct packets *p = packets_new(ends[1]);
    const char *packet;
    size_t len;
    while (sent && (packet = packet_read(p, &len))) {
        char bytes[64];
        packet_unhex(packet, len, bytes, sizeof bytes);
        packet_add_binary(p, packet, len < 1000 ? len : 1000);
        packet_send(p);
        if (packet_interrupted(p) || packets_closed(p)) continue;
        char drain[4096];
        while (recv(ends[0], drain, sizeof drain, MSG_DONTWAIT) > 0)
            continue;
    }
    packets_free(p);
    close(ends[0]);
    close(ends[1]);
    return 0;
}
