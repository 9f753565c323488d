#include "cli/files.h"
#include "cli/options.h"
#include "core/trace/dump.h"
#include "core/trace/trace_read.h"

#include <limits.h>

static int run_dump(const struct cli_args *args, struct rf_error *err) {
    char path[4096];
    uint64_t from = 1, to = UINT64_MAX, task = 0;
    if (cli_at_most(args, 1, err) || cli_number(args, "from", 1, UINT64_MAX, &from, err) ||
        cli_number(args, "to", 1, UINT64_MAX, &to, err) || cli_number(args, "task", 1, INT_MAX, &task, err) ||
        cli_trace(args, path, sizeof path, err))
        return -1;
    struct trace_reader *reader;
    if (trace_open(path, &reader, err)) return -1;
    uint64_t last = trace_last_event(reader);
    int r = 0;
    if (cli_has(args, "from") && from > last)
        r = rf_fail(err, RF_CANNOT, "no event %llu: the last one of '%s' is %llu", (unsigned long long)from,
                    path, (unsigned long long)last);
    else
        r = dump_events(stdout, reader, from, to < last ? to : last, (int)task, err);
    trace_close(reader);
    return r || cli_check_file(path, err) ? -1 : RF_OK;
}

static const struct cli_option dump_options[] = {
    {"from", 0, "N", "start at event N"},
    {"to", 0, "N", "end with event N"},
    {"task", 0, "TID", "only the events of this task"},
    {0},
};

static const char *const dump_examples[] = {
    "refork dump --from 100 --to 200 server.refork    # events 100 to 200, a line each",
    NULL,
};

const struct cli_command command_dump = {
    .name = "dump",
    .operands = "[FILE]",
    .summary = "Print every event, one line each",
    .details = "Exit status: 0, or 122 unreadable trace, 125 refork itself failed.\n",
    .examples = dump_examples,
    .options = dump_options,
    .run = run_dump,
};
