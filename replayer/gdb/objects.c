#include "replayer/gdb/objects.h"

#include "core/array.h"
#include "replayer/core/image.h"
#include "replayer/gdb/program.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { MODULES_MOST = 4096, NAME_MOST = 4096 };

struct text {
    char *bytes;
    size_t len;
};

static FILE *text_begin(struct text *t) {
    FILE *out = open_memstream(&t->bytes, &t->len);
    rf_assert(out);
    return out;
}

static void xml(FILE *out, const char *text) {
    for (; *text; text++) {
        if (*text == '<' || *text == '>' || *text == '&' || *text == '"' || (unsigned char)*text < ' ')
            fprintf(out, "&#%d;", (unsigned char)*text < ' ' ? '?' : *text);
        else
            fputc(*text, out);
    }
}

static const struct view_map *map_at(struct gdb *g, struct view *v, uint64_t address) {
    struct rf_error ignored;
    return replay_view(g->replay, g->tid, v, &ignored) < 0 ? NULL : view_find(v, address);
}

const char *objects_program(struct gdb *g) {
    struct program p;
    struct view v;
    program_read(g, &p);
    const struct view_map *m = p.auxv_count ? map_at(g, &v, program_auxv(&p, AT_ENTRY)) : NULL;
    return m && m->name ? m->name : "";
}

// ---- libraries, as the dynamic linker lists them

static void libraries(struct gdb *g, FILE *out) {
    struct program p;
    program_read(g, &p);
    uint64_t main_map = program_link_map(g, &p);
    fputs("<library-list-svr4 version=\"1.0\"", out);
    if (main_map) fprintf(out, " main-lm=\"0x%" PRIx64 "\"", main_map);
    fputs(">", out);
    uint64_t lm = main_map;
    for (int i = 0; lm && i < MODULES_MOST; i++) {
        struct link_map m;
        struct view v;
        if (!stops_read(g->stops, g->tid, lm, &m, sizeof m)) break;
        // The name in the list may be a symbolic link; the trace knows the file by the name that it was mapped with.
        const struct view_map *map = map_at(g, &v, (uint64_t)(uintptr_t)m.l_ld);
        if (lm != main_map && map && map->blob && map->name) {
            fputs("<library name=\"", out);
            xml(out, map->name);
            fprintf(out,
                    "\" lm=\"0x%" PRIx64 "\" l_addr=\"0x%" PRIx64 "\" l_ld=\"0x%" PRIx64 "\" lmid=\"0x0\"/>",
                    lm, (uint64_t)m.l_addr, (uint64_t)(uintptr_t)m.l_ld);
        }
        lm = (uint64_t)(uintptr_t)m.l_next;
    }
    fputs("</library-list-svr4>", out);
}

// ---- what gdb knows of each process: its program and libraries

static char *loaded(struct gdb *g) {
    struct text t = {0};
    FILE *out = text_begin(&t);
    fprintf(out, "%s\n", objects_program(g));
    libraries(g, out);
    fclose(out);
    return t.bytes;
}

static int shown_pid(const struct gdb *g) {
    const struct replay_task *t = replay_task_find(g->replay, g->tid);
    return t ? t->pid : 0;
}

static struct known_image *known_of(struct gdb *g, int pid) {
    for (size_t i = 0; i < g->known_count; i++)
        if (g->known[i].pid == pid) return &g->known[i];
    return NULL;
}

// gdb reads the list of libraries: it knows them now.
static void now_known(struct gdb *g) {
    struct known_image *k = known_of(g, shown_pid(g));
    if (!k) {
        k = array_add(g->known, g->known_count);
        *k = (struct known_image){.pid = shown_pid(g)};
    }
    free(k->loaded);
    k->loaded = loaded(g);
}

bool objects_differ(struct gdb *g) {
    const struct known_image *k = known_of(g, shown_pid(g));
    if (!k) return false;
    char *now = loaded(g);
    bool differ = strcmp(now, k->loaded) != 0;
    free(now);
    return differ;
}

void objects_free(struct gdb *g) {
    for (size_t i = 0; i < g->known_count; i++)
        free(g->known[i].loaded);
    free(g->known);
    free(g->maps);
}

static void threads(struct gdb *g, FILE *out) {
    fputs("<threads>", out);
    for (size_t i = 0; i < replay_task_count(g->replay); i++) {
        const struct replay_task *t = replay_task_at(g->replay, i);
        if (t->death || !stops_follows(g->stops, t->pid)) continue;
        fprintf(out, "<thread id=\"p%x.%x\" name=\"", (unsigned)t->pid, (unsigned)t->tid);
        xml(out, t->name);
        fprintf(out, "\">%s</thread>", t->in_syscall ? "in a system call" : "");
    }
    fputs("</threads>", out);
}

// Of the signal that it is stopped at.
static void siginfo(struct gdb *g, FILE *out) {
    struct event e;
    struct rf_error ignored;
    const struct replay_task *t = replay_task_find(g->replay, g->tid);
    uint64_t number = g->stop.ahead ? g->stop.ahead : t ? t->last_event : 0;
    if (g->stop.reason != STOP_SIGNAL || g->stop.tid != g->tid || !number ||
        timeline_event(g->timeline, number, &e, &ignored))
        return;
    const struct piece *piece = event_piece(&e, PIECE_SIGINFO, NULL);
    siginfo_t bare = {.si_signo = (int)g->stop.nr};
    if (piece)
        fwrite(piece->data, 1, piece->len, out);
    else
        fwrite(&bare, sizeof bare, 1,
               out); // of one that ends the process the recording knows the number alone
}

// ---- qXfer

static void send_part(struct gdb *g, const void *bytes, size_t len, uint64_t offset, uint64_t size) {
    if (size > PACKET_MOST / 2 - 16) size = PACKET_MOST / 2 - 16;
    bool last = offset >= len || len - offset <= size;
    size_t n = offset >= len ? 0 : last ? len - (size_t)offset : (size_t)size;
    packet_add(g->packets, "%c", last ? 'l' : 'm');
    if (n) packet_add_binary(g->packets, (const char *)bytes + offset, n);
    packet_send(g->packets);
}

void objects_transfer(struct gdb *g, const char *p) {
    char object[32] = "", annex[64] = "";
    uint64_t offset, size;
    const char *tail = strrchr(p, ':');
    struct text t = {0};
    if (!tail || sscanf(tail + 1, "%" SCNx64 ",%" SCNx64, &offset, &size) != 2 ||
        sscanf(p, "qXfer:%31[^:]:read:%63[^:]", object, annex) < 1) {
        packet_answer(g->packets, "");
        return;
    }
    if (!strcmp(object, "features")) {
        const char *text = registers_description();
        send_part(g, text, strlen(text), offset, size);
        return;
    }
    FILE *out = text_begin(&t);
    if (!strcmp(object, "auxv")) {
        struct program program;
        program_read(g, &program);
        fwrite(program.auxv, sizeof *program.auxv, program.auxv_count, out);
    } else if (!strcmp(object, "exec-file")) {
        fputs(objects_program(g), out);
    } else if (!strcmp(object, "libraries-svr4")) {
        libraries(g, out);
        if (!offset) now_known(g);
    } else if (!strcmp(object, "threads")) {
        threads(g, out);
    } else if (!strcmp(object, "siginfo")) {
        siginfo(g, out);
    }
    fclose(out);
    send_part(g, t.bytes, t.len, offset, size);
    free(t.bytes);
}

// ---- vFile: files of the trace

// gdb's File-I/O protocol: errno of its own, a stat of its own, big-endian ("The F Request Packet").
enum { FIO_ENOENT = 2, FIO_EBADF = 9, FIO_ENOSYS = 88, FIO_EROFS = 30 };

static void file_failed(struct gdb *g, int number) {
    packet_add(g->packets, "F-1,%x", (unsigned)number);
    packet_send(g->packets);
}

// The program names its dynamic linker (PT_INTERP) by a path that is a symbolic link on most machines, /lib64/...; the trace knows the
// file by the name that the kernel mapped. Without it gdb does not learn of libraries that are loaded later.
static uint64_t linker_by_path(struct gdb *g, const char *path) {
    struct program p;
    Elf64_Phdr linker;
    char name[NAME_MOST] = "";
    struct view v;
    program_read(g, &p);
    if (program_find_header(g, &p, PT_INTERP, &linker) && linker.p_filesz < sizeof name)
        stops_read(g->stops, g->tid, linker.p_vaddr + p.bias, name, linker.p_filesz);
    const struct view_map *map =
        *name && !strcmp(name, path) ? map_at(g, &v, program_auxv(&p, AT_BASE)) : NULL;
    return map ? map->blob : 0;
}

static uint64_t blob_by_path(struct gdb *g, const char *path) {
    struct view v;
    struct rf_error ignored;
    if (replay_view(g->replay, g->tid, &v, &ignored) < 0) return 0;
    for (size_t i = 0; i < v.map_count; i++)
        if (v.maps[i].blob && v.maps[i].name && !strcmp(v.maps[i].name, path)) return v.maps[i].blob;
    uint64_t blob = trace_blob_by_name(replay_trace(g->replay), path);
    return blob ? blob : linker_by_path(g, path);
}

// /proc/PID/maps and cmdline, which 'info proc' reads, of a process of the recording.
#define MAPS UINT64_MAX

static bool is_shared(struct gdb *g, const struct replay_task *t, uint64_t address) {
    uint64_t identity, offset;
    return replay_space_shared(g->replay, replay_space_of(g->replay, t->tid), address, &identity, &offset);
}

static void maps(struct gdb *g, const struct replay_task *t, const struct view *view, FILE *out) {
    const struct view v = *view;
    for (size_t i = 0; i < v.map_count; i++) {
        const struct view_map *m = &v.maps[i];
        fprintf(out, "%08" PRIx64 "-%08" PRIx64 " %c%c%c%c %08" PRIx64 " 00:00 %" PRIu64 " %s\n", m->start,
                m->end, m->prot & PROT_READ ? 'r' : '-', m->prot & PROT_WRITE ? 'w' : '-',
                m->prot & PROT_EXEC ? 'x' : '-', is_shared(g, t, m->start) ? 's' : 'p', m->offset, m->blob,
                m->name ? m->name : "");
    }
}

// As execve got it, each argument with its zero.
static void command_line(struct gdb *g, const struct replay_task *t, FILE *out) {
    struct event e;
    struct rf_error ignored;
    const struct piece *text;
    struct image image = image_find(g->timeline, stops_event(g->stops), t->pid);
    if (!image.exec_event || timeline_event(g->timeline, image.exec_event, &e, &ignored)) return;
    for (size_t at = 0; (text = event_piece(&e, PIECE_TEXT, &at));)
        if (text->text.kind == TEXT_ARG) {
            fwrite(text->data, 1, text->len, out);
            fputc(0, out);
        }
}

// The file of /proc/PID that `path` names, if it is of the process that is shown. NULL: it is none.
static const char *file_of_proc(const struct replay_task *t, const char *path) {
    int pid, end = 0;
    bool good = sscanf(path, "/proc/%d/%n", &pid, &end) == 1 && end && t && (pid == t->pid || pid == t->tid);
    return good ? path + end : NULL;
}

static bool make_proc(struct gdb *g, const char *path) {
    struct view v;
    struct rf_error ignored;
    const struct replay_task *t = replay_task_find(g->replay, g->tid);
    const char *name = file_of_proc(t, path);
    bool is_maps = name && !strcmp(name, "maps");
    if ((!is_maps && (!name || strcmp(name, "cmdline") != 0)) ||
        replay_view(g->replay, t->tid, &v, &ignored) < 0)
        return false;
    free(g->maps);
    g->maps = NULL;
    FILE *out = open_memstream(&g->maps, &g->maps_size);
    rf_assert(out);
    if (is_maps)
        maps(g, t, &v, out);
    else
        command_line(g, t, out);
    fclose(out);
    return true;
}

static void file_readlink(struct gdb *g, const char *args, size_t len) {
    char path[NAME_MOST] = "";
    path[packet_unhex(args, len, path, sizeof path - 1)] = 0;
    const char *name = file_of_proc(replay_task_find(g->replay, g->tid), path);
    const char *target = name && !strcmp(name, "exe") ? objects_program(g) : "";
    if (!*target) {
        file_failed(g, FIO_ENOENT);
        return;
    }
    packet_add(g->packets, "F%zx;", strlen(target));
    packet_add_binary(g->packets, target, strlen(target));
    packet_send(g->packets);
}

static const void *blob_content(struct gdb *g, uint64_t blob, size_t *size) {
    if (blob == MAPS) {
        *size = g->maps_size;
        return g->maps;
    }
    struct view v;
    struct rf_error ignored;
    return replay_view(g->replay, g->tid, &v, &ignored) < 0 ? NULL : v.blob(v.context, blob, size);
}

static uint64_t open_blob(const struct gdb *g, unsigned fd) {
    return fd && fd <= sizeof g->files / sizeof *g->files ? g->files[fd - 1].blob : 0;
}

static void file_open(struct gdb *g, const char *args, size_t len) {
    char path[NAME_MOST] = "";
    const char *comma = memchr(args, ',', len);
    size_t n = packet_unhex(args, comma ? (size_t)(comma - args) : len, path, sizeof path - 1);
    path[n] = 0;
    uint64_t blob = make_proc(g, path) ? MAPS : blob_by_path(g, path);
    for (unsigned i = 0; blob && i < sizeof g->files / sizeof *g->files; i++) {
        if (g->files[i].blob) continue;
        g->files[i].blob = blob;
        packet_add(g->packets, "F%x", i + 1);
        packet_send(g->packets);
        return;
    }
    file_failed(g, FIO_ENOENT);
}

static void file_pread(struct gdb *g, const char *args) {
    unsigned fd;
    uint64_t count, offset;
    size_t size = 0;
    bool good = sscanf(args, "%x,%" SCNx64 ",%" SCNx64, &fd, &count, &offset) == 3;
    const void *bytes = good && open_blob(g, fd) ? blob_content(g, open_blob(g, fd), &size) : NULL;
    if (!bytes) {
        file_failed(g, FIO_EBADF);
        return;
    }
    if (count > PACKET_MOST / 2 - 64) count = PACKET_MOST / 2 - 64;
    size_t n = offset >= size ? 0 : size - offset < count ? (size_t)(size - offset) : (size_t)count;
    packet_add(g->packets, "F%zx;", n);
    if (n) packet_add_binary(g->packets, (const char *)bytes + offset, n);
    packet_send(g->packets);
}

static void put_big(uint8_t *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static void file_stat(struct gdb *g, unsigned fd) {
    uint8_t st[64] = {0};
    size_t size = 0;
    uint64_t blob = open_blob(g, fd);
    if (!blob || !blob_content(g, blob, &size)) {
        file_failed(g, FIO_EBADF);
        return;
    }
    put_big(st + 4, blob, 4);
    put_big(st + 8, S_IFREG | 0555, 4);
    put_big(st + 12, 1, 4);
    put_big(st + 28, size, 8);
    put_big(st + 36, 4096, 8);
    put_big(st + 44, (size + 511) / 512, 8);
    packet_add(g->packets, "F%x;", (unsigned)sizeof st);
    packet_add_binary(g->packets, st, sizeof st);
    packet_send(g->packets);
}

void objects_file(struct gdb *g, const char *p, size_t len) {
    unsigned fd;
    const char *args = strchr(p + 6, ':');
    size_t skip = args ? (size_t)(args + 1 - p) : len;
    if (!strncmp(p, "vFile:setfs:", 12)) {
        packet_answer(g->packets, "F0");
    } else if (!strncmp(p, "vFile:open:", 11)) {
        file_open(g, p + skip, len - skip);
    } else if (!strncmp(p, "vFile:pread:", 12)) {
        file_pread(g, p + skip);
    } else if (sscanf(p, "vFile:fstat:%x", &fd) == 1) {
        file_stat(g, fd);
    } else if (sscanf(p, "vFile:close:%x", &fd) == 1) {
        bool was = open_blob(g, fd) != 0;
        if (was) g->files[fd - 1].blob = 0;
        if (was)
            packet_answer(g->packets, "F0");
        else
            file_failed(g, FIO_EBADF);
    } else if (!strncmp(p, "vFile:readlink:", 15)) {
        file_readlink(g, p + skip, len - skip);
    } else if (!strncmp(p, "vFile:", 6)) {
        file_failed(g, FIO_EROFS); // a trace is not written to
    }
}
