// Twins that are built with musl.
#include "tests/twins/rare.h"

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

static void mutex_lock(void) {
    pthread_mutex_lock(&log_mutex);
}
static void mutex_unlock(void) {
    pthread_mutex_unlock(&log_mutex);
}

static pthread_once_t tables_once = PTHREAD_ONCE_INIT;
static void make_tables(void) {
    rare_uses = 100;
}
static void use_tables(void) {
    pthread_once(&tables_once, make_tables);
}

static FILE *table;
static void open_table(void) {
    table = fopen("/dev/null", "w");
}
static void print_table(void) {
    fputs("line\n", table);
}

static const struct twin twins[] = {
    {"musl_mutex", .lock = mutex_lock, .unlock = mutex_unlock},
    {"musl_once", .lock = use_tables, .only_first = 1},
    {"musl_stdio", .set_up = open_table, .lock = print_table},
};

int main(int argc, char **argv) {
    return rare_main(argc, argv, twins, sizeof twins / sizeof *twins);
}
