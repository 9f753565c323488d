#include "core/decode/structs.h"

#include "core/decode/values.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>

// The kernel's, not the libc's (arch/x86/include/uapi/asm/signal.h).
struct kernel_sigaction {
    uint64_t handler, flags, restorer, mask;
};

struct sigset_of {
    uint64_t sigmask, sigsetsize;
};

enum { KERNEL_SA_RESTORER = 0x04000000 };

struct field {
    const char *name; // NULL ends a struct's fields
    uint16_t offset, size;
    struct form form;
};

// Forms of fields. LOADS: three numbers. DATA: epoll_data, its parts by strace's names.
#define INT                                                                                                  \
    { FORM_INT, 0, 0 }
#define UINT                                                                                                 \
    { FORM_UINT, 0, 0 }
#define HEX                                                                                                  \
    { FORM_HEX, 0, 0 }
#define OCT                                                                                                  \
    { FORM_OCT, 0, 0 }
#define PTR                                                                                                  \
    { FORM_PTR, 0, 0 }
#define SIGNAL                                                                                               \
    { FORM_SIGNAL, 0, 0 }
#define TYPE                                                                                                 \
    { FORM_TYPE, 0, 0 }
#define LIMIT                                                                                                \
    { FORM_LIMIT, 0, 0 }
#define CHARS                                                                                                \
    { FORM_CHARS, 0, 0 }
#define LOADS                                                                                                \
    { FORM_UINT, 0, 3 }
#define DATA                                                                                                 \
    { FORM_BYTES_IN, 0, 0 }
#define NOTHING                                                                                              \
    { FORM_NONE, 0, 0 }
#define FLAGS(set)                                                                                           \
    { FORM_FLAGS, SET_##set, 0 }
#define ENUM(set)                                                                                            \
    { FORM_ENUM, SET_##set, 0 }
#define STRUCT(id)                                                                                           \
    { FORM_STRUCT, STRUCT_##id, 0 }

// ---- the fields of each
#define BEGIN(id, type, more) typedef type type_of_##id;
#define FIELD(id, member, ...)
#define END
#define OWN(id, size, function)
#include "core/decode/structs.def"
#undef BEGIN
#undef FIELD
#undef END

#define BEGIN(id, type, more) static const struct field fields_of_##id[] = {
#define FIELD(id, member, ...)                                                                               \
    {#member, offsetof(type_of_##id, member), sizeof(((type_of_##id *)0)->member), __VA_ARGS__},
#define END                                                                                                  \
    { NULL, 0, 0, NOTHING }                                                                                  \
    }                                                                                                        \
    ;
#include "core/decode/structs.def"
#undef BEGIN
#undef FIELD
#undef END
#undef OWN

// ---- structs with a writer of their own
// A device has a number instead of a size.
static void add_stat(struct text *t, const struct decode_call *c, const void *data) {
    struct stat s;
    memcpy(&s, data, sizeof s);
    text_add(t, "{st_mode=");
    decode_value(t, c, (struct form)TYPE, s.st_mode, sizeof s.st_mode);
    if (S_ISCHR(s.st_mode) || S_ISBLK(s.st_mode)) {
        text_add(t, ", st_rdev=");
        decode_value(t, c, (struct form){FORM_DEVICE, 0, 0}, s.st_rdev, sizeof s.st_rdev);
    } else {
        text_add(t, ", st_size=%lld", (long long)s.st_size);
    }
    text_add(t, ", ...}");
}

static void add_sigaction(struct text *t, const struct decode_call *c, const void *data) {
    struct kernel_sigaction a;
    memcpy(&a, data, sizeof a);
    const char *name = decode_name(SET_handler, a.handler);
    (void)c;
    text_add(t, "{sa_handler=");
    if (name)
        text_add(t, "%s", name);
    else
        decode_pointer(t, a.handler);
    text_add(t, ", sa_mask=");
    decode_sigset(t, a.mask);
    text_add(t, ", sa_flags=");
    decode_flags(t, SET_action, a.flags);
    if (a.flags & KERNEL_SA_RESTORER) {
        text_add(t, ", sa_restorer=");
        decode_pointer(t, a.restorer);
    }
    text_add(t, "}");
}

static void add_code(struct text *t, const siginfo_t *s) {
    enum decode_set of_signal = s->si_signo == SIGCHLD                            ? SET_cld_code
                                : s->si_signo == SIGSEGV || s->si_signo == SIGBUS ? SET_segv_code
                                                                                  : SET_si_code;
    const char *name = decode_name(SET_si_code, (uint32_t)s->si_code);
    if (s->si_code > 0 && decode_name(of_signal, (uint32_t)s->si_code))
        name = decode_name(of_signal, (uint32_t)s->si_code);
    if (name)
        text_add(t, ", si_code=%s", name);
    else
        text_add(t, ", si_code=%#x", (unsigned)s->si_code);
}

void decode_siginfo(struct text *t, const struct decode_call *c, const void *data) {
    siginfo_t s;
    memcpy(&s, data, sizeof s);
    (void)c;
    text_add(t, "{si_signo=");
    decode_signal(t, s.si_signo);
    add_code(t, &s);
    bool fault = s.si_signo == SIGSEGV || s.si_signo == SIGBUS || s.si_signo == SIGILL ||
                 s.si_signo == SIGFPE || s.si_signo == SIGTRAP;
    if (s.si_code > 0 && fault) {
        text_add(t, ", si_addr=");
        decode_pointer(t, (uint64_t)s.si_addr);
    } else if (s.si_code == SI_TIMER) {
        text_add(t, ", si_timerid=%#x, si_overrun=%d", (unsigned)s.si_timerid, s.si_overrun);
    } else if (s.si_code != SI_KERNEL) {
        text_add(t, ", si_pid=%d, si_uid=%u", s.si_pid, s.si_uid);
    }
    if (s.si_code > 0 && s.si_signo == SIGCHLD) {
        text_add(t, ", si_status=");
        if (s.si_code == CLD_EXITED)
            text_add(t, "%d", s.si_status);
        else
            decode_signal(t, s.si_status);
        text_add(t, ", si_utime=%lld, si_stime=%lld", (long long)s.si_utime, (long long)s.si_stime);
    }
    if (s.si_code == SI_QUEUE || s.si_code == SI_TIMER) {
        text_add(t, ", si_value={sival_int=%d, sival_ptr=", s.si_int);
        decode_pointer(t, (uint64_t)s.si_ptr);
        text_add(t, "}");
    }
    text_add(t, "}");
}

// The first version of clone_args; what later ones add is seldom set.
static void add_clone_args(struct text *t, const struct decode_call *c, const void *data) {
    uint64_t v[8]; // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls
    static const char *const names[] = {"child_tid", "parent_tid", "exit_signal",
                                        "stack",     "stack_size", "tls"};
    static const uint64_t shown_with[] = {0x1200000 /* CLONE_CHILD_SETTID or CLEARTID */,
                                          0x100000 /* CLONE_PARENT_SETTID */,
                                          0,
                                          0,
                                          0,
                                          0x80000 /* CLONE_SETTLS */};
    memcpy(v, data, sizeof v);
    text_add(t, "{flags=");
    if (v[0])
        decode_flags(t, SET_clone, v[0]);
    else
        text_add(t, "0");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint64_t value = v[i + 2];
        if (shown_with[i] && !(v[0] & shown_with[i])) continue;
        text_add(t, ", %s=", names[i]);
        if (!strcmp(names[i], "exit_signal"))
            value ? decode_signal(t, (int)value) : text_add(t, "0");
        else if (!strcmp(names[i], "stack_size"))
            decode_value(t, c, (struct form)HEX, value, 8);
        else
            decode_pointer(t, value);
    }
    text_add(t, "}");
}

// ---- all of them
static const struct layout {
    size_t size;
    const struct field *fields;
    bool more;
    void (*write)(struct text *, const struct decode_call *, const void *);
} layouts[DECODE_STRUCTS] = {
#define ALL                   false
#define MORE                  true
#define BEGIN(id, type, more) [STRUCT_##id] = {sizeof(type), fields_of_##id, more, NULL},
#define FIELD(id, member, ...)
#define END
#define OWN(id, size, function) [STRUCT_##id] = {size, NULL, false, function},
#include "core/decode/structs.def"
#undef BEGIN
#undef FIELD
#undef END
#undef OWN
};

size_t decode_struct_size(enum decode_struct which) {
    return layouts[which].size;
}

static void add_field(struct text *t, const struct decode_call *c, const struct field *f, const char *data) {
    uint64_t value = 0;
    if (f->form.kind == FORM_CHARS) {
        text_quoted(t, data, strnlen(data, f->size), 0);
    } else if (f->form.kind == FORM_UINT && f->form.arg) {
        for (int i = 0; i < f->form.arg; i++) {
            memcpy(&value, data + 8 * i, sizeof value);
            text_add(t, i ? ", %llu" : "[%llu", (unsigned long long)value);
        }
        text_add(t, "]");
    } else if (f->form.kind == FORM_STRUCT) {
        decode_struct(t, c, f->form.which, data);
    } else if (f->form.kind == FORM_BYTES_IN) {
        uint32_t low;
        memcpy(&low, data, sizeof low);
        memcpy(&value, data, sizeof value);
        text_add(t, "{u32=%u, u64=%llu}", low, (unsigned long long)value);
    } else {
        memcpy(&value, data, f->size < sizeof value ? f->size : sizeof value);
        decode_value(t, c, f->form, value, f->size);
    }
}

void decode_struct(struct text *t, const struct decode_call *c, enum decode_struct which, const void *data) {
    const struct layout *l = &layouts[which];
    if (l->write) {
        l->write(t, c, data);
        return;
    }
    text_add(t, "{");
    bool first = true;
    for (const struct field *f = l->fields; f->name; f++) {
        text_add(t, first ? "%s=" : ", %s=", f->name);
        first = false;
        add_field(t, c, f, (const char *)data + f->offset);
    }
    text_add(t, l->more ? ", ...}" : "}");
}
