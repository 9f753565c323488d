#include "tui/marks.h"

#include "core/printable.h"
#include "tui/focus.h"
#include "tui/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MARKS_MOST_BYTES = 1 << 20 };

// ---- the file

// One line; false: it is no mark.
static bool parse(struct tui_model *m, char *line) {
    char letter, *note;
    unsigned long long event;
    int tid, end = 0;
    if (sscanf(line, "%c %19llu %9d%n", &letter, &event, &tid, &end) != 3) return false;
    if (letter < 'a' || letter > 'z' || !event || event > m->source->last(m->source->context) || tid < 0)
        return false;
    note = line + end;
    if (*note && *note != ' ') return false;
    struct tui_mark *mark = &m->marks[letter - 'a'];
    mark->place = (struct tui_focus){event, tid, 0};
    snprintf(mark->note, sizeof mark->note, "%s", note + (*note == ' '));
    printable(mark->note);
    return true;
}

static FILE *open_text(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a FIFO must not stop it
    struct stat file;
    if (fd < 0) return NULL;
    if (fstat(fd, &file) || !S_ISREG(file.st_mode) || file.st_size > MARKS_MOST_BYTES) {
        close(fd);
        errno = EINVAL;
        return NULL;
    }
    return fdopen(fd, "r");
}

void tui_marks_open(struct tui_model *m, const char *path) {
    if (!path) return;
    int n = snprintf(m->marks_path, sizeof m->marks_path, "%s", path);
    if (n < 0 || (size_t)n >= sizeof m->marks_path) {
        m->marks_path[0] = 0;
        return;
    }
    FILE *in = open_text(path);
    if (!in) {
        if (errno != ENOENT)
            tui_model_message(m, true, "cannot read the marks in '%s'; marks are not kept", path);
        if (errno != ENOENT) m->marks_path[0] = 0; // nothing of the user's is written over
        return;
    }
    char line[512];
    unsigned number = 0, bad = 0;
    while (fgets(line, sizeof line, in)) {
        size_t len = strcspn(line, "\n");
        bool whole = line[len] == '\n' || feof(in);
        line[len] = 0;
        number++;
        if (*line == '#' || (whole && parse(m, line))) continue;
        if (!bad) bad = number;
        for (int c = 0; !whole && c != '\n' && c != EOF;)
            c = getc(in);
    }
    fclose(in);
    if (bad) tui_model_message(m, true, "line %u of '%s' is no mark of this recording: left out", bad, path);
}

// By a new file that takes the old one's place, so that one of the two is always whole.
static void save(struct tui_model *m) {
    char made[sizeof m->marks_path + 8];
    if (!*m->marks_path) return;
    snprintf(made, sizeof made, "%s.XXXXXX", m->marks_path);
    int fd = mkostemp(made, O_CLOEXEC);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!out) {
        if (fd >= 0) close(fd);
        tui_model_message(m, true, "cannot write '%s': %s; the mark lasts until you quit", m->marks_path,
                          strerror(errno));
        return;
    }
    fputs("# refork marks: letter, event, task, note\n", out);
    for (int i = 0; i < 26; i++) {
        const struct tui_mark *mark = &m->marks[i];
        if (!mark->place.event) continue;
        fprintf(out, "%c %llu %d%s%s\n", 'a' + i, (unsigned long long)mark->place.event, mark->place.tid,
                *mark->note ? " " : "", mark->note);
    }
    bool bad = ferror(out) != 0;
    if (fclose(out) || bad || rename(made, m->marks_path)) {
        tui_model_message(m, true, "cannot write '%s': %s; the mark lasts until you quit", m->marks_path,
                          strerror(errno));
        unlink(made);
    }
}

// ---- keys

static void set(struct tui_model *m, int letter) {
    struct tui_mark *mark = &m->marks[letter - 'a'];
    *mark = (struct tui_mark){.place = m->focus};
    tui_model_message(m, false, "event %llu is marked '%c'; \"%c adds a note",
                      (unsigned long long)m->focus.event, letter, letter);
    save(m);
}

static void go(struct tui_model *m, int letter) {
    const struct tui_mark *mark = &m->marks[letter - 'a'];
    if (!mark->place.event) {
        tui_model_message(m, true, "no mark '%c'; m%c makes it", letter, letter);
        return;
    }
    tui_model_jump(m, mark->place.event, mark->place.tid);
    if (*mark->note) tui_model_message(m, false, "%c: %s", letter, mark->note);
}

void tui_marks_key(struct tui_model *m, int key) {
    int what = m->pending;
    m->pending = 0;
    if (what == '\'' && key == '\'') {
        if (m->back.event)
            tui_model_jump(m, m->back.event, m->back.tid);
        else
            tui_model_message(m, false, "no jump yet");
    } else if (key < 'a' || key > 'z') {
        if (key != TUI_KEY_ESC) tui_model_message(m, true, "a mark is a letter from a to z");
    } else if (what == 'm') {
        set(m, key);
    } else if (what == '\'') {
        go(m, key);
    } else {
        if (!m->marks[key - 'a'].place.event) set(m, key);
        m->note_letter = (char)key;
        m->prompt = TUI_PROMPT_NOTE;
        snprintf(m->prompt_text, sizeof m->prompt_text, "%s", m->marks[key - 'a'].note);
    }
}

void tui_marks_note(struct tui_model *m, const char *text) {
    struct tui_mark *mark = &m->marks[m->note_letter - 'a'];
    snprintf(mark->note, sizeof mark->note, "%s", text);
    printable(mark->note);
    tui_model_message(m, false, "%c, event %llu: %s", m->note_letter, (unsigned long long)mark->place.event,
                      *mark->note ? mark->note : "no note");
    save(m);
}

char tui_mark_at(const struct tui_model *m, uint64_t event) {
    for (int i = 0; i < 26; i++)
        if (m->marks[i].place.event == event && event) return (char)('a' + i);
    return 0;
}
