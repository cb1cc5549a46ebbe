/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.h - 64 bits that tell whether bytes are as they were written: for files of this machine, which a crash may
 * have cut or mixed. Against chance, not against anybody; some ten times as fast as a SHA-256.
 */
#ifndef VOLRUN_BASE_CHECKSUM_H
#define VOLRUN_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#define CHECKSUM_BLOCK 32

struct checksum {
	uint64_t lanes[CHECKSUM_BLOCK / 8];
	uint64_t len;
	unsigned char rest[CHECKSUM_BLOCK]; /* len % CHECKSUM_BLOCK bytes that make no block yet */
};

void checksum_init(struct checksum *c);
/* However the bytes are divided, the sum is the same. */
void checksum_update(struct checksum *c, const void *data, size_t len);
/* Of all so far; more may follow. */
uint64_t checksum_sum(const struct checksum *c);

#endif
