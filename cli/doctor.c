#include "cli/options.h"
#include "core/config.h"
#include "core/printable.h"
#include "recorder/doctor/probe.h"
#include "replayer/rr/process.h"

#include <jansson.h>
#include <stdlib.h>

#define FEATURES_MAX 64

static int print_json(const struct feature *features, int n, bool works, const struct rr_probe *rr,
                      struct rf_error *err) {
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        const struct feature *f = &features[i];
        json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:s, s:s?, s:s?}", "name", f->name,
                                              "available", f->available, "required", f->required, "detail",
                                              f->detail, "lost", f->lost, "remedy", f->remedy));
    }
    // NULL is null: nothing to tell.
    json_t *engine = json_pack("{s:b, s:b, s:s?, s:s?, s:s?}", "found", rr->found, "works", rr->works,
                               "version", *rr->version ? rr->version : NULL, "reason",
                               *rr->reason ? rr->reason : NULL, "remedy", *rr->remedy ? rr->remedy : NULL);
    json_t *root = json_pack("{s:b, s:o, s:o}", "works", works, "features", list, "rr", engine);
    int r = root ? json_dumpf(root, stdout, JSON_INDENT(2)) : -1;
    json_decref(root);
    if (r) return rf_fail(err, RF_CANNOT, "could not write the JSON");
    putchar('\n');
    return 0;
}

static void print_text(const struct feature *features, int n, bool works) {
    int missing = 0;
    for (int i = 0; i < n; i++) {
        const struct feature *f = &features[i];
        const char *mark = f->available ? "yes" : f->required ? "NO" : "no";
        printf("%-4s %s%s%s\n", mark, f->name, f->detail[0] ? ": " : "", f->detail);
        if (f->available) continue;
        missing++;
        if (f->lost) printf("     lost: %s\n", f->lost);
        if (f->remedy) printf("     to do: %s\n", f->remedy);
    }
    if (!works)
        puts("\nrefork cannot record here: see the lines marked NO");
    else if (missing)
        puts("\nrefork works here, with the losses named above");
    else
        puts("\nrefork works here, with everything it can use");
}

// Another recorder's matter: nothing of refork is lost without it.
static void print_rr(const struct rr_probe *rr) {
    if (!rr->found) {
        printf("\nrr (refork record --engine rr): not here: %s\n", rr->remedy);
        return;
    }
    print_clean(stdout, "\nrr (refork record --engine rr): version %s %s%s\n", rr->version,
                rr->works ? "works here" : "does not record here: ", rr->reason);
    if (!rr->works) print_clean(stdout, "     to do: %s\n", rr->remedy);
}

static int run_doctor(const struct cli_args *args, struct rf_error *err) {
    if (cli_at_most(args, 0, err)) return -1;
    static struct feature features[FEATURES_MAX];
    int n = probe_features(features, FEATURES_MAX);
    bool works = n > 0;
    for (int i = 0; i < n; i++)
        if (features[i].required && !features[i].available) works = false;
    struct config config;
    struct rr_probe rr;
    if (config_read(&config, err)) return -1;
    rr_probe(*config.rr ? config.rr : "rr", config.rr_options, &rr);
    if (cli_has(args, "json")) {
        if (print_json(features, n, works, &rr, err)) return -1;
    } else {
        print_text(features, n, works);
        print_rr(&rr);
    }
    return works ? RF_OK : RF_CANNOT;
}

static const struct cli_option doctor_options[] = {
    {"json", 0, NULL, "for machines"},
    {0},
};

static const char *const doctor_examples[] = {
    "refork doctor                                    # what can this machine do?",
    NULL,
};

const struct cli_command command_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "Show what refork needs of kernel and CPU, what is there, and what is lost without it",
    .details = "Exit status: 0 refork works here, 125 something that it cannot do without is missing.\n",
    .examples = doctor_examples,
    .options = doctor_options,
    .run = run_doctor,
};
