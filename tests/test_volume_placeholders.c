/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/volume.h"

static struct arena arena = ARENA_INIT;
static struct error err;
static struct volume_set set;
static struct volume_context ctx;
static struct json_pair pairs[2];
static struct spec_process process;
static struct spec spec;

static int setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	memset(&set, 0, sizeof(set));
	memset(&ctx, 0, sizeof(ctx));
	process = (struct spec_process){.cwd = "/app"};
	spec = (struct spec){.process = &process, .annotations = pairs};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static void annotate(const char *key, const char *value)
{
	pairs[spec.n_annotations++] = (struct json_pair){key, value};
}

static int parse(void)
{
	return volume_parse(&spec, &ctx, &arena, &set, &err);
}

/* One declaration, with the arguments below. */
static int parse_one(const char *value)
{
	spec.n_annotations = 0;
	annotate("dev.volrun.args",
		 "{\"user\":\"ann\",\"n\":42,\"yes\":true,\"deep\":{\"er\":{\"id\":\"x-1\"}},\"list\":[1],"
		 "\"nil\":null,\"empty\":\"\",\"spaced\":\"a b\",\"tab\":\"a\\tb\",\"evil\":\"v /data ro\","
		 "\"up\":\"../../etc\",\"dollar\":\"$workspace\",\"control\":\"a\\u0001\"}");
	annotate("dev.volrun.volume", value);
	return parse();
}

struct refusal {
	const char *value, *message;
};

static void check_refusals(const struct refusal *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char expected[ERROR_MSG_MAX];

		memset(&err, 0, sizeof(err));
		if (parse_one(cases[i].value) != -EINVAL)
			fail_msg("accepted: %s", cases[i].value);
		snprintf(expected, sizeof(expected), "annotation dev.volrun.volume: %s", cases[i].message);
		assert_string_equal(err.msg, expected);
	}
}

#define NAME_RULE " must be 2 to 255 of A-Z a-z 0-9 . _ -, begin and end with a letter or digit, and have no \"..\""

static void placeholders_are_expanded(void **state)
{
	static const struct {
		const char *value, *name, *path;
	} cases[] = {
	    {"$workspace-state /data", "team-a-state", "/data"},
	    {"$workspace /data", "team-a", "/data"},
	    {"mem-$args[user] /data", "mem-ann", "/data"},
	    {"v$args[n] /data", "v42", "/data"},
	    {"v-$args[yes] /data", "v-true", "/data"},
	    {"v-$args[deep.er.id] /data", "v-x-1", "/data"},
	    {"$args[user]$args[n] /home/$args[user]/$workspace", "ann42", "/home/ann/team-a"},
	    {"state $args[user]", "state", "/app/ann"},
	    {"state /data/$args[dollar]", "state", "/data/$workspace"},
	};

	(void)state;
	ctx.workspace = "team-a";
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (parse_one(cases[i].value) < 0)
			fail_msg("%s: %s", cases[i].value, err.msg);
		assert_string_equal(set.volumes[0].name, cases[i].name);
		assert_string_equal(set.volumes[0].mount_path, cases[i].path);
	}
	assert_string_equal(set.workspace, "team-a");
}

#define ARGS "annotation dev.volrun.args: "

static void a_placeholder_that_resolves_to_nothing_is_an_error(void **state)
{
	static const struct refusal cases[] = {
	    {"v-$args[none] /data", "$args[none]: " ARGS "\"none\" is not there"},
	    {"v-$args[nil] /data", "$args[nil]: " ARGS "\"nil\" is not there"},
	    {"v-$args[deep.none.id] /data", "$args[deep.none.id]: " ARGS "\"deep.none.id\" is not there"},
	    {"v-$args[empty]-x /data", "$args[empty]: stands for an empty text"},
	    {"v-$args[deep] /data", "$args[deep]: " ARGS "\"deep\" is an object"},
	    {"v-$args[list] /data", "$args[list]: " ARGS "\"list\" is an array"},
	    {"v-$args[] /data", "$args[]: \"\" is no path of keys (a.b.c)"},
	    {"v-$args[a..b] /data", "$args[a..b]: \"a..b\" is no path of keys (a.b.c)"},
	    {"v-$args[user /data", "\"$args[user\": the \"]\" is missing"},
	    {"v-$foo /data", "\"$foo\": a \"$\" must begin $workspace or $args[KEY]"},
	    {"state /data/$HOME", "\"$HOME\": a \"$\" must begin $workspace or $args[KEY]"},
	    {"state /data/$", "\"$\": a \"$\" must begin $workspace or $args[KEY]"},
	    {"state /data/$args", "\"$args\": a \"$\" must begin $workspace or $args[KEY]"},
	    {"state /data/$args[none]", "$args[none]: " ARGS "\"none\" is not there"},
	};

	(void)state;
	check_refusals(cases, ARRAY_SIZE(cases));
}

static void an_expansion_brings_in_no_fields_and_no_way_out(void **state)
{
	static const struct refusal cases[] = {
	    {"v-$args[spaced] /data", "$args[spaced]: stands for a text with white space or control characters"},
	    {"state /data/$args[tab]", "$args[tab]: stands for a text with white space or control characters"},
	    {"$args[evil] /opt", "$args[evil]: stands for a text with white space or control characters"},
	    {"state /data/$args[control]", "$args[control]: stands for a text with white space or control characters"},
	    {"state /data/$args[up]", "mount path \"/data/../../etc\" has a \"..\""},
	    {"$args[up] /data", "name \"../../etc\"" NAME_RULE},
	    {"a$args[dollar] /data", "name \"a$workspace\"" NAME_RULE},
	};
	_cleanup_strbuf_ struct strbuf many = STRBUF_INIT;

	(void)state;
	check_refusals(cases, ARRAY_SIZE(cases));
	strbuf_adds(&many, "state /data/");
	for (int i = 0; i < 16; i++)
		strbuf_adds(&many, "$args[n]");
	assert_int_equal(parse_one(strbuf_str(&many)), 0);
	strbuf_adds(&many, "$args[n]");
	assert_int_equal(parse_one(strbuf_str(&many)), -EINVAL);
	assert_non_null(strstr(err.msg, "more than 16 placeholders"));
}

static void arguments_that_are_no_json_object_are_refused(void **state)
{
	static const char *const bad[] = {"", "[]", "x", "{\"a\":1", "{\"a\":1,\"a\":2}", "{\"a\":1}{}"};
	_cleanup_free_ char *huge = calloc(1, VOLUME_ARGS_MAX + 2);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		spec.n_annotations = 0;
		annotate("dev.volrun.volume", "v-$args[a] /data");
		annotate("dev.volrun.args", bad[i]);
		assert_int_equal(parse(), -EINVAL);
		assert_non_null(
		    strstr(err.msg, "annotation dev.volrun.volume: $args[a]: annotation dev.volrun.args: "));
	}
	memset(huge, ' ', VOLUME_ARGS_MAX + 1);
	memcpy(huge, "{\"a\":1}", 7);
	pairs[1].value = huge;
	assert_int_equal(parse(), -EINVAL);
	assert_string_equal(
	    err.msg, "annotation dev.volrun.volume: $args[a]: annotation dev.volrun.args: longer than 65536 bytes");
	huge[VOLUME_ARGS_MAX] = '\0';
	assert_int_equal(parse(), 0);
	spec.n_annotations = 1;
	assert_int_equal(parse(), -EINVAL);
	assert_string_equal(err.msg, "annotation dev.volrun.volume: $args[a]: there is no annotation dev.volrun.args");
}

static void running_out_of_memory_is_an_error(void **state)
{
	int r;

	(void)state;
	for (size_t limit = 1;; limit++) {
		arena_free(&arena);
		arena.limit = limit;
		r = parse_one("v-$args[user]-$workspace $args[n]/x ro store=aa");
		if (r == 0)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_true(limit < 8192);
	}
	arena.limit = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(placeholders_are_expanded, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_placeholder_that_resolves_to_nothing_is_an_error, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_expansion_brings_in_no_fields_and_no_way_out, setup, teardown),
	    cmocka_unit_test_setup_teardown(arguments_that_are_no_json_object_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(running_out_of_memory_is_an_error, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
