/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strbuf.h - a growing byte string. It is always NUL-terminated. A failed
 * allocation is remembered in `failed` and makes later calls do nothing, so
 * that a chain of appends is checked once at its end.
 */
#ifndef VOLRUN_BASE_STRBUF_H
#define VOLRUN_BASE_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf {
	char *data; /* NULL until the first append; see strbuf_str */
	size_t len;
	size_t cap;
	bool failed;
};

#define STRBUF_INIT                                                                                                    \
	{                                                                                                              \
		NULL, 0, 0, false                                                                                      \
	}

void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_adds(struct strbuf *b, const char *s);
void strbuf_addc(struct strbuf *b, char c);
/* Decimal, as strbuf_addf would, many times as fast: a volume's record has a million numbers. */
void strbuf_addu(struct strbuf *b, uint64_t v);
void strbuf_addi(struct strbuf *b, int64_t v);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Makes room for len more bytes without adding them. */
void strbuf_reserve(struct strbuf *b, size_t len);
/* Empties it, keeps the memory. */
void strbuf_reset(struct strbuf *b);
/* The string, "" when nothing was added. Never NULL. */
const char *strbuf_str(const struct strbuf *b);
/* Hands the memory over (free it), NULL when failed or out of memory; resets. */
char *strbuf_take(struct strbuf *b);
void strbuf_free(struct strbuf *b);

#define _cleanup_strbuf_ __attribute__((cleanup(strbuf_free)))

#endif
