/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/systemd_property.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"

#define LIST_MAX 64

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* A quoted string at *p; *p moves behind it. NULL: none, or out of memory. */
static const char *quoted(const char **p, struct arena *arena)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	char quote = **p;
	const char *s = *p + 1;

	if (quote != '\'' && quote != '"')
		return NULL;
	for (; *s && *s != quote; s++) {
		if (*s == '\\' && s[1])
			s++;
		strbuf_addc(&out, *s);
	}
	if (*s != quote || out.failed)
		return NULL;
	*p = s + 1;
	return arena_strdup(arena, strbuf_str(&out));
}

static int set_one(struct systemd_property *p, const char *type, const char *value, struct arena *arena)
{
	p->values = arena_calloc(arena, 1, sizeof(*p->values));
	if (!p->values || !value)
		return -ENOMEM;
	p->values[0] = value;
	p->n_values = 1;
	p->type = type;
	return 0;
}

static int parse_list(const char *s, struct arena *arena, struct systemd_property *p)
{
	p->type = "as";
	p->values = arena_calloc(arena, LIST_MAX, sizeof(*p->values));
	if (!p->values)
		return -ENOMEM;
	s = skip_blanks(s + 1);
	while (*s != ']') {
		if (p->n_values == LIST_MAX || !(p->values[p->n_values++] = quoted(&s, arena)))
			return -EINVAL;
		s = skip_blanks(s);
		if (*s == ',')
			s = skip_blanks(s + 1);
		else if (*s != ']')
			return -EINVAL;
	}
	return *skip_blanks(s + 1) ? -EINVAL : 0;
}

static int parse_number(const char *s, struct arena *arena, struct systemd_property *p)
{
	static const struct {
		const char *word, *type;
		uint64_t max;
	} kinds[] = {{"byte ", "y", UINT8_MAX},	   {"uint16 ", "q", UINT16_MAX}, {"uint32 ", "u", UINT32_MAX},
		     {"uint64 ", "t", UINT64_MAX}, {"int32 ", "i", INT32_MAX},	 {"int64 ", "x", INT64_MAX}};
	int64_t n;
	double d;
	char *end;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *rest = s + strlen(kinds[i].word);
		uint64_t u;

		if (strncmp(s, kinds[i].word, strlen(kinds[i].word)) != 0)
			continue;
		rest = skip_blanks(rest);
		if (kinds[i].type[0] == 'i' || kinds[i].type[0] == 'x') {
			if (num_parse_i64(rest, -(int64_t)kinds[i].max - 1, (int64_t)kinds[i].max, &n) < 0)
				return -EINVAL;
		} else if (num_parse_u64(rest, kinds[i].max, &u) < 0) {
			return -EINVAL;
		}
		return set_one(p, kinds[i].type, arena_strdup(arena, rest), arena);
	}
	if (num_parse_i64(s, INT32_MIN, INT32_MAX, &n) == 0)
		return set_one(p, "i", arena_strdup(arena, s), arena);
	d = strtod(s, &end);
	if (end == s || *end || !isfinite(d))
		return -EINVAL;
	return set_one(p, "d", arena_strdup(arena, s), arena);
}

static int parse_value(const char *s, struct arena *arena, struct systemd_property *p)
{
	const char *text;

	if (strcmp(s, "true") == 0 || strcmp(s, "false") == 0)
		return set_one(p, "b", s, arena);
	if (*s == '[')
		return parse_list(s, arena, p);
	if (*s != '\'' && *s != '"')
		return parse_number(s, arena, p);
	text = quoted(&s, arena);
	return text && !*skip_blanks(s) ? set_one(p, "s", text, arena) : -EINVAL;
}

/* TimeoutStopSec 5 -> TimeoutStopUSec uint64 5000000 */
static int seconds_to_usec(struct arena *arena, struct systemd_property *p)
{
	double d = p->n_values == 1 && strchr("iuxtdyq", p->type[0]) ? strtod(p->values[0], NULL) : -1;

	if (d < 0 || d >= (double)UINT64_MAX / 2e6)
		return -EINVAL;
	p->name = arena_printf(arena, "%.*sUSec", (int)strlen(p->name) - 3, p->name);
	return p->name ? set_one(p, "t", arena_printf(arena, "%" PRIu64, (uint64_t)(d * 1e6)), arena) : -ENOMEM;
}

int systemd_property_parse(const char *name, const char *text, struct arena *arena, struct systemd_property *ret,
			   struct error *err)
{
	struct systemd_property p = {.name = arena_strdup(arena, name)};
	size_t len = strlen(name);
	int r;

	if (len == 0 || len > 64 || name[0] < 'A' || name[0] > 'Z' ||
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != len)
		return error_set(err, EINVAL, "\"%.64s\" is not the name of a unit's property", name);
	r = p.name ? parse_value(skip_blanks(text), arena, &p) : -ENOMEM;
	if (r == 0 && len > 3 && strcmp(name + len - 3, "Sec") == 0 && name[len - 4] != 'U')
		r = seconds_to_usec(arena, &p);
	if (r == -ENOMEM)
		return error_set(err, ENOMEM, "out of memory");
	if (r < 0)
		return error_set(err, EINVAL,
				 "\"%.200s\" is no value in the text form of GVariant ('text', true, uint64 5)", text);
	*ret = p;
	return 0;
}
