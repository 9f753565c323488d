// Bytes between processes and threads: pipes, socket pairs, poll, select, epoll, eventfd, non-blocking ends,
// vectors, big writes that block, SIGPIPE, passed descriptors, a TCP connection to ourselves.
#include "program.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

static void ping_pong(void) {
    int there[2], back[2];
    CHECK(pipe(there) == 0 && pipe2(back, O_CLOEXEC) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(there[1]);
        int n;
        while (read(there[0], &n, sizeof n) == sizeof n) {
            n = n * 3 + 1;
            CHECK(write(back[1], &n, sizeof n) == sizeof n);
        }
        _exit(0);
    }
    close(there[0]);
    int n = 1;
    for (int i = 0; i < 200; i++) {
        n %= 1000000;
        CHECK(write(there[1], &n, sizeof n) == sizeof n);
        CHECK(read(back[0], &n, sizeof n) == sizeof n);
    }
    close(there[1]);
    CHECK(reap(child) == 0);
    printf("ping-pong: %d\n", n);
}

static void big(void) {
    int fds[2];
    CHECK(pipe(fds) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(fds[0]);
        static char block[300000];
        memset(block, 'z', sizeof block);
        ssize_t n = write(fds[1], block, sizeof block); // blocks until the other end has read
        _exit(n == sizeof block ? 0 : 1);
    }
    close(fds[1]);
    char buffer[7001];
    size_t total = 0;
    ssize_t n;
    while ((n = read(fds[0], buffer, sizeof buffer)) > 0)
        total += (size_t)n;
    CHECK(n == 0 && total == 300000);
    CHECK(reap(child) == 0);
    close(fds[0]);
    CHECK(pipe(fds) == 0);
    close(fds[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK(write(fds[1], "x", 1) == -1 && errno == EPIPE);
    printf("big: %zu\n", total);
}

static void *writer(void *fds) {
    int *fd = fds;
    for (int i = 0; i < 3; i++) {
        sleep_ms(5);
        if (i < 2)
            CHECK(write(fd[i], "abc", 3) == 3);
        else
            CHECK(write(fd[i], &(uint64_t){41}, 8) == 8);
    }
    return NULL;
}

static void waits(void) {
    int fds[2], pair[2], event = eventfd(1, EFD_NONBLOCK);
    CHECK(event >= 0 && pipe2(fds, O_NONBLOCK) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    uint64_t value;
    CHECK(read(event, &value, 8) == 8 && value == 1);
    CHECK(read(event, &value, 8) == -1 && errno == EAGAIN);
    char buffer[16];
    CHECK(read(fds[0], buffer, 1) == -1 && errno == EAGAIN);
    int targets[3] = {fds[1], pair[1], event};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, writer, targets) == 0);
    struct pollfd p = {.fd = fds[0], .events = POLLIN};
    CHECK(poll(&p, 1, -1) == 1 && p.revents == POLLIN && read(fds[0], buffer, 16) == 3);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pair[0], &set);
    CHECK(select(pair[0] + 1, &set, NULL, NULL, NULL) == 1 && FD_ISSET(pair[0], &set));
    struct iovec parts[2] = {{buffer, 1}, {buffer + 8, 5}};
    CHECK(readv(pair[0], parts, 2) == 3 && buffer[0] == 'a' && buffer[9] == 'c');
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event want = {.events = EPOLLIN, .data.u64 = 0x123456789}, got;
    CHECK(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, event, &want) == 0);
    CHECK(epoll_wait(epoll, &got, 1, -1) == 1 && got.data.u64 == 0x123456789);
    CHECK(read(event, &value, 8) == 8 && value == 41);
    CHECK(epoll_wait(epoll, &got, 1, 5) == 0);
    CHECK(poll(NULL, 0, 5) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    puts("waits: good");
}

static void passed(void) {
    int pair[2], fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0 && pipe(fds) == 0);
    pid_t child = fork();
    char data = 'd';
    struct iovec part = {&data, 1};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    if (child == 0) {
        CHECK(recvmsg(pair[1], &message, 0) == 1);
        int fd;
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
        CHECK(write(fd, "passed", 6) == 6);
        _exit(0);
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(header), &fds[1], sizeof(int));
    CHECK(sendmsg(pair[0], &message, 0) == 1);
    char text[8] = "";
    CHECK(read(fds[0], text, 6) == 6 && !strcmp(text, "passed"));
    CHECK(reap(child) == 0);
    puts("passed: good");
}

static void *client(void *port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = *(in_port_t *)port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(send(fd, "over TCP", 8, 0) == 8);
    char answer[4];
    CHECK(recv(fd, answer, 2, MSG_WAITALL) == 2);
    close(fd);
    return NULL;
}

static void network(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, client, &address.sin_port) == 0);
    struct sockaddr_in peer;
    length = sizeof peer;
    int fd = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
    char text[16] = "";
    CHECK(fd >= 0 && recv(fd, text, 8, MSG_WAITALL) == 8);
    CHECK(send(fd, "ok", 2, MSG_NOSIGNAL) == 2);
    CHECK(pthread_join(thread, NULL) == 0);
    printf("network: '%s' from port %d to %d\n", text, ntohs(peer.sin_port), ntohs(address.sin_port));
    close(fd), close(listener);
}

// The pipe gets the pages themselves, so what is written there later is what the reader finds.
static void lent(void) {
    int fds[2];
    char *page = aligned_alloc(PAGE, PAGE), got[8] = "";
    CHECK(page && pipe(fds) == 0);
    strcpy(page, "before");
    struct iovec parts[] = {{page, 2}, {page + 2, 5}};
    CHECK(vmsplice(fds[1], parts, 2, 0) == 7);
    strcpy(page, "behind");
    CHECK(read(fds[0], got, sizeof got) == 7);
    printf("lent: %s\n", got);
    free(page);
    close(fds[0]), close(fds[1]);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    ping_pong();
    big();
    waits();
    passed();
    network();
    lent();
    return 0;
}
