/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_parse.h - the parser's state, between json_parse.c (structure) and
 * json_value.c (scalars, raw text). Nobody else includes it.
 *
 * The functions return 1 to go on, or 0 with the error set, as yajl's
 * callbacks do.
 */
#ifndef VOLRUN_OCI_JSON_PARSE_H
#define VOLRUN_OCI_JSON_PARSE_H

#include "oci/json.h"

enum json_frame_kind {
	FRAME_OBJECT, /* has a table */
	FRAME_ARRAY,
	FRAME_MAP,
	FRAME_RAW,  /* within a JSON_RAW value */
	FRAME_SKIP, /* within an unknown key's value */
};

struct json_frame {
	enum json_frame_kind kind;
	bool is_array;
	const struct json_table *table; /* objects */
	const struct json_field *field; /* objects: of the current key, NULL when unknown; lists: the list's own */
	char *obj;			/* objects: the struct; lists: the struct that has the list */
	uint64_t seen, set;		/* objects: fields by number; set: with a value that is not null */
	char *items;			/* lists: so far; room for cap */
	size_t count, cap;
	size_t index;	  /* values (arrays) or keys (raw objects) so far */
	const char *key;  /* the current key, for messages and maps */
	char key_buf[64]; /* its beginning */
	char *raw_dst;	  /* the outermost frame of a raw value: its member */
};

struct json_parser {
	const char *source;
	const struct json_table *table;
	struct arena *arena;
	char *out;
	struct error *err;
	struct strbuf raw; /* the raw value at hand */
	size_t n_values;
	size_t depth;
	struct json_frame frames[JSON_MAX_DEPTH];
};

enum json_value_type { VALUE_NULL, VALUE_TRUE, VALUE_FALSE, VALUE_NUMBER, VALUE_STRING };

struct json_value {
	enum json_value_type type;
	const char *text; /* not NUL-terminated; strings: decoded and checked */
	size_t len;
};

/* "<source>: <place>: <text>"; returns 0. */
int json_fail(struct json_parser *p, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "a string", "null" ... */
const char *json_type_name(enum json_value_type type);

/* Checks the value against the kind (a plain one) and writes it at dst. */
int json_store(struct json_parser *p, const struct json_field *field, enum json_kind kind, void *dst,
	       const struct json_value *v);

/* Raw text: written again piece by piece, compact. f: the frame around it, NULL for a scalar of its own. */
void json_raw_start(struct json_parser *p, bool is_array);
void json_raw_key(struct json_parser *p, struct json_frame *f, const char *key, size_t len);
void json_raw_scalar(struct json_parser *p, const struct json_frame *f, const struct json_value *v);
/* Closes the frame's object or array; the outermost one stores the text. */
int json_raw_end(struct json_parser *p, const struct json_frame *f);
int json_raw_store(struct json_parser *p, char *dst);

#endif
