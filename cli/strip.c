#include "cli/files.h"
#include "cli/options.h"
#include "cli/strip.h"
#include "core/path.h"
#include "core/printable.h"
#include "replayer/report/lines.h"
#include "replayer/report/stored.h"
#include "replayer/session/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// "PATH, HOME" of those that are `out`, or that are not
static void say_names(FILE *to, const struct environment *e, bool out, const char *what) {
    char *names = NULL;
    size_t size = 0, count = 0;
    FILE *list = open_memstream(&names, &size);
    rf_assert(list);
    for (size_t i = 0; i < e->count; i++)
        if (e->variables[i].out == out) fprintf(list, "%s%s", count++ ? ", " : "", e->variables[i].name);
    fclose(list);
    if (count) report_wrap(to, 0, "%s: %s", what, names);
    free(names);
}

void cli_say_environment(FILE *to, const struct stripped *s) {
    const struct environment *e = &s->environment;
    say_names(to, e, true, "taken out, values of the environment");
    say_names(to, e, false, "kept, since the program's way depends on them");
    if (!s->complete)
        report_wrap(to, 0, "not all of the kept ones were tried: %zu replays were made", s->replays);
    for (size_t i = 0; i < e->count; i++)
        if (e->variables[i].out && e->variables[i].elsewhere)
            report_wrap(
                to, 0,
                "the value of %s is also in what the program read, wrote down or passed on, at %zu places: "
                "there it stays",
                e->variables[i].name, e->variables[i].elsewhere);
}

// A recording that has no verdict yet gets one, which executes it again.
static int store_verdict(const char *path, struct rf_error *err) {
    struct stored_verdict stored;
    struct rf_error none = {0};
    int there = stored_read(path, &stored, &none);
    stored_release(&stored);
    if (there == 0) return 0;
    struct session *s;
    const struct verdict *v;
    if (session_open(path, &s, err)) return -1;
    int failed = session_verdict(s, &v, err);
    if (!failed) failed = stored_attach(path, v, timeline_source_line, session_timeline(s), err);
    session_close(s);
    return failed;
}

static int same_file(const char *a, const char *b, struct rf_error *err) {
    return same_path(a, b)
               ? rf_fail(err, RF_CANNOT, "'%s' would overwrite the recording itself: give another -o", b)
               : 0;
}

static int run_strip(const struct cli_args *args, struct rf_error *err) {
    char path[4096], part[4200];
    const char *to = cli_value(args, "output");
    bool verdict_only = cli_has(args, "verdict-only");
    if (cli_at_most(args, 1, err) || cli_trace(args, path, sizeof path, err)) return -1;
    if (!to) return rf_fail(err, RF_CANNOT, "no file to write: name it with -o FILE");
    if (same_file(path, to, err) || cli_check_file(path, err)) return -1;
    if (verdict_only && store_verdict(path, err)) return -1;
    if (snprintf(part, sizeof part, "%s.part", to) >= 4096)
        return rf_fail(err, RF_CANNOT, "name '%.80s...' is too long for a file", to);
    struct stripped s;
    int failed = verdict_only ? strip_to_verdict(path, part, &s, err) : strip_copy(path, part, true, &s, err);
    if (!failed && rename(part, to)) failed = rf_fail_errno(err, RF_CANNOT, "could not rename '%s'", part);
    if (!failed) {
        if (s.files)
            print_clean(stdout, "taken out: %zu %s, %zu bytes\n", s.files,
                        verdict_only ? "files" : "sources that the verdict quotes", s.bytes);
        cli_say_environment(stdout, &s);
        if (verdict_only) printf("taken out: all events and memory\n");
        print_clean(stdout, "'%s' can %s\n", to,
                    verdict_only ? "be explained (the verdict as it was stored), and nothing else"
                                 : "be replayed, explained and debugged as before");
    }
    stripped_release(&s);
    return failed ? -1 : RF_OK;
}

static const struct cli_option strip_options[] = {
    {"output", 'o', "FILE", "write the copy to FILE"},
    {"verdict-only", 0, NULL, "keep the stored verdict and nothing else: it cannot be replayed"},
    {0},
};

static const char *const strip_examples[] = {
    "refork strip -o ticket.refork server.refork      # without the environment's values",
    "refork strip --verdict-only -o ticket.refork server.refork",
    NULL,
};

const struct cli_command command_strip = {
    .name = "strip",
    .operands = "[FILE]",
    .summary = "Copy a recording without the environment and sources, to give it away",
    .details =
        "The value of a variable is replaced by 'x's of the same number, and the copy replayed: when\n"
        "an event then differs, the program needs the value, and it stays. Texts of sources that the\n"
        "verdict quotes are left out. What the program read and wrote stays: replay needs it.\n"
        "It is said what was taken out and what was kept.\n\n"
        "Exit status: 0, or 121 the replay diverged, 122 unreadable trace, 125 refork itself failed.\n",
    .examples = strip_examples,
    .options = strip_options,
    .run = run_strip,
};
