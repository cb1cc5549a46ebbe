/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - one table per object reads, checks and writes it.
 *
 * Reading goes over yajl's streaming parser with bounds on size, depth and
 * count. Refused: a key that stands twice in a map, or in an object whose table
 * has it, numbers out of a field's range or with a fraction or an exponent, a wrong
 * type, invalid UTF-8, NUL (\u0000) within a string, bytes after the document.
 * `null` is the same as an absent key. Messages name the place:
 *     config.json: $.mounts[1].destination: missing
 *
 * The target structs live in an arena; absent members stay zero (NULL, 0,
 * false), optional scalars are pointers (NULL: absent). An array or map that is
 * there but empty is not NULL, with a count of 0. In a map, a key whose value is
 * null is left out; in an array null is a wrong type. Keys are case-sensitive.
 * A table has at most 64 fields.
 *
 *     struct point { const char *name; int64_t x; uint32_t *port; };
 *     static const struct json_field fields[] = {
 *         JSON_FIELD(struct point, name, "name", JSON_STR, .required = true),
 *         JSON_FIELD(struct point, x, "x", JSON_I64),
 *         JSON_FIELD(struct point, port, "port", JSON_OPT_U32),
 *         {NULL}};
 *     const struct json_table point_table = {"point", sizeof(struct point), fields, 0};
 *
 * Only oci/json* includes yajl.
 */
#ifndef VOLRUN_OCI_JSON_H
#define VOLRUN_OCI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/strbuf.h"

enum json_kind {
	JSON_STR,      /* const char * */
	JSON_BOOL,     /* bool */
	JSON_I32,      /* int32_t */
	JSON_I64,      /* int64_t */
	JSON_U16,      /* uint16_t */
	JSON_U32,      /* uint32_t */
	JSON_U64,      /* uint64_t */
	JSON_OPT_BOOL, /* bool *     (and so on: NULL when absent) */
	JSON_OPT_I32,
	JSON_OPT_I64,
	JSON_OPT_U16,
	JSON_OPT_U32,
	JSON_OPT_U64,
	JSON_ENUM,     /* int: the index in .names; -1 is never stored, an unknown name is an error */
	JSON_OBJ,      /* struct, inline; .table */
	JSON_OBJ_PTR,  /* struct *; .table; NULL when absent */
	JSON_ARR_STR,  /* const char **, count at .count_offset (size_t); NULL-terminated too */
	JSON_ARR_ENUM, /* int *, count */
	JSON_ARR_U32,  /* uint32_t *, count */
	JSON_ARR_I64,  /* int64_t *, count */
	JSON_ARR_OBJ,  /* struct *, count; .table */
	JSON_MAP_STR,  /* struct json_pair *, count: {"key": "string"} in document order; duplicate keys refused */
	JSON_MAP_OBJ,  /* struct *, count; .table; the key goes to the member at .key_offset (const char *) */
	JSON_RAW,      /* const char *: the value's own text, compact, whatever it is (bounded) */
};

struct json_pair {
	const char *key;
	const char *value;
};

struct json_table;

struct json_field {
	const char *name; /* the JSON key; NULL ends the table */
	size_t offset;
	enum json_kind kind;
	size_t count_offset;		/* arrays and maps */
	size_t key_offset;		/* JSON_MAP_OBJ */
	const struct json_table *table; /* objects */
	const char *const *names;	/* enums, NULL-terminated */
	size_t max_count;		/* arrays and maps; 0: JSON_MAX_COUNT */
	bool required;			/* absent (or null): "missing" */
	bool write_empty; /* written even when zero, "", empty or absent (scalars, strings, arrays, maps) */
};

struct json_table {
	const char *what; /* the struct, for messages */
	size_t size;
	const struct json_field *fields;
	unsigned flags;
};

/* Keys that the table does not have are an error, not skipped. */
#define JSON_STRICT 1u
/* A string member of "" is the same as an absent key: Go's writers can't tell the two apart. */
#define JSON_EMPTY_ABSENT 2u

#define JSON_FIELD(type, member, key, k, ...)                                                                          \
	{                                                                                                              \
		.name = (key), .offset = offsetof(type, member), .kind = (k), __VA_ARGS__                              \
	}
/* Arrays and maps: the count is the member n_<member>. */
#define JSON_LIST(type, member, key, k, ...)                                                                           \
	{                                                                                                              \
		.name = (key), .offset = offsetof(type, member), .kind = (k),                                          \
		.count_offset = offsetof(type, n_##member), __VA_ARGS__                                                \
	}

#define JSON_MAX_DEPTH 32
#define JSON_MAX_COUNT 65536
#define JSON_MAX_SIZE (16u << 20)
/* All values of a document together, those of unknown keys included. */
#define JSON_MAX_VALUES (1u << 20)

/*
 * Parses `len` bytes into *out (table->size bytes, zeroed first). Strings and
 * arrays are allocated in the arena. `source` names the document in messages
 * ("config.json"). -EINVAL, -EFBIG, -ENOMEM.
 */
int json_parse(const char *text, size_t len, const char *source, const struct json_table *table, struct arena *arena,
	       void *out, struct error *err);

/* A file of at most JSON_MAX_SIZE bytes, by dirfd and path. */
int json_parse_file(int dirfd, const char *path, const char *source, const struct json_table *table,
		    struct arena *arena, void *out, struct error *err);

/*
 * Appends the object. Members that are zero, NULL or empty are left out unless
 * required or write_empty. indent 0: compact, on one line; else spaces a level.
 * Bytes that are not valid UTF-8 become U+FFFD (names that matter are checked
 * before). Fails only through out->failed.
 */
void json_write(struct strbuf *out, const struct json_table *table, const void *obj, int indent);

/* Appends s as a JSON string, with its quotes. */
void json_write_string(struct strbuf *out, const char *s);

/* Is it UTF-8 in shortest form, without surrogates (RFC 3629)? */
bool json_utf8_valid(const char *s, size_t len);

/* The value of a key in a JSON_MAP_STR list, or NULL. */
const char *json_pair_get(const struct json_pair *pairs, size_t n, const char *key);

/*
 * The value at a dotted path ("a.b.c") of a JSON object text, for placeholders
 * of volumes: strings as they are, numbers and booleans as written. -ENOENT
 * when absent or null, -EINVAL when an object or array, or no valid JSON.
 */
int json_lookup_scalar(const char *text, size_t len, const char *source, const char *path, struct arena *arena,
		       const char **ret, struct error *err);

#endif
