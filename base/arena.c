/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 16384
#define ALIGNMENT _Alignof(max_align_t)

struct arena_block {
	struct arena_block *next;
	size_t size, used, top; /* of data: bytes in use at its begin; where the strings at its end begin */
	_Alignas(max_align_t) char data[];
};

static struct arena_block *new_block(struct arena *a, size_t size)
{
	struct arena_block *b = malloc(sizeof(*b) + size);

	if (!b)
		return NULL;
	b->size = size;
	b->used = 0;
	b->top = size;
	/* A large allocation goes behind the newest block, whose room is still good. */
	if (a->blocks && size > BLOCK_SIZE) {
		b->next = a->blocks->next;
		a->blocks->next = b;
	} else {
		b->next = a->blocks;
		a->blocks = b;
	}
	return b;
}

/* A block with so much room. NULL: out of memory, or past the limit. */
static struct arena_block *block_for(struct arena *a, size_t size)
{
	struct arena_block *b = a->blocks;

	if (a->limit && (size > a->limit || a->used > a->limit - size))
		return NULL;
	if (!b || b->top - b->used < size)
		b = new_block(a, size > BLOCK_SIZE ? size : BLOCK_SIZE);
	if (b)
		a->used += size;
	return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b;
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	b = block_for(a, size);
	if (!b)
		return NULL;
	p = b->data + b->used;
	b->used += size;
	return memset(p, 0, size);
}

char *arena_text(struct arena *a, size_t len)
{
	struct arena_block *b = len < SIZE_MAX / 2 ? block_for(a, len + 1) : NULL;

	if (!b)
		return NULL;
	b->top -= len + 1;
	return memset(b->data + b->top, 0, len + 1);
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	return arena_alloc(a, total);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *p = arena_text(a, len);

	if (p)
		memcpy(p, s, len);
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		return NULL;
	p = arena_text(a, (size_t)len);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)len + 1, fmt, ap);
	va_end(ap);
	return p;
}

void arena_join(struct arena *a, struct arena *from)
{
	struct arena_block **end = &a->blocks;

	/* Behind the newest block, whose room is still good. */
	while (*end)
		end = &(*end)->next;
	*end = from->blocks;
	a->used += from->used;
	from->blocks = NULL;
	from->used = 0;
}

void arena_free(struct arena *a)
{
	struct arena_block *b = a->blocks, *next;

	for (; b; b = next) {
		next = b->next;
		free(b);
	}
	a->blocks = NULL;
	a->used = 0;
}
