// What sandboxes and profilers ask the kernel for, where this kernel has it: landlock, keys, security modules, a counter of
// software events. Each prints what it got, which a replay must print again.
#include "program.h"

#include <asm/ldt.h>
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

static int limit_of(unsigned selector) {
    unsigned limit = 0, valid = 0;
    __asm__ volatile("lsl %2, %0\n jnz 1f\n movl $1, %1\n1:"
                     : "=r"(limit), "+r"(valid)
                     : "r"(selector)
                     : "cc");
    return valid ? (int)limit : -1;
}

// A segment of its own, which instructions see; a child has it as well.
static void local_table(void) {
    struct user_desc segment = {.entry_number = 3, .limit = 0x1234, .seg_32bit = 1, .useable = 1};
    const unsigned selector = 3 << 3 | 4 | 3;
    char table[8 * 8] = "";
    int status, data = -1;
    if (syscall(SYS_modify_ldt, 0x11, &segment, sizeof segment) != 0) {
        printf("no local table\n");
        return;
    }
    if (limit_of(selector) == -1) {
        printf("a local table that the CPU does not use\n"); // PVM: the call succeeds
        return;
    }
    CHECK(limit_of(selector) == 0x1234 && limit_of(selector + 8) == -1);
    CHECK(syscall(SYS_modify_ldt, 0, table, sizeof table) > 3 * 8);
    CHECK(table[3 * 8] == 0x34 && table[3 * 8 + 1] == 0x12);
    __asm__ volatile("mov %1, %%es\n mov %%es, %0\n mov %2, %%es" : "=&r"(data) : "r"(selector), "r"(0));
    CHECK((data & 0xffff) == (int)selector);
    fflush(stdout);
    pid_t child = fork();
    if (!child) _exit(limit_of(selector) == 0x1234 ? 6 : 7);
    CHECK(waitpid(child, &status, 0) == child && status == 6 << 8);
    printf("local table: %x\n", limit_of(selector));
}

int main(void) {
    local_table();
    uint64_t modules[32];
    uint32_t size = sizeof modules;
    landlock();
    keys();
    counter();
    advised();
    printf("modules: %ld\n", syscall(461, modules, &size, 0));
    return 0;
}
