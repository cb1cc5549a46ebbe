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
	return 0;
}

static int lookup(const char *text, const char *path, const char **ret)
{
	memset(&err, 0, sizeof(err));
	return json_lookup_scalar(text, strlen(text), "args", path, &arena, ret, &err);
}

static void lookup_finds_scalars_at_a_dotted_path(void **state)
{
	static const char text[] =
	    "{\"x\":{\"b\":\"no\"},\"a\":{\"z\":[{\"b\":\"no\"}],\"b\":{\"c\":\"yes\",\"n\":-1.50,"
	    "\"t\":true,\"f\":false,\"nil\":null}},\"b\":\"top\",\"e\":\"\"}";
	const char *v = NULL;

	(void)state;
	assert_int_equal(lookup(text, "a.b.c", &v), 0);
	assert_string_equal(v, "yes");
	assert_int_equal(lookup(text, "a.b.n", &v), 0);
	assert_string_equal(v, "-1.50");
	assert_int_equal(lookup(text, "a.b.t", &v), 0);
	assert_string_equal(v, "true");
	assert_int_equal(lookup(text, "a.b.f", &v), 0);
	assert_string_equal(v, "false");
	assert_int_equal(lookup(text, "b", &v), 0);
	assert_string_equal(v, "top");
	assert_int_equal(lookup(text, "e", &v), 0);
	assert_string_equal(v, "");
}

static void lookup_refuses_what_is_no_scalar(void **state)
{
	static const char text[] = "{\"a\":{\"b\":{\"c\":1},\"l\":[{\"c\":2}],\"nil\":null,\"s\":\"\"}}";
	static const struct {
		const char *path;
		int r;
		const char *msg;
	} cases[] = {
	    {"x", -ENOENT, "args: \"x\" is not there"},
	    {"a.b.d", -ENOENT, "args: \"a.b.d\" is not there"},
	    {"a.nil", -ENOENT, "args: \"a.nil\" is not there"},
	    {"c", -ENOENT, "args: \"c\" is not there"},
	    {"a.s.t", -ENOENT, "args: \"a.s.t\" is not there"},
	    {"a.l.c", -ENOENT, "args: \"a.l.c\" is not there"},
	    {"a", -EINVAL, "args: \"a\" is an object"},
	    {"a.b", -EINVAL, "args: \"a.b\" is an object"},
	    {"a.l", -EINVAL, "args: \"a.l\" is an array"},
	    {"", -EINVAL, "\"\" is no path of keys (a.b.c)"},
	    {"a..b", -EINVAL, "\"a..b\" is no path of keys (a.b.c)"},
	    {"a.", -EINVAL, "\"a.\" is no path of keys (a.b.c)"},
	};
	const char *v = "untouched";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(lookup(text, cases[i].path, &v), cases[i].r);
		assert_string_equal(err.msg, cases[i].msg);
	}
	assert_string_equal(v, "untouched");
}

static void lookup_refuses_bad_documents(void **state)
{
	_cleanup_strbuf_ struct strbuf deep = STRBUF_INIT;
	const char *v;

	(void)state;
	assert_int_equal(lookup("[]", "a", &v), -EINVAL);
	assert_int_equal(lookup("1", "a", &v), -EINVAL);
	assert_int_equal(lookup("", "a", &v), -EINVAL);
	assert_int_equal(lookup("{\"a\":\"x\"", "a", &v), -EINVAL);
	assert_int_equal(lookup("{\"a\":\"x\"} x", "a", &v), -EINVAL);
	assert_int_equal(lookup("{\"a\":\"x\",\"a\":\"y\"}", "a", &v), -EINVAL);
	assert_int_equal(lookup("{\"a\":{\"b\":1},\"a\":{\"b\":1}}", "a.b", &v), -EINVAL);
	assert_int_equal(lookup("{\"a\":\"\\u0000\"}", "a", &v), -EINVAL);
	for (int i = 0; i <= JSON_MAX_DEPTH; i++)
		strbuf_adds(&deep, "{\"a\":");
	strbuf_addc(&deep, '1');
	for (int i = 0; i <= JSON_MAX_DEPTH; i++)
		strbuf_addc(&deep, '}');
	assert_int_equal(lookup(strbuf_str(&deep), "b", &v), -EINVAL);
	assert_string_equal(err.msg, "args: \"b\" is in a document that is nested too deep");
}

static void written_strings_are_always_valid_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"plain", "\"plain\""},
	    {"", "\"\""},
	    {"\"\\/\n\r\t\b\f\x01\x1f\x7f", "\"\\\"\\\\/\\n\\r\\t\\b\\f\\u0001\\u001f\x7f\""},
	    {"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
	    {"a\xff"
	     "b\xc3",
	     "\"a\xef\xbf\xbd"
	     "b\xef\xbf\xbd\""},
	    {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

		json_write_string(&out, cases[i].in);
		assert_string_equal(strbuf_str(&out), cases[i].out);
	}
}

static void utf8_is_checked_as_rfc_3629_says(void **state)
{
	(void)state;
	assert_true(json_utf8_valid("a\xc2\x80\xe0\xa0\x80\xf4\x8f\xbf\xbf", 10));
	assert_true(json_utf8_valid("", 0));
	assert_false(json_utf8_valid("\xc1\x80", 2));
	assert_false(json_utf8_valid("\xe0\x9f\xbf", 3));
	assert_false(json_utf8_valid("\xed\xa0\x80", 3));
	assert_false(json_utf8_valid("\xf0\x8f\xbf\xbf", 4));
	assert_false(json_utf8_valid("\xf4\x90\x80\x80", 4));
	assert_false(json_utf8_valid("\xf5\x80\x80\x80", 4));
	assert_false(json_utf8_valid("\xe2\x82", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(lookup_finds_scalars_at_a_dotted_path, setup, teardown),
	    cmocka_unit_test_setup_teardown(lookup_refuses_what_is_no_scalar, setup, teardown),
	    cmocka_unit_test_setup_teardown(lookup_refuses_bad_documents, setup, teardown),
	    cmocka_unit_test_setup_teardown(written_strings_are_always_valid_utf8, setup, teardown),
	    cmocka_unit_test_setup_teardown(utf8_is_checked_as_rfc_3629_says, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
