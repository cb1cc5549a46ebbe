/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/json_splice.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

/* From its first quote to behind the last. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p < end ? p + 1 : end;
}

static const char *skip_value(const char *p, const char *end)
{
	size_t depth = 0;

	do {
		if (*p == '"') {
			p = skip_string(p, end);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
			depth--;
		p++;
		/* A number or word ends before what follows it. */
	} while (p < end && (depth > 0 || !strchr(",]} \t\n\r", *p)));
	return p;
}

/* The next value of an object (with its key) or array; p: behind the bracket or the value before. */
static bool next(const char **p, const char *end, struct json_span *key, struct json_span *value)
{
	*p = skip_space(*p, end);
	if (*p < end && **p == ',')
		*p = skip_space(*p + 1, end);
	if (*p >= end || **p == '}' || **p == ']')
		return false;
	if (key) {
		key->from = *p;
		key->to = *p = skip_string(*p, end);
		*p = skip_space(*p, end) + 1; /* the colon */
		*p = skip_space(*p, end);
	}
	if (*p >= end)
		return false;
	value->from = *p;
	value->to = *p = skip_value(*p, end);
	return true;
}

int json_span_member(struct json_span object, const char *key, struct json_span *ret)
{
	const char *p = skip_space(object.from, object.to) + 1;
	struct json_span name, value;

	while (next(&p, object.to, &name, &value)) {
		size_t len = (size_t)(name.to - name.from) - 2;

		if (len == strlen(key) && memcmp(name.from + 1, key, len) == 0) {
			*ret = value;
			return 0;
		}
	}
	return -ENOENT;
}

int json_span_element(struct json_span array, size_t i, struct json_span *ret)
{
	const char *p = skip_space(array.from, array.to) + 1;
	struct json_span value;

	while (next(&p, array.to, NULL, &value))
		if (i-- == 0) {
			*ret = value;
			return 0;
		}
	return -ENOENT;
}
