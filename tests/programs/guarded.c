// What sandboxes and profilers ask the kernel for, where this kernel has it: landlock, keys, security modules, a counter of
// software events. Each prints what it got, which a replay must print again.
#include "program.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>

static void landlock(void) {
    struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE};
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    printf("landlock: %ld\n", version);
    if (version < 0) return;
    int before = open("guarded.tmp", O_WRONLY | O_CREAT, 0600);
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    CHECK(before >= 0 && rules >= 0);
    struct landlock_path_beneath_attr beneath = {.allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE,
                                                 .parent_fd = open("/dev", O_PATH)};
    CHECK(syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        CHECK(syscall(SYS_landlock_restrict_self, rules, 0) == 0);
        CHECK(open("guarded.tmp", O_WRONLY) < 0 && errno == EACCES);
        CHECK(open("guarded.tmp", O_RDONLY) >= 0 && open("/dev/null", O_WRONLY) >= 0);
        CHECK(write(before, "x", 1) == 1); // opened before
        char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        *page = 'x';
        execl("/bin/sh", "sh", "-c", "{ echo y >guarded.tmp; } 2>/dev/null && exit 1; exit 5", (char *)NULL);
        _exit(1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 5 << 8);
    CHECK(unlink("guarded.tmp") == 0);
}

static void keys(void) {
    enum { DESCRIBE = 6, READ = 11, UPDATE = 2, UNLINK = 9, PROCESS_RING = -2 };
    char text[64] = "";
    long key = syscall(SYS_add_key, "user", "refork-guarded", "first", 5, PROCESS_RING);
    printf("key: %ld\n", key);
    if (key < 0) return;
    CHECK(syscall(SYS_keyctl, READ, key, text, sizeof text) == 5 && !memcmp(text, "first", 5));
    CHECK(syscall(SYS_keyctl, UPDATE, key, "another", 7) == 0);
    CHECK(syscall(SYS_keyctl, READ, key, text, 3) == 7 && !memcmp(text, "first", 5)); // no room
    CHECK(syscall(SYS_keyctl, READ, key, text, sizeof text) == 7 && !memcmp(text, "another", 7));
    CHECK(syscall(SYS_request_key, "user", "refork-guarded", NULL, 0) == key);
    CHECK(syscall(SYS_keyctl, DESCRIBE, key, text, sizeof text) > 0);
    printf("key: %s\n", text);
    CHECK(syscall(SYS_keyctl, UNLINK, key, PROCESS_RING) == 0);
    CHECK(syscall(SYS_keyctl, READ, 0x7ffffff0, text, sizeof text) < 0);
}

static void counter(void) {
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
                                   .size = sizeof attr,
                                   .config = PERF_COUNT_SW_PAGE_FAULTS,
                                   .exclude_kernel = 1,
                                   .disabled = 1};
    int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
    uint64_t count = 0, more = 0, id = 0;
    printf("counter: %d\n", fd < 0 ? -1 : 0);
    if (fd < 0) return;
    CHECK(ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) == 0 && ioctl(fd, PERF_EVENT_IOC_ID, &id) == 0);
    CHECK(read(fd, &count, sizeof count) == sizeof count);
    char *pages = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 64; i++)
        pages[i * 4096] = 1;
    CHECK(ioctl(fd, PERF_EVENT_IOC_DISABLE, 0) == 0);
    CHECK(read(fd, &more, sizeof more) == sizeof more && more > count);
    printf("counter: %lu, then %lu, id %lu\n", count, more, id);
}

static void advised(void) {
    char *pages = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct iovec part = {pages, 2 * 4096};
    int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    pages[4096] = 'x';
    long result = syscall(SYS_process_madvise, fd, &part, 1, MADV_COLD, 0);
    CHECK(pages[4096] == 'x');
    printf("advised: %ld\n", result);
}

int main(void) {
    uint64_t modules[32];
    uint32_t size = sizeof modules;
    landlock();
    keys();
    counter();
    advised();
    printf("modules: %ld\n", syscall(461, modules, &size, 0));
    return 0;
}
