/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading by tables. yajl calls back for each piece of the document; a stack of
 * frames, one per open object or array, knows where it goes. The stack is an
 * array of JSON_MAX_DEPTH: nothing recurses on what comes from outside.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/json.h"
#include "oci/json_internal.h"
#include "oci/json_parse.h"

/* "$.mounts[1].destination" of the value at hand, cut when it would be long. */
static void place_format(const struct json_parser *p, char *buf, size_t size)
{
	size_t len = (size_t)snprintf(buf, size, "$");

	for (size_t i = 0; i < p->depth && len < size; i++) {
		const struct json_frame *f = &p->frames[i];

		if (f->is_array && f->index > 0)
			len += (size_t)snprintf(buf + len, size - len, "[%zu]", f->index - 1);
		else if (!f->is_array && f->key)
			len += (size_t)snprintf(buf + len, size - len, ".%.60s", f->key);
	}
}

int json_fail(struct json_parser *p, int code, const char *fmt, ...)
{
	char place[400], msg[ERROR_MSG_MAX / 2];
	va_list ap;

	place_format(p, place, sizeof(place));
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	error_set(p->err, code, "%s: %s: %s", p->source, place, msg);
	return 0;
}

static int fail_type(struct json_parser *p, const char *wanted, const char *got)
{
	return json_fail(p, EINVAL, "must be %s, not %s", wanted, got);
}

static const char *kind_wanted(enum json_kind kind)
{
	if (json_kind_is_array(kind))
		return "an array";
	switch (json_kind_base(kind)) {
	case JSON_STR:
	case JSON_ENUM:
		return "a string";
	case JSON_BOOL:
		return "true or false";
	case JSON_OBJ:
	case JSON_OBJ_PTR:
	case JSON_MAP_STR:
	case JSON_MAP_OBJ:
		return "an object";
	default:
		return "a whole number";
	}
}

/* Every value of the document passes here first, known or not. */
static int count_value(struct json_parser *p)
{
	struct json_frame *f = p->depth ? &p->frames[p->depth - 1] : NULL;

	if (f && f->is_array)
		f->index++;
	if (++p->n_values > JSON_MAX_VALUES)
		return json_fail(p, EINVAL, "more than %u values in the document", JSON_MAX_VALUES);
	return 1;
}

/* --- lists ------------------------------------------------------------------ */

/* Room for one more element, zeroed; and one zero element after it, which ends an array of strings. */
static void *list_push(struct json_parser *p, struct json_frame *f)
{
	size_t max = f->field->max_count ? f->field->max_count : JSON_MAX_COUNT;
	size_t size = json_element_size(f->field);

	if (f->count >= max) {
		json_fail(p, EINVAL, "more than %zu entries", max);
		return NULL;
	}
	if (f->count + 1 >= f->cap) {
		size_t cap = f->cap < 4 ? 4 : f->cap * 2;
		char *items = arena_calloc(p->arena, cap, size);

		if (!items) {
			json_fail(p, ENOMEM, "out of memory");
			return NULL;
		}
		memcpy(items, f->items, f->count * size);
		f->items = items;
		f->cap = cap;
	}
	return f->items + f->count++ * size;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, not each with each: a map may have JSON_MAX_COUNT entries. */
static int map_check_duplicates(struct json_parser *p, struct json_frame *f)
{
	size_t size = json_element_size(f->field);
	size_t key_offset = f->field->kind == JSON_MAP_STR ? offsetof(struct json_pair, key) : f->field->key_offset;
	_cleanup_free_ const char **keys = NULL;

	if (f->count < 2)
		return 1;
	keys = calloc(f->count, sizeof(*keys));
	if (!keys)
		return json_fail(p, ENOMEM, "out of memory");
	for (size_t i = 0; i < f->count; i++)
		memcpy(&keys[i], f->items + i * size + key_offset, sizeof(keys[i]));
	qsort(keys, f->count, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < f->count; i++)
		if (strcmp(keys[i - 1], keys[i]) == 0) {
			f->key = keys[i];
			return json_fail(p, EINVAL, "stands there twice");
		}
	return 1;
}

/* --- frames ------------------------------------------------------------------ */

static struct json_frame *frame_push(struct json_parser *p, enum json_frame_kind kind, bool is_array)
{
	struct json_frame *f = &p->frames[p->depth];

	memset(f, 0, sizeof(*f));
	f->kind = kind;
	f->is_array = is_array;
	p->depth++;
	return f;
}

static int push_object(struct json_parser *p, const struct json_table *table, void *obj)
{
	struct json_frame *f = frame_push(p, FRAME_OBJECT, false);

	f->table = table;
	f->obj = obj;
	return 1;
}

static int push_list(struct json_parser *p, const struct json_field *field, void *owner)
{
	/* One zero element at least, so that "there but empty" is not NULL. */
	char *items = arena_alloc(p->arena, json_element_size(field));
	struct json_frame *f;

	if (!items)
		return json_fail(p, ENOMEM, "out of memory");
	f = frame_push(p, json_kind_is_map(field->kind) ? FRAME_MAP : FRAME_ARRAY, json_kind_is_array(field->kind));
	f->field = field;
	f->obj = owner;
	f->items = items;
	f->cap = 1;
	return 1;
}

/* An object or array as the value of a table's field. */
static int field_start(struct json_parser *p, struct json_frame *f, bool is_array)
{
	const struct json_field *field = f->field;
	char *dst = f->obj + field->offset;
	void *obj;

	if (field->kind == JSON_RAW) {
		f->set |= UINT64_C(1) << (field - f->table->fields);
		json_raw_start(p, is_array);
		frame_push(p, FRAME_RAW, is_array)->raw_dst = dst;
		return 1;
	}
	if (json_kind_is_array(field->kind) != is_array || (!is_array && strcmp(kind_wanted(field->kind), "an object")))
		return fail_type(p, kind_wanted(field->kind), is_array ? "an array" : "an object");
	f->set |= UINT64_C(1) << (field - f->table->fields);
	switch (field->kind) {
	case JSON_OBJ:
		return push_object(p, field->table, dst);
	case JSON_OBJ_PTR:
		obj = arena_alloc(p->arena, field->table->size);
		if (!obj)
			return json_fail(p, ENOMEM, "out of memory");
		memcpy(dst, &obj, sizeof(obj));
		return push_object(p, field->table, obj);
	default:
		return push_list(p, field, f->obj);
	}
}

/* An object or array as an element of a list. */
static int element_start(struct json_parser *p, struct json_frame *f, bool is_array)
{
	enum json_kind kind = json_kind_element(f->field->kind);
	const struct json_field *field = f->field;
	const char *key = f->key;
	char *slot;

	if (kind != JSON_OBJ || is_array)
		return fail_type(p, kind_wanted(kind), is_array ? "an array" : "an object");
	slot = list_push(p, f);
	if (!slot)
		return 0;
	if (f->kind == FRAME_MAP)
		memcpy(slot + field->key_offset, &key, sizeof(key));
	return push_object(p, field->table, slot);
}

static int on_start(struct json_parser *p, bool is_array)
{
	struct json_frame *f = p->depth ? &p->frames[p->depth - 1] : NULL;

	if (!count_value(p))
		return 0;
	if (!f)
		return is_array ? fail_type(p, "an object", "an array") : push_object(p, p->table, p->out);
	if (p->depth == JSON_MAX_DEPTH)
		return json_fail(p, EINVAL, "nested deeper than %d levels", JSON_MAX_DEPTH);
	switch (f->kind) {
	case FRAME_OBJECT:
		if (f->field)
			return field_start(p, f, is_array);
		break;
	case FRAME_ARRAY:
	case FRAME_MAP:
		return element_start(p, f, is_array);
	case FRAME_RAW:
		json_raw_start(p, is_array);
		frame_push(p, FRAME_RAW, is_array);
		return 1;
	case FRAME_SKIP:
		break;
	}
	frame_push(p, FRAME_SKIP, is_array);
	return 1;
}

static int object_end(struct json_parser *p, struct json_frame *f)
{
	f->key = NULL;
	for (const struct json_field *field = f->table->fields; field->name; field++) {
		if (field->required && !(f->set & UINT64_C(1) << (field - f->table->fields))) {
			f->key = field->name;
			return json_fail(p, EINVAL, "missing");
		}
	}
	return 1;
}

static int on_end(struct json_parser *p)
{
	struct json_frame *f = &p->frames[p->depth - 1];
	int ok = 1;

	switch (f->kind) {
	case FRAME_OBJECT:
		ok = object_end(p, f);
		break;
	case FRAME_MAP:
		ok = map_check_duplicates(p, f);
		/* fall through */
	case FRAME_ARRAY:
		memcpy(f->obj + f->field->offset, &f->items, sizeof(f->items));
		memcpy(f->obj + f->field->count_offset, &f->count, sizeof(f->count));
		break;
	case FRAME_RAW:
		ok = json_raw_end(p, f);
		break;
	case FRAME_SKIP:
		break;
	}
	if (ok)
		p->depth--;
	return ok;
}

/* --- keys and scalars ---------------------------------------------------------- */

static int object_key(struct json_parser *p, struct json_frame *f, const char *key, size_t len)
{
	const struct json_field *field = f->table->fields;
	uint64_t bit;

	while (field->name && (strlen(field->name) != len || memcmp(field->name, key, len) != 0))
		field++;
	if (!field->name) {
		f->field = NULL;
		if (f->table->flags & JSON_STRICT)
			return json_fail(p, EINVAL, "unknown key");
		return 1;
	}
	bit = UINT64_C(1) << (field - f->table->fields);
	if (f->seen & bit)
		return json_fail(p, EINVAL, "stands there twice");
	f->seen |= bit;
	f->field = field;
	return 1;
}

static int on_key(void *ctx, const unsigned char *s, size_t len)
{
	struct json_parser *p = ctx;
	struct json_frame *f = &p->frames[p->depth - 1];
	const char *bad = json_bad_string((const char *)s, len);

	if (bad) {
		f->key = NULL;
		return json_fail(p, EINVAL, "a key %s", bad);
	}
	snprintf(f->key_buf, sizeof(f->key_buf), "%.*s", (int)(len < sizeof(f->key_buf) ? len : sizeof(f->key_buf)),
		 (const char *)s);
	f->key = f->key_buf;
	switch (f->kind) {
	case FRAME_OBJECT:
		return object_key(p, f, (const char *)s, len);
	case FRAME_MAP:
		f->key = arena_strndup(p->arena, (const char *)s, len);
		return f->key ? 1 : json_fail(p, ENOMEM, "out of memory");
	case FRAME_RAW:
		json_raw_key(p, f, (const char *)s, len);
		return 1;
	default:
		return 1;
	}
}

static int field_scalar(struct json_parser *p, struct json_frame *f, const struct json_value *v)
{
	const struct json_field *field = f->field;
	enum json_kind base = json_kind_base(field->kind);
	char *dst = f->obj + field->offset;

	if (v->type == VALUE_NULL)
		return 1;
	if (v->type == VALUE_STRING && v->len == 0 && field->kind == JSON_STR && f->table->flags & JSON_EMPTY_ABSENT)
		return 1;
	f->set |= UINT64_C(1) << (field - f->table->fields);
	if (field->kind == JSON_RAW) {
		json_raw_scalar(p, NULL, v);
		return json_raw_store(p, dst);
	}
	if (base != field->kind) {
		void *slot = arena_alloc(p->arena, json_scalar_size(base));

		if (!slot)
			return json_fail(p, ENOMEM, "out of memory");
		memcpy(dst, &slot, sizeof(slot));
		dst = slot;
	}
	return json_store(p, field, base, dst, v);
}

static int element_scalar(struct json_parser *p, struct json_frame *f, const struct json_value *v)
{
	enum json_kind kind = json_kind_element(f->field->kind);
	char *slot;

	if (f->kind == FRAME_MAP && v->type == VALUE_NULL)
		return 1;
	if (kind == JSON_OBJ)
		return fail_type(p, "an object", json_type_name(v->type));
	slot = list_push(p, f);
	if (!slot)
		return 0;
	if (f->kind == FRAME_MAP) {
		memcpy(slot + offsetof(struct json_pair, key), &f->key, sizeof(f->key));
		slot += offsetof(struct json_pair, value);
	}
	return json_store(p, f->field, kind, slot, v);
}

static int on_scalar(struct json_parser *p, const struct json_value *v)
{
	struct json_frame *f = p->depth ? &p->frames[p->depth - 1] : NULL;
	const char *bad = v->type == VALUE_STRING ? json_bad_string(v->text, v->len) : NULL;

	if (!count_value(p))
		return 0;
	if (!f)
		return fail_type(p, "an object", json_type_name(v->type));
	if (bad)
		return json_fail(p, EINVAL, "%s", bad);
	switch (f->kind) {
	case FRAME_OBJECT:
		return f->field ? field_scalar(p, f, v) : 1;
	case FRAME_ARRAY:
	case FRAME_MAP:
		return element_scalar(p, f, v);
	case FRAME_RAW:
		json_raw_scalar(p, f, v);
		return 1;
	default:
		return 1;
	}
}

static int on_null(void *ctx)
{
	return on_scalar(ctx, &(struct json_value){.type = VALUE_NULL, .text = "null", .len = 4});
}

static int on_boolean(void *ctx, int b)
{
	return on_scalar(
	    ctx,
	    &(struct json_value){.type = b ? VALUE_TRUE : VALUE_FALSE, .text = b ? "true" : "false", .len = b ? 4 : 5});
}

static int on_number(void *ctx, const char *s, size_t len)
{
	return on_scalar(ctx, &(struct json_value){.type = VALUE_NUMBER, .text = s, .len = len});
}

static int on_string(void *ctx, const unsigned char *s, size_t len)
{
	return on_scalar(ctx, &(struct json_value){.type = VALUE_STRING, .text = (const char *)s, .len = len});
}

static int on_start_map(void *ctx)
{
	return on_start(ctx, false);
}

static int on_start_array(void *ctx)
{
	return on_start(ctx, true);
}

static int on_end_any(void *ctx)
{
	return on_end(ctx);
}

int json_parse(const char *text, size_t len, const char *source, const struct json_table *table, struct arena *arena,
	       void *out, struct error *err)
{
	static const yajl_callbacks callbacks = {
	    .yajl_null = on_null,
	    .yajl_boolean = on_boolean,
	    .yajl_number = on_number,
	    .yajl_string = on_string,
	    .yajl_start_map = on_start_map,
	    .yajl_map_key = on_key,
	    .yajl_end_map = on_end_any,
	    .yajl_start_array = on_start_array,
	    .yajl_end_array = on_end_any,
	};
	struct json_parser p = {.source = source, .table = table, .arena = arena, .out = out, .err = err};
	int r;

	memset(out, 0, table->size);
	r = json_run(&callbacks, &p, text, len, source, err);
	strbuf_free(&p.raw);
	return r;
}
