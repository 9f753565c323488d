#include "cli/options.h"
#include "recorder/doctor/probe.h"

#include <jansson.h>
#include <stdlib.h>

#define FEATURES_MAX 64

static int print_json(const struct feature *features, int n, bool works, struct rf_error *err) {
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        const struct feature *f = &features[i];
        json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:s, s:s?, s:s?}", "name", f->name,
                                              "available", f->available, "required", f->required, "detail",
                                              f->detail, "lost", f->lost, "remedy", f->remedy));
    }
    json_t *root = json_pack("{s:b, s:o}", "works", works, "features", list);
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

static int run_doctor(const struct cli_args *args, struct rf_error *err) {
    if (cli_at_most(args, 0, err)) return -1;
    static struct feature features[FEATURES_MAX];
    int n = probe_features(features, FEATURES_MAX);
    bool works = n > 0;
    for (int i = 0; i < n; i++)
        if (features[i].required && !features[i].available) works = false;
    if (!cli_has(args, "json"))
        print_text(features, n, works);
    else if (print_json(features, n, works, err))
        return -1;
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
