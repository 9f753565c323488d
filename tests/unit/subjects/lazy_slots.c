// test_elf_module.c: prints how many of its own JUMP_SLOTs still point to its PLT (unresolved) when main begins, and how many there are.
#include <link.h>
#include <stdio.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>

extern ElfW(Dyn) _DYNAMIC[];
extern char __executable_start[], etext[];
int main(int c, char **v) {
    uintptr_t b = 0, lo = (uintptr_t)__executable_start;
    ElfW(Rela) *r = 0;
    size_t n = 0, lazy = 0;
    (void)v;
    ElfW(Ehdr) *e = (void *)lo;
    if (e->e_type == ET_DYN) b = lo;
    for (ElfW(Dyn) *d = _DYNAMIC; d->d_tag; d++) {
        if (d->d_tag == DT_JMPREL) r = (void *)d->d_un.d_ptr;
        if (d->d_tag == DT_PLTRELSZ) n = d->d_un.d_val / sizeof *r;
    }
    for (size_t i = 0; i < n; i++) {
        uintptr_t s = *(uintptr_t *)(b + r[i].r_offset);
        if (s >= lo && s < (uintptr_t)etext) lazy++;
    }
    if (c > 90) return rand() + (int)getenv("x")[0];
    printf("%zu %zu\n", lazy, n);
    return 0;
}
