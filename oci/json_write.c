/* SPDX-License-Identifier: Apache-2.0 */
/* Writing by tables. Recursion is as deep as the tables are nested, which is ours. */
#include <string.h>

#include "oci/json.h"
#include "oci/json_internal.h"

struct writer {
	struct strbuf *out;
	int indent; /* spaces a level; 0: compact */
	int level;
};

static void newline(struct writer *w)
{
	if (w->indent == 0)
		return;
	strbuf_addc(w->out, '\n');
	for (int i = 0; i < w->indent * w->level; i++)
		strbuf_addc(w->out, ' ');
}

static void open_level(struct writer *w, char c)
{
	strbuf_addc(w->out, c);
	w->level++;
}

/* Before each member or element. */
static void next_item(struct writer *w, bool *first)
{
	if (!*first)
		strbuf_addc(w->out, ',');
	*first = false;
	newline(w);
}

static void close_level(struct writer *w, char c, bool empty)
{
	w->level--;
	if (!empty)
		newline(w);
	strbuf_addc(w->out, c);
}

static void write_key(struct writer *w, const char *key)
{
	json_write_string(w->out, key);
	strbuf_adds(w->out, w->indent ? ": " : ":");
}

static const void *get_pointer(const void *src)
{
	const void *p;

	memcpy(&p, src, sizeof(p));
	return p;
}

static uint64_t get_unsigned(const void *src, size_t size)
{
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (size) {
	case sizeof(u16):
		memcpy(&u16, src, size);
		return u16;
	case sizeof(u32):
		memcpy(&u32, src, size);
		return u32;
	default:
		memcpy(&u64, src, size);
		return u64;
	}
}

static void write_enum(struct writer *w, const char *const *names, int value)
{
	for (int i = 0; names[i]; i++) {
		if (i == value) {
			json_write_string(w->out, names[i]);
			return;
		}
	}
	w->out->failed = true;
}

static void write_scalar(struct writer *w, const struct json_field *field, enum json_kind kind, const void *src)
{
	const char *s;

	switch (kind) {
	case JSON_STR:
		s = get_pointer(src);
		json_write_string(w->out, s ? s : "");
		break;
	case JSON_RAW:
		s = get_pointer(src);
		strbuf_adds(w->out, s ? s : "null");
		break;
	case JSON_BOOL:
		strbuf_adds(w->out, *(const bool *)src ? "true" : "false");
		break;
	case JSON_ENUM:
		write_enum(w, field->names, *(const int *)src);
		break;
	case JSON_I32:
		strbuf_addi(w->out, *(const int32_t *)src);
		break;
	case JSON_I64:
		strbuf_addi(w->out, *(const int64_t *)src);
		break;
	default:
		strbuf_addu(w->out, get_unsigned(src, json_scalar_size(kind)));
	}
}

static void write_object(struct writer *w, const struct json_table *table, const char *obj);

static void write_list(struct writer *w, const struct json_field *field, const char *items, size_t n)
{
	bool is_map = json_kind_is_map(field->kind), first = true;
	enum json_kind kind = json_kind_element(field->kind);
	size_t size = json_element_size(field);

	open_level(w, is_map ? '{' : '[');
	for (size_t i = 0; i < n; i++) {
		const char *item = items + i * size;

		next_item(w, &first);
		if (field->kind == JSON_MAP_STR) {
			write_key(w, ((const struct json_pair *)item)->key);
			item += offsetof(struct json_pair, value);
		} else if (is_map) {
			write_key(w, get_pointer(item + field->key_offset));
		}
		if (kind == JSON_OBJ)
			write_object(w, field->table, item);
		else
			write_scalar(w, field, kind, item);
	}
	close_level(w, is_map ? '}' : ']', first);
}

static size_t list_count(const struct json_field *field, const char *obj)
{
	size_t n;

	memcpy(&n, obj + field->count_offset, sizeof(n));
	return n;
}

static bool object_is_empty(const struct json_table *table, const char *obj);

static bool member_is_empty(const struct json_field *field, const char *obj)
{
	const char *src = obj + field->offset, *s;

	if (json_kind_is_array(field->kind) || json_kind_is_map(field->kind))
		return list_count(field, obj) == 0;
	if (json_kind_base(field->kind) != field->kind || field->kind == JSON_OBJ_PTR)
		return !get_pointer(src);
	switch (field->kind) {
	case JSON_STR:
	case JSON_RAW:
		s = get_pointer(src);
		return !s || !*s;
	case JSON_OBJ:
		return object_is_empty(field->table, src);
	case JSON_BOOL:
		return !*(const bool *)src;
	default:
		return get_unsigned(src, json_scalar_size(field->kind)) == 0;
	}
}

/* Is there nothing in it that would be written? */
static bool object_is_empty(const struct json_table *table, const char *obj)
{
	for (const struct json_field *field = table->fields; field->name; field++)
		if (!member_is_empty(field, obj))
			return false;
	return true;
}

static void write_member(struct writer *w, const struct json_field *field, const char *obj)
{
	const char *src = obj + field->offset;
	enum json_kind base = json_kind_base(field->kind);

	if (json_kind_is_array(field->kind) || json_kind_is_map(field->kind)) {
		write_list(w, field, get_pointer(src), list_count(field, obj));
	} else if (field->kind == JSON_OBJ) {
		write_object(w, field->table, src);
	} else if (field->kind == JSON_OBJ_PTR) {
		write_object(w, field->table, get_pointer(src));
	} else if (base == field->kind) {
		write_scalar(w, field, base, src);
	} else {
		src = get_pointer(src);
		if (src)
			write_scalar(w, field, base, src);
		else
			strbuf_adds(w->out, "null");
	}
}

static void write_object(struct writer *w, const struct json_table *table, const char *obj)
{
	bool first = true;

	open_level(w, '{');
	for (const struct json_field *field = table->fields; field->name; field++) {
		bool wanted = field->required || field->write_empty;

		/* An absent object has no members that could be written. */
		if (field->kind == JSON_OBJ_PTR && !get_pointer(obj + field->offset))
			wanted = false;
		else if (!wanted)
			wanted = !member_is_empty(field, obj);
		if (!wanted)
			continue;
		next_item(w, &first);
		write_key(w, field->name);
		write_member(w, field, obj);
	}
	close_level(w, '}', first);
}

void json_write(struct strbuf *out, const struct json_table *table, const void *obj, int indent)
{
	struct writer w = {.out = out, .indent = indent};

	write_object(&w, table, obj);
}

const char *json_pair_get(const struct json_pair *pairs, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(pairs[i].key, key) == 0)
			return pairs[i].value;
	return NULL;
}
