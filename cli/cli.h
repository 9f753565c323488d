// The commands of refork: one table row each, which drives dispatch, --help, completion and the check of the
// man page.
#ifndef REFORK_CLI_CLI_H
#define REFORK_CLI_CLI_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/version.h"

struct cli_option {
    const char *name;     // long name, without the dashes
    char letter;          // 0: none
    const char *argument; // "FILE"; NULL: takes none; "[=N]": may be left out
    const char *help;     // one line
};

#define CLI_GIVEN_MAX 64

// A command line, parsed: options in the order given, then what is no option.
struct cli_args {
    const struct cli_command *command;
    struct {
        const struct cli_option *option;
        const char *value; // NULL when it takes none or it was left out
    } given[CLI_GIVEN_MAX];
    size_t count;
    char **operands; // ends with NULL
    int operand_count;
};

struct cli_command {
    const char *name;
    const char *operands;             // for the usage line: "[FILE]"
    const char *summary;              // one line, for the list
    const char *details;              // what --help adds; NULL: nothing
    const struct cli_option *options; // ends with a row without a name
    bool program_follows; // options end at the first operand: it is another program's command line
    // Returns the exit status, or -1 with *err, which main prints.
    int (*run)(const struct cli_args *args, struct rf_error *err);
};

#define COMMAND(name) extern const struct cli_command command_##name;
#include "cli/commands.def"
#undef COMMAND

// All commands, ends with NULL.
extern const struct cli_command *const cli_commands[];
const struct cli_command *cli_find(const char *name);

// ---- command lines
// 1 parsed, 0 --help was given (and printed), -1 *err.
int cli_parse(const struct cli_command *command, int argc, char **argv, struct cli_args *args,
              struct rf_error *err);
bool cli_has(const struct cli_args *args, const char *option);
// The value of the last `option` given, NULL if none.
const char *cli_value(const struct cli_args *args, const char *option);
// The value of `option` as a number in [min, max]; *out stays as it was when the option was not given.
int cli_number(const struct cli_args *args, const char *option, uint64_t min, uint64_t max, uint64_t *out,
               struct rf_error *err);
// Opens the file that --log names for writing, "-" is stderr: *out stays NULL when the option was not given.
int cli_log(const struct cli_args *args, FILE **out, struct rf_error *err);
// At most `max` operands.
int cli_at_most(const struct cli_args *args, int max, struct rf_error *err);

void cli_usage(FILE *out);
void cli_help(FILE *out, const struct cli_command *command);
// The words that may follow `refork COMMAND`, one a line (command NULL: the commands): for completion and
// tests.
void cli_words(FILE *out, const struct cli_command *command);
// The name of `list` (ends with NULL) nearest to `word`, NULL when none is near.
const char *cli_nearest(const char *word, const char *const *list);

// ---- trace files
// A name
// for the recording of `program` in the current folder that no file has yet: NAME.refork, NAME-2.refork, ...
int cli_new_trace(const char *program, char *path, size_t size, struct rf_error *err);
// The newest *.refork of the current folder.
int cli_newest_trace(char *path, size_t size, struct rf_error *err);
// The operand, or the newest recording (announced on stderr when that is a terminal).
int cli_trace(const struct cli_args *args, char *path, size_t size, struct rf_error *err);

// Checks the whole file after what could be read of it was printed: a command that did not need the damaged part
// ends with 122 as well. 0, or -1 with *err.
int cli_verify(const char *path, struct rf_error *err);

// ---- messages of the recorder
// The function of the code address `pc` of the live, stopped process `pid`: "ioctl of libc.so.6"; "" when it
// has no name. Takes milliseconds (reads symbol tables).
void cli_name_pc(int pid, uint64_t pc, char *buffer, size_t size);

// Prints text that may hold names from the recorded program: an escape sequence among them does not reach the terminal.
// Newlines stay.
void cli_say(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

// ---- ends
// Prints "refork: ..." on stderr; returns the exit status for it.
int cli_print_error(const struct rf_error *err);
// Ends refork as the recorded program ended: exits with `status`, or dies by the signal `status`, so that a
// shell, make or an init above cannot tell refork from the program. Flushes; leaves no core dump of refork
// behind.
void cli_end_like(bool signaled, int status) __attribute__((noreturn));

// ---- analysis
struct timeline;
// Shows "refork: re-executing 42%" on a terminal's stderr while long operations of `t` run, from half a
// second on; Ctrl-C cancels them.
void cli_progress_begin(struct timeline *t);
void cli_progress_end(struct timeline *t);
bool cli_interrupted(void); // the last such operation was
// The verdict on the trace `path`, printed to `out`: RF_DEADLOCK or RF_OK, -1 with *err.
int cli_explain(const char *path, bool json, FILE *out, struct rf_error *err);

#endif
