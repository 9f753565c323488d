#include "recorder/launch/sanitizer.h"

#include "core/error.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *program_file(const char *program, char *file, size_t size) {
    const char *path = getenv("PATH");
    if (strchr(program, '/')) return program;
    for (const char *at = path ? path : "/bin:/usr/bin"; at;
         at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
        int len = (int)strcspn(at, ":");
        snprintf(file, size, "%.*s%s%s", len, at, len ? "/" : "", program);
        if (access(file, X_OK) == 0) return file;
    }
    return NULL;
}

// AddressSanitizer has LeakSanitizer in it. Programs refer to their entry by name, whether it is linked in or in a library.
static bool has_leak_check(const char *file) {
    int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    struct stat st;
    void *image = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 4)
        image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0) close(fd);
    if (image == MAP_FAILED) return false;
    size_t size = (size_t)st.st_size;
    bool has = !memcmp(image, "\177ELF", 4) &&
               (memmem(image, size, "__asan_init", 11) || memmem(image, size, "__lsan_init", 11));
    munmap(image, size);
    return has;
}

char **sanitizer_environment(const char *file) {
    static const char name[] = "LSAN_OPTIONS=", off[] = "detect_leaks=0";
    if (!has_leak_check(file)) return environ;
    size_t count = 0;
    while (environ[count])
        count++;
    char **copy = calloc(count + 2, sizeof *copy), *entry;
    rf_assert(copy);
    size_t at = count;
    for (size_t i = 0; i < count; i++) {
        copy[i] = environ[i];
        if (!strncmp(environ[i], name, sizeof name - 1)) at = i;
    }
    const char *old = at < count ? environ[at] + sizeof name - 1 : "";
    rf_assert(asprintf(&entry, "%s%s%s%s", name, old, *old ? ":" : "", off) > 0);
    copy[at] = entry;
    return copy;
}
