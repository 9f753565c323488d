// ELF files of this machine, and small ones made of assembler, for the tests of core/elf/elf_module.h.
#ifndef REFORK_TESTS_UNIT_ELF_FILES_H
#define REFORK_TESTS_UNIT_ELF_FILES_H

#include "core/elf/elf_module.h"
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct image {
    uint8_t *bytes; // a copy, exactly `size` long, so that a sanitizer sees a read behind it
    size_t size;
    struct elf_module *m;
};

// false: there is no such file.
static inline bool load_image(struct image *im, const char *path) {
    struct stat st;
    *im = (struct image){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    assert_int_equal(fstat(fd, &st), 0);
    im->size = (size_t)st.st_size;
    im->bytes = malloc(im->size ? im->size : 1);
    assert_non_null(im->bytes);
    assert_int_equal(read(fd, im->bytes, im->size), (ssize_t)im->size);
    close(fd);
    im->m = elf_module_parse(im->bytes, im->size);
    return true;
}

static inline void drop_image(struct image *im) {
    elf_module_free(im->m);
    free(im->bytes);
}

// Assembles and links scratch/NAME.
static inline void assemble(const char *name, const char *options, const char *source) {
    char file[64];
    snprintf(file, sizeof file, "%s.S", name);
    scratch_write(file, source);
    run("gcc -nostdlib -static %s -o %s/%s %s/%s", options, scratch, name, scratch, file);
}

#endif
