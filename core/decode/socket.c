#include "core/decode/socket.h"

#include "core/decode/structs.h"
#include "core/decode/values.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

enum { BYTES_SHOWN = 32, PARTS_SHOWN = 32, CONTROL_READ = 1024 };

union address {
    struct sockaddr any;
    struct sockaddr_un local;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_nl netlink;
    struct sockaddr_storage room;
};

static bool read_address(struct decode_memory memory, uint64_t at, uint32_t *length, union address *a) {
    memset(a, 0, sizeof *a);
    if (*length > sizeof *a) *length = sizeof *a;
    return *length >= sizeof a->any.sa_family && decode_read(memory, at, a, *length);
}

static void add_local(struct text *t, const struct sockaddr_un *a, uint32_t length) {
    size_t room = length - offsetof(struct sockaddr_un, sun_path);
    if (length <= offsetof(struct sockaddr_un, sun_path)) return;
    if (room > sizeof a->sun_path) room = sizeof a->sun_path;
    bool abstract = a->sun_path[0] == 0;
    text_add(t, abstract ? ", sun_path=@" : ", sun_path=");
    if (abstract)
        text_quoted(t, a->sun_path + 1, room - 1, 0);
    else
        text_quoted(t, a->sun_path, strnlen(a->sun_path, room), 0);
}

static void add_address(struct text *t, const union address *a, uint32_t length) {
    char ip[INET6_ADDRSTRLEN] = "?";
    text_add(t, "{sa_family=");
    decode_enum(t, SET_family, a->any.sa_family);
    switch (a->any.sa_family) {
    case AF_UNIX:
        add_local(t, &a->local, length);
        break;
    case AF_INET:
        inet_ntop(AF_INET, &a->in.sin_addr, ip, sizeof ip);
        text_add(t, ", sin_port=htons(%u), sin_addr=inet_addr(\"%s\")", ntohs(a->in.sin_port), ip);
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, sizeof ip);
        text_add(t,
                 ", sin6_port=htons(%u), sin6_flowinfo=htonl(%u), inet_pton(AF_INET6, \"%s\", &sin6_addr), "
                 "sin6_scope_id=%u",
                 ntohs(a->in6.sin6_port), ntohl(a->in6.sin6_flowinfo), ip, a->in6.sin6_scope_id);
        break;
    case AF_NETLINK:
        text_add(t, ", nl_pid=%u, nl_groups=%08x", a->netlink.nl_pid, a->netlink.nl_groups);
        break;
    default:
        if (length <= sizeof a->any.sa_family) break;
        text_add(t, ", sa_data=");
        text_quoted(t, a->any.sa_data, length - sizeof a->any.sa_family, 0);
        break;
    }
    text_add(t, "}");
}

bool decode_address(struct text *t, struct decode_memory memory, uint64_t address, uint32_t length) {
    union address a;
    if (!read_address(memory, address, &length, &a)) return false;
    add_address(t, &a, length);
    return true;
}

bool decode_address_out(struct text *t, const struct decode_call *c, uint64_t address, uint64_t length_at) {
    uint32_t length;
    return decode_read(c->out, length_at, &length, sizeof length) &&
           decode_address(t, c->out, address, c->has_length && length > c->length ? c->length : length);
}

bool decode_address_name(struct text *t, struct decode_memory memory, uint64_t address, uint32_t length) {
    union address a;
    char ip[INET6_ADDRSTRLEN] = "?";
    if (!read_address(memory, address, &length, &a)) return false;
    if (a.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a.in.sin_addr, ip, sizeof ip);
        text_add(t, "%s:%u", ip, ntohs(a.in.sin_port));
        return true;
    }
    if (a.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a.in6.sin6_addr, ip, sizeof ip);
        text_add(t, "[%s]:%u", ip, ntohs(a.in6.sin6_port));
        return true;
    }
    size_t begin = offsetof(struct sockaddr_un, sun_path);
    if (a.any.sa_family != AF_UNIX || length <= begin) return false;
    const char *path = a.local.sun_path;
    size_t room = length - begin < sizeof a.local.sun_path ? length - begin : sizeof a.local.sun_path;
    if (*path)
        text_quoted(t, path, strnlen(path, room), 0);
    else {
        text_add(t, "@");
        text_quoted(t, path + 1, room - 1, 0);
    }
    return true;
}

bool decode_iovec(struct text *t, const struct decode_memory memory[2], uint64_t address, uint64_t count,
                  uint64_t bytes) {
    struct iovec part;
    if (count && !decode_read(memory[0], address, &part, sizeof part)) return false;
    text_add(t, "[");
    for (uint64_t i = 0; i < count; i++) {
        if (i) text_add(t, ", ");
        if (i == PARTS_SHOWN || !decode_read(memory[0], address + i * sizeof part, &part, sizeof part)) {
            text_add(t, "...");
            break;
        }
        char data[BYTES_SHOWN];
        uint64_t used = part.iov_len < bytes ? part.iov_len : bytes;
        size_t shown = used < sizeof data ? (size_t)used : sizeof data;
        text_add(t, "{iov_base=");
        if (part.iov_base && (!shown || decode_read(memory[1], (uint64_t)part.iov_base, data, shown)))
            text_quoted(t, data, shown, used > shown);
        else
            decode_pointer(t, (uint64_t)part.iov_base);
        text_add(t, ", iov_len=%zu}", part.iov_len);
        bytes -= used;
    }
    text_add(t, "]");
    return true;
}

static void add_rights(struct text *t, const struct decode_call *c, const char *data, size_t len) {
    text_add(t, ", cmsg_data=[");
    for (size_t i = 0; i + sizeof(int) <= len; i += sizeof(int)) {
        int fd;
        memcpy(&fd, data + i, sizeof fd);
        if (i) text_add(t, ", ");
        decode_descriptor(t, c, fd);
    }
    text_add(t, "]");
}

static void add_control(struct text *t, const struct decode_call *c, const char *data, size_t len) {
    struct cmsghdr head;
    text_add(t, "[");
    for (size_t at = 0; at + sizeof head <= len;) {
        memcpy(&head, data + at, sizeof head);
        if (head.cmsg_len < sizeof head || head.cmsg_len > len - at) break;
        text_add(t, at ? ", {cmsg_len=%zu, cmsg_level=" : "{cmsg_len=%zu, cmsg_level=", head.cmsg_len);
        decode_enum(t, SET_level, (uint32_t)head.cmsg_level);
        text_add(t, ", cmsg_type=");
        const char *body = data + at + sizeof head;
        size_t size = head.cmsg_len - sizeof head;
        if (head.cmsg_level == SOL_SOCKET)
            decode_enum(t, SET_cmsg, (uint32_t)head.cmsg_type);
        else
            text_add(t, "%#x", (unsigned)head.cmsg_type);
        if (head.cmsg_level == SOL_SOCKET && head.cmsg_type == SCM_RIGHTS)
            add_rights(t, c, body, size);
        else if (head.cmsg_level == SOL_SOCKET && head.cmsg_type == SCM_CREDENTIALS &&
                 size >= sizeof(struct ucred)) {
            text_add(t, ", cmsg_data=");
            decode_struct(t, c, STRUCT_ucred, body);
        }
        text_add(t, "}");
        at += CMSG_ALIGN(head.cmsg_len);
    }
    text_add(t, "]");
}

bool decode_message(struct text *t, const struct decode_call *c, struct decode_memory memory,
                    uint64_t address, uint64_t bytes) {
    struct msghdr m;
    char control[CONTROL_READ];
    if (!decode_read(memory, address, &m, sizeof m)) return false;
    text_add(t, "{msg_name=");
    if (!m.msg_name || !decode_address(t, memory, (uint64_t)m.msg_name, m.msg_namelen))
        decode_pointer(t, (uint64_t)m.msg_name);
    text_add(t, ", msg_namelen=%u, msg_iov=", m.msg_namelen);
    if (!m.msg_iov ||
        !decode_iovec(t, (struct decode_memory[2]){memory, memory}, (uint64_t)m.msg_iov, m.msg_iovlen, bytes))
        decode_pointer(t, (uint64_t)m.msg_iov);
    text_add(t, ", msg_iovlen=%zu", m.msg_iovlen);
    size_t len = m.msg_controllen < sizeof control ? m.msg_controllen : sizeof control;
    if (m.msg_control && len && decode_read(memory, (uint64_t)m.msg_control, control, len)) {
        text_add(t, ", msg_control=");
        add_control(t, c, control, len);
    }
    text_add(t, ", msg_controllen=%zu, msg_flags=", m.msg_controllen);
    decode_flags(t, SET_message, (uint32_t)m.msg_flags);
    text_add(t, "}");
    return true;
}
