/* SPDX-License-Identifier: Apache-2.0 */
/* The register's text (volumes.md §3, §4). */
#include "hooks/engine/head.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NONCE "0123456789abcdef0123456789abcdef"
#define SHA NONCE NONCE

static struct head sample(void)
{
	return (struct head){
	    .format = HEAD_FORMAT,
	    .epoch = 7,
	    .state = HEAD_HELD,
	    .ttl_ms = 60000,
	    .holder = {"node", "name", "boot", "1 2", "c1", "2026-01-01T00:00:00Z"},
	    .nonce = NONCE,
	    .commit = {.seq = 3, .epoch = 6, .object = "6-3/record", .offset = 5, .length = 100, .sha256 = SHA},
	    .applied_seq = 2,
	    .stats = {.files = 10, .bytes = 1000},
	};
}

static int round_trip(const struct head *in, struct arena *a, struct head *out, struct error *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

	assert_int_equal(head_write(&text, in), 0);
	return head_parse(text.data, text.len, a, out, err);
}

static void what_is_written_is_read(void **state)
{
	struct head in = sample(), out;
	struct arena a = ARENA_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(round_trip(&in, &a, &out, &err), 0);
	assert_int_equal(out.epoch, 7);
	assert_int_equal(out.state, HEAD_HELD);
	assert_int_equal(out.ttl_ms, 60000);
	assert_string_equal(out.holder.node, "node");
	assert_string_equal(out.holder.keeper, "1 2");
	assert_string_equal(out.nonce, NONCE);
	assert_int_equal(out.commit.seq, 3);
	assert_string_equal(out.commit.object, "6-3/record");
	assert_int_equal(out.commit.offset, 5);
	assert_int_equal(out.commit.length, 100);
	assert_int_equal(out.applied_seq, 2);
	assert_int_equal(out.stats.bytes, 1000);
	arena_free(&a);
}

static void a_volume_without_a_commit_is_read(void **state)
{
	struct head in = sample(), out;
	struct arena a = ARENA_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	in.commit = (struct head_commit){0};
	in.applied_seq = 0;
	in.state = HEAD_FREE;
	assert_int_equal(round_trip(&in, &a, &out, &err), 0);
	assert_int_equal(out.state, HEAD_FREE);
	assert_null(out.commit.object);
	arena_free(&a);
}

static void expect_refused(struct head h, const char *why)
{
	struct arena a = ARENA_INIT;
	struct error err = ERROR_INIT;
	struct head out;

	assert_int_equal(round_trip(&h, &a, &out, &err), -EINVAL);
	if (!strstr(err.msg, why))
		fail_msg("%s instead of %s", err.msg, why);
	arena_free(&a);
}

static void what_no_holder_writes_is_refused(void **state)
{
	struct head h;

	(void)state;
	h = sample();
	h.format = 0;
	expect_refused(h, "format 0");
	h = sample();
	h.ttl_ms = 0;
	expect_refused(h, "ttl");
	h = sample();
	h.ttl_ms = UINT64_MAX / 2;
	expect_refused(h, "ttl");
	h = sample();
	h.nonce = "abc";
	expect_refused(h, "nonce");
	h = sample();
	h.nonce = "g123456789abcdef0123456789abcdef";
	expect_refused(h, "nonce");
	h = sample();
	h.applied_seq = 4;
	expect_refused(h, "applied_seq");
	h = sample();
	h.commit.epoch = 8;
	expect_refused(h, "epoch");
	h = sample();
	h.commit.sha256 = NONCE;
	expect_refused(h, "sha256");
	h = sample();
	h.commit.length = UINT64_C(1) << 40;
	expect_refused(h, "bounds");
	h = sample();
	h.commit.offset = INT64_MAX;
	expect_refused(h, "bounds");
	h = sample();
	h.commit = (struct head_commit){.object = "6-3/record"};
	h.applied_seq = 0;
	expect_refused(h, "commit 0");
}

static void parse_with(const char *what, int expected, const char *why)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT, changed = STRBUF_INIT;
	struct head h = sample(), out = {.hints = "?"};
	struct arena a = ARENA_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(head_write(&text, &h), 0);
	assert_ptr_equal(strstr(text.data, "{\"format\":1,"), text.data);
	strbuf_addf(&changed, "{%s,%s", what, text.data + strlen("{\"format\":1,"));
	assert_int_equal(head_parse(changed.data, changed.len, &a, &out, &err), expected);
	if (expected < 0 && !strstr(err.msg, why))
		fail_msg("%s instead of %s", err.msg, why);
	if (expected == 0)
		assert_null(out.hints);
	arena_free(&a);
}

static void a_newer_format_is_told_from_nonsense_whatever_it_brings(void **state)
{
	(void)state;
	parse_with("\"format\":2", -ENOTSUP, "format 2 is of a newer volrun, this one knows formats up to 1: upgrade");
	parse_with("\"format\":2,\"inline\":{\"a\":[1,2]}", -ENOTSUP, "upgrade");
	parse_with("\"inline\":true,\"format\":18446744073709551615", -ENOTSUP, "upgrade");
	parse_with("\"format\":-1", -EINVAL, "format");
	parse_with("\"format\":2,\"format\":1", -EINVAL, "twice");
}

static void what_the_same_format_does_not_have_is_refused_but_hints_are_read_over(void **state)
{
	(void)state;
	parse_with("\"format\":1,\"inline\":true", -EINVAL, "inline");
	parse_with("\"format\":1,\"hints\":{\"inline\":{\"a\":[1,2]}}", 0, NULL);
}

static void a_table_is_carried_beside_the_number_of_the_commit_before(void **state)
{
	struct head in = sample(), out;
	struct arena a = ARENA_INIT;
	struct error err = ERROR_INIT;
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

	(void)state;
	in.applied_seq = in.settled_seq = 3;
	in.carried = "{\"a\":\"\\\"\"}\n";
	assert_int_equal(head_write(&text, &in), 0);
	assert_non_null(strstr(text.data, "\"applied_seq\":2,\"settled_seq\":2,"));
	assert_int_equal(round_trip(&in, &a, &out, &err), 0);
	assert_string_equal(out.carried, in.carried);
	assert_int_equal(out.applied_seq, 3);
	assert_int_equal(out.settled_seq, 2);
	assert_null(out.hints);
	arena_free(&a);
}

static void a_table_that_is_not_of_the_last_commit_is_read_over(void **state)
{
	static const char *const hints[] = {
	    "{\"applied\":{\"seq\":2,\"table\":\"x\"}}",
	    "{\"applied\":{\"seq\":4,\"table\":\"x\"}}",
	    "{\"applied\":{\"seq\":3,\"table\":\"\"}}",
	    "{\"applied\":{\"seq\":3,\"table\":{}}}",
	    "{\"applied\":{\"seq\":3}}",
	    "{\"applied\":{\"table\":\"x\"}}",
	    "{\"applied\":\"x\"}",
	    "[1]",
	    "\"applied\"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++) {
		struct head in = sample(), out = {.carried = "?"};
		struct arena a = ARENA_INIT;
		struct error err = ERROR_INIT;

		in.hints = hints[i];
		assert_int_equal(round_trip(&in, &a, &out, &err), 0);
		assert_null(out.carried);
		assert_null(out.hints);
		assert_int_equal(out.applied_seq, 2);
		arena_free(&a);
	}
}

static void a_commits_object_lies_below_its_own_name(void **state)
{
	static const char *const bad[] = {"6-3/../x", "6-2/record", "../6-3/record", "/6-3/record",
					  "6-3/",     "6-3",	    "6-3//x",	     "6-30/record"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct head h = sample();

		h.commit.object = bad[i];
		expect_refused(h, "not its own");
	}
}

static void a_register_cut_short_is_refused_at_every_byte(void **state)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	struct head h = sample();
	size_t len;

	(void)state;
	assert_int_equal(head_write(&text, &h), 0);
	for (len = 0; len + 1 < text.len; len++) { /* the newline at the end is not needed */
		struct arena a = ARENA_INIT;
		struct error err = ERROR_INIT;
		struct head out;

		assert_int_equal(head_parse(text.data, len, &a, &out, &err), -EINVAL);
		arena_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_written_is_read),
	    cmocka_unit_test(a_volume_without_a_commit_is_read),
	    cmocka_unit_test(what_no_holder_writes_is_refused),
	    cmocka_unit_test(a_newer_format_is_told_from_nonsense_whatever_it_brings),
	    cmocka_unit_test(what_the_same_format_does_not_have_is_refused_but_hints_are_read_over),
	    cmocka_unit_test(a_table_is_carried_beside_the_number_of_the_commit_before),
	    cmocka_unit_test(a_table_that_is_not_of_the_last_commit_is_read_over),
	    cmocka_unit_test(a_commits_object_lies_below_its_own_name),
	    cmocka_unit_test(a_register_cut_short_is_refused_at_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
