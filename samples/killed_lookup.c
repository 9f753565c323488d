// getaddrinfo_a of glibc works with a helper thread, which idles for a second in case of more work. The child leaves its
// request to it and waits, until the alarm of its parent ends it.
//
// expect: vanished-waker lockkind=getaddrinfo_a_request killed=SIGTERM waiting=look_up/getaddrinfo_a fork=main/fork
// status: 120
// replay: 0
#include "samples/stage.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>

static pid_t child;

static void time_is_over(int number) {
    (void)number;
    kill(child, SIGTERM);
}

static void look_up(void) {
    struct gaicb request = {.ar_name = "127.0.0.1"};
    getaddrinfo_a(GAI_WAIT, (struct gaicb *[]){&request}, 1, NULL);
}

int main(void) {
    int status;
    look_up();
    say("main: fork");
    child = fork();
    if (child == 0) {
        look_up();
        say("child: done"); // never comes
        _exit(0);
    }
    until_asleep(child);
    signal(SIGALRM, time_is_over);
    ualarm(100000, 0); // a second is as long as refork may take to find out by itself
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM ? 0 : 1;
}
