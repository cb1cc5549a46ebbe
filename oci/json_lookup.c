/* SPDX-License-Identifier: Apache-2.0 */
/* One scalar at a dotted path of a JSON object, without a table. */
#include <errno.h>
#include <string.h>

#include "oci/json.h"
#include "oci/json_internal.h"

struct lookup {
	const char *source, *path;
	struct arena *arena;
	struct error *err;
	const char *segments[JSON_MAX_DEPTH]; /* of path, each ended by '.' or NUL */
	size_t lengths[JSON_MAX_DEPTH];
	size_t n_segments;
	size_t depth;		   /* open objects and arrays */
	size_t matched;		   /* outermost ones that lie on the path; the root object counts once it is open */
	bool pending;		   /* the next value is that of a key on the path */
	bool seen[JSON_MAX_DEPTH]; /* per segment: its key came, in the object at hand */
	size_t n_values;
	const char *found;
};

static int fail(struct lookup *l, int code, const char *what)
{
	error_set(l->err, code, "%s: \"%s\" %s", l->source, l->path, what);
	return 0;
}

static int split_path(struct lookup *l)
{
	const char *s = l->path;

	for (;;) {
		size_t len = strcspn(s, ".");

		if (len == 0)
			return error_set(l->err, EINVAL, "\"%s\" is no path of keys (a.b.c)", l->path);
		if (l->n_segments == JSON_MAX_DEPTH)
			return error_set(l->err, EINVAL, "\"%s\" has more than %d keys", l->path, JSON_MAX_DEPTH);
		l->segments[l->n_segments] = s;
		l->lengths[l->n_segments++] = len;
		if (!s[len])
			return 0;
		s += len + 1;
	}
}

static int count_value(struct lookup *l)
{
	return ++l->n_values <= JSON_MAX_VALUES ? 1 : fail(l, EINVAL, "is in a document with too many values");
}

static int on_scalar(struct lookup *l, const char *s, size_t len, bool is_null)
{
	bool pending = l->pending;

	l->pending = false;
	if (!count_value(l))
		return 0;
	if (l->depth == 0) {
		error_set(l->err, EINVAL, "%s: must be an object", l->source);
		return 0;
	}
	if (!pending || is_null || l->matched != l->n_segments)
		return 1;
	l->found = arena_strndup(l->arena, s, len);
	return l->found ? 1 : fail(l, ENOMEM, "is too much for the memory");
}

static int on_null(void *ctx)
{
	return on_scalar(ctx, "null", 4, true);
}

static int on_boolean(void *ctx, int b)
{
	return on_scalar(ctx, b ? "true" : "false", b ? 4 : 5, false);
}

static int on_number(void *ctx, const char *s, size_t len)
{
	return on_scalar(ctx, s, len, false);
}

static int on_string(void *ctx, const unsigned char *s, size_t len)
{
	const char *bad = json_bad_string((const char *)s, len);

	return bad ? fail(ctx, EINVAL, bad) : on_scalar(ctx, (const char *)s, len, false);
}

static int on_start(struct lookup *l, bool is_array)
{
	bool pending = l->pending;

	l->pending = false;
	if (!count_value(l))
		return 0;
	if (l->depth == 0 && is_array) {
		error_set(l->err, EINVAL, "%s: must be an object", l->source);
		return 0;
	}
	if (l->depth == JSON_MAX_DEPTH)
		return fail(l, EINVAL, "is in a document that is nested too deep");
	if (pending && l->matched == l->n_segments)
		return fail(l, EINVAL, is_array ? "is an array" : "is an object");
	l->depth++;
	if (l->depth == 1 || (pending && !is_array)) {
		l->matched = l->depth;
		l->seen[l->depth - 1] = false;
	}
	return 1;
}

static int on_start_map(void *ctx)
{
	return on_start(ctx, false);
}

static int on_start_array(void *ctx)
{
	return on_start(ctx, true);
}

static int on_end(void *ctx)
{
	struct lookup *l = ctx;

	if (l->matched == l->depth)
		l->matched--;
	l->depth--;
	return 1;
}

static int on_key(void *ctx, const unsigned char *s, size_t len)
{
	struct lookup *l = ctx;
	size_t i = l->depth - 1;

	/* Only in objects that are on the path so far. */
	if (l->matched != l->depth || l->lengths[i] != len || memcmp(l->segments[i], s, len) != 0)
		return 1;
	if (l->seen[i])
		return fail(l, EINVAL, "stands there twice");
	l->seen[i] = true;
	l->pending = true;
	return 1;
}

int json_lookup_scalar(const char *text, size_t len, const char *source, const char *path, struct arena *arena,
		       const char **ret, struct error *err)
{
	static const yajl_callbacks callbacks = {
	    .yajl_null = on_null,
	    .yajl_boolean = on_boolean,
	    .yajl_number = on_number,
	    .yajl_string = on_string,
	    .yajl_start_map = on_start_map,
	    .yajl_map_key = on_key,
	    .yajl_end_map = on_end,
	    .yajl_start_array = on_start_array,
	    .yajl_end_array = on_end,
	};
	struct lookup l = {.source = source, .path = path, .arena = arena, .err = err};
	int r = split_path(&l);

	if (r == 0)
		r = json_run(&callbacks, &l, text, len, source, err);
	if (r < 0)
		return r;
	if (!l.found)
		return error_set(err, ENOENT, "%s: \"%s\" is not there", source, path);
	*ret = l.found;
	return 0;
}
