/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/doctor_toml.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/strbuf.h"

struct reader {
	const char *p;
	struct arena *a;
	struct strbuf word; /* what was read last */
	bool failed;
};

static void skip_line(struct reader *r)
{
	r->p += strcspn(r->p, "\n");
}

/* Blanks, line ends and comments. */
static void skip_space(struct reader *r)
{
	for (;;) {
		r->p += strspn(r->p, " \t\r\n");
		if (*r->p != '#')
			return;
		skip_line(r);
	}
}

/* A quoted string, into word; escapes but \" and \\ stay as they are. false: it does not end on its line. */
static bool read_quoted(struct reader *r)
{
	char quote = *r->p++;

	while (*r->p && *r->p != '\n' && *r->p != quote) {
		if (quote == '"' && *r->p == '\\' && (r->p[1] == '"' || r->p[1] == '\\'))
			r->p++;
		strbuf_addc(&r->word, *r->p++);
	}
	if (*r->p != quote)
		return false;
	r->p++;
	return true;
}

/* Names with dots between them, up to `end`: into word, with '/' between them. */
static bool read_names(struct reader *r, char end)
{
	while (*r->p && *r->p != '\n' && *r->p != end) {
		if (*r->p == '"' || *r->p == '\'') {
			if (!read_quoted(r))
				return false;
			continue;
		}
		if (*r->p != ' ' && *r->p != '\t')
			strbuf_addc(&r->word, *r->p == '.' ? '/' : *r->p);
		r->p++;
	}
	return *r->p == end;
}

static const char *take(struct reader *r)
{
	const char *s = arena_strdup(r->a, strbuf_str(&r->word));

	r->failed |= r->word.failed || !s;
	strbuf_reset(&r->word);
	return s ? s : "";
}

/* One value that is no list. false: it is something else. */
static bool read_value(struct reader *r)
{
	if (strncmp(r->p, "\"\"\"", 3) == 0 || strncmp(r->p, "'''", 3) == 0 || *r->p == '{' || *r->p == '[')
		return false;
	if (*r->p == '"' || *r->p == '\'')
		return read_quoted(r);
	while (*r->p && !strchr(" \t\r\n#,]", *r->p))
		strbuf_addc(&r->word, *r->p++);
	return r->word.len > 0;
}

static void read_list(struct reader *r, const char *table, const char *key, toml_fn fn, void *ctx)
{
	for (r->p++;;) {
		skip_space(r);
		if (*r->p == ',') {
			r->p++;
			continue;
		}
		if (!*r->p || *r->p == ']' || !read_value(r))
			break;
		fn(ctx, table, key, take(r));
	}
	strbuf_reset(&r->word);
}

static void read_key(struct reader *r, const char *table, toml_fn fn, void *ctx)
{
	const char *key;

	if (!read_names(r, '=')) {
		strbuf_reset(&r->word);
		return;
	}
	key = take(r);
	r->p++;
	r->p += strspn(r->p, " \t");
	if (!key[0])
		return;
	if (*r->p == '[')
		read_list(r, table, key, fn, ctx);
	else if (read_value(r))
		fn(ctx, table, key, take(r));
	strbuf_reset(&r->word);
}

int toml_each(const char *text, struct arena *a, toml_fn fn, void *ctx)
{
	struct reader r = {.p = text, .a = a, .word = STRBUF_INIT};
	const char *table = "";

	for (skip_space(&r); *r.p && !r.failed; skip_space(&r)) {
		if (*r.p == '[') {
			r.p += strspn(r.p, "[");
			read_names(&r, ']');
			table = take(&r);
		} else {
			read_key(&r, table, fn, ctx);
		}
		skip_line(&r);
	}
	strbuf_free(&r.word);
	return r.failed ? -ENOMEM : 0;
}
