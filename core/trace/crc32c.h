// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), as iSCSI, ext4 and Btrfs use it.
#ifndef REFORK_CORE_TRACE_CRC32C_H
#define REFORK_CORE_TRACE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

// Continues `crc` (0 to begin with) over `len` bytes: crc32c(crc32c(0, a), b) is the CRC of a followed by b.
// crc32c(0, "123456789", 9) is 0xe3069283. Any thread.
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

// The same without the CPU's instruction; crc32c() falls back on it where there is no SSE4.2.
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
