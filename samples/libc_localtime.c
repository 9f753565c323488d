// tzset (localtime does it, too) reads the time zone's file with glibc's tzset_lock held; here that file is
// a pipe that takes its time. The child wants to print a date.
//
// expect: orphaned-lock confidence=proved lock=tzset_lock lockkind=libc_lock holder=worker start=print_date
//         acquired=print_date/tzset waiting=run_child/tz_convert fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

static time_t now;
static struct tm date;

static void *print_date(void *unused) {
    (void)unused;
    thread_name("worker");
    tzset();
    localtime_r(&now, &date);
    return NULL;
}

static void run_child(void) {
    localtime_r(&now, &date);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    char dir[] = "/tmp/refork-zone-XXXXXX", path[64], zone[80];
    if (!mkdtemp(dir)) return 1;
    snprintf(path, sizeof path, "%s/zone", dir);
    snprintf(zone, sizeof zone, "TZ=:%s", path);
    if (mkfifo(path, 0600) || putenv(zone)) return 1;
    thread_start(print_date);
    int fd = open(path, O_WRONLY); // returns when the worker has opened the other end
    unlink(path);
    rmdir(dir);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    close(fd);
    return reap(child);
}
