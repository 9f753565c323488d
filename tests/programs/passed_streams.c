// Output through descriptors that came from another process: over a socket, several in one message, by recvmmsg, by pidfd_getfd,
// by a copy of a copy; and what only looks like it.
#include "program.h"

#include <fcntl.h>
#include <sys/socket.h>

static int sockets[2];

static void pass(const int *fds, int count) {
    char control[CMSG_SPACE(4 * sizeof(int))] = {0}, c = 0;
    struct iovec v = {&c, 1};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(h), fds, (size_t)count * sizeof(int));
    CHECK(sendmsg(sockets[0], &m, 0) == 1);
}

static void get(int *fds, int count, int many) {
    char control[CMSG_SPACE(4 * sizeof(int))] = {0}, c = 0;
    struct iovec v = {&c, 1};
    struct mmsghdr m = {
        .msg_hdr = {
            .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control}};
    CHECK(many ? recvmmsg(sockets[1], &m, 1, 0, NULL) == 1 : recvmsg(sockets[1], &m.msg_hdr, 0) == 1);
    memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m.msg_hdr)), (size_t)count * sizeof(int));
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    int null = open("/dev/null", O_WRONLY);
    CHECK(null >= 0);
    pid_t child = fork();
    if (!child) {
        int fds[3];
        close(1);
        get(fds, 1, 0);
        CHECK(dprintf(fds[0], "one that was passed, at %lld\n", now_ns()) > 0);
        get(fds, 3, 1);
        CHECK(dprintf(fds[0], "not to be seen\n") > 0);
        CHECK(dprintf(fds[2], "third of three, by %d\n", getpid()) > 0);
        int copy = dup(fds[2]);
        close(fds[2]);
        CHECK(dprintf(copy, "a copy of it\n") > 0);
        _exit(0);
    }
    const int one[] = {1}, three[] = {null, 0, 1};
    pass(one, 1);
    pass(three, 3);
    CHECK(reap(child) == 0);
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    CHECK(self >= 0);
    int got = (int)syscall(SYS_pidfd_getfd, self, 1, 0), other = (int)syscall(SYS_pidfd_getfd, self, null, 0);
    CHECK(got >= 0 && other >= 0);
    CHECK(dprintf(got, "by pidfd_getfd, at %lld\n", now_ns()) > 0 && dprintf(other, "not to be seen\n") > 0);
    puts("the end");
    return 0;
}
