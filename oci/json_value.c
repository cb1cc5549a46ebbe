/* SPDX-License-Identifier: Apache-2.0 */
/* Scalars of a document into members of a struct, and raw values as text. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "oci/json.h"
#include "oci/json_internal.h"
#include "oci/json_parse.h"

const char *json_type_name(enum json_value_type type)
{
	switch (type) {
	case VALUE_NULL:
		return "null";
	case VALUE_TRUE:
		return "true";
	case VALUE_FALSE:
		return "false";
	case VALUE_NUMBER:
		return "a number";
	default:
		return "a string";
	}
}

struct range {
	uint64_t min; /* how far below zero */
	uint64_t max;
};

static struct range kind_range(enum json_kind kind)
{
	switch (kind) {
	case JSON_I32:
		return (struct range){UINT64_C(1) << 31, INT32_MAX};
	case JSON_I64:
		return (struct range){UINT64_C(1) << 63, INT64_MAX};
	case JSON_U16:
		return (struct range){0, UINT16_MAX};
	case JSON_U32:
		return (struct range){0, UINT32_MAX};
	default:
		return (struct range){0, UINT64_MAX};
	}
}

/* yajl has checked the grammar; its own conversion would saturate. */
static int parse_magnitude(const char *s, size_t len, uint64_t *ret)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(s[i] - '0'), &n))
			return -ERANGE;
	}
	*ret = n;
	return 0;
}

static int store_number(struct json_parser *p, enum json_kind kind, void *dst, const struct json_value *v)
{
	bool negative = v->len > 0 && v->text[0] == '-';
	struct range range = kind_range(kind);
	uint64_t n = 0, limit = negative ? range.min : range.max;
	int shown = v->len < 40 ? (int)v->len : 40;
	int r;

	if (v->type != VALUE_NUMBER)
		return json_fail(p, EINVAL, "must be a whole number, not %s", json_type_name(v->type));
	r = parse_magnitude(v->text + negative, v->len - negative, &n);
	/* 1.0 and 1e3 too: what Go and every other writer of config.json refuses or never writes. */
	if (r == -EINVAL)
		return json_fail(p, EINVAL, "must be a whole number, not %.*s", shown, v->text);
	if (r < 0 || n > limit)
		return json_fail(p, EINVAL, "%.*s is out of range (%s%" PRIu64 " to %" PRIu64 ")", shown, v->text,
				 range.min ? "-" : "", range.min, range.max);
	if (negative)
		n = -n;
	switch (json_scalar_size(kind)) {
	case sizeof(uint16_t):
		memcpy(dst, &(uint16_t){(uint16_t)n}, sizeof(uint16_t));
		break;
	case sizeof(uint32_t):
		memcpy(dst, &(uint32_t){(uint32_t)n}, sizeof(uint32_t));
		break;
	default:
		memcpy(dst, &n, sizeof(n));
	}
	return 1;
}

static int store_enum(struct json_parser *p, const char *const *names, int *dst, const struct json_value *v)
{
	char list[300] = "";
	size_t len = 0;

	for (int i = 0; names[i]; i++) {
		if (strlen(names[i]) == v->len && memcmp(names[i], v->text, v->len) == 0) {
			*dst = i;
			return 1;
		}
		if (len < sizeof(list))
			len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "", names[i]);
	}
	return json_fail(p, EINVAL, "\"%.*s\" is none of %s", v->len < 60 ? (int)v->len : 60, v->text, list);
}

int json_store(struct json_parser *p, const struct json_field *field, enum json_kind kind, void *dst,
	       const struct json_value *v)
{
	char *s;

	switch (kind) {
	case JSON_STR:
	case JSON_ENUM:
		if (v->type != VALUE_STRING)
			return json_fail(p, EINVAL, "must be a string, not %s", json_type_name(v->type));
		if (kind == JSON_ENUM)
			return store_enum(p, field->names, dst, v);
		s = arena_strndup(p->arena, v->text, v->len);
		if (!s)
			return json_fail(p, ENOMEM, "out of memory");
		memcpy(dst, &s, sizeof(s));
		return 1;
	case JSON_BOOL:
		if (v->type != VALUE_TRUE && v->type != VALUE_FALSE)
			return json_fail(p, EINVAL, "must be true or false, not %s", json_type_name(v->type));
		memcpy(dst, &(bool){v->type == VALUE_TRUE}, sizeof(bool));
		return 1;
	case JSON_OBJ:
	case JSON_OBJ_PTR:
	case JSON_MAP_STR:
	case JSON_MAP_OBJ:
		return json_fail(p, EINVAL, "must be an object, not %s", json_type_name(v->type));
	default:
		if (json_kind_is_array(kind))
			return json_fail(p, EINVAL, "must be an array, not %s", json_type_name(v->type));
		return store_number(p, kind, dst, v);
	}
}

/* --- raw text ------------------------------------------------------------------ */

void json_raw_start(struct json_parser *p, bool is_array)
{
	const struct json_frame *f = &p->frames[p->depth - 1];

	/* The value was counted already: a second element of an array comes after a comma. */
	if (f->kind == FRAME_RAW && f->is_array && f->index > 1)
		strbuf_addc(&p->raw, ',');
	strbuf_addc(&p->raw, is_array ? '[' : '{');
}

void json_raw_key(struct json_parser *p, struct json_frame *f, const char *key, size_t len)
{
	if (f->index++ > 0)
		strbuf_addc(&p->raw, ',');
	json_write_string_n(&p->raw, key, len);
	strbuf_addc(&p->raw, ':');
}

void json_raw_scalar(struct json_parser *p, const struct json_frame *f, const struct json_value *v)
{
	if (f && f->is_array && f->index > 1)
		strbuf_addc(&p->raw, ',');
	if (v->type == VALUE_STRING)
		json_write_string_n(&p->raw, v->text, v->len);
	else
		strbuf_add(&p->raw, v->text, v->len);
}

int json_raw_end(struct json_parser *p, const struct json_frame *f)
{
	strbuf_addc(&p->raw, f->is_array ? ']' : '}');
	return f->raw_dst ? json_raw_store(p, f->raw_dst) : 1;
}

int json_raw_store(struct json_parser *p, char *dst)
{
	char *s = p->raw.failed ? NULL : arena_strndup(p->arena, strbuf_str(&p->raw), p->raw.len);

	strbuf_reset(&p->raw);
	if (!s)
		return json_fail(p, ENOMEM, "out of memory");
	memcpy(dst, &s, sizeof(s));
	return 1;
}
