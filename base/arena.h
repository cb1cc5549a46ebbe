/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - memory that lives and dies together: what one document, one
 * command or one commit needs. Nothing in it is freed singly.
 */
#ifndef VOLRUN_BASE_ARENA_H
#define VOLRUN_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t used;		    /* bytes handed out, all blocks */
	size_t limit;		    /* 0: none; an allocation past it fails */
};

#define ARENA_INIT                                                                                                     \
	{                                                                                                              \
		NULL, 0, 0                                                                                             \
	}

/* Zeroed, aligned for any type. NULL when out of memory or past the limit. */
void *arena_alloc(struct arena *a, size_t size);
/* Room for a string of len bytes: zeroed, with its NUL, and aligned for nothing, so that it takes no more than that. */
char *arena_text(struct arena *a, size_t len);
/* count * size, with overflow checked. */
void *arena_calloc(struct arena *a, size_t count, size_t size);
char *arena_strdup(struct arena *a, const char *s);
/* len bytes of s and a terminating NUL. */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Takes over all that `from` holds; it is empty then. */
void arena_join(struct arena *a, struct arena *from);
/* Frees all; the arena can be used again. */
void arena_free(struct arena *a);

#define _cleanup_arena_ __attribute__((cleanup(arena_free)))

#endif
