// A server on the loopback that forks for each of two connections; the child takes a lock that a thread holds for some
// nanoseconds every 5 ms.
//   serve PORT            the client comes from outside: it sends a line and waits for the answer, twice
//   serve PORT protected  fork handlers take the lock
//   serve self            the client is a process of the program's own, the port any that is free
//   serve input           no connection: a line of its standard input is the request; ends with status 3 when it is not "hello"
#include "program.h"

#include <arpa/inet.h>
#include <sys/socket.h>

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile int entries, stop;

static void log_entry(void) {
    pthread_mutex_lock(&log_mutex);
    entries++;
    pthread_mutex_unlock(&log_mutex);
}

static void *log_regularly(void *unused) {
    (void)unused;
    while (!stop) {
        sleep_ms(5);
        log_entry();
    }
    return NULL;
}

static void before(void) {
    pthread_mutex_lock(&log_mutex);
}
static void after(void) {
    pthread_mutex_unlock(&log_mutex);
}

static void answer(int in, int out) {
    char line[64] = "";
    ssize_t n = read(in, line, sizeof line - 1);
    log_entry();
    if (n <= 0 || strcmp(line, "hello\n") != 0) _exit(3);
    CHECK(write(out, "hello back\n", 11) == 11);
    _exit(0);
}

static int fork_for(int in, int out) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) answer(in, out);
    return reap(child);
}

static void request(uint16_t port) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    for (int i = 0; i < 2; i++) {
        char line[64];
        int s = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(s >= 0 && !connect(s, (struct sockaddr *)&to, sizeof to));
        CHECK(write(s, "hello\n", 6) == 6 && read(s, line, sizeof line) == 11);
        close(s);
    }
    _exit(0);
}

static int serve(uint16_t port, int own_client) {
    struct sockaddr_in here = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof here;
    int s = socket(AF_INET, SOCK_STREAM, 0), on = 1, worst = 0;
    CHECK(s >= 0 && !setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    CHECK(!bind(s, (struct sockaddr *)&here, sizeof here) && !listen(s, 8));
    CHECK(!getsockname(s, (struct sockaddr *)&here, &len));
    pid_t client = own_client ? fork() : -1;
    if (!client) request(ntohs(here.sin_port));
    for (int i = 0; i < 2; i++) {
        int c = accept(s, NULL, NULL);
        CHECK(c >= 0);
        int status = fork_for(c, c);
        if (status > worst) worst = status;
        close(c);
    }
    if (own_client) CHECK(reap(client) == 0);
    return worst;
}

int main(int argc, char **argv) {
    CHECK(argc > 1);
    if (argc > 2 && !strcmp(argv[2], "protected")) CHECK(!pthread_atfork(before, after, after));
    pthread_t logger;
    CHECK(!pthread_create(&logger, NULL, log_regularly, NULL));
    sleep_ms(12);
    int status = !strcmp(argv[1], "input")  ? fork_for(STDIN_FILENO, STDOUT_FILENO)
                 : !strcmp(argv[1], "self") ? serve(0, 1)
                                            : serve((uint16_t)atoi(argv[1]), 0);
    stop = 1;
    pthread_join(logger, NULL);
    return status;
}
