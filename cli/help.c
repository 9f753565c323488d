#include "cli/help.h"

#include "tui/actions.h"
#include "cli/completion.h"
#include "cli/options.h"

#include <string.h>

const struct cli_command *cli_find(const struct cli_command *const *commands, const char *name) {
    for (size_t i = 0; commands[i]; i++)
        if (!strcmp(commands[i]->name, name)) return commands[i];
    return NULL;
}

void cli_usage(FILE *out, const struct cli_command *const *commands) {
    fputs("usage: refork COMMAND [OPTION...] [ARGUMENT...]\n"
          "Records a program that forks, replays it exactly, and says which thread that does not\n"
          "exist in the child held which lock.\n\n",
          out);
    for (size_t i = 0; commands[i]; i++)
        fprintf(out, "  %-8s  %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nWithout FILE, the newest recording (*.refork) in the current folder is meant.\n"
          "'refork COMMAND --help' says more, 'refork --version' the version.\n",
          out);
}

static void option_line(FILE *out, const struct cli_option *o) {
    char left[64];
    snprintf(left, sizeof left, "%c%c%s--%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
             o->letter ? ", " : "  ", o->name, o->argument && !cli_option_optional(o) ? " " : "",
             o->argument ? o->argument : "");
    if (strlen(left) > 24)
        fprintf(out, "  %s\n  %24s  %s\n", left, "", o->help);
    else
        fprintf(out, "  %-24s  %s\n", left, o->help);
}

void cli_help(FILE *out, const struct cli_command *command) {
    fprintf(out, "usage: refork %s%s%s%s\n%s.\n\n", command->name,
            command->options[0].name ? " [OPTION...]" : "", command->operands[0] ? " " : "",
            command->operands, command->summary);
    for (int i = 0; command->options[i].name; i++)
        option_line(out, &command->options[i]);
    option_line(out, &cli_help_option);
    if (command->details) fprintf(out, "\n%s", command->details);
    if (command->examples) fputs("\nExamples:\n", out);
    for (size_t i = 0; command->examples && command->examples[i]; i++)
        fprintf(out, "  %s\n", command->examples[i]);
}

// The words that may follow `refork COMMAND`, one a line (command NULL: the commands).
static void words(FILE *out, const struct cli_command *const *commands, const struct cli_command *command) {
    if (!command) {
        for (size_t i = 0; commands[i]; i++)
            fprintf(out, "%s\n", commands[i]->name);
        return;
    }
    // An option whose value is its own word ends with '=': completion then leaves the value to be typed.
    for (int i = 0; command->options[i].name; i++) {
        const struct cli_option *o = &command->options[i];
        fprintf(out, "--%s%s\n", o->name, o->argument && !cli_option_optional(o) ? "=" : "");
    }
    fprintf(out, "--%s\n", cli_help_option.name);
}

static int run_help(const struct cli_args *args, struct rf_error *err) {
    if (cli_at_most(args, 1, err)) return -1;
    const struct cli_command *command = NULL;
    if (args->operand_count) {
        command = cli_find(args->commands, args->operands[0]);
        if (!command)
            return rf_fail(err, RF_CANNOT, "unknown command '%s': 'refork help' lists them all",
                           args->operands[0]);
    }
    if (cli_has(args, "completion"))
        return cli_completion(stdout, cli_value(args, "completion"), args->commands, err) < 0 ? -1 : RF_OK;
    if (cli_has(args, "keys"))
        tui_print_keys(stdout, cli_has(args, "roff"));
    else if (cli_has(args, "words"))
        words(stdout, args->commands, command);
    else if (command)
        cli_help(stdout, command);
    else
        cli_usage(stdout, args->commands);
    return RF_OK;
}

static const struct cli_option help_options[] = {
    {"keys", 0, NULL, "the keys of the TUI"},
    {"roff", 0, NULL, "with --keys: as man(7) macros, for the manual page"},
    {"words", 0, NULL, "only the words that may follow, one a line"},
    {"completion", 0, "bash|zsh|fish", "a script that completes refork's command lines in that shell"},
    {0},
};

static const char *const help_examples[] = {
    "refork help record                               # the options of record",
    "refork help --completion zsh >_refork             # completion for a shell",
    NULL,
};

const struct cli_command command_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .summary = "Show the commands, or one command's options",
    .examples = help_examples,
    .options = help_options,
    .run = run_help,
};
