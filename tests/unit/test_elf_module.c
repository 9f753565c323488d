// ELF modules: real files of this machine against what readelf and nm say, programs built here, damaged
// images.
#include "core/elf/elf_module.h"
#include "tests/unit/elf_files.h"
#include "core/elf/elf_inside.h"
#include "core/elf/elf_functions.h"
#include "core/elf/trap_sites.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_file(const char *path, const void *bytes, size_t len) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static char *shell_output(const char *command) {
    FILE *f = popen(command, "r");
    assert_non_null(f);
    char *text = NULL;
    size_t room = 0;
    ssize_t n = getdelim(&text, &room, 0, f);
    pclose(f);
    if (n <= 0) {
        free(text);
        return NULL;
    }
    return text;
}

static const char *const real_files[] = {
    "/bin/bash",
    "/usr/bin/make",
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/x86_64-linux-gnu/libm.so.6",
    "/lib/x86_64-linux-gnu/libcrypto.so.3",
    "/lib64/ld-linux-x86-64.so.2",
    "/usr/bin/python3.11",
    "/proc/self/exe",
};
enum { REAL_FILES = sizeof real_files / sizeof *real_files };

// every JUMP_SLOT that readelf lists, in the same order
static void test_slots_as_readelf(void **state) {
    (void)state;
    int seen = 0;
    for (int i = 0; i < REAL_FILES - 1; i++) {
        struct image im;
        if (!load_image(&im, real_files[i])) continue;
        assert_non_null(im.m);
        char command[512];
        snprintf(command, sizeof command, "readelf -rW %s | awk '/R_X86_64_JUMP_SLO/{print $1}'",
                 real_files[i]);
        char *text = shell_output(command), *at = text;
        size_t count, n = 0;
        struct elf_slot *slots = elf_module_slots(im.m, &count);
        for (; at && *at; n++) {
            assert_true(n < count);
            assert_int_equal(slots[n].vaddr, strtoull(at, &at, 16));
            if (*at == '\n') at++;
        }
        assert_int_equal(n, count);
        seen++;
        free(text);
        free(slots);
        drop_image(&im);
    }
    assert_true(seen >= 3);
}

static void test_offsets(void **state) {
    (void)state;
    for (int i = 0; i < REAL_FILES; i++) {
        struct image im;
        if (!load_image(&im, real_files[i])) continue;
        for (uint64_t offset = 0; offset < im.size; offset += 509) {
            uint64_t vaddr, back;
            if (!elf_module_to_vaddr(im.m, offset, &vaddr)) continue;
            assert_true(elf_module_to_offset(im.m, vaddr, &back));
            assert_int_equal(back, offset);
        }
        drop_image(&im);
    }
}

// The kernel's and ld.so's own mappings: each file-backed line of /proc/self/maps must give its module's
// first address.
static void test_bias_of_own_mappings(void **state) {
    (void)state;
    FILE *f = fopen("/proc/self/maps", "r");
    assert_non_null(f);
    char line[512], last[256] = "";
    uint64_t base = 0;
    int checked = 0;
    while (fgets(line, sizeof line, f)) {
        uint64_t start, end, offset;
        char prot[5], path[256] = "";
        if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %255s", &start, &end, prot, &offset, path) < 5 ||
            path[0] != '/')
            continue;
        struct image im;
        if (!load_image(&im, path)) continue;
        if (strcmp(path, last) != 0) base = start - (im.m ? im.m->loads[0].p_vaddr & ~4095ull : 0);
        strcpy(last, path);
        uint64_t bias;
        if (im.m && !(prot[1] == '-' && prot[2] == '-' && prot[0] == '-')) {
            assert_true(elf_module_bias(im.m, offset, start, &bias));
            if (bias != base) { // the RELRO part of a segment has been split off: its offset is inside, never
                                // its start
                print_message("%s: offset %lx at %lx: %lx, not %lx\n", path, offset, start, bias, base);
            }
            assert_int_equal(bias, base);
            checked++;
        }
        drop_image(&im);
    }
    fclose(f);
    assert_true(checked >= 8);
}

// Functions of ld.so and of libc as .symtab/.dynsym sizes know them.
static void test_function_ranges(void **state) {
    (void)state;
    struct image im;
    assert_true(load_image(&im, "/lib/x86_64-linux-gnu/libc.so.6"));
    char *text = shell_output("readelf --dyn-syms -W /lib/x86_64-linux-gnu/libc.so.6 | "
                              "awk '$4==\"FUNC\" && $3>0 && $8 ~ "
                              "/^(qsort|printf|malloc|pthread_mutex_lock|fork|strtol|glob)@/{print $2,$3}'");
    assert_non_null(text);
    int n = 0;
    for (char *at = text; *at; n++) {
        uint64_t start, end, value = strtoull(at, &at, 16), size = strtoull(at, &at, 10);
        assert_true(elf_module_function(im.m, value + size - 1, &start, &end));
        assert_int_equal(start, value);
        assert_int_equal(end, value + size);
        assert_true(elf_module_function(im.m, value, &start, &end));
        assert_int_equal(start, value);
        while (*at == '\n')
            at++;
    }
    assert_true(n >= 5);
    free(text);
    uint64_t start, end;
    assert_false(elf_module_function(im.m, 0x10, &start, &end));
    assert_false(elf_module_function(im.m, UINT64_MAX, &start, &end));
    drop_image(&im);
}

// The three ways to know a function agree: the search table, .eh_frame alone, symbols alone.
static void test_function_without_tables(void **state) {
    (void)state;
    char path[3][128];
    const char *const options[] = {"", "-Wl,--no-eh-frame-hdr",
                                   "-fno-asynchronous-unwind-tables -fno-unwind-tables"};
    for (int i = 0; i < 3; i++) {
        snprintf(path[i], sizeof path[i], "%s/f%d", scratch, i);
        run("gcc -O0 -o %s %s %s", path[i], options[i], SUBJECTS "functions.c");
        char command[512];
        snprintf(command, sizeof command, "nm -S %s | awk '$4==\"g\"{print $1,$2}'", path[i]);
        char *out = shell_output(command), *at = out;
        assert_non_null(out);
        uint64_t value = strtoull(at, &at, 16), size = strtoull(at, &at, 16), start, end;
        struct image im;
        assert_true(load_image(&im, path[i]));
        assert_true(elf_module_function(im.m, value + 3, &start, &end));
        assert_int_equal(start, value);
        assert_int_equal(end, value + size);
        assert_true(elf_module_is_pie(im.m));
        free(out);
        drop_image(&im);
    }
}

static void test_landing_pads(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/x", scratch);
    run("g++ -O1 -o %s %s", path, SUBJECTS "landing_pads.cc");
    char command[512];
    struct image im;
    assert_true(load_image(&im, path));
    for (int i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "nm %s | awk '$3==\"%s\"{print $1}'", path, i ? "without" : "with");
        char *out = shell_output(command);
        assert_non_null(out);
        assert_int_equal(elf_module_has_landing_pads(im.m, strtoull(out, NULL, 16)), i == 0);
        free(out);
    }
    drop_image(&im);
}

// ---- eager binding

static void run_lazy(const char *path, int *lazy, int *slots) {
    char *out = shell_output(path);
    assert_non_null(out);
    assert_int_equal(sscanf(out, "%d %d", lazy, slots), 2);
    free(out);
}

static void test_bind_now_makes_eager(void **state) {
    (void)state;
    char path[128], patched[128];
    // existing DT_FLAGS, DT_FLAGS_1 alone (PIE), spare DT_NULLs alone (no PIE); $ORIGIN makes DT_FLAGS with
    // DF_ORIGIN
    static const struct {
        const char *options;
        size_t len;
    } ways[] = {{"-pie", 8},
                {"-no-pie", 16},
                {"-no-pie -Wl,-z,origin", 8},
                {"-pie -Wl,-z,origin", 8},
                {"-no-pie -Wl,-z,norelro", 16}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        int lazy, slots;
        snprintf(path, sizeof path, "%s/lazy%zu", scratch, i);
        snprintf(patched, sizeof patched, "%s/eager%zu", scratch, i);
        run("gcc -O1 -o %s %s -Wl,-z,lazy %s", path, SUBJECTS "lazy_slots.c", ways[i].options);
        run_lazy(path, &lazy, &slots);
        assert_true(lazy > 0 && slots >= lazy);
        struct image im;
        assert_true(load_image(&im, path));
        uint64_t vaddr, offset;
        uint8_t bytes[16];
        size_t len;
        assert_int_equal(elf_module_bind_now(im.m, &vaddr, bytes, &len), 1);
        assert_int_equal(len, ways[i].len);
        assert_true(elf_module_to_offset(im.m, vaddr, &offset));
        memcpy(im.bytes + offset, bytes, len);
        assert_int_equal(elf_module_bind_now(im.m, &vaddr, bytes, &len), 0); // once is enough
        write_file(patched, im.bytes, im.size);
        run_lazy(patched, &lazy, &slots);
        assert_int_equal(lazy, 0);
        assert_true(slots > 0);
        drop_image(&im);
    }
}

// Real files that are bound lazily: what would be written is one of the three known things, at a place inside
// the dynamic section.
static void test_bind_now_of_real_files(void **state) {
    (void)state;
    char *list = shell_output("ls /bin/bash /usr/bin/perl /usr/bin/python3.11 /usr/bin/make "
                              "/lib/x86_64-linux-gnu/*.so.* 2>/dev/null");
    assert_non_null(list);
    int files = 0, eager = 0, patched = 0;
    for (char *name = strtok(list, "\n"); name; name = strtok(NULL, "\n")) {
        struct image im;
        if (!load_image(&im, name) || !im.m) continue;
        uint64_t vaddr;
        uint8_t bytes[16];
        size_t len, count;
        struct elf_slot *slots = elf_module_slots(im.m, &count);
        int way = elf_module_bind_now(im.m, &vaddr, bytes, &len);
        files++;
        if (way == -1) fail_msg("%s: no way", name);
        if (way == 0) eager++;
        if (way == 1) {
            patched++;
            assert_true(count > 0);
            assert_true(vaddr >= im.m->dynamic_vaddr &&
                        vaddr + len <= im.m->dynamic_vaddr + im.m->dynamic_count * 16);
            assert_int_equal((vaddr - im.m->dynamic_vaddr) % 16, len == 8 ? 8 : 0);
        }
        free(slots);
        drop_image(&im);
    }
    free(list);
    print_message("%d files: %d bound eagerly, %d to be patched\n", files, eager, patched);
    assert_true(files > 20 && eager > 0 && patched > 0);
}

static void test_bind_now_without_room(void **state) {
    (void)state;
    struct {
        Elf64_Ehdr ehdr;
        Elf64_Phdr load, dynamic;
        Elf64_Dyn dyn[3];
    } file = {.ehdr = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                       .e_type = ET_DYN,
                       .e_machine = EM_X86_64,
                       .e_phoff = offsetof(typeof(file), load),
                       .e_phentsize = sizeof(Elf64_Phdr),
                       .e_phnum = 2},
              .load = {.p_type = PT_LOAD, .p_filesz = sizeof file},
              .dynamic = {.p_type = PT_DYNAMIC,
                          .p_offset = offsetof(typeof(file), dyn),
                          .p_vaddr = offsetof(typeof(file), dyn)},
              .dyn = {{DT_JMPREL, {0}}, {DT_NULL, {0}}, {DT_NULL, {0}}}};
    uint64_t vaddr;
    uint8_t bytes[16];
    size_t len;
    for (size_t entries = 2; entries <= 3; entries++) {
        file.dynamic.p_filesz = entries * sizeof(Elf64_Dyn);
        struct elf_module *m = elf_module_parse(&file, sizeof file);
        assert_non_null(m);
        assert_int_equal(elf_module_bind_now(m, &vaddr, bytes, &len), entries == 3 ? 1 : -1);
        elf_module_free(m);
    }
    assert_int_equal(len, 16);
    assert_int_equal(vaddr, offsetof(typeof(file), dyn[1]));
    assert_int_equal(bytes[0], DT_BIND_NOW);
}

// ---- damage

static void use_everything(const uint8_t *bytes, size_t size, uint64_t probe) {
    struct elf_module *m = elf_module_parse(bytes, size);
    if (!m) return;
    uint64_t a, b;
    size_t count, len;
    uint8_t patch[16];
    free(elf_module_slots(m, &count));
    free(elf_module_trap_sites(m, true, &count));
    elf_module_bind_now(m, &a, patch, &len);
    elf_module_function(m, probe, &a, &b);
    elf_module_has_landing_pads(m, probe);
    elf_module_bias(m, probe, probe, &a);
    elf_module_free(m);
}

static void test_damaged_images(void **state) {
    (void)state;
    char path[128];
    struct image im;
    uint64_t random = 88172645463325252ull;
    for (int file = 0; file < 3; file++) {
        snprintf(path, sizeof path, "%s/f%d", scratch, file);
        assert_true(load_image(&im, path));
        for (int round = 0; round < 2000; round++) {
            uint8_t saved[8];
            size_t places[8];
            for (int k = 0; k < 8; k++) {
                random ^= random << 13, random ^= random >> 7, random ^= random << 17;
                size_t span = round % 4 == 0 ? 64 : round % 4 == 1 ? 64 + 56 * 13 : im.size;
                places[k] = random % span;
                saved[k] = im.bytes[places[k]];
                im.bytes[places[k]] = (uint8_t)(random >> 40);
            }
            use_everything(im.bytes, im.size, 0x1000 + random % 0x400);
            for (int k = 8; k-- > 0;)
                im.bytes[places[k]] = saved[k];
        }
        for (size_t size = 0; size < im.size; size += 61) {
            uint8_t *cut = malloc(size + 1);
            assert_non_null(cut);
            memcpy(cut + 1, im.bytes, size); // odd address as well
            use_everything(cut + 1, size, 0x1130);
            free(cut);
        }
        drop_image(&im);
    }
    assert_null(elf_module_parse("#!/bin/sh\n", 10));
    assert_null(elf_module_parse("", 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_as_readelf),        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_bias_of_own_mappings),    cmocka_unit_test(test_function_ranges),
        cmocka_unit_test(test_function_without_tables), cmocka_unit_test(test_landing_pads),
        cmocka_unit_test(test_bind_now_makes_eager),    cmocka_unit_test(test_bind_now_of_real_files),
        cmocka_unit_test(test_bind_now_without_room),   cmocka_unit_test(test_damaged_images),
    };
    return cmocka_run_group_tests(tests, scratch_set_up, scratch_tear_down);
}
