// rr as a command: what it prints, whether it works on this machine, and its server for gdb's protocol.
#ifndef REFORK_REPLAYER_RR_PROCESS_H
#define REFORK_REPLAYER_RR_PROCESS_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { RR_ARGUMENTS = 128 };

// A command line that grows; the strings stay the caller's. What does not fit is left out.
struct rr_line {
    const char *argv[RR_ARGUMENTS + 1];
    size_t count;
};
void rr_line_add(struct rr_line *l, const char *argument);
// The words of `text`, which is cut up in place; NULL has none.
void rr_line_words(struct rr_line *l, char *text);

struct rr_output {
    char *text; // from malloc, ended by a NUL
    size_t size;
    char complaint
        [400];  // the line of stderr that says most, without rr's place in its own source; "" for none
    int status; // as waitpid has it
};
// Runs a command to its end, without input. `traces` (NULL: rr's own choice) is the folder for new traces.
// -1: it could not be started, or prints more than refork believes in.
int rr_run(const struct rr_line *l, const char *traces, struct rr_output *out, struct rf_error *err);
void rr_output_release(struct rr_output *o);

// Does rr work here?
struct rr_probe {
    bool found, works;
    char version[64];
    char reason[400]; // why not, in rr's words
    char remedy[320];
};
// Runs `COMMAND --version`, and records /bin/true with these options ("" for none) in a folder that is removed.
void rr_probe(const char *command, const char *options, struct rr_probe *out);

// `rr replay` as a server, until rr_server_stop.
struct rr_server {
    pid_t pid;
    int port;
    int output; // of rr and of the program, which is read no more
};
// Starts the command, which must print where gdb is to connect ("HOST:PORT"); -1 with what it says instead.
int rr_server_start(const struct rr_line *l, struct rr_server *out, struct rf_error *err);
// After a failure: has rr said why? Then *err says that, too. Returns -1.
int rr_server_failed(const struct rr_server *s, struct rf_error *err);
void rr_server_stop(struct rr_server *s);

#endif
