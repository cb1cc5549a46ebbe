/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "runtime/args.h"

struct options {
	bool flag, other;
	const char *root;
	struct arg_list env;
};

static const struct arg_option table[] = {
    {"flag", 'f', ARG_BOOL, offsetof(struct options, flag), NULL, "a flag"},
    {"other", 'o', ARG_BOOL, offsetof(struct options, other), NULL, "a flag"},
    {"root", 'r', ARG_STR, offsetof(struct options, root), "DIR", "a value"},
    {"env", 'e', ARG_LIST, offsetof(struct options, env), "X", "many"},
    {"no-subreaper", 0, ARG_IGNORE, 0, NULL, NULL},
    {"criu", 0, ARG_IGNORE_VALUE, 0, "PATH", NULL},
    {NULL},
};

static struct arena arena = ARENA_INIT;
static struct options got;
static struct arg_list rest;
static struct error err;
static bool help;

static int parse(unsigned flags, char **argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	got = (struct options){.flag = false};
	err = (struct error)ERROR_INIT;
	return args_parse(table, flags, argc, argv, &got, &arena, &rest, &help, &err);
}
#define PARSE(flags, ...) parse(flags, (char *[]){__VA_ARGS__, NULL})

static void values_come_in_the_same_word_or_the_next(void **state)
{
	(void)state;
	assert_int_equal(PARSE(0, "--root=/a", "id"), 0);
	assert_string_equal(got.root, "/a");
	assert_int_equal(PARSE(0, "--root", "/b", "id"), 0);
	assert_string_equal(got.root, "/b");
	assert_int_equal(PARSE(0, "-r", "/c", "id"), 0);
	assert_string_equal(got.root, "/c");
	assert_int_equal(PARSE(0, "-r/d", "id"), 0);
	assert_string_equal(got.root, "/d");
	assert_int_equal(PARSE(0, "-r=/e", "id"), 0);
	assert_string_equal(got.root, "/e");
	assert_int_equal(PARSE(0, "--root=", "id"), 0);
	assert_string_equal(got.root, "");
	assert_int_equal(rest.n, 1);
	assert_string_equal(rest.items[0], "id");
}

static void a_value_may_look_like_an_option(void **state)
{
	(void)state;
	assert_int_equal(PARSE(0, "--root", "-", "-e", "--flag"), 0);
	assert_string_equal(got.root, "-");
	assert_int_equal(got.env.n, 1);
	assert_string_equal(got.env.items[0], "--flag");
	assert_false(got.flag);
}

static void flags_take_true_and_false_as_go_writes_them(void **state)
{
	(void)state;
	assert_int_equal(PARSE(0, "--flag=true", "--other=false"), 0);
	assert_true(got.flag);
	assert_false(got.other);
	assert_int_equal(PARSE(0, "--flag", "--flag=0"), 0);
	assert_false(got.flag);
	assert_int_equal(PARSE(0, "--flag=maybe"), -EINVAL);
	assert_string_equal(err.msg, "--flag: \"maybe\" is neither true nor false");
}

static void long_options_work_with_one_dash(void **state)
{
	(void)state;
	assert_int_equal(PARSE(0, "-no-subreaper", "-flag", "-root", "/a", "-env=x"), 0);
	assert_true(got.flag);
	assert_string_equal(got.root, "/a");
	assert_int_equal(got.env.n, 1);
}

static void short_flags_can_stand_together(void **state)
{
	(void)state;
	assert_int_equal(PARSE(0, "-fo"), 0);
	assert_true(got.flag && got.other);
	assert_int_equal(PARSE(0, "-fr", "/a"), 0);
	assert_true(got.flag);
	assert_string_equal(got.root, "/a");
	assert_int_equal(PARSE(0, "-fx"), -EINVAL);
}

static void options_may_follow_positionals_unless_the_command_stops_there(void **state)
{
	(void)state;
	assert_int_equal(PARSE(0, "id", "--flag"), 0);
	assert_true(got.flag);
	assert_int_equal(rest.n, 1);
	assert_int_equal(PARSE(ARGS_STOP_AT_POSITIONAL, "-f", "id", "sh", "-c", "--root"), 0);
	assert_true(got.flag);
	assert_null(got.root);
	assert_int_equal(rest.n, 4);
	assert_string_equal(rest.items[2], "-c");
	assert_null(rest.items[4]);
}

static void two_dashes_end_the_options(void **state)
{
	(void)state;
	assert_int_equal(PARSE(0, "--", "--flag", "--"), 0);
	assert_false(got.flag);
	assert_int_equal(rest.n, 2);
	assert_string_equal(rest.items[1], "--");
}

static void lists_keep_all_values_in_order(void **state)
{
	(void)state;
	assert_int_equal(PARSE(0, "-e", "A=1", "--env=B=2", "--env", "C"), 0);
	assert_int_equal(got.env.n, 3);
	assert_string_equal(got.env.items[0], "A=1");
	assert_string_equal(got.env.items[1], "B=2");
	assert_string_equal(got.env.items[2], "C");
}

static void a_missing_value_is_said_in_the_words_that_podman_looks_for(void **state)
{
	(void)state;
	assert_int_equal(PARSE(0, "id", "--root"), -EINVAL);
	assert_non_null(strstr(err.msg, "flag needs an argument"));
	assert_non_null(strstr(err.msg, "--root"));
	assert_int_equal(PARSE(0, "-r"), -EINVAL);
	assert_non_null(strstr(err.msg, "flag needs an argument"));
}

static void unknown_options_are_named(void **state)
{
	(void)state;
	assert_int_equal(PARSE(0, "--nope=1"), -EINVAL);
	assert_string_equal(err.msg, "unknown option: --nope=1");
	assert_int_equal(PARSE(0, "-z"), -EINVAL);
	/* a prefix is not the option */
	assert_int_equal(PARSE(0, "--fla"), -EINVAL);
}

static void ignored_options_swallow_their_value(void **state)
{
	(void)state;
	assert_int_equal(PARSE(0, "--criu", "/x", "--no-subreaper", "id"), 0);
	assert_int_equal(rest.n, 1);
	assert_string_equal(rest.items[0], "id");
}

static void help_ends_the_reading(void **state)
{
	(void)state;
	assert_int_equal(PARSE(0, "--help", "--nope"), 0);
	assert_true(help);
	assert_int_equal(PARSE(0, "-h"), 0);
	assert_true(help);
	assert_int_equal(PARSE(0, "id"), 0);
	assert_false(help);
}

static int free_arena(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(values_come_in_the_same_word_or_the_next, free_arena),
	    cmocka_unit_test_teardown(a_value_may_look_like_an_option, free_arena),
	    cmocka_unit_test_teardown(flags_take_true_and_false_as_go_writes_them, free_arena),
	    cmocka_unit_test_teardown(long_options_work_with_one_dash, free_arena),
	    cmocka_unit_test_teardown(short_flags_can_stand_together, free_arena),
	    cmocka_unit_test_teardown(options_may_follow_positionals_unless_the_command_stops_there, free_arena),
	    cmocka_unit_test_teardown(two_dashes_end_the_options, free_arena),
	    cmocka_unit_test_teardown(lists_keep_all_values_in_order, free_arena),
	    cmocka_unit_test_teardown(a_missing_value_is_said_in_the_words_that_podman_looks_for, free_arena),
	    cmocka_unit_test_teardown(unknown_options_are_named, free_arena),
	    cmocka_unit_test_teardown(ignored_options_swallow_their_value, free_arena),
	    cmocka_unit_test_teardown(help_ends_the_reading, free_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
