#include "cli/ends.h"
#include "cli/help.h"
#include "cli/nearest.h"
#include "cli/options.h"
#include "core/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_command *const commands[] = {
#define COMMAND(name) &command_##name,
#include "cli/commands.def"
#undef COMMAND
    NULL,
};

static int unknown_command(const char *name) {
    const char *names[32];
    size_t n = 0;
    for (; commands[n]; n++)
        names[n] = commands[n]->name;
    names[n] = NULL;
    const char *near = cli_nearest(name, names);
    struct rf_error err = {0};
    if (near)
        rf_fail(&err, RF_CANNOT, "unknown command '%s': did you mean '%s'? ('refork --help' lists them all)",
                name, near);
    else
        rf_fail(&err, RF_CANNOT, "unknown command '%s': 'refork --help' lists them all", name);
    return cli_print_error(&err);
}

// What was printed must have arrived: a full disk behind `refork info >file` is an error.
static int flushed(int status) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    struct rf_error err = {0};
    rf_fail_errno(&err, RF_CANNOT, "could not write the output");
    return cli_print_error(&err);
}

int main(int argc, char **argv) {
    unsetenv("DEBUGINFOD_URLS"); // libdw would ask servers for symbols: refork never uses the network
    if (argc < 2) {
        cli_usage(stderr, commands);
        return RF_CANNOT;
    }
    const char *name = argv[1];
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
        cli_usage(stdout, commands);
        return flushed(RF_OK);
    }
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        puts("refork " REFORK_VERSION);
        return flushed(RF_OK);
    }
    const struct cli_command *command = cli_find(commands, name);
    if (!command) return unknown_command(name);

    struct rf_error err = {0};
    struct cli_args args;
    int parsed = cli_parse(command, commands, argc - 1, argv + 1, &args, &err);
    if (parsed < 0) return cli_print_error(&err);
    if (parsed == 0) {
        cli_help(stdout, command);
        return flushed(RF_OK);
    }
    int status = command->run(&args, &err);
    if (status < 0) {
        fflush(stdout);
        return cli_print_error(&err);
    }
    return flushed(status);
}
