// Twins with locks that glibc, or an allocator that is preloaded, keeps for itself.
#include "tests/twins/rare.h"

#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <pwd.h>
#include <syslog.h>

static void set_environment(void) {
    setenv("LC_ALL", "C", 1);
}

static time_t now;
static void print_date(void) {
    struct tm date;
    localtime_r(&now, &date);
}

static void draw(void) {
    random();
}

static void look_up_user(void) {
    getpwnam("root");
}

static void log_line(void) {
    syslog(LOG_DEBUG, "hello");
}

static void nothing(void) {}
static void register_plugin(void) {
    atexit(nothing);
}
static void end_by_exit(void) {
    exit(7);
}

static int look_at(struct dl_phdr_info *module, size_t size, void *unused) {
    (void)module, (void)size, (void)unused;
    return 1;
}
static void profile(void) {
    dl_iterate_phdr(look_at, NULL);
}
static void load_library(void) {
    dlopen("libm.so.6", RTLD_NOW);
}

static void load_and_unload(void) {
    void *library = dlopen("libm.so.6", RTLD_NOW);
    if (library) dlclose(library);
}

// ---- allocators and stdio: what fork() takes care of, and _Fork() does not

static void *volatile block;

static void one_arena(void) {
    mallopt(M_ARENA_MAX, 1);
}
static void allocate(size_t size) {
    void *p = malloc(size);
    block = p;
    free(p);
}
static void allocate_100_k(void) {
    allocate(100000);
}
static void allocate_4_m(void) {
    allocate(4 << 20);
}
static void allocate_64_m(void) {
    allocate(64 << 20);
}

static FILE *table;
static void open_table(void) {
    table = fopen("/dev/null", "w");
}
static void print_table(void) {
    fputs("line\n", table);
}

static const struct twin twins[] = {
    {"libc_setenv", .lock = set_environment},
    {"libc_localtime", .lock = print_date},
    {"libc_random", .lock = draw},
    {"libc_getpwnam", .lock = look_up_user},
    {"libc_syslog", .lock = log_line},
    {"libc_atexit", .lock = register_plugin, .child = end_by_exit},
    {"libc_dlopen", .lock = profile, .child = load_library},
    {"malloc_raw_fork", .set_up = one_arena, .lock = allocate_100_k, .fork = _Fork},
    {"stdio_raw_fork", .set_up = open_table, .lock = print_table, .fork = _Fork},
    {"tcmalloc_raw_fork", .lock = allocate_4_m, .fork = _Fork},
    {"jemalloc_raw_fork", .lock = allocate_64_m, .fork = _Fork},
    // no sample's
    {"dlopen", .lock = load_and_unload, .child = load_library},
    {"malloc_fork", .lock = allocate_100_k},
    {"stdio_fork", .set_up = open_table, .lock = print_table},
};

int main(int argc, char **argv) {
    return rare_main(argc, argv, twins, sizeof twins / sizeof *twins);
}
