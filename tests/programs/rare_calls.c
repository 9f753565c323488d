// Calls that few programs make, each answered as without refork: quotas, lists of file systems and of a file's extents, memory
// nodes, fanotify. What a machine cannot do is printed as its errno.
#include "program.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fiemap.h>
#include <linux/quota.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static void tell(const char *what, long result) {
    printf("%s: %s\n", what, result < 0 ? strerror(errno) : "done");
}

static void quotas(void) {
    struct if_dqblk blocks;
    struct if_dqinfo info;
    uint32_t format;
    tell("Q_GETQUOTA", syscall(SYS_quotactl, QCMD(Q_GETQUOTA, USRQUOTA), "/nowhere", 0, &blocks));
    tell("Q_GETFMT", syscall(SYS_quotactl, QCMD(Q_GETFMT, GRPQUOTA), "/", 0, &format));
    tell("Q_GETINFO", syscall(443, open("/", O_RDONLY), QCMD(Q_GETINFO, USRQUOTA), 0, &info)); // quotactl_fd
    tell("Q_SYNC", syscall(SYS_quotactl, QCMD(Q_SYNC, USRQUOTA), NULL, 0, NULL));
}

static void file_systems(void) {
    char name[64] = "";
    long number = syscall(SYS_sysfs, 3), proc = syscall(SYS_sysfs, 1, "proc");
    printf("sysfs: %ld, proc is %ld\n", number, proc);
    tell("sysfs name", syscall(SYS_sysfs, 2, proc, name));
    CHECK(proc < 0 || !strcmp(name, "proc"));
}

static void extents(void) {
    char path[] = "/tmp/refork-extents-XXXXXX", data[3 * PAGE];
    int fd = mkstemp(path), other = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    CHECK(fd >= 0 && unlink(path) == 0);
    memset(data, 'e', sizeof data);
    CHECK(write(fd, data, sizeof data) == sizeof data && pwrite(fd, "z", 1, 100 * PAGE) == 1);
    struct {
        struct fiemap map;
        struct fiemap_extent extent[4];
    } m = {.map = {.fm_length = ~0ull, .fm_flags = FIEMAP_FLAG_SYNC, .fm_extent_count = 4}};
    tell("FS_IOC_FIEMAP", ioctl(fd, FS_IOC_FIEMAP, &m));
    for (uint32_t i = 0; i < m.map.fm_mapped_extents; i++)
        printf("extent at %llu\n", (unsigned long long)m.extent[i].fe_logical);
    m.map.fm_flags = 1u << 31; // not known: the kernel answers which
    tell("FS_IOC_FIEMAP", ioctl(fd, FS_IOC_FIEMAP, &m));
    printf("flags %x\n", m.map.fm_flags);
    struct {
        struct file_dedupe_range range;
        struct file_dedupe_range_info info;
    } same = {.range = {.src_length = PAGE, .dest_count = 1}, .info = {.dest_fd = other}};
    tell("FIDEDUPERANGE", ioctl(fd, FIDEDUPERANGE, &same));
    printf("status %d\n", same.info.status);
}

static void memory_nodes(void) {
    int policy = -1, where[2] = {-1, -1};
    unsigned long nodes[16] = {0};
    char *pages = aligned_alloc(PAGE, 2 * PAGE);
    CHECK(pages && syscall(SYS_mbind, pages, 2 * PAGE, 1 /* MPOL_PREFERRED */, NULL, 0, 0) != 1);
    pages[0] = 1;
    tell("get_mempolicy", syscall(SYS_get_mempolicy, &policy, nodes, 1024, pages, 2 /* MPOL_F_ADDR */));
    printf("policy %d\n", policy);
    tell("move_pages", syscall(SYS_move_pages, 0, 2, (void *[]){pages, NULL}, NULL, where, 0));
    printf("page %s, none %s\n", where[0] < 0 ? "nowhere" : "somewhere",
           where[1] < 0 ? "nowhere" : "somewhere");
    tell("set_mempolicy", syscall(SYS_set_mempolicy, 0, NULL, 0));
    free(pages);
}

static void notified(void) {
    char folder[] = "/tmp/refork-watched-XXXXXX", path[64], events[4096], text[8] = "";
    CHECK(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    int watch = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY);
    tell("fanotify_init", watch);
    long marked = fanotify_mark(watch, FAN_MARK_ADD, FAN_MODIFY | FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD,
                                AT_FDCWD, folder);
    if (watch >= 0) tell("fanotify_mark", marked);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0 && write(fd, "noticed", 7) == 7 && close(fd) == 0);
    ssize_t length = watch < 0 || marked < 0 ? 0 : read(watch, events, sizeof events);
    const struct fanotify_event_metadata *e = (void *)events;
    for (; FAN_EVENT_OK(e, length); e = FAN_EVENT_NEXT(e, length)) {
        CHECK(read(e->fd, text, 7) == 7 && close(e->fd) == 0);
        printf("event %llx, of its own: %d: %s\n", (unsigned long long)e->mask, e->pid == getpid(), text);
    }
    CHECK(unlink(path) == 0 && rmdir(folder) == 0);
}

int main(void) {
    quotas();
    file_systems();
    extents();
    memory_nodes();
    notified();
    return 0;
}
