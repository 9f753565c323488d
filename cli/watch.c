#include "cli/fail_on.h"
#include "cli/options.h"
#include "replayer/watch/watch.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int find_target(const struct cli_args *args, char *room, size_t size, struct watch_target *out,
                       struct rf_error *err) {
    uint64_t pid = 0;
    const char *name = cli_value(args, "name"), *cgroup = cli_value(args, "cgroup");
    if (cli_number(args, "pid", 1, INT_MAX, &pid, err)) return -1;
    if (!!pid + !!name + !!cgroup != 1)
        return rf_fail(err, RF_CANNOT,
                       "what to watch is missing: give one of --pid P, --name N and --cgroup C");
    if (name && !*name) return rf_fail(err, RF_CANNOT, "bad value '' of '--name': give a program's name");
    if (pid) return watch_target_pid((int)pid, out, err);
    if (cgroup) return watch_target_cgroup(cgroup, room, size, out, err);
    *out = (struct watch_target){.name = name};
    return 0;
}

static int check_folder(const char *folder, struct rf_error *err) {
    struct stat st;
    if (!folder) return 0;
    if (stat(folder, &st)) return rf_fail_errno(err, RF_CANNOT, "cannot write to the folder '%s'", folder);
    if (!S_ISDIR(st.st_mode))
        return rf_fail(err, RF_CANNOT, "'%s' is no folder: give one to '--output'", folder);
    if (access(folder, W_OK)) return rf_fail_errno(err, RF_CANNOT, "cannot write to the folder '%s'", folder);
    return 0;
}

static int run_watch(const struct cli_args *args, struct rf_error *err) {
    char room[PATH_MAX];
    uint64_t found = 0;
    struct watch_options o = {.every_ms = 10000,
                              .folder = cli_value(args, "output"),
                              .core = cli_has(args, "core"),
                              .metrics = cli_value(args, "metrics"),
                              .out = stdout};
    if (o.core && !o.folder)
        return rf_fail(err, RF_CANNOT, "'--core' needs '--output': the folder for the core");
    if (cli_at_most(args, 0, err) || cli_duration(args, "every", &o.every_ms, err) ||
        cli_number(args, "looks", 1, UINT64_MAX, &o.looks, err) || cli_fail_on(args, &o.fail_on, err) ||
        check_folder(o.folder, err) || find_target(args, room, sizeof room, &o.target, err) ||
        watch_run(&o, &found, err))
        return -1;
    return found ? RF_DEADLOCK : RF_OK;
}

static const struct cli_option watch_options[] = {
    {"pid", 'p', "P", "watch process P and all that it forks"},
    {"name", 0, "N", "watch the processes of this name, and all that they fork"},
    {"cgroup", 0, "C", "watch a control group: its folder, or its path below /sys/fs/cgroup"},
    {"every", 0, "TIME", "look so often: 5, 30s, 2m (default: 10 s)"},
    {"looks", 0, "N", "end after N looks (default: when it is interrupted, or process P is gone)"},
    {"output", 'o', "FOLDER", "write what is found there: NAME-PID-START.txt and .json"},
    {"core", 0, NULL, "write a core file there as well: NAME-PID-START.core"},
    {"metrics", 0, "FILE", "write a file for Prometheus' node exporter at each look"},
    CLI_FAIL_ON,
    {0},
};

static const char *const watch_examples[] = {
    "refork watch --name gunicorn -o /var/tmp          # a service, until Ctrl-C",
    "refork watch --cgroup system.slice/nginx.service --metrics /var/lib/node_exporter/refork.prom",
    "refork watch --pid 4711 --every 2 --looks 30      # a minute of one process",
    NULL,
};

const struct cli_command command_watch = {
    .name = "watch",
    .operands = "",
    .summary = "Watch a service, and say when a forked child of it is stuck",
    .details =
        "Reads /proc now and then. Nothing is stopped while nothing looks stuck. A child that has not "
        "called\n"
        "exec since its fork, and of which a thread has been in the same wait for a lock (or in the same\n"
        "loop) since the look before, is looked into as 'refork diagnose' does. What is found is said once,\n"
        "and again when the process goes on or is gone.\n"
        "Exit status: 120 a deadlock was found, 0 none, 125 refork itself failed.\n",
    .examples = watch_examples,
    .options = watch_options,
    .run = run_watch,
};
