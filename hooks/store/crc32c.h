/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.h - CRC-32 with Castagnoli's polynomial (RFC 3720, appendix B.4), by the processor where it can. */
#ifndef VOLRUN_HOOKS_CRC32C_H
#define VOLRUN_HOOKS_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from crc (0 at the beginning) with len more bytes. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
