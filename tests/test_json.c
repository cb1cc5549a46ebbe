/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/json.h"

enum color { RED, GREEN };
static const char *const color_names[] = {"red", "green", NULL};

struct leaf {
	const char *name;
	int64_t n;
};

struct doc {
	const char *s;
	bool b;
	int32_t i32;
	int64_t i64;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	bool *ob;
	int32_t *oi32;
	int64_t *oi64;
	uint16_t *ou16;
	uint32_t *ou32;
	uint64_t *ou64;
	int color;
	struct leaf leaf;
	struct leaf *leaf_ptr;
	const char **strs;
	size_t n_strs;
	int *colors;
	size_t n_colors;
	uint32_t *ids;
	size_t n_ids;
	int64_t *longs;
	size_t n_longs;
	struct leaf *leaves;
	size_t n_leaves;
	struct json_pair *pairs;
	size_t n_pairs;
	struct leaf *map;
	size_t n_map;
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
static const struct json_table keyed_table = {"keyed", sizeof(struct leaf), keyed_fields, 0};

static const struct json_field doc_fields[] = {
    JSON_FIELD(struct doc, s, "s", JSON_STR),
    JSON_FIELD(struct doc, b, "b", JSON_BOOL),
    JSON_FIELD(struct doc, i32, "i32", JSON_I32),
    JSON_FIELD(struct doc, i64, "i64", JSON_I64),
    JSON_FIELD(struct doc, u16, "u16", JSON_U16),
    JSON_FIELD(struct doc, u32, "u32", JSON_U32),
    JSON_FIELD(struct doc, u64, "u64", JSON_U64),
    JSON_FIELD(struct doc, ob, "ob", JSON_OPT_BOOL),
    JSON_FIELD(struct doc, oi32, "oi32", JSON_OPT_I32),
    JSON_FIELD(struct doc, oi64, "oi64", JSON_OPT_I64),
    JSON_FIELD(struct doc, ou16, "ou16", JSON_OPT_U16),
    JSON_FIELD(struct doc, ou32, "ou32", JSON_OPT_U32),
    JSON_FIELD(struct doc, ou64, "ou64", JSON_OPT_U64),
    JSON_FIELD(struct doc, color, "color", JSON_ENUM, .names = color_names),
    JSON_FIELD(struct doc, leaf, "leaf", JSON_OBJ, .table = &leaf_table),
    JSON_FIELD(struct doc, leaf_ptr, "leafPtr", JSON_OBJ_PTR, .table = &leaf_table),
    JSON_LIST(struct doc, strs, "strs", JSON_ARR_STR),
    JSON_LIST(struct doc, colors, "colors", JSON_ARR_ENUM, .names = color_names),
    JSON_LIST(struct doc, ids, "ids", JSON_ARR_U32, .max_count = 4),
    JSON_LIST(struct doc, longs, "longs", JSON_ARR_I64),
    JSON_LIST(struct doc, leaves, "leaves", JSON_ARR_OBJ, .table = &leaf_table),
    JSON_LIST(struct doc, pairs, "pairs", JSON_MAP_STR),
    JSON_LIST(struct doc, map, "map", JSON_MAP_OBJ, .table = &keyed_table, .key_offset = offsetof(struct leaf, name)),
    JSON_FIELD(struct doc, raw, "raw", JSON_RAW),
    {NULL},
};
static const struct json_table doc_table = {"doc", sizeof(struct doc), doc_fields, 0};

static struct arena arena = ARENA_INIT;
static struct error err;

static int setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	arena.limit = 0;
	return 0;
}

static int parse(const char *text, struct doc *doc)
{
	return json_parse(text, strlen(text), "x.json", &doc_table, &arena, doc, &err);
}

static void assert_refused(const char *text, const char *message)
{
	struct doc doc;

	memset(&err, 0, sizeof(err));
	assert_int_equal(parse(text, &doc), -EINVAL);
	assert_string_equal(err.msg, message);
	assert_int_equal(err.code, EINVAL);
}

static void reads_every_kind(void **state)
{
	struct doc d;

	(void)state;
	assert_int_equal(
	    parse("{\"s\":\"a\\u00e4\\n\",\"b\":true,\"i32\":-2147483648,\"i64\":-9223372036854775808,"
		  "\"u16\":65535,\"u32\":4294967295,\"u64\":18446744073709551615,"
		  "\"ob\":false,\"oi32\":-1,\"oi64\":9223372036854775807,\"ou16\":0,\"ou32\":7,\"ou64\":8,"
		  "\"color\":\"green\",\"leaf\":{\"name\":\"x\",\"n\":3},\"leafPtr\":{\"name\":\"y\"},"
		  "\"strs\":[\"a\",\"\",\"c\"],\"colors\":[\"green\",\"red\"],\"ids\":[1,2],\"longs\":[-5],"
		  "\"leaves\":[{\"name\":\"l0\"},{\"name\":\"l1\",\"n\":1}],"
		  "\"pairs\":{\"k\":\"v\",\"k2\":\"\"},\"map\":{\"m0\":{},\"m1\":{\"n\":9}},\"raw\":12.50}",
		  &d),
	    0);
	assert_string_equal(d.s, "a\xc3\xa4\n");
	assert_true(d.b);
	assert_int_equal(d.i32, INT32_MIN);
	assert_true(d.i64 == INT64_MIN);
	assert_int_equal(d.u16, 65535);
	assert_true(d.u32 == UINT32_MAX && d.u64 == UINT64_MAX);
	assert_false(*d.ob);
	assert_int_equal(*d.oi32, -1);
	assert_true(*d.oi64 == INT64_MAX);
	assert_int_equal(*d.ou16, 0);
	assert_int_equal(*d.ou32, 7);
	assert_int_equal(*d.ou64, 8);
	assert_int_equal(d.color, GREEN);
	assert_string_equal(d.leaf.name, "x");
	assert_int_equal(d.leaf.n, 3);
	assert_string_equal(d.leaf_ptr->name, "y");
	assert_int_equal(d.n_strs, 3);
	assert_string_equal(d.strs[2], "c");
	assert_null(d.strs[3]);
	assert_int_equal(d.n_colors, 2);
	assert_int_equal(d.colors[0], GREEN);
	assert_int_equal(d.n_ids, 2);
	assert_int_equal(d.ids[1], 2);
	assert_int_equal(d.longs[0], -5);
	assert_int_equal(d.n_leaves, 2);
	assert_string_equal(d.leaves[1].name, "l1");
	assert_int_equal(d.n_pairs, 2);
	assert_string_equal(json_pair_get(d.pairs, d.n_pairs, "k"), "v");
	assert_string_equal(json_pair_get(d.pairs, d.n_pairs, "k2"), "");
	assert_null(json_pair_get(d.pairs, d.n_pairs, "K"));
	assert_int_equal(d.n_map, 2);
	assert_string_equal(d.map[1].name, "m1");
	assert_int_equal(d.map[1].n, 9);
	assert_string_equal(d.raw, "12.50");
}

static void null_is_the_same_as_an_absent_key(void **state)
{
	struct doc d;

	(void)state;
	assert_int_equal(
	    parse("{\"s\":null,\"b\":null,\"i32\":null,\"ob\":null,\"color\":null,\"leaf\":null,"
		  "\"leafPtr\":null,\"strs\":null,\"leaves\":null,\"pairs\":null,\"map\":null,\"raw\":null}",
		  &d),
	    0);
	assert_memory_equal(&d, (&(struct doc){0}), sizeof(d));
	assert_int_equal(parse("{\"pairs\":{\"a\":null,\"b\":\"c\"},\"map\":{\"x\":null}}", &d), 0);
	assert_int_equal(d.n_pairs, 1);
	assert_int_equal(d.n_map, 0);
	assert_refused("{\"leaves\":[{\"name\":null}]}", "x.json: $.leaves[0].name: missing");
	assert_refused("{\"strs\":[\"a\",null]}", "x.json: $.strs[1]: must be a string, not null");
	assert_refused("null", "x.json: $: must be an object, not null");
}

static void an_empty_list_is_not_an_absent_one(void **state)
{
	struct doc d;

	(void)state;
	assert_int_equal(parse("{\"strs\":[],\"pairs\":{}}", &d), 0);
	assert_int_equal(d.n_strs, 0);
	assert_non_null(d.strs);
	assert_null(d.strs[0]);
	assert_non_null(d.pairs);
	assert_null(d.leaves);
}

static void a_wrong_type_names_the_place(void **state)
{
	(void)state;
	assert_refused("[]", "x.json: $: must be an object, not an array");
	assert_refused("\"x\"", "x.json: $: must be an object, not a string");
	assert_refused("{\"s\":1}", "x.json: $.s: must be a string, not a number");
	assert_refused("{\"s\":{}}", "x.json: $.s: must be a string, not an object");
	assert_refused("{\"b\":\"true\"}", "x.json: $.b: must be true or false, not a string");
	assert_refused("{\"u32\":\"1\"}", "x.json: $.u32: must be a whole number, not a string");
	assert_refused("{\"u32\":[]}", "x.json: $.u32: must be a whole number, not an array");
	assert_refused("{\"ou64\":true}", "x.json: $.ou64: must be a whole number, not true");
	assert_refused("{\"leaf\":[]}", "x.json: $.leaf: must be an object, not an array");
	assert_refused("{\"leaf\":\"a\"}", "x.json: $.leaf: must be an object, not a string");
	assert_refused("{\"strs\":{}}", "x.json: $.strs: must be an array, not an object");
	assert_refused("{\"strs\":\"a\"}", "x.json: $.strs: must be an array, not a string");
	assert_refused("{\"strs\":[[]]}", "x.json: $.strs[0]: must be a string, not an array");
	assert_refused("{\"leaves\":[{\"name\":\"a\"},3]}", "x.json: $.leaves[1]: must be an object, not a number");
	assert_refused("{\"leaves\":[{\"name\":\"a\"},{\"name\":\"b\",\"n\":\"\"}]}",
		       "x.json: $.leaves[1].n: must be a whole number, not a string");
	assert_refused("{\"pairs\":{\"a\":1}}", "x.json: $.pairs.a: must be a string, not a number");
	assert_refused("{\"pairs\":{\"a\":{}}}", "x.json: $.pairs.a: must be a string, not an object");
	assert_refused("{\"map\":{\"a\":\"\"}}", "x.json: $.map.a: must be an object, not a string");
	assert_refused("{\"color\":\"blue\"}", "x.json: $.color: \"blue\" is none of red, green");
}

static void numbers_out_of_range_are_refused(void **state)
{
	(void)state;
	assert_refused("{\"i32\":2147483648}", "x.json: $.i32: 2147483648 is out of range (-2147483648 to 2147483647)");
	assert_refused("{\"i32\":-2147483649}",
		       "x.json: $.i32: -2147483649 is out of range (-2147483648 to 2147483647)");
	assert_refused("{\"u16\":65536}", "x.json: $.u16: 65536 is out of range (0 to 65535)");
	assert_refused("{\"u32\":-1}", "x.json: $.u32: -1 is out of range (0 to 4294967295)");
	assert_refused("{\"u64\":18446744073709551616}",
		       "x.json: $.u64: 18446744073709551616 is out of range (0 to 18446744073709551615)");
	assert_refused("{\"i64\":9223372036854775808}", "x.json: $.i64: 9223372036854775808 is out of range "
							"(-9223372036854775808 to 9223372036854775807)");
	assert_refused("{\"u32\":1.0}", "x.json: $.u32: must be a whole number, not 1.0");
	assert_refused("{\"u32\":1e3}", "x.json: $.u32: must be a whole number, not 1e3");
	assert_refused("{\"ids\":[1,-1]}", "x.json: $.ids[1]: -1 is out of range (0 to 4294967295)");
}

static void duplicate_keys_are_refused(void **state)
{
	struct doc d;

	(void)state;
	assert_refused("{\"s\":\"a\",\"s\":\"b\"}", "x.json: $.s: stands there twice");
	assert_refused("{\"s\":null,\"s\":\"b\"}", "x.json: $.s: stands there twice");
	assert_refused("{\"leaf\":{\"name\":\"a\"},\"leaf\":{\"name\":\"a\"}}", "x.json: $.leaf: stands there twice");
	assert_refused("{\"pairs\":{\"b\":\"1\",\"a\":\"1\",\"b\":\"1\"}}", "x.json: $.pairs.b: stands there twice");
	assert_refused("{\"map\":{\"b\":{},\"b\":{}}}", "x.json: $.map.b: stands there twice");
	assert_int_equal(parse("{\"S\":1,\"s\":\"x\"}", &d), 0);
	assert_string_equal(d.s, "x");
}

static void unknown_keys_are_skipped_unless_strict(void **state)
{
	struct doc d;

	(void)state;
	assert_int_equal(parse("{\"new\":{\"a\":[1.5,{\"b\":null}],\"s\":\"no\"},\"s\":\"yes\"}", &d), 0);
	assert_string_equal(d.s, "yes");
	assert_refused("{\"leaf\":{\"name\":\"a\",\"size\":1}}", "x.json: $.leaf.size: unknown key");
}

static void syntax_errors_name_line_and_byte(void **state)
{
	(void)state;
	assert_refused("{\"s\":\n\n x}", "x.json: line 3 (byte 9): lexical error: invalid char in json text");
	assert_refused("{\"s\":\"a\"", "x.json: line 1 (byte 8): parse error: premature EOF");
	assert_refused("", "x.json: line 1 (byte 0): parse error: premature EOF");
	assert_refused("{} {}", "x.json: line 1 (byte 4): parse error: trailing garbage");
}

static void malformed_documents_are_refused(void **state)
{
	static const char *const bad[] = {
	    "{\"a\":1,}",     "{\"a\" 1}",   "{'a':1}",		 "{\"a\":01}",
	    "{\"a\":+1}",     "{\"a\":.5}",  "{\"a\":1.}",	 "{\"a\":--1}",
	    "{\"a\":NaN}",    "{\"a\":tru}", "{\"a\":\"\\x\"}",	 "{\"a\":\"\\u12\"}",
	    "{\"a\":\"\t\"}", "{/* */}",     "\xef\xbb\xbf{}",	 "{\"a\":[1,]}",
	    "{\"a\":[}",      "{]",	     "{\"s\":\"\x80\"}", "{\"s\":\"\xc0\xaf\"}",
	    "{} x",	      "{}}",
	};
	struct doc d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse(bad[i], &d) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(json_parse("{}\0", 3, "x", &doc_table, &arena, &d, &err), -EINVAL);
	assert_int_equal(json_parse("{}\n \t", 5, "x", &doc_table, &arena, &d, &err), 0);
}

static void strings_with_a_nul_or_bad_utf8_are_refused(void **state)
{
	(void)state;
	assert_refused("{\"s\":\"a\\u0000b\"}", "x.json: $.s: holds a NUL");
	assert_refused("{\"pairs\":{\"a\\u0000b\":\"\"}}", "x.json: $.pairs: a key holds a NUL");
	assert_refused("{\"unknown\":\"\\u0000\"}", "x.json: $.unknown: holds a NUL");
	assert_refused("{\"s\":\"\\udc00\"}", "x.json: $.s: is no valid UTF-8");
	assert_refused("{\"s\":\"\xed\xa0\x80\"}", "x.json: $.s: is no valid UTF-8");
}

/* open * n, middle, close * n */
static char *nested(const char *open, const char *middle, const char *close, size_t n)
{
	struct strbuf b = STRBUF_INIT;

	for (size_t i = 0; i < n; i++)
		strbuf_adds(&b, open);
	strbuf_adds(&b, middle);
	for (size_t i = 0; i < n; i++)
		strbuf_adds(&b, close);
	return strbuf_take(&b);
}

static void depth_is_bounded(void **state)
{
	_cleanup_free_ char *ok = nested("{\"x\":", "1", "}", JSON_MAX_DEPTH);
	_cleanup_free_ char *deep = nested("{\"x\":", "1", "}", JSON_MAX_DEPTH + 1);
	_cleanup_free_ char *inner = nested("[", "", "", 1000000);
	_cleanup_free_ char *raw = NULL;
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	struct doc d;

	(void)state;
	assert_int_equal(parse(ok, &d), 0);
	assert_int_equal(parse(deep, &d), -EINVAL);
	assert_non_null(strstr(err.msg, "nested deeper than 32 levels"));
	strbuf_addf(&b, "{\"a\":%s", inner);
	assert_int_equal(parse(strbuf_str(&b), &d), -EINVAL);
	assert_non_null(strstr(err.msg, "nested deeper than 32 levels"));
	raw = nested("[", "", "]", JSON_MAX_DEPTH);
	strbuf_reset(&b);
	strbuf_addf(&b, "{\"raw\":%s}", raw);
	assert_int_equal(parse(strbuf_str(&b), &d), -EINVAL);
	assert_non_null(strstr(err.msg, "nested deeper than 32 levels"));
}

static void counts_are_bounded(void **state)
{
	_cleanup_free_ char *values = nested("1,", "1", "", JSON_MAX_VALUES);
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	struct doc d;

	(void)state;
	assert_int_equal(parse("{\"ids\":[1,2,3,4]}", &d), 0);
	assert_int_equal(d.n_ids, 4);
	assert_refused("{\"ids\":[1,2,3,4,5]}", "x.json: $.ids[4]: more than 4 entries");
	/* The map's own bound, by distinct keys. */
	strbuf_adds(&b, "{\"pairs\":{");
	for (size_t i = 0; i <= JSON_MAX_COUNT; i++)
		strbuf_addf(&b, "%s\"%zu\":\"\"", i ? "," : "", i);
	strbuf_adds(&b, "}}");
	assert_int_equal(parse(strbuf_str(&b), &d), -EINVAL);
	assert_string_equal(err.msg, "x.json: $.pairs.65536: more than 65536 entries");
	strbuf_reset(&b);
	strbuf_addf(&b, "{\"unknown\":[%s]}", values);
	assert_int_equal(parse(strbuf_str(&b), &d), -EINVAL);
	assert_non_null(strstr(err.msg, "more than 1048576 values"));
}

static void a_document_over_the_size_limit_is_refused(void **state)
{
	size_t len = JSON_MAX_SIZE + 1;
	_cleanup_free_ char *text = malloc(len);
	struct doc d;

	(void)state;
	memset(text, ' ', len);
	text[0] = '{';
	text[1] = '}';
	assert_int_equal(json_parse(text, len, "big", &doc_table, &arena, &d, &err), -EFBIG);
	assert_string_equal(err.msg, "big: larger than 16 MiB");
	assert_int_equal(json_parse(text, len - 1, "big", &doc_table, &arena, &d, &err), 0);
}

static void running_out_of_memory_is_an_error(void **state)
{
	static const char text[] = "{\"s\":\"abc\",\"leafPtr\":{\"name\":\"x\"},\"strs\":[\"a\",\"b\",\"c\",\"d\"],"
				   "\"pairs\":{\"k\":\"v\"},\"raw\":[1,2],\"ou32\":1}";
	struct doc d;
	size_t limit = 1;

	(void)state;
	for (;; limit++) {
		arena_free(&arena);
		arena.limit = limit;
		if (parse(text, &d) == 0)
			break;
		assert_int_equal(err.code, ENOMEM);
		assert_true(limit < 4096);
	}
	assert_true(limit > 64);
}

static void raw_values_keep_their_text_compactly(void **state)
{
	struct doc d;

	(void)state;
	assert_int_equal(
	    parse("{\"raw\": { \"a\" : [ 1, -2.50e3, { } , [ ] , {\"x\":null,\"y\":true} ], \"b\":\"q\\\"\\n\" } }",
		  &d),
	    0);
	assert_string_equal(d.raw, "{\"a\":[1,-2.50e3,{},[],{\"x\":null,\"y\":true}],\"b\":\"q\\\"\\n\"}");
	assert_int_equal(parse("{\"raw\":\"text\"}", &d), 0);
	assert_string_equal(d.raw, "\"text\"");
	assert_int_equal(parse("{\"raw\":false,\"s\":\"after\"}", &d), 0);
	assert_string_equal(d.raw, "false");
	assert_string_equal(d.s, "after");
}

static void what_is_written_reads_back_the_same(void **state)
{
	static const char text[] =
	    "{\"s\":\"a\\\"\\\\\\u0001\xc3\xa4\",\"b\":true,\"i32\":-1,\"i64\":-9223372036854775808,\"u16\":1,\"u32\":2,"
	    "\"u64\":18446744073709551615,\"ob\":false,\"oi32\":0,\"oi64\":-3,\"ou16\":4,\"ou32\":5,\"ou64\":6,"
	    "\"color\":\"green\",\"leaf\":{\"name\":\"x\",\"n\":3},\"leafPtr\":{\"name\":\"y\"},\"strs\":[\"a\",\"\"],"
	    "\"colors\":[\"red\",\"green\"],\"ids\":[1,2],\"longs\":[-5],\"leaves\":[{\"name\":\"l\"}],"
	    "\"pairs\":{\"k\":\"v\"},\"map\":{\"m\":{\"n\":9},\"e\":{}},\"raw\":{\"z\":[1]}}";
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT, again = STRBUF_INIT;
	struct doc d;

	(void)state;
	assert_int_equal(parse(text, &d), 0);
	json_write(&out, &doc_table, &d, 0);
	assert_false(out.failed);
	assert_string_equal(strbuf_str(&out), text);

	strbuf_reset(&out);
	json_write(&out, &doc_table, &d, 4);
	assert_int_equal(parse(strbuf_str(&out), &d), 0);
	json_write(&again, &doc_table, &d, 0);
	assert_string_equal(strbuf_str(&again), text);
}

static void indented_output_has_one_member_a_line(void **state)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	struct doc d;

	(void)state;
	assert_int_equal(parse("{\"s\":\"a\",\"strs\":[\"x\",\"y\"],\"map\":{\"m\":{}}}", &d), 0);
	json_write(&out, &doc_table, &d, 2);
	assert_string_equal(strbuf_str(&out), "{\n"
					      "  \"s\": \"a\",\n"
					      "  \"strs\": [\n"
					      "    \"x\",\n"
					      "    \"y\"\n"
					      "  ],\n"
					      "  \"map\": {\n"
					      "    \"m\": {}\n"
					      "  }\n"
					      "}");
}

static void empty_members_are_left_out_unless_asked_for(void **state)
{
	static const struct json_field fields[] = {
	    JSON_FIELD(struct doc, s, "s", JSON_STR, .write_empty = true),
	    JSON_FIELD(struct doc, b, "b", JSON_BOOL, .write_empty = true),
	    JSON_FIELD(struct doc, u32, "u32", JSON_U32, .required = true),
	    JSON_FIELD(struct doc, ou32, "ou32", JSON_OPT_U32, .write_empty = true),
	    JSON_FIELD(struct doc, color, "color", JSON_ENUM, .names = color_names, .write_empty = true),
	    JSON_LIST(struct doc, strs, "strs", JSON_ARR_STR, .write_empty = true),
	    JSON_LIST(struct doc, pairs, "pairs", JSON_MAP_STR, .write_empty = true),
	    JSON_FIELD(struct doc, leaf_ptr, "leafPtr", JSON_OBJ_PTR, .table = &leaf_table, .write_empty = true),
	    {NULL},
	};
	static const struct json_table table = {"doc", sizeof(struct doc), fields, 0};
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	struct doc d = {0};

	(void)state;
	json_write(&out, &doc_table, &d, 0);
	assert_string_equal(strbuf_str(&out), "{}");
	strbuf_reset(&out);
	json_write(&out, &table, &d, 0);
	assert_string_equal(strbuf_str(&out), "{\"s\":\"\",\"b\":false,\"u32\":0,\"ou32\":null,\"color\":\"red\","
					      "\"strs\":[],\"pairs\":{}}");
}

static void an_enum_without_a_name_fails_the_output(void **state)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	struct doc d = {.color = 7};

	(void)state;
	json_write(&out, &doc_table, &d, 0);
	assert_true(out.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(reads_every_kind, setup, teardown),
	    cmocka_unit_test_setup_teardown(null_is_the_same_as_an_absent_key, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_empty_list_is_not_an_absent_one, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_wrong_type_names_the_place, setup, teardown),
	    cmocka_unit_test_setup_teardown(numbers_out_of_range_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(duplicate_keys_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(unknown_keys_are_skipped_unless_strict, setup, teardown),
	    cmocka_unit_test_setup_teardown(syntax_errors_name_line_and_byte, setup, teardown),
	    cmocka_unit_test_setup_teardown(malformed_documents_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(strings_with_a_nul_or_bad_utf8_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(depth_is_bounded, setup, teardown),
	    cmocka_unit_test_setup_teardown(counts_are_bounded, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_document_over_the_size_limit_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(running_out_of_memory_is_an_error, setup, teardown),
	    cmocka_unit_test_setup_teardown(raw_values_keep_their_text_compactly, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_written_reads_back_the_same, setup, teardown),
	    cmocka_unit_test_setup_teardown(indented_output_has_one_member_a_line, setup, teardown),
	    cmocka_unit_test_setup_teardown(empty_members_are_left_out_unless_asked_for, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_enum_without_a_name_fails_the_output, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
