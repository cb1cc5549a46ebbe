/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checksum.h"

#include <string.h>

/* An odd number: with it each step is reversible, and one block that differs always shows. */
#define FACTOR UINT64_C(0x9e3779b97f4a7c15)

static uint64_t mix(uint64_t lane, uint64_t word)
{
	lane = (lane ^ word) * FACTOR;
	return lane ^ (lane >> 32);
}

static void add_block(struct checksum *c, const unsigned char *block)
{
	uint64_t words[CHECKSUM_BLOCK / 8];

	memcpy(words, block, sizeof(words));
	for (size_t i = 0; i < CHECKSUM_BLOCK / 8; i++)
		c->lanes[i] = mix(c->lanes[i], words[i]);
}

void checksum_init(struct checksum *c)
{
	*c = (struct checksum){.lanes = {1, 2, 3, 4}};
}

void checksum_update(struct checksum *c, const void *data, size_t len)
{
	const unsigned char *p = data;
	size_t used = c->len % CHECKSUM_BLOCK, n;

	if (len == 0)
		return;
	c->len += len;
	if (used > 0) {
		n = CHECKSUM_BLOCK - used < len ? CHECKSUM_BLOCK - used : len;
		memcpy(c->rest + used, p, n);
		p += n;
		len -= n;
		if (used + n < CHECKSUM_BLOCK)
			return;
		add_block(c, c->rest);
	}
	for (; len >= CHECKSUM_BLOCK; p += CHECKSUM_BLOCK, len -= CHECKSUM_BLOCK)
		add_block(c, p);
	memcpy(c->rest, p, len);
}

uint64_t checksum_sum(const struct checksum *c)
{
	struct checksum last = *c;
	size_t used = c->len % CHECKSUM_BLOCK;
	uint64_t sum = c->len;

	if (used > 0) {
		memset(last.rest + used, 0, CHECKSUM_BLOCK - used);
		add_block(&last, last.rest);
	}
	for (size_t i = 0; i < CHECKSUM_BLOCK / 8; i++)
		sum = mix(sum, last.lanes[i]);
	return sum;
}
