// Names, lines and variables of a mapped file, which comes from the trace: replayer/names/symbols.h (libdw reads the DWARF).
#include "replayer/names/symbols.h"
#include "tests/fuzz/driver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BASE = 0x400000 };
static uint8_t *image;
static size_t image_size;

static bool read_image(void *context, uint64_t address, void *buffer, size_t len) {
    (void)context;
    if (address < BASE || address - BASE > image_size || len > image_size - (address - BASE)) return false;
    memcpy(buffer, image + (address - BASE), len);
    return true;
}

static const void *blob(void *context, uint64_t id, size_t *size) {
    (void)context, (void)id;
    *size = image_size;
    return image;
}

static void function(void *context, uint64_t vaddr, const char *name) {
    (void)vaddr;
    *(size_t *)context += strlen(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    image = malloc(size ? size : 1);
    image_size = size;
    if (!image) return 0;
    memcpy(image, data, size);
    const uint64_t length = (size + 4095) / 4096 * 4096 + 4096;
    const struct view_map map = {BASE, BASE + length, 0, 1, PROT_READ | PROT_EXEC, "/fuzz"};
    const struct view view = {&map, 1, read_image, blob, NULL};
    struct symbols *s = symbols_new();
    size_t names = 0;
    uint64_t bias;
    for (uint64_t pc = BASE; pc < BASE + length; pc += length / 8) {
        const struct raw_frame raw = {.pc = pc};
        struct frame frames[8];
        struct data_symbol symbol;
        symbols_frames(s, &view, &raw, 1, frames, 8);
        symbols_data(s, &view, pc, &symbol);
    }
    symbols_functions(s, &view, BASE, function, &names, &bias);
    symbols_address(s, &view, "fuzz", "main");
    symbols_free(s);
    free(image);
    return 0;
}
