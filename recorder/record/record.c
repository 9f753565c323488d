#include "recorder/record/record.h"

#include "recorder/cpus.h"
#include "core/clock.h"
#include "core/cpu/machine.h"
#include "core/version.h"
#include "recorder/calls/calls.h"
#include "recorder/emulate/cpu_files.h"
#include "recorder/emulate/perf.h"
#include "recorder/emulate/ptrace.h"
#include "recorder/emulate/dispatch.h"
#include "recorder/emulate/mdwe.h"
#include "recorder/emulate/seccomp.h"
#include "recorder/emulate/status.h"
#include "recorder/emulate/vsyscall.h"
#include "recorder/end/ending.h"
#include "recorder/engine.h"
#include "recorder/launch/launch.h"
#include "recorder/log.h"
#include "recorder/seen_writes.h"
#include "recorder/plan/gate.h"
#include "recorder/plan/places.h"
#include "recorder/plan/schedule.h"
#include "recorder/plan/strategy.h"
#include "recorder/waits/waits.h"

#include <asm/prctl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static void describe_machine(struct recorder *r, struct trace_header *h) {
    struct utsname u;
    h->start_unix_ns = clock_ns(CLOCK_REALTIME);
    if (uname(&u) == 0) snprintf(h->kernel, sizeof h->kernel, "%s", u.release);
    h->xstate_size = cpu_xstate_size();
    h->cpu = r->model;
    cpu_describe(h->machine_id, sizeof h->machine_id);
    if (r->cpuid_faults) h->flags |= TRACE_CPUID_FAULTS;
    h->paranoid_every = r->options->paranoid_every;
}

// The CPU that the program is shown.
static int choose_cpu(struct recorder *r, struct rf_error *err) {
    struct cpu_features here, lacking;
    enum cpu_level level = r->options->cpu;
    cpu_features_here(&here);
    xstate_layout_here(&r->xstate);
    if (cpu_model_make(level == CPU_BEST ? CPU_V3 : level, &here, &r->model, &lacking)) return 0;
    if (level == CPU_BEST) {
        cpu_model_make(CPU_V2, &here, &r->model, &lacking);
        return 0;
    }
    char names[200];
    cpu_features_text(&lacking, names, sizeof names);
    return rf_fail(err, RF_CANNOT,
                   "this machine is no %s, it lacks %s: leave '--cpu' out, or say --cpu native",
                   cpu_level_name(level), names);
}

// `failure`: why the recorder could not go on, NULL: it did.
static void log_end(struct recorder *r, const char *failure) {
    const struct record_result *result = r->result;
    struct batch b;
    batch_init(r, &b, EV_END, NULL);
    b.e.nr = failure                        ? END_FAILED
             : r->let_go                    ? END_BY_ITSELF
             : result->stuck && r->stop_all ? END_STUCK
             : result->gate_done            ? END_GATE_DONE
             : result->timed_out            ? END_TIME_OVER
             : r->stop_all                  ? END_FROM_OUTSIDE
                                            : END_BY_ITSELF;
    b.e.ret = result->status;
    if (result->signaled) b.e.flags |= EVF_KILLED;
    if (failure) batch_text(&b, TEXT_MESSAGE, failure, strlen(failure));
    r->deferred = NULL;
    batch_log(r, NULL, &b);
}

bool record_may_hang(const struct record_result *result) {
    return result->stuck || result->timed_out || result->asked_to_end || result->killed_waiting;
}

int record_run(const struct record_options *options, struct record_result *result, struct rf_error *err) {
    struct recorder r = {.options = options, .result = result, .rng = options->seed};
    memset(result, 0, sizeof *result);
    r.start_us = clock_us(CLOCK_MONOTONIC);
    cpus_remember(&r);
    r.cpu = cpu_pin();
    if (r.cpu < 0) return rf_fail_errno(err, RF_CANNOT, "cannot pin to one CPU");
    r.node = cpus_node((unsigned)r.cpu);
    r.tsc_traps = cpu_tsc_traps();
    r.cpuid_faults = cpu_cpuid_faults();
    if (choose_cpu(&r, err) < 0) return -1;
    struct trace_header header;
    memset(&header, 0, sizeof header);
    snprintf(header.refork_version, sizeof header.refork_version, "%s", REFORK_VERSION);
    describe_machine(&r, &header);
    if (trace_create(options->output, &header, r.cpu, &r.trace, err) < 0) return -1;
    waits_begin(&r);
    ending_begin(&r);
    dispatch_begin(&r);
    seccomp_begin(&r);
    dispatch_settings_begin(&r);
    mdwe_begin(&r);
    status_begin(&r);
    cpu_files_begin(&r);
    vsyscall_begin(&r);
    perf_begin(&r);
    ptrace_begin(&r);
    if (options->schedule && options->schedule->gate.given) gate_begin(&r);
    if (options->schedule) places_begin(&r);
    if (options->saved || (options->schedule && options->schedule->strategy)) strategist_begin(&r);
    // The gate counts calls of a kind at their stops.
    bool gate = options->schedule && options->schedule->gate.given;
    if (!options->no_probes && !gate) calls_begin(&r);
    int failed = launch(&r, err);
    if (failed) kill_everything(&r);
    while (!failed) {
        failed = engine_run(&r, err);
        if (!r.let_go || failed) break;
        if (ending_let_go(&r)) break;
    }
    struct rf_error last = {0};
    // What did not fit may be followed by an end that does.
    bool lost = r.trace_lost;
    r.trace_lost = false;
    log_end(&r, failed ? err->text : lost ? r.lost.text : NULL);
    result->events = trace_event_count(r.trace);
    int finished = trace_finish(r.trace, &last);
    if (finished == 0 && lost) {
        last = r.lost;
        finished = -1;
    }
    modules_free(&r);
    waits_free(&r);
    seen_writes_free(&r);
    free(r.shared_files);
    free(r.ended_tracees);
    gate_free(&r);
    strategist_free(&r);
    batch_release(&r);
    if (!failed && finished < 0) *err = last;
    if (!result->started) unlink(options->output);
    return failed || finished < 0 ? -1 : 0;
}
