#include "cli/options.h"
#include "replayer/compare/tell.h"

static int compare(const struct cli_args *args, struct side sides[2], struct rf_error *err) {
    struct comparison c;
    for (int i = 0; i < 2; i++) {
        sides[i].path = args->operands[i];
        if (steps_read(sides[i].path, &sides[i].steps, err) ||
            session_open(sides[i].path, &sides[i].session, err))
            return -1;
    }
    compare_steps(&sides[0].steps, &sides[1].steps, &c);
    if (cli_has(args, "json") ? tell_json(stdout, sides, &c, err) : tell_text(stdout, sides, &c, err))
        return -1;
    return c.schedule.found || c.data.found ? 1 : RF_OK;
}

static int run_diff(const struct cli_args *args, struct rf_error *err) {
    struct side sides[2] = {0};
    if (args->operand_count != 2)
        return rf_fail(err, RF_CANNOT, "two recordings are needed: usage: refork diff [OPTION...] A B");
    int status = compare(args, sides, err);
    for (int i = 0; i < 2; i++) {
        session_close(sides[i].session);
        steps_release(&sides[i].steps);
    }
    return status;
}

static const struct cli_option diff_options[] = {
    {"json", 0, NULL, "for machines (docs/json.md)"},
    {0},
};

static const char *const diff_examples[] = {
    "refork diff bug.refork healthy.refork            # where does the one that hangs part from the one that "
    "ends?",
    "refork minimize bug.refork && refork diff bug-min-hangs.refork bug-min-ends.refork",
    NULL,
};

const struct cli_command command_diff = {
    .name = "diff",
    .operands = "A B",
    .summary = "Say where two recordings of a program begin to differ",
    .details =
        "First in the schedule: whose turn it is. Then in the data: what a task does, gets or writes, held\n"
        "against what the same task does in the other recording. Tasks are matched by the order of their "
        "births;\n"
        "what clocks say is not counted.\n"
        "Exit status: 0 they are the same, 1 they differ; 121 a replay diverged, 122 unreadable trace,\n"
        "125 refork itself failed.\n",
    .examples = diff_examples,
    .options = diff_options,
    .run = run_diff,
};
