/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/json_splice.h"

static struct json_span text(const char *s)
{
	return (struct json_span){s, s + strlen(s)};
}

static void is(struct json_span s, const char *wanted)
{
	assert_int_equal(s.to - s.from, strlen(wanted));
	assert_memory_equal(s.from, wanted, strlen(wanted));
}

static void a_member_is_found_by_its_key_whatever_else_says_so(void **state)
{
	struct json_span s,
	    o = text(
		" {\"x\" : \"\\\"mounts\\\": [1]\",\n\"y\":{\"mounts\":[2]}, \"mounts\" :[ 3 , \"]\"] ,\"z\":-1.5e3}\n");

	(void)state;
	assert_int_equal(json_span_member(o, "mounts", &s), 0);
	is(s, "[ 3 , \"]\"]");
	assert_int_equal(json_span_member(o, "x", &s), 0);
	is(s, "\"\\\"mounts\\\": [1]\"");
	assert_int_equal(json_span_member(o, "z", &s), 0);
	is(s, "-1.5e3");
	assert_int_equal(json_span_member(o, "mount", &s), -ENOENT);
	assert_int_equal(json_span_member(text("{}"), "mounts", &s), -ENOENT);
	assert_int_equal(json_span_member(text("{ }"), "", &s), -ENOENT);
}

static void the_elements_of_an_array_are_counted(void **state)
{
	struct json_span s, a = text("[{\"a\":[1,2]},\"\\\\\",null , [[],{}], 5]");
	static const char *const values[] = {"{\"a\":[1,2]}", "\"\\\\\"", "null", "[[],{}]", "5"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		assert_int_equal(json_span_element(a, i, &s), 0);
		is(s, values[i]);
	}
	assert_int_equal(json_span_element(a, ARRAY_SIZE(values), &s), -ENOENT);
	assert_int_equal(json_span_element(text("[]"), 0, &s), -ENOENT);
	assert_int_equal(json_span_element(text("[ ]"), 0, &s), -ENOENT);
}

/* What is no JSON is not read beyond its end. */
static void a_text_that_stops_is_not_read_on(void **state)
{
	static const char whole[] = "{\"a\\\"b\" : [ 1, {\"c\" : \"d\\\\\"} ] , \"mounts\" : [ \"x\" ] }";
	char copy[sizeof(whole)];

	(void)state;
	for (size_t n = 1; n < sizeof(whole); n++) {
		struct json_span s, o = {copy, copy + n};

		memcpy(copy, whole, n);
		if (json_span_member(o, "mounts", &s) == 0)
			assert_true(s.to <= o.to);
		if (json_span_element(o, 1, &s) == 0)
			assert_true(s.to <= o.to);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_member_is_found_by_its_key_whatever_else_says_so),
	    cmocka_unit_test(the_elements_of_an_array_are_counted),
	    cmocka_unit_test(a_text_that_stops_is_not_read_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
