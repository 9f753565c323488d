// core/proc_maps.h on this very process: mappings of which everything is known, and a process that is not there.
#include "core/proc_maps.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void find(uint64_t address, int prot, bool shared, uint64_t offset, const char *name) {
    struct proc_maps m;
    struct proc_map map;
    bool found = false;
    assert_true(proc_maps_open(&m, getpid()));
    uint64_t before = 0;
    while (proc_maps_next(&m, &map)) {
        assert_true(map.start >= before && map.end > map.start);
        before = map.end;
        if (address < map.start || address >= map.end) continue;
        found = true;
        assert_int_equal(map.prot, prot);
        assert_int_equal(map.shared, shared);
        assert_int_equal(map.offset, offset);
        assert_string_equal(map.name, name);
    }
    proc_maps_close(&m);
    assert_true(found);
}

// A page that is locked and one that is not: what smaps says behind each mapping.
static void test_flags(void **state) {
    (void)state;
    char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(two != MAP_FAILED);
    bool locks = mlock(two, 4096) == 0; // (RLIMIT_MEMLOCK may be 0)
    scoped_maps struct proc_maps m;
    struct proc_map map;
    int seen = 0;
    assert_true(proc_maps_open_flags(&m, getpid()));
    while (proc_maps_next(&m, &map)) {
        if (map.end <= (uint64_t)two || map.start >= (uint64_t)two + 8192) continue;
        assert_int_equal(proc_maps_has_flag(&m, "lo"), locks && map.start <= (uint64_t)two);
        seen++;
    }
    assert_true(seen >= 1 + locks);
    munmap(two, 8192);
}

static void test_mappings(void **state) {
    (void)state;
    char path[] = "/tmp/refork a name-XXXXXX", gone[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0 && ftruncate(fd, 12288) == 0);
    void *file = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 8192);
    void *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(file != MAP_FAILED && none != MAP_FAILED);
    find((uint64_t)file, PROT_READ, true, 8192, path);
    find((uint64_t)none, PROT_NONE, false, 0, "");
    assert_int_equal(unlink(path), 0);
    snprintf(gone, sizeof gone, "%s (deleted)", path);
    find((uint64_t)file, PROT_READ, true, 8192, gone);
    struct proc_map map;
    assert_true(proc_maps_find(getpid(), (uint64_t)none + 4095, &map));
    assert_true(map.start <= (uint64_t)none && map.end > (uint64_t)none);
    munmap(none, 4096);
    assert_false(proc_maps_find(getpid(), 8, &map));
    munmap(file, 4096);
    close(fd);
}

// (Of memory that is no file on a disk: overlayfs has two devices for one file.)
static void test_identity(void **state) {
    (void)state;
    struct proc_map map;
    struct stat st;
    int fd = memfd_create("identity", MFD_CLOEXEC);
    assert_true(fd >= 0 && ftruncate(fd, 4096) == 0 && fstat(fd, &st) == 0);
    void *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(proc_maps_find(getpid(), (uint64_t)at, &map));
    assert_int_equal(map.inode, st.st_ino);
    assert_int_equal(map.device, st.st_dev);
    munmap(at, 4096);
    close(fd);
}

static void test_no_process(void **state) {
    (void)state;
    struct proc_maps m;
    struct proc_map map;
    assert_false(proc_maps_open(&m, -1));
    assert_false(proc_maps_next(&m, &map));
    proc_maps_close(&m);
    assert_false(proc_maps_find(-1, 0x1000, &map));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mappings), cmocka_unit_test(test_flags),
                                       cmocka_unit_test(test_identity), cmocka_unit_test(test_no_process)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
