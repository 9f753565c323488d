#include "tui/terminal/terminal.h"

#include "tui/keys.h"
#include "tui/terminal/mouse.h"

#include <curses.h>
#include <term.h>

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

// curses has one current screen and signal handlers have no argument: so this is one static.
static struct {
    bool open, real, colour, ascii;
    bool mouse_known, mouse; // the terminal has one; it is on
    SCREEN *screen;
    FILE *null_in, *null_out;
    attr_t attributes[TUI_ROLES];
    short pairs[TUI_ROLES];
    struct termios saved;
    char leave[256]; // what a crash writes: end of the alternate screen, cursor, attributes
    size_t leave_len;
    int real_stderr, held_stderr; // -1: not redirected
    int wake[2];
    volatile sig_atomic_t resized, ending;
    char pushed[8]; // rest of a character's UTF-8 bytes
    int pushed_len;
} t = {.real_stderr = -1, .held_stderr = -1, .wake = {-1, -1}};

static const struct {
    short colour256, colour8;
    attr_t attributes, mono;
} looks[TUI_ROLES] = {
#define ROLE(id, letter, colour256, colour8, attributes, mono) {colour256, colour8, attributes, mono},
#include "tui/roles.def"
#undef ROLE
};

// ---- signals

static const int ends[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};
static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};

void tui_terminal_wake(void) {
    int saved = errno;
    if (write(t.wake[1], "", 1) < 0) errno = 0; // full: it is awake already
    errno = saved;
}

static void on_end(int number) {
    t.ending = number;
    tui_terminal_wake();
}

static void on_resize(int number) {
    (void)number;
    t.resized = 1;
    tui_terminal_wake();
}

// Only async-signal-safe calls: the terminal as it was, stderr as it was, then the signal's own effect.
static void on_crash(int number) {
    if (write(STDOUT_FILENO, t.leave, t.leave_len) < 0) errno = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &t.saved);
    if (t.real_stderr >= 0) {
        char buffer[4096];
        ssize_t n;
        lseek(t.held_stderr, 0, SEEK_SET);
        while ((n = read(t.held_stderr, buffer, sizeof buffer)) > 0) {
            if (write(t.real_stderr, buffer, (size_t)n) < 0) break;
        }
        dup2(t.real_stderr, STDERR_FILENO);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void handle(int number, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(number, &action, NULL);
}

static void set_signals(bool on) {
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        handle(ends[i], on ? on_end : SIG_DFL, 0);
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) {
        handle(crashes[i], on ? on_crash : SIG_DFL, on ? (int)SA_RESETHAND : 0);
    }
    handle(SIGWINCH, on ? on_resize : SIG_DFL, 0);
}

// ---- stderr

static void hold_stderr(void) {
    fflush(stderr);
    t.held_stderr = memfd_create("stderr", MFD_CLOEXEC);
    if (t.held_stderr < 0) return;
    t.real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (t.real_stderr >= 0) dup2(t.held_stderr, STDERR_FILENO);
}

static void release_stderr(void) {
    if (t.held_stderr < 0) return;
    fflush(stderr);
    if (t.real_stderr >= 0) dup2(t.real_stderr, STDERR_FILENO);
    char buffer[4096];
    ssize_t n;
    lseek(t.held_stderr, 0, SEEK_SET);
    while ((n = read(t.held_stderr, buffer, sizeof buffer)) > 0)
        fwrite(buffer, 1, (size_t)n, stderr);
    close(t.held_stderr);
    if (t.real_stderr >= 0) close(t.real_stderr);
    t.held_stderr = t.real_stderr = -1;
}

// ---- opening

static void set_colours(bool no_colour) {
    const char *environment = getenv("NO_COLOR");
    t.colour = !no_colour && !(environment && *environment) && has_colors() && start_color() == OK &&
               use_default_colors() == OK && COLORS >= 8;
    for (int role = 0; role < TUI_ROLES; role++) {
        t.pairs[role] = 0;
        t.attributes[role] = t.colour ? looks[role].attributes : looks[role].mono;
        if (!t.colour) continue;
        short colour = COLORS >= 256 ? looks[role].colour256 : looks[role].colour8;
        if (colour >= 0 && init_pair((short)(role + 1), colour, -1) == OK) t.pairs[role] = (short)(role + 1);
    }
}

static void add_leave(const char *capability) {
    const char *text = tigetstr(capability);
    if (!text || text == (char *)-1) return;
    size_t len = strlen(text);
    if (t.leave_len + len + sizeof TUI_MOUSE_OFF > sizeof t.leave) return;
    memcpy(t.leave + t.leave_len, text, len);
    t.leave_len += len;
}

static const char *cursor_motion(const char *type, int fd) {
    int result;
    if (setupterm(type, fd, &result) != OK) return NULL;
    const char *text = tigetstr("cup");
    return text && text != (char *)-1 ? text : NULL;
}

// Keys of our own, behind those of curses: a report of the mouse begins.
enum { MOUSE_REPORT = KEY_MAX + 1 };

static void tell(const char *sequence) {
    if (!t.real) return;
    fflush(stdout);
    if (write(STDOUT_FILENO, sequence, strlen(sequence)) < 0)
        errno = 0; // the terminal is gone: keys will tell
}

static void set_mouse(bool on) {
    t.mouse = on;
    if (t.mouse_known) tell(on ? TUI_MOUSE_ON : TUI_MOUSE_OFF);
}

static int open_real(struct rf_error *err) {
    const char *type = getenv("TERM");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        return rf_fail(err, RF_CANNOT,
                       "no terminal on standard input and output; 'refork explain' says it as text");
    }
    if (!type || !cursor_motion(type, STDOUT_FILENO)) {
        return rf_fail(err, RF_CANNOT,
                       "terminal '%s' cannot move its cursor; 'refork explain' says it as text, or set TERM",
                       type ? type : "");
    }
    // Stays open for good: another thread may wake this one until it ends.
    if (t.wake[0] < 0 && pipe2(t.wake, O_CLOEXEC | O_NONBLOCK))
        return rf_fail_errno(err, RF_CANNOT, "no pipe");
    tcgetattr(STDIN_FILENO, &t.saved);
    t.screen = newterm(NULL, stdout, stdin);
    if (!t.screen)
        return rf_fail(err, RF_CANNOT, "terminal '%s' does not work; 'refork explain' says it as text", type);
    set_term(t.screen);
    t.leave_len = 0;
    add_leave("sgr0");
    add_leave("op");
    add_leave("rmcup");
    add_leave("rmkx");
    add_leave("cnorm");
    const char *mouse = tigetstr("kmous");
    t.mouse_known = mouse && mouse != (char *)-1;
    if (t.mouse_known) {
        memcpy(t.leave + t.leave_len, TUI_MOUSE_OFF, strlen(TUI_MOUSE_OFF));
        t.leave_len += strlen(TUI_MOUSE_OFF);
    }
    if (!getenv("ESCDELAY")) set_escdelay(25);
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    if (t.mouse_known) define_key(TUI_MOUSE_HEAD, MOUSE_REPORT); // behind keypad, which defines KEY_MOUSE so
    nodelay(stdscr, TRUE);
    set_signals(true);
    hold_stderr();
    return 0;
}

static int open_unseen(int cols, int rows, struct rf_error *err) {
    static const char *const types[] = {"xterm-256color", "xterm", "vt100", "ansi", "linux"};
    t.null_out = fopen("/dev/null", "r+");
    t.null_in = fopen("/dev/null", "r");
    if (!t.null_out || !t.null_in) return rf_fail_errno(err, RF_CANNOT, "cannot open '/dev/null'");
    const char *own = getenv("TERM");
    if (own && cursor_motion(own, fileno(t.null_out))) t.screen = newterm(own, t.null_out, t.null_in);
    for (size_t i = 0; !t.screen && i < sizeof types / sizeof *types; i++) {
        t.screen = newterm(types[i], t.null_out, t.null_in);
    }
    if (!t.screen) return rf_fail(err, RF_CANNOT, "no terminal description found; install ncurses-base");
    set_term(t.screen);
    resizeterm(rows, cols);
    return 0;
}

int tui_terminal_open(const struct tui_terminal_options *options, struct rf_error *err) {
    rf_assert(!t.open);
    setlocale(LC_CTYPE, "");
    t.ascii = options->ascii || strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
    t.real = options->cols == 0;
    t.ending = t.resized = 0;
    t.mouse = t.mouse_known = false;
    t.screen = NULL;
    if (t.real ? open_real(err) : open_unseen(options->cols, options->rows, err)) return -1;
    t.open = true;
    set_colours(options->no_colour);
    curs_set(0);
    if (t.real) set_mouse(true);
    return 0;
}

void tui_terminal_close(void) {
    if (!t.open) return;
    t.open = false;
    if (t.mouse) set_mouse(false);
    curs_set(1);
    endwin();
    delscreen(t.screen);
    t.screen = NULL;
    if (t.real) {
        set_signals(false);
        release_stderr();
    } else {
        fclose(t.null_in);
        fclose(t.null_out);
    }
}

// ---- showing

void tui_terminal_size(int *cols, int *rows) {
    *cols = COLS;
    *rows = LINES;
}

bool tui_terminal_ascii(void) {
    return t.ascii;
}

void tui_terminal_redraw(void) {
    clearok(curscr, TRUE);
}

void tui_terminal_show(const struct tui_screen *s) {
    for (int y = 0; y < s->rows && y < LINES; y++) {
        for (int x = 0; x < s->cols && x < COLS; x++) {
            const struct tui_cell *cell = &s->cells[y * s->cols + x];
            if (!cell->ch) continue;
            cchar_t out;
            wchar_t text[2] = {cell->ch, 0};
            setcchar(&out, text, t.attributes[cell->role], t.pairs[cell->role], NULL);
            mvadd_wch(y, x, &out);
        }
    }
    refresh();
}

static void put_wide(FILE *out, wchar_t ch) {
    char bytes[8];
    mbstate_t state = {0};
    size_t n = wcrtomb(bytes, ch, &state);
    if (n == (size_t)-1)
        putc('?', out);
    else
        fwrite(bytes, 1, n, out);
}

int tui_terminal_dump(const struct tui_screen *s, const char *path, struct rf_error *err) {
    FILE *out = fopen(path, "w");
    if (!out) return rf_fail_errno(err, RF_CANNOT, "cannot write '%s'", path);
    for (int plane = 0; plane < 2; plane++) {
        if (plane) fputs("-- roles\n", out);
        for (int y = 0; y < s->rows; y++) {
            int blanks = 0;
            for (int x = 0; x < s->cols; x++) {
                const struct tui_cell *cell = &s->cells[y * s->cols + x];
                wchar_t ch = L' ';
                cchar_t shown;
                wchar_t text[CCHARW_MAX + 1] = {0};
                attr_t attributes;
                short pair;
                if (!plane) {
                    if (!cell->ch) continue;
                    if (mvin_wch(y, x, &shown) == OK &&
                        getcchar(&shown, text, &attributes, &pair, NULL) == OK) {
                        ch = text[0];
                    }
                } else if (cell->ch != L' ' || cell->role != TUI_ROLE_NORMAL) {
                    ch = (wchar_t)tui_role_letter(cell->role);
                }
                if (ch == L' ' || !ch) {
                    blanks++;
                    continue;
                }
                for (; blanks; blanks--)
                    putc(' ', out);
                put_wide(out, ch);
            }
            putc('\n', out);
        }
    }
    bool bad = ferror(out) != 0;
    if (fclose(out) || bad) return rf_fail_errno(err, RF_CANNOT, "cannot write '%s'", path);
    return 0;
}

// ---- keys

// The rest of a report, which may come a little later.
static int mouse_report(int *y, int *x) {
    char report[24];
    size_t len = 0;
    wint_t ch = 0;
    while (len + 1 < sizeof report && ch != 'M' && ch != 'm') {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        int kind = get_wch(&ch);
        if (kind == ERR && poll(&in, 1, 100) > 0) kind = get_wch(&ch);
        if (kind != OK || ch > 'm') return TUI_KEY_NONE;
        report[len++] = (char)ch;
    }
    report[len] = 0;
    return tui_mouse_key(report, y, x);
}

static int from_curses(int code, int *y, int *x) {
    static const struct {
        int code, key;
    } codes[] = {
        {KEY_UP, TUI_KEY_UP},
        {KEY_DOWN, TUI_KEY_DOWN},
        {KEY_LEFT, TUI_KEY_LEFT},
        {KEY_RIGHT, TUI_KEY_RIGHT},
        {KEY_PPAGE, TUI_KEY_PAGE_UP},
        {KEY_NPAGE, TUI_KEY_PAGE_DOWN},
        {KEY_HOME, TUI_KEY_HOME},
        {KEY_END, TUI_KEY_END},
        {KEY_FIND, TUI_KEY_HOME},
        {KEY_SELECT, TUI_KEY_END},
        {KEY_BTAB, TUI_KEY_BACKTAB},
        {KEY_ENTER, TUI_KEY_ENTER},
        {KEY_BACKSPACE, TUI_KEY_BACKSPACE},
        {KEY_RESIZE, TUI_KEY_RESIZE},
    };
    if (code == MOUSE_REPORT) return mouse_report(y, x);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i].code == code) return codes[i].key;
    }
    return TUI_KEY_NONE;
}

static int from_character(wint_t ch) {
    if (ch == '\n' || ch == '\r') return TUI_KEY_ENTER;
    if (ch < 128) return (int)ch;
    char bytes[8];
    mbstate_t state = {0};
    size_t n = wcrtomb(bytes, (wchar_t)ch, &state);
    if (n == (size_t)-1 || n < 1) return TUI_KEY_NONE;
    t.pushed_len = (int)n - 1;
    for (size_t i = 1; i < n; i++)
        t.pushed[n - 1 - i] = bytes[i]; // taken from the end
    return (unsigned char)bytes[0];
}

static bool resize(void) {
    struct winsize size;
    if (!t.resized) return false;
    t.resized = 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row || !size.ws_col) return false;
    resizeterm(size.ws_row, size.ws_col);
    clearok(curscr, TRUE);
    return true;
}

int tui_terminal_key(int timeout_ms, int *y, int *x) {
    if (t.pushed_len) return (unsigned char)t.pushed[--t.pushed_len];
    for (int pass = 0; pass < 2; pass++) {
        wint_t ch;
        if (resize()) return TUI_KEY_RESIZE;
        if (t.ending) return TUI_KEY_NONE;
        int kind = get_wch(&ch);
        if (kind == KEY_CODE_YES) return from_curses((int)ch, y, x);
        if (kind == OK) return from_character(ch);
        if (pass || !timeout_ms) break;
        struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = t.wake[0], .events = POLLIN}};
        if (poll(fds, 2, timeout_ms) <= 0) continue;
        char drain[64];
        while (read(t.wake[0], drain, sizeof drain) > 0)
            continue;
        if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) t.ending = SIGHUP;
    }
    return TUI_KEY_NONE;
}

int tui_terminal_signal(void) {
    return t.ending;
}

// ---- away and back

static void leave_screen(void) {
    set_mouse(false);
    curs_set(1);
    endwin();
}

static void enter_screen(bool mouse) {
    t.resized = 1; // the terminal may have another size now
    curs_set(0);
    set_mouse(mouse); // before what is drawn: once the screen is back, all of it is
    clearok(curscr, TRUE);
    refresh();
}

void tui_terminal_suspend(void) {
    if (!t.real) return;
    bool mouse = t.mouse;
    leave_screen();
    handle(SIGTSTP, SIG_DFL, 0);
    raise(SIGTSTP); // goes on here after SIGCONT
    tcgetattr(STDIN_FILENO, &t.saved);
    enter_screen(mouse);
}

bool tui_terminal_mouse(void) {
    set_mouse(!t.mouse);
    return t.mouse;
}

int tui_terminal_run(const char *const argv[], struct rf_error *err) {
    bool mouse = t.mouse;
    if (t.real) {
        leave_screen();
        handle(SIGINT, SIG_IGN, 0);
        handle(SIGQUIT, SIG_IGN, 0);
    }
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        handle(SIGINT, SIG_DFL, 0);
        handle(SIGQUIT, SIG_DFL, 0);
        if (t.real_stderr >= 0) dup2(t.real_stderr, STDERR_FILENO);
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (t.real) {
        handle(SIGINT, on_end, 0);
        handle(SIGQUIT, on_end, 0);
        enter_screen(mouse);
    }
    if (pid < 0) return rf_fail_errno(err, RF_CANNOT, "cannot start '%s'", argv[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int tui_terminal_edit(const char *file, int line, struct rf_error *err) {
    const char *editor = getenv("VISUAL");
    if (!editor || !*editor) editor = getenv("EDITOR");
    if (!editor || !*editor) editor = "vi";
    if (access(file, R_OK)) {
        return rf_fail_errno(err, RF_CANNOT, "cannot open '%s' on this machine (the recording has its text)",
                             file);
    }
    char command[4200], number[24];
    snprintf(command, sizeof command, "%s \"+$1\" \"$2\"",
             editor); // the editor may have arguments of its own
    snprintf(number, sizeof number, "%d", line);
    const char *const argv[] = {"/bin/sh", "-c", command, "sh", number, file, NULL};
    int status = tui_terminal_run(argv, err);
    if (status == 127) return rf_fail(err, RF_CANNOT, "cannot run '%s'; set EDITOR", editor);
    return status < 0 ? -1 : 0;
}
