// Twins with GLib's locks.
#include "tests/twins/rare.h"

#include <glib.h>

static GMutex log_mutex;
static void mutex_lock(void) {
    g_mutex_lock(&log_mutex);
}
static void mutex_unlock(void) {
    g_mutex_unlock(&log_mutex);
}

static GRecMutex rec_mutex;
static void rec_make(void) {
    g_rec_mutex_init(&rec_mutex);
}
static void rec_lock(void) {
    g_rec_mutex_lock(&rec_mutex);
}
static void rec_unlock(void) {
    g_rec_mutex_unlock(&rec_mutex);
}

static GRWLock table_lock;
static void table_make(void) {
    g_rw_lock_init(&table_lock);
}
static void table_read(void) {
    g_rw_lock_reader_lock(&table_lock);
}
static void table_write(void) {
    g_rw_lock_writer_lock(&table_lock);
}
static void table_unlock(void) {
    g_rw_lock_reader_unlock(&table_lock); // the same for a writer: pthread_rwlock_unlock
}

static volatile gint flags = 6; // bit 0 is the lock
static void bit_lock(void) {
    g_bit_lock(&flags, 0);
}
static void bit_unlock(void) {
    g_bit_unlock(&flags, 0);
}

static const struct twin twins[] = {
    {"glib_mutex", .lock = mutex_lock, .unlock = mutex_unlock},
    {"glib_rec_mutex", .lock = rec_lock, .unlock = rec_unlock, .in_child = rec_make},
    {"glib_rw_lock", .lock = table_read, .unlock = table_unlock, .child = table_write, .before = table_write,
     .in_child = table_make},
    {"glib_bit_lock", .lock = bit_lock, .unlock = bit_unlock},
};

int main(int argc, char **argv) {
    return rare_main(argc, argv, twins, sizeof twins / sizeof *twins);
}
