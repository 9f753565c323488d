#include "recorder/cpus.h"
#include "recorder/record/record.h"
#include "core/clock.h"
#include "core/cpu.h"
#include "core/version.h"
#include "recorder/calls/calls.h"
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
    cpu_describe(h->machine_id, sizeof h->machine_id, h->cpu_features);
    if (r->cpuid_faults) h->flags |= TRACE_CPUID_FAULTS;
    h->paranoid_every = r->options->paranoid_every;
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
    r.tsc_traps = cpu_tsc_traps();
    r.cpuid_faults = cpu_cpuid_faults();
    struct trace_header header;
    memset(&header, 0, sizeof header);
    snprintf(header.refork_version, sizeof header.refork_version, "%s", REFORK_VERSION);
    describe_machine(&r, &header);
    if (trace_create(options->output, &header, r.cpu, &r.trace, err) < 0) return -1;
    waits_begin(&r);
    ending_begin(&r);
    if (options->schedule && options->schedule->gate.given) gate_begin(&r);
    if (options->schedule) places_begin(&r);
    if (options->saved || (options->schedule && options->schedule->strategy)) strategist_begin(&r);
    // Digests, random switches and steps are counted in stops.
    if (!options->no_probes && !options->paranoid_every && !options->chaos && !options->schedule &&
        !options->saved)
        calls_begin(&r);
    int failed = launch(&r, err);
    if (failed) kill_everything(&r);
    while (!failed) {
        failed = engine_run(&r, err);
        if (!r.let_go || failed) break;
        if (ending_let_go(&r)) break;
    }
    struct rf_error last = {0};
    log_end(&r, failed ? err->text : NULL);
    result->events = trace_event_count(r.trace);
    int finished = trace_finish(r.trace, &last);
    modules_free(&r);
    waits_free(&r);
    seen_writes_free(&r);
    gate_free(&r);
    strategist_free(&r);
    batch_release(&r);
    if (!failed && finished < 0) *err = last;
    if (!result->started) unlink(options->output);
    return failed || finished < 0 ? -1 : 0;
}
