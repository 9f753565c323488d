// Command lines, as getopt_long reads them.
#ifndef REFORK_CLI_OPTIONS_H
#define REFORK_CLI_OPTIONS_H

#include "cli/command.h"
#include "core/cpu/model.h"

#include <stdint.h>
#include <stdio.h>

// 1 parsed, 0 --help was given, -1 *err. `commands`: all of them, for args->commands.
int cli_parse(const struct cli_command *command, const struct cli_command *const *commands, int argc,
              char **argv, struct cli_args *args, struct rf_error *err);
bool cli_has(const struct cli_args *args, const char *option);
// The value of the last `option` given, NULL if none.
const char *cli_value(const struct cli_args *args, const char *option);
// The value of `option` as a number in [min, max]; *out stays as it was when the option was not given.
int cli_number(const struct cli_args *args, const char *option, uint64_t min, uint64_t max, uint64_t *out,
               struct rf_error *err);
// The value of `option` as a time, "90", "90s", "30m" or "2h", in milliseconds; *ms stays as it was when it was not given.
int cli_duration(const struct cli_args *args, const char *option, uint64_t *ms, struct rf_error *err);
// Opens the file that --log names for writing, "-" is stderr: *out stays NULL when the option was not given.
int cli_log(const struct cli_args *args, FILE **out, struct rf_error *err);
// The value of --probes, on (default) or off.
int cli_probes(const struct cli_args *args, bool *off, struct rf_error *err);
// The value of --cpu; *level stays as it was when it was not given.
int cli_cpu(const struct cli_args *args, enum cpu_level *level, struct rf_error *err);
// At most `max` operands.
int cli_at_most(const struct cli_args *args, int max, struct rf_error *err);

// The row of --cpus in the tables of commands that run a program, and its most.
enum { CPUS_MOST = 1024 };
// Of the commands that execute a recording.
#define CLI_PROBES                                                                                           \
    { "probes", 0, "on|off", "off: stop at each call and lock operation that could be noted in the process" }

#define CLI_CPUS                                                                                             \
    { "cpus", 0, "N", "tell the program of N CPUs (as many as it would see alone)" }

#define CLI_CPU                                                                                              \
    { "cpu", 0, "KIND", "show the program a CPU of this kind: x86-64-v3 (default), x86-64-v2, native" }

// How a TUI's screens are drawn.
#define CLI_SCREEN(tui)                                                                                      \
    {"ascii", 0, NULL, tui "only ASCII characters"},                                                         \
        {"no-color", 0, NULL, tui "no colours (also when NO_COLOR is set)"},                                 \
        {"script", 0, "KEYS", tui "without a terminal: press these keys"}, {                                 \
        "size", 0, "WxH", tui "the screen of a script (80x24)"                                               \
    }

// The option that every command has.
extern const struct cli_option cli_help_option;
// May its value be left out?
bool cli_option_optional(const struct cli_option *option);

#endif
