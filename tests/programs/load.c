// Code that arrives late: dlopen, calls through new PLT slots, lazily bound, dlclose, and threads in it.
#include "program.h"

#include <dlfcn.h>

static void *compute(void *library) {
    double (*cosine)(double) = (double (*)(double))dlsym(library, "cos");
    CHECK(cosine);
    double x = 1;
    for (int i = 0; i < 100000; i++)
        x = cosine(x);
    char *text = malloc(64);
    snprintf(text, 64, "%.12f", x);
    return text;
}

int main(void) {
    for (int round = 0; round < 3; round++) {
        void *math = dlopen("libm.so.6", RTLD_LAZY | RTLD_LOCAL), *zlib = dlopen("libz.so.1", RTLD_LAZY);
        CHECK(math);
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            CHECK(pthread_create(&threads[i], NULL, compute, math) == 0);
        for (int i = 0; i < 2; i++) {
            void *text;
            CHECK(pthread_join(threads[i], &text) == 0 && !strcmp(text, "0.739085133215"));
            free(text);
        }
        if (zlib) {
            unsigned long (*crc)(unsigned long, const char *, unsigned) =
                (unsigned long (*)(unsigned long, const char *, unsigned))dlsym(zlib, "crc32");
            CHECK(crc && crc(0, "refork", 6) == crc(0, "refork", 6));
            CHECK(dlclose(zlib) == 0);
        }
        printf("round %d: libm at %p\n", round, dlsym(math, "sin"));
        CHECK(dlclose(math) == 0);
    }
    return 0;
}
