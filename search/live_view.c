#include "search/live_view.h"

#include "core/array.h"
#include "core/proc_maps.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct live_file {
    char *name;
    void *data; // NULL: could not be mapped
    size_t size;
};

struct live_view {
    struct view view;
    int pid;
    struct view_map *maps;
    struct live_file *files; // blob ids are indices + 1
    size_t map_count, file_count;
};

static bool live_read(void *context, uint64_t address, void *buffer, size_t len) {
    const struct live_view *l = context;
    struct iovec local = {buffer, len}, remote = {(void *)address, len};
    return process_vm_readv(l->pid, &local, 1, &remote, 1, 0) == (ssize_t)len;
}

static const void *live_blob(void *context, uint64_t id, size_t *size) {
    const struct live_view *l = context;
    if (!id || id > l->file_count) return NULL;
    *size = l->files[id - 1].size;
    return l->files[id - 1].data;
}

// The id of the file called `name` as the process sees it, mapped once; 0 when out of memory.
static uint64_t add_file(struct live_view *l, const char *name) {
    for (size_t i = l->file_count; i-- > 0;)
        if (!strcmp(l->files[i].name, name)) return i + 1;
    struct live_file *f = array_add(l->files, l->file_count);
    f->name = strdup(name);
    rf_assert(f->name);
    char path[4200];
    snprintf(path, sizeof path, "/proc/%d/root%s", l->pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data != MAP_FAILED) {
            f->data = data;
            f->size = (size_t)st.st_size;
        }
    }
    if (fd >= 0) close(fd);
    return l->file_count;
}

static void add_map(struct live_view *l, const struct proc_map *map) {
    uint64_t file = map->name[0] == '/' ? add_file(l, map->name) : 0;
    *array_add(l->maps, l->map_count) = (struct view_map){
        .start = map->start,
        .end = map->end,
        .offset = map->offset,
        .blob = file && l->files[file - 1].data ? file : 0,
        .prot = map->prot,
    };
}

static void read_maps(struct live_view *l) {
    struct proc_maps maps;
    struct proc_map map;
    proc_maps_open(&maps, l->pid);
    while (proc_maps_next(&maps, &map))
        add_map(l, &map);
    proc_maps_close(&maps);
    // The array of files moved while it grew.
    for (size_t i = 0; i < l->map_count; i++)
        l->maps[i].name = l->maps[i].blob ? l->files[l->maps[i].blob - 1].name : "";
}

struct live_view *live_view_open(int pid) {
    struct live_view *l = calloc(1, sizeof *l);
    rf_assert(l);
    l->pid = pid;
    read_maps(l);
    l->view = (struct view){l->maps, l->map_count, live_read, live_blob, l};
    return l;
}

const struct view *live_view_of(const struct live_view *l) {
    return &l->view;
}

void live_view_close(struct live_view *l) {
    for (size_t i = 0; i < l->file_count; i++) {
        if (l->files[i].data) munmap(l->files[i].data, l->files[i].size);
        free(l->files[i].name);
    }
    free(l->files);
    free(l->maps);
    free(l);
}
