#include "cli/cli.h"
#include "replayer/report.h"
#include "replayer/timeline.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct {
    struct timespec start;
    bool terminal, shown;
    struct sigaction before;
} progress;
static volatile sig_atomic_t interrupted;

static void interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

static bool show_progress(void *unused, uint64_t done, uint64_t total) {
    (void)unused;
    if (interrupted) return false;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds =
        (double)(now.tv_sec - progress.start.tv_sec) + (double)(now.tv_nsec - progress.start.tv_nsec) / 1e9;
    if (progress.terminal && seconds > 0.5 && total) {
        fprintf(stderr, "\rrefork: re-executing %3u%%", (unsigned)((double)done * 100 / (double)total));
        fflush(stderr);
        progress.shown = true;
    }
    return true;
}

void cli_progress_begin(struct timeline *t) {
    clock_gettime(CLOCK_MONOTONIC, &progress.start);
    progress.terminal = isatty(STDERR_FILENO);
    progress.shown = false;
    interrupted = 0;
    sigaction(SIGINT, &(struct sigaction){.sa_handler = interrupt}, &progress.before);
    timeline_set_progress(t, show_progress, NULL);
}

void cli_progress_end(struct timeline *t) {
    timeline_set_progress(t, NULL, NULL);
    sigaction(SIGINT, &progress.before, NULL);
    if (progress.shown) fputs("\r\033[K", stderr);
}

int cli_explain(const char *path, bool json, FILE *out, struct rf_error *err) {
    struct timeline *t;
    if (timeline_open(path, &t, err)) return -1;
    cli_progress_begin(t);
    const struct verdict *v;
    int r = timeline_verdict(t, &v, err);
    cli_progress_end(t);
    if (r == 0) {
        if (!json)
            report_text(out, v, timeline_source_line, t);
        else if (report_json(out, v))
            r = rf_fail_errno(err, RF_CANNOT, "could not write the verdict");
        if (r == 0) r = v->deadlock ? RF_DEADLOCK : RF_OK;
    }
    timeline_close(t);
    if (r >= 0 && cli_verify(path, err)) return -1;
    return r;
}

static int run_explain(const struct cli_args *args, struct rf_error *err) {
    bool json = cli_has(args, "json");
    if (args->operand_count == 0) {
        char path[4096];
        if (cli_trace(args, path, sizeof path, err)) return -1;
        return cli_explain(path, json, stdout, err);
    }
    int status = RF_OK;
    for (int i = 0; i < args->operand_count; i++) {
        if (args->operand_count > 1 && !json) printf("%s%s:\n", i ? "\n" : "", args->operands[i]);
        int one = cli_explain(args->operands[i], json, stdout, err);
        if (one < 0) return -1;
        if (one != RF_OK) status = one;
    }
    return status;
}

static const struct cli_option explain_options[] = {
    {"json", 0, NULL, "for machines: one JSON document per FILE (docs/json.md)"},
    {0},
};

const struct cli_command command_explain = {
    .name = "explain",
    .operands = "[FILE...]",
    .summary = "Say what is stuck, on which lock, and which thread took it",
    .details = "Exit status: 120 a deadlock was found, 0 none; 121 the replay diverged, 122 unreadable\n"
               "trace, 125 refork itself failed.\n",
    .options = explain_options,
    .run = run_explain,
};
