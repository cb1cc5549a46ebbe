/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/json_memory.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* In a list with two ends, so that each can be taken out. */
struct json_block {
	struct json_block *next, *prev;
	max_align_t data[];
};

static void insert(struct json_memory *m, struct json_block *b)
{
	b->prev = NULL;
	b->next = m->blocks;
	if (b->next)
		b->next->prev = b;
	m->blocks = b;
}

static void take_out(struct json_memory *m, struct json_block *b)
{
	if (b->prev)
		b->prev->next = b->next;
	else
		m->blocks = b->next;
	if (b->next)
		b->next->prev = b->prev;
}

static struct json_block *block_of(void *p)
{
	return (struct json_block *)((char *)p - offsetof(struct json_block, data));
}

static void *resize(void *ctx, void *p, size_t size)
{
	struct json_memory *m = ctx;
	struct json_block *old = p ? block_of(p) : NULL, *b = NULL;

	if (old)
		take_out(m, old);
	if (size <= SIZE_MAX - sizeof(*b))
		b = realloc(old, sizeof(*b) + size);
	if (b || old)
		insert(m, b ? b : old);
	if (!b)
		longjmp(m->exhausted, 1);
	return b->data;
}

static void *allocate(void *ctx, size_t size)
{
	return resize(ctx, NULL, size);
}

static void release(void *ctx, void *p)
{
	if (!p)
		return;
	take_out(ctx, block_of(p));
	free(block_of(p));
}

void json_memory_init(struct json_memory *m)
{
	m->blocks = NULL;
	m->funcs = (yajl_alloc_funcs){.malloc = allocate, .realloc = resize, .free = release, .ctx = m};
}

void json_memory_free(struct json_memory *m)
{
	while (m->blocks) {
		struct json_block *b = m->blocks;

		m->blocks = b->next;
		free(b);
	}
}
