#include "replayer/diagnose/files.h"

#include "core/abi.h"
#include "core/array.h"
#include "core/error.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOTES_MAX = 1 << 16 };

struct stored {
    dev_t device;
    ino_t inode;
    void *bytes;
    size_t size;
    bool mapped; // else from malloc
};

struct file_store {
    struct stored *files; // number - 1
    size_t count;
};

struct file_store *file_store_new(void) {
    struct file_store *f = calloc(1, sizeof *f);
    rf_assert(f);
    return f;
}

void file_store_free(struct file_store *f) {
    if (!f) return;
    for (size_t i = 0; i < f->count; i++) {
        if (f->files[i].mapped)
            munmap(f->files[i].bytes, f->files[i].size);
        else
            free(f->files[i].bytes);
    }
    free(f->files);
    free(f);
}

static uint64_t add(struct file_store *f, struct stored file) {
    array_push(f->files, f->count, file);
    return f->count;
}

static uint64_t map_file(struct file_store *f, int fd) {
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0) return 0;
    for (size_t i = 0; i < f->count; i++)
        if (f->files[i].mapped && f->files[i].device == st.st_dev && f->files[i].inode == st.st_ino)
            return i + 1;
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) return 0;
    return add(f, (struct stored){st.st_dev, st.st_ino, bytes, (size_t)st.st_size, true});
}

uint64_t file_store_open(struct file_store *f, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return 0;
    uint64_t id = map_file(f, fd);
    close(fd);
    return id;
}

uint64_t file_store_take(struct file_store *f, void *bytes, size_t size) {
    return add(f, (struct stored){.bytes = bytes, .size = size});
}

const void *file_store_bytes(const struct file_store *f, uint64_t id, size_t *size) {
    if (!id || id > f->count) return NULL;
    *size = f->files[id - 1].size;
    return f->files[id - 1].bytes;
}

bool file_store_is_file(const struct file_store *f, uint64_t id) {
    return id && id <= f->count && f->files[id - 1].mapped;
}

// ---- is it the file?

static bool inside(uint64_t offset, uint64_t len, size_t size) {
    return offset <= size && len <= size - offset;
}

// Is the file's range [offset, offset + len) in memory, and the same there? The range is read through
// the segment that maps it.
static bool same_bytes(const uint8_t *image, uint64_t offset, size_t len, const struct view *v,
                       uint64_t address) {
    uint8_t *buffer = malloc(len);
    bool same = buffer && v->read(v->context, address, buffer, len) && !memcmp(buffer, image + offset, len);
    free(buffer);
    return same;
}

bool file_store_matches(const struct file_store *f, uint64_t id, const struct view *v, uint64_t start) {
    size_t size;
    const uint8_t *image = file_store_bytes(f, id, &size);
    Elf64_Ehdr e;
    if (!image || size < sizeof e) return false;
    size_t first = size < PAGE ? size : PAGE;
    if (!same_bytes(image, 0, first, v, start)) return false;
    memcpy(&e, image, sizeof e);
    if (memcmp(e.e_ident, ELFMAG, SELFMAG)) return true; // no program: nothing is read out of it but names
    // All program headers must have been compared, and every note: one of them is the build-id.
    if (e.e_phentsize != sizeof(Elf64_Phdr) || !inside(e.e_phoff, e.e_phnum * sizeof(Elf64_Phdr), first))
        return false;
    for (unsigned i = 0; i < e.e_phnum; i++) {
        Elf64_Phdr p;
        memcpy(&p, image + e.e_phoff + i * sizeof p, sizeof p);
        if (p.p_type != PT_NOTE || !p.p_filesz || inside(p.p_offset, p.p_filesz, first)) continue;
        if (p.p_filesz > NOTES_MAX || !inside(p.p_offset, p.p_filesz, size)) return false;
        // The first segment has the file's offset 0 at its start, and notes lie in it.
        if (!same_bytes(image, p.p_offset, p.p_filesz, v, start + p.p_offset)) return false;
    }
    return true;
}
