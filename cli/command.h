// A command of refork: one table row, which drives dispatch, --help, completion and the check of the manual page.
#ifndef REFORK_CLI_COMMAND_H
#define REFORK_CLI_COMMAND_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

struct cli_option {
    const char *name;     // long name, without the dashes
    char letter;          // 0: none
    const char *argument; // "FILE"; NULL: takes none; "[=N]": may be left out; "a|b|c": one of these words
    const char *help;     // one line
};

#define CLI_GIVEN_MAX 64

// A command line, parsed: options in the order given, then what is no option.
struct cli_args {
    const struct cli_command *command;
    const struct cli_command *const *commands; // all of them, ends with NULL
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
    const char *const *examples;      // command lines, each with its purpose behind a '#'; ends with NULL
    const struct cli_option *options; // ends with a row without a name
    bool program_follows; // options end at the first operand: it is another program's command line
    // Returns the exit status, or -1 with *err, which main prints.
    int (*run)(const struct cli_args *args, struct rf_error *err);
};

#define COMMAND(name) extern const struct cli_command command_##name;
#include "cli/commands.def"
#undef COMMAND

#endif
