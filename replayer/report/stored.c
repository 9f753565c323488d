#include "replayer/report/stored.h"

#include "core/printable.h"
#include "core/trace/trace_read.h"
#include "core/trace/trace_write.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STORED_MAX = 16 << 20 };

static int add(struct trace_writer *w, const char *name, const char *text, size_t size,
               struct rf_error *err) {
    uint64_t id;
    return trace_add_bytes(w, text, size, name, &id, err);
}

int stored_attach(const char *path, const struct verdict *v, source_line line, void *context,
                  struct rf_error *err) {
    char *text = NULL, *document = NULL;
    size_t text_size = 0, document_size = 0;
    FILE *out = open_memstream(&text, &text_size);
    rf_assert(out);
    report_text(out, v, line, context);
    fclose(out);
    out = open_memstream(&document, &document_size);
    rf_assert(out);
    int failed = report_json(out, v);
    fclose(out);
    if (failed) failed = rf_fail(err, RF_CANNOT, "out of memory while describing the verdict");
    struct trace_writer *w = NULL;
    if (!failed && text_size < STORED_MAX && document_size < STORED_MAX) failed = trace_amend(path, &w, err);
    if (w) {
        failed = add(w, STORED_TEXT, text, text_size, err);
        if (!failed) failed = add(w, STORED_JSON, document, document_size, err);
        struct rf_error last;
        int finished = trace_finish(w, failed ? &last : err);
        if (!failed) failed = finished;
    }
    free(text);
    free(document);
    return failed;
}

// NUL-terminated; NULL: there is none, or *err.
static char *read_blob(struct trace_reader *r, const char *name, size_t *size, struct rf_error *err) {
    uint64_t id = trace_blob_by_name(r, name), bytes;
    const char *ignored;
    if (!id || !trace_blob_info(r, id, &ignored, &bytes)) {
        rf_fail(err, RF_CANNOT, "no verdict is stored in it: 'refork record' stores the one that it prints");
        return NULL;
    }
    if (bytes > STORED_MAX) {
        rf_fail(err, RF_BAD_TRACE, "its stored verdict has %llu bytes: more than any verdict",
                (unsigned long long)bytes);
        return NULL;
    }
    int fd = trace_blob_fd(r, id, err);
    char *text = fd < 0 ? NULL : malloc(bytes + 1);
    if (!text) return NULL;
    if (pread(fd, text, bytes, 0) != (ssize_t)bytes) {
        free(text);
        rf_fail(err, RF_CANNOT, "could not read its stored verdict");
        return NULL;
    }
    text[bytes] = 0;
    *size = bytes;
    return text;
}

// Control characters but for the ends of lines become '?'.
static void clean_lines(char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (!text[i]) text[i] = '?';
    for (char *line = text, *end; line; line = end) {
        end = strchr(line, '\n');
        if (end) *end = 0;
        printable(line);
        if (end) *end++ = '\n';
    }
}

static bool level_of(const json_t *root, enum verdict_level *out) {
    const json_t *deadlock = json_object_get(root, "deadlock"), *findings = json_object_get(root, "findings");
    if (!json_is_boolean(deadlock) || !json_is_array(findings)) return false;
    size_t count = json_array_size(findings);
    *out = json_is_true(deadlock) ? VERDICT_LIKELY : count ? VERDICT_SUSPICIOUS : VERDICT_NONE;
    for (size_t i = 0; i < count && *out == VERDICT_LIKELY; i++) {
        const char *c = json_string_value(json_object_get(json_array_get(findings, i), "confidence"));
        if (c && !strcmp(c, confidence_name(CONFIDENCE_PROVED))) *out = VERDICT_PROVED;
    }
    return true;
}

int stored_read(const char *path, struct stored_verdict *out, struct rf_error *err) {
    *out = (struct stored_verdict){.text = NULL};
    struct trace_reader *r;
    if (trace_open(path, &r, err) < 0) return -1;
    size_t size = 0, document_size = 0;
    char *document = NULL;
    out->text = read_blob(r, STORED_TEXT, &size, err);
    if (out->text) document = read_blob(r, STORED_JSON, &document_size, err);
    snprintf(out->refork, sizeof out->refork, "%.32s", trace_get_header(r)->refork_version);
    trace_close(r);
    if (!document) return -1;
    clean_lines(out->text, size);
    printable(out->refork);
    out->json = json_loadb(document, document_size, JSON_REJECT_DUPLICATES, NULL);
    free(document);
    if (json_is_object(out->json) && level_of(out->json, &out->level)) return 0;
    return rf_fail(err, RF_BAD_TRACE, "'%s': its stored verdict is no verdict", path);
}

void stored_release(struct stored_verdict *s) {
    free(s->text);
    json_decref(s->json);
    *s = (struct stored_verdict){.text = NULL};
}
