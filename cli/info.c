#include "cli/files.h"
#include "cli/options.h"
#include "core/trace/dump.h"
#include "core/trace/trace_read.h"

static int run_info(const struct cli_args *args, struct rf_error *err) {
    char path[4096];
    if (cli_at_most(args, 1, err) || cli_trace(args, path, sizeof path, err)) return -1;
    struct trace_reader *reader;
    if (trace_open(path, &reader, err)) return -1;
    int r = (cli_has(args, "json") ? dump_info_json : dump_info)(stdout, path, reader, err);
    trace_close(reader);
    return r || cli_check_undamaged(path, err) ? -1 : RF_OK;
}

static const struct cli_option info_options[] = {
    {"json", 0, NULL, "for machines"},
    {0},
};

static const char *const info_examples[] = {
    "refork info server.refork                        # what is in it",
    NULL,
};

const struct cli_command command_info = {
    .name = "info",
    .operands = "[FILE]",
    .summary = "Show what a recording holds: program, machine, processes and threads, sizes",
    .details = "Exit status: 0, or 122 unreadable trace, 125 refork itself failed.\n",
    .examples = info_examples,
    .options = info_options,
    .run = run_info,
};
