// SQLite, one connection of several threads: its mutex is held while a function that the program defined runs.
// pkg: sqlite3
// debian: libsqlite3-dev
// expect: orphaned-lock confidence=proved lockkind=pthread_mutex holder=worker acquired=sqlite3_exec,worker waiting=sqlite3_exec,in_child focus=in_child
#include "server.h"

#include <sqlite3.h>

static sqlite3 *db;

static void slow(sqlite3_context *context, int argc, sqlite3_value **argv) {
    (void)argc, (void)argv;
    hold();
    sqlite3_result_int(context, 1);
}

static void worker(void) {
    sqlite3_exec(db, "SELECT slow()", NULL, NULL, NULL);
}

static void in_child(void) {
    sqlite3_exec(db, "SELECT 2", NULL, NULL, NULL);
}

int main(int argc, char **argv) {
    (void)argv;
    sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL);
    sqlite3_create_function(db, "slow", 0, SQLITE_UTF8, NULL, slow, NULL, NULL);
    return serve(argc);
}
