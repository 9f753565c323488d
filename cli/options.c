#include "cli/cli.h"
#include "tui/tui.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 32
#define LONG_ONLY   256 // getopt values of options: LONG_ONLY + index

static const struct cli_option help_option = {"help", 'h', NULL, "show this help"};

static bool optional(const struct cli_option *o) {
    return o->argument && o->argument[0] == '[';
}

static const struct cli_option *option_by_value(const struct cli_command *command, int value) {
    for (int i = 0; command->options[i].name; i++)
        if (value == LONG_ONLY + i || (command->options[i].letter && value == command->options[i].letter))
            return &command->options[i];
    return NULL;
}

static int bad_option(const struct cli_command *command, char **argv, struct rf_error *err) {
    const char *word = argv[optind > 1 ? optind - 1 : 1];
    const char *names[OPTIONS_MAX + 1];
    size_t n = 0;
    for (; command->options[n].name; n++)
        names[n] = command->options[n].name;
    names[n] = NULL;
    char plain[64] = "";
    if (!strncmp(word, "--", 2)) snprintf(plain, sizeof plain, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *near = plain[0] ? cli_nearest(plain, names) : NULL;
    if (near)
        return rf_fail(err, RF_CANNOT, "unknown option '%s' of 'refork %s': did you mean '--%s'?", word,
                       command->name, near);
    return rf_fail(err, RF_CANNOT, "unknown option '%s': 'refork %s --help' lists them", word, command->name);
}

int cli_parse(const struct cli_command *command, int argc, char **argv, struct cli_args *args,
              struct rf_error *err) {
    struct option longs[OPTIONS_MAX + 2] = {0};
    char shorts[3 * OPTIONS_MAX + 8];
    size_t s = 0;
    if (command->program_follows) shorts[s++] = '+';
    shorts[s++] = ':';
    shorts[s++] = 'h';
    int n = 0;
    for (; command->options[n].name; n++) {
        const struct cli_option *o = &command->options[n];
        rf_assert(n < OPTIONS_MAX);
        int has = !o->argument ? no_argument : optional(o) ? optional_argument : required_argument;
        longs[n] = (struct option){o->name, has, NULL, LONG_ONLY + n};
        if (!o->letter) continue;
        shorts[s++] = o->letter;
        for (int colons = 0; colons < has; colons++)
            shorts[s++] = ':';
    }
    longs[n] = (struct option){"help", no_argument, NULL, 'h'};
    shorts[s] = 0;

    *args = (struct cli_args){.command = command};
    optind = 0; // 0 makes glibc read the ordering character afresh
    opterr = 0;
    for (;;) {
        int value = getopt_long(argc, argv, shorts, longs, NULL);
        if (value == -1) break;
        if (value == 'h') {
            cli_help(stdout, command);
            return 0;
        }
        if (value == ':')
            return rf_fail(err, RF_CANNOT, "missing value for '%s': 'refork %s --help' shows it",
                           argv[optind - 1], command->name);
        const struct cli_option *o = option_by_value(command, value);
        if (!o) return bad_option(command, argv, err);
        if (args->count == CLI_GIVEN_MAX) return rf_fail(err, RF_CANNOT, "too many options");
        args->given[args->count].option = o;
        args->given[args->count++].value = optarg;
    }
    args->operands = argv + optind;
    args->operand_count = argc - optind;
    return 1;
}

bool cli_has(const struct cli_args *args, const char *option) {
    for (size_t i = 0; i < args->count; i++)
        if (!strcmp(args->given[i].option->name, option)) return true;
    return false;
}

const char *cli_value(const struct cli_args *args, const char *option) {
    for (size_t i = args->count; i-- > 0;)
        if (!strcmp(args->given[i].option->name, option)) return args->given[i].value;
    return NULL;
}

int cli_number(const struct cli_args *args, const char *option, uint64_t min, uint64_t max, uint64_t *out,
               struct rf_error *err) {
    const char *text = cli_value(args, option);
    if (!text) return 0;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    if (errno || end == text || *end || strchr(text, '-') || value < min || value > max)
        return rf_fail(err, RF_CANNOT, "bad value '%s' of '--%s': give a number from %llu to %llu", text,
                       option, (unsigned long long)min, (unsigned long long)max);
    *out = value;
    return 0;
}

int cli_log(const struct cli_args *args, FILE **out, struct rf_error *err) {
    const char *path = cli_value(args, "log");
    if (!path) return 0;
    if (!strcmp(path, "-")) {
        *out = stderr;
        return 0;
    }
    *out = fopen(path, "we");
    if (!*out) return rf_fail_errno(err, RF_CANNOT, "could not write the log '%s'", path);
    return 0;
}

int cli_at_most(const struct cli_args *args, int max, struct rf_error *err) {
    if (args->operand_count <= max) return 0;
    return rf_fail(err, RF_CANNOT, "unexpected '%s': usage: refork %s [OPTION...] %s", args->operands[max],
                   args->command->name, args->command->operands);
}

// ---- help

void cli_usage(FILE *out) {
    fputs("usage: refork COMMAND [OPTION...] [ARGUMENT...]\n"
          "Records a program that forks, replays it exactly, and says which thread that does not\n"
          "exist in the child held which lock.\n\n",
          out);
    for (size_t i = 0; cli_commands[i]; i++)
        fprintf(out, "  %-8s  %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    fputs("\nWithout FILE, the newest recording (*.refork) in the current folder is meant.\n"
          "'refork COMMAND --help' says more, 'refork --version' the version.\n",
          out);
}

static void option_line(FILE *out, const struct cli_option *o) {
    char left[64];
    snprintf(left, sizeof left, "%c%c%s--%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
             o->letter ? ", " : "  ", o->name, o->argument && !optional(o) ? " " : "",
             o->argument ? o->argument : "");
    fprintf(out, "  %-24s  %s\n", left, o->help);
}

void cli_help(FILE *out, const struct cli_command *command) {
    fprintf(out, "usage: refork %s%s%s%s\n%s.\n\n", command->name,
            command->options[0].name ? " [OPTION...]" : "", command->operands[0] ? " " : "",
            command->operands, command->summary);
    for (int i = 0; command->options[i].name; i++)
        option_line(out, &command->options[i]);
    option_line(out, &help_option);
    if (command->details) fprintf(out, "\n%s", command->details);
}

void cli_words(FILE *out, const struct cli_command *command) {
    if (!command) {
        for (size_t i = 0; cli_commands[i]; i++)
            fprintf(out, "%s\n", cli_commands[i]->name);
        return;
    }
    // An option whose value is its own word ends with '=': completion then leaves the value to be typed.
    for (int i = 0; command->options[i].name; i++) {
        const struct cli_option *o = &command->options[i];
        fprintf(out, "--%s%s\n", o->name, o->argument && !optional(o) ? "=" : "");
    }
    fprintf(out, "--%s\n", help_option.name);
}

// Edit distance with transpositions (optimal string alignment), over short words.
static int distance(const char *a, const char *b) {
    enum { WORD = 32 };
    int d[WORD + 1][WORD + 1];
    int n = (int)strnlen(a, WORD), m = (int)strnlen(b, WORD);
    for (int i = 0; i <= n; i++)
        d[i][0] = i;
    for (int j = 0; j <= m; j++)
        d[0][j] = j;
    for (int i = 1; i <= n; i++) {
        for (int j = 1; j <= m; j++) {
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[n][m];
}

const char *cli_nearest(const char *word, const char *const *list) {
    const char *best = NULL;
    int best_distance = 3; // further away is another word
    for (; *list; list++) {
        size_t len = strlen(word);
        bool prefix = len >= 3 && !strncmp(word, *list, len);
        int d = prefix ? 0 : distance(word, *list);
        if (d >= best_distance || d >= (int)strlen(*list)) continue;
        best = *list;
        best_distance = d;
    }
    return best;
}

// ---- refork help

static int run_help(const struct cli_args *args, struct rf_error *err) {
    if (cli_at_most(args, 1, err)) return -1;
    const struct cli_command *command = NULL;
    if (args->operand_count) {
        command = cli_find(args->operands[0]);
        if (!command)
            return rf_fail(err, RF_CANNOT, "unknown command '%s': 'refork help' lists them all",
                           args->operands[0]);
    }
    if (cli_has(args, "keys"))
        tui_print_keys(stdout, cli_has(args, "roff"));
    else if (cli_has(args, "words"))
        cli_words(stdout, command);
    else if (command)
        cli_help(stdout, command);
    else
        cli_usage(stdout);
    return RF_OK;
}

static const struct cli_option help_options[] = {
    {"keys", 0, NULL, "the keys of the TUI"},
    {"roff", 0, NULL, "with --keys: as man(7) macros, for the manual page"},
    {"words", 0, NULL, "only the words that may follow, one a line (for completion)"},
    {0},
};

const struct cli_command command_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .summary = "Show the commands, or one command's options",
    .options = help_options,
    .run = run_help,
};
