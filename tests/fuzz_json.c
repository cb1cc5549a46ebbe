/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON parser by a table with a field of each kind; what was read, written and read again is the same. */
#include <string.h>

#include "oci/json.h"
#include "tests/fuzz.h"

static const char *const names[] = {"red", "green", NULL};

struct doc {
	const char *s;
	bool b, *ob;
	int32_t i32, *oi32;
	int64_t i64, *oi64;
	uint16_t u16, *ou16;
	uint32_t u32, *ou32;
	uint64_t u64, *ou64;
	int e;
	struct leaf {
		const char *name;
		int64_t n;
	} obj, *ptr, *leaves, *map;
	const char **strs;
	int *enums;
	uint32_t *ids;
	int64_t *longs;
	struct json_pair *pairs;
	size_t n_leaves, n_map, n_strs, n_enums, n_ids, n_longs, n_pairs;
	const char *raw;
};

static const struct json_field leaf_fields[] = {
    JSON_FIELD(struct leaf, name, "name", JSON_STR, .required = true),
    JSON_FIELD(struct leaf, n, "n", JSON_I64),
    {NULL},
};
static const struct json_table leaf_table = {"leaf", sizeof(struct leaf), leaf_fields, JSON_STRICT};

static const struct json_field keyed_fields[] = {
    JSON_FIELD(struct leaf, n, "n", JSON_I64),
    {NULL},
};
static const struct json_table keyed_table = {"keyed", sizeof(struct leaf), keyed_fields, JSON_EMPTY_ABSENT};

static const struct json_field fields[] = {
    JSON_FIELD(struct doc, s, "s", JSON_STR),
    JSON_FIELD(struct doc, b, "b", JSON_BOOL),
    JSON_FIELD(struct doc, ob, "ob", JSON_OPT_BOOL),
    JSON_FIELD(struct doc, i32, "i32", JSON_I32),
    JSON_FIELD(struct doc, oi32, "oi32", JSON_OPT_I32),
    JSON_FIELD(struct doc, i64, "i64", JSON_I64),
    JSON_FIELD(struct doc, oi64, "oi64", JSON_OPT_I64),
    JSON_FIELD(struct doc, u16, "u16", JSON_U16),
    JSON_FIELD(struct doc, ou16, "ou16", JSON_OPT_U16),
    JSON_FIELD(struct doc, u32, "u32", JSON_U32),
    JSON_FIELD(struct doc, ou32, "ou32", JSON_OPT_U32),
    JSON_FIELD(struct doc, u64, "u64", JSON_U64),
    JSON_FIELD(struct doc, ou64, "ou64", JSON_OPT_U64),
    JSON_FIELD(struct doc, e, "e", JSON_ENUM, .names = names),
    JSON_FIELD(struct doc, obj, "obj", JSON_OBJ, .table = &leaf_table),
    JSON_FIELD(struct doc, ptr, "ptr", JSON_OBJ_PTR, .table = &leaf_table),
    JSON_LIST(struct doc, leaves, "leaves", JSON_ARR_OBJ, .table = &leaf_table),
    JSON_LIST(struct doc, map, "map", JSON_MAP_OBJ, .table = &keyed_table, .key_offset = offsetof(struct leaf, name)),
    JSON_LIST(struct doc, strs, "strs", JSON_ARR_STR),
    JSON_LIST(struct doc, enums, "enums", JSON_ARR_ENUM, .names = names),
    JSON_LIST(struct doc, ids, "ids", JSON_ARR_U32, .max_count = 8),
    JSON_LIST(struct doc, longs, "longs", JSON_ARR_I64),
    JSON_LIST(struct doc, pairs, "pairs", JSON_MAP_STR),
    JSON_FIELD(struct doc, raw, "raw", JSON_RAW),
    {NULL},
};
static const struct json_table table = {"doc", sizeof(struct doc), fields, 0};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_strbuf_ struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;
	struct error err = ERROR_INIT;
	struct doc doc;
	int r = json_parse((const char *)data, size, "input", &table, &arena, &doc, &err);

	FUZZ_CHECK(r <= 0 && err.code == -r);
	if (r < 0) {
		FUZZ_CHECK(strncmp(err.msg, "input: ", 7) == 0 && !strchr(err.msg, '\n'));
		return 0;
	}
	json_write(&first, &table, &doc, 2);
	FUZZ_CHECK(!first.failed && json_utf8_valid(first.data, first.len));
	r = json_parse(first.data, first.len, "written", &table, &arena, &doc, &err);
	FUZZ_CHECK(r == 0);
	json_write(&second, &table, &doc, 2);
	FUZZ_CHECK(strcmp(first.data, second.data) == 0);
	return 0;
}
