#include "cli/options.h"

#include "cli/nearest.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 32
#define LONG_ONLY   256 // getopt values of options: LONG_ONLY + index

const struct cli_option cli_help_option = {"help", 'h', NULL, "show this help"};

bool cli_option_optional(const struct cli_option *o) {
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

int cli_parse(const struct cli_command *command, const struct cli_command *const *commands, int argc,
              char **argv, struct cli_args *args, struct rf_error *err) {
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
        int has = !o->argument ? no_argument : cli_option_optional(o) ? optional_argument : required_argument;
        longs[n] = (struct option){o->name, has, NULL, LONG_ONLY + n};
        if (!o->letter) continue;
        shorts[s++] = o->letter;
        for (int colons = 0; colons < has; colons++)
            shorts[s++] = ':';
    }
    longs[n] = (struct option){"help", no_argument, NULL, 'h'};
    shorts[s] = 0;

    *args = (struct cli_args){.command = command, .commands = commands};
    optind = 0; // 0 makes glibc read the ordering character afresh
    opterr = 0;
    for (;;) {
        int value = getopt_long(argc, argv, shorts, longs, NULL);
        if (value == -1) break;
        if (value == 'h') return 0;
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

int cli_duration(const struct cli_args *args, const char *option, uint64_t *ms, struct rf_error *err) {
    const char *text = cli_value(args, option);
    if (!text) return 0;
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    uint64_t unit = !*end || !strcmp(end, "s") ? 1 : !strcmp(end, "m") ? 60 : !strcmp(end, "h") ? 3600 : 0;
    if (errno || end == text || *text == '-' || !unit || !n || n > 1000000)
        return rf_fail(err, RF_CANNOT, "bad value '%s' of '--%s': give seconds, or 30m, or 2h", text, option);
    *ms = n * unit * 1000;
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

int cli_probes(const struct cli_args *args, bool *off, struct rf_error *err) {
    const char *probes = cli_value(args, "probes");
    *off = probes && !strcmp(probes, "off");
    if (!probes || *off || !strcmp(probes, "on")) return 0;
    return rf_fail(err, RF_CANNOT, "bad value '%s' of '--probes': give on or off", probes);
}

int cli_at_most(const struct cli_args *args, int max, struct rf_error *err) {
    if (args->operand_count <= max) return 0;
    return rf_fail(err, RF_CANNOT, "unexpected '%s': usage: refork %s [OPTION...] %s", args->operands[max],
                   args->command->name, args->command->operands);
}

int cli_cpu(const struct cli_args *args, enum cpu_level *level, struct rf_error *err) {
    const char *kind = cli_value(args, "cpu");
    if (!kind || cpu_level_named(kind, level)) return 0;
    return rf_fail(err, RF_CANNOT, "no kind of CPU '%s': it is x86-64-v3, x86-64-v2 or native", kind);
}
