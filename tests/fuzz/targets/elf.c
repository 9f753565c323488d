// ELF files as the recorder and the lock history look at them: core/elf_*.h, core/elf/trap_sites.h, core/elf/lock_sites.h.
#include "core/elf/elf_frames.h"
#include "core/elf/elf_functions.h"
#include "core/elf/elf_module.h"
#include "core/elf/lock_sites.h"
#include "core/elf/trap_sites.h"
#include "tests/fuzz/driver.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    // A copy of exactly that size, so that a sanitizer sees what is read behind it.
    uint8_t *image = malloc(size ? size : 1), bytes[16];
    if (!image) return 0;
    memcpy(image, data, size);
    struct elf_module *m = elf_module_parse(image, size);
    if (m) {
        size_t count, len;
        uint64_t start, end, vaddr;
        free(elf_module_slots(m, &count));
        elf_module_bind_now(m, &vaddr, bytes, &len);
        free(elf_module_trap_sites(m, true, &count));
        free(elf_module_lock_sites(m, &count));
        elf_module_is_go(m);
        elf_module_symbol(m, "main", &vaddr);
        for (uint64_t offset = 0; offset < size; offset += size / 16 + 1) {
            if (!elf_module_to_vaddr(m, offset, &vaddr)) continue;
            elf_module_function(m, vaddr, &start, &end);
            elf_module_has_landing_pads(m, vaddr);
            elf_frames_end_before(m, vaddr);
        }
        elf_module_free(m);
    }
    free(image);
    return 0;
}
