/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One suite, unchanged against every store: what store.h promises.
 *
 *     store_conformance                               a filesystem store in a temporary directory
 *     store_conformance s3 ENDPOINT BUCKET [CA_FILE]  credentials from the environment
 *     store_conformance gcs ENDPOINT BUCKET [CA_FILE] the same; "" for Google's own or STORAGE_EMULATOR_HOST
 *     store_conformance azure ENDPOINT CONTAINER [CA_FILE] the same
 *
 * STORE_TESTS in the environment (a pattern with * and ?) picks tests.
 * All keys lie below a random prefix and are removed at the end.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "tests/store_box.h"

static void what_was_put_is_read_back_with_tag_size_and_mark(void **state)
{
	struct store_op put = put_op(key("simple"), "hello"), head, get;

	(void)state;
	put.mark = "7/abc/def";
	store_do(store, &put);
	expect(STORE_OK, &put);
	assert_true(put.tag[0] != '\0' && !strchr(put.tag, '"'));
	assert_int_equal(put.attempts, 1);
	assert_true(put.sent_ns > 0);

	store_op_init(&head, STORE_HEAD, put.key);
	store_do(store, &head);
	expect(STORE_OK, &head);
	assert_string_equal(head.tag, put.tag);
	assert_string_equal(head.got_mark, "7/abc/def");
	assert_int_equal(head.got_size, 5);
	assert_true(llabs((long long)(head.mtime - time(NULL))) < 300);

	store_op_init(&get, STORE_GET, put.key);
	get.max_body = 5;
	store_do(store, &get);
	expect(STORE_OK, &get);
	assert_string_equal(get.tag, put.tag);
	if (get.got_mark[0]) /* not every store tells it along */
		assert_string_equal(get.got_mark, "7/abc/def");
	assert_string_equal(strbuf_str(&get.body), "hello");
	strbuf_free(&get.body);
}

static void a_write_without_a_mark_takes_the_mark_off(void **state)
{
	struct store_op op = put_op(key("marked"), "one");

	(void)state;
	op.mark = "1/a/b";
	store_do(store, &op);
	put_text(op.key, "two");
	store_op_init(&op, STORE_HEAD, op.key);
	store_do(store, &op);
	expect(STORE_OK, &op);
	assert_string_equal(op.got_mark, "");
}

static void absent_objects_are_absent_and_their_deletion_succeeds(void **state)
{
	(void)state;
	assert_int_equal(simple(STORE_GET, key("nothing/here")), STORE_ABSENT);
	assert_int_equal(simple(STORE_HEAD, key("nothing/here")), STORE_ABSENT);
	assert_int_equal(simple(STORE_DELETE, key("nothing/here")), STORE_OK);
	put_text(key("gone"), "x");
	assert_int_equal(simple(STORE_DELETE, key("gone")), STORE_OK);
	assert_int_equal(simple(STORE_GET, key("gone")), STORE_ABSENT);
	put_text(key("file"), "x");
	assert_int_equal(simple(STORE_HEAD, key("file/below")), STORE_ABSENT);
}

static void an_empty_object_is_an_object(void **state)
{
	struct store_op op;

	(void)state;
	put_text(key("empty"), "");
	expect_text(key("empty"), "");
	store_op_init(&op, STORE_HEAD, key("empty"));
	store_do(store, &op);
	expect(STORE_OK, &op);
	assert_int_equal(op.got_size, 0);
}

static void get_range(const char *k, uint64_t offset, uint64_t length, enum store_result result, const char *text)
{
	struct store_op op;

	store_op_init(&op, STORE_GET, k);
	op.offset = offset;
	op.length = length;
	op.max_body = 100;
	store_do(store, &op);
	expect(result, &op);
	if (result == STORE_OK)
		assert_string_equal(strbuf_str(&op.body), text);
	strbuf_free(&op.body);
}

static void ranges_give_exactly_what_was_asked_or_an_error(void **state)
{
	const char *k = key("digits");

	(void)state;
	put_text(k, "0123456789");
	get_range(k, 0, 0, STORE_OK, "0123456789");
	get_range(k, 0, 10, STORE_OK, "0123456789");
	get_range(k, 3, 4, STORE_OK, "3456");
	get_range(k, 9, 1, STORE_OK, "9");
	get_range(k, 4, 0, STORE_OK, "456789");
	get_range(k, 8, 3, STORE_CORRUPT, NULL);
	get_range(k, 0, 11, STORE_CORRUPT, NULL);
	get_range(k, 50, 1, STORE_CORRUPT, NULL);
}

static void a_body_larger_than_the_caller_has_room_for_is_an_error(void **state)
{
	struct store_op op;

	(void)state;
	put_text(key("ten"), "0123456789");
	store_op_init(&op, STORE_GET, key("ten"));
	op.max_body = 9;
	store_do(store, &op);
	expect(STORE_FAILED, &op);
	assert_int_equal(op.err.code, EFBIG);
	strbuf_free(&op.body);
}

static void conditions_hold_or_nothing_is_written(void **state)
{
	struct store_op create = put_op(key("cond"), "1"), op;
	char old_tag[STORE_TAG_MAX];

	(void)state;
	create.condition = STORE_IF_ABSENT;
	store_do(store, &create);
	expect(STORE_OK, &create);
	strcpy(old_tag, create.tag);
	op = put_op(create.key, "2");
	op.condition = STORE_IF_ABSENT;
	store_do(store, &op);
	expect(STORE_FALSE, &op);
	expect_text(create.key, "1");

	op = put_op(create.key, "3");
	op.condition = STORE_IF_TAG;
	op.if_tag = old_tag;
	store_do(store, &op);
	expect(STORE_OK, &op);
	assert_string_not_equal(op.tag, old_tag);
	op = put_op(create.key, "4");
	op.condition = STORE_IF_TAG;
	op.if_tag = old_tag;
	store_do(store, &op);
	expect(STORE_FALSE, &op);
	expect_text(create.key, "3");
	op.key = key("cond-absent");
	store_do(store, &op);
	expect(STORE_FALSE, &op);
	assert_int_equal(simple(STORE_HEAD, op.key), STORE_ABSENT);
}

static void conditions_on_delete_hold_where_the_store_says_so(void **state)
{
	struct store_op put = put_op(key("delcond"), "1"), op;

	(void)state;
	store_do(store, &put);
	if (!(store->caps & STORE_CAP_DELETE_IF))
		skip();
	store_op_init(&op, STORE_DELETE, put.key);
	op.condition = STORE_IF_TAG;
	op.if_tag = "0123456789abcdef0123456789abcdef";
	store_do(store, &op);
	expect(STORE_FALSE, &op);
	op.if_tag = put.tag;
	store_do(store, &op);
	expect(STORE_OK, &op);
}

static void keys_that_no_path_can_have_are_refused_before_any_request(void **state)
{
	static const char *const bad[] = {"",	 "/",	  "/abs",	  "a//b", "a/../b", "..",	   "a/.",
					  "./a", "a/b//", "\xff\xfe/bad", "a/..", "a/./b",  "\xed\xa0\x80"};
	char *longest = calloc(1, STORE_KEY_MAX + 2);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct store_op op = put_op(bad[i], "x");

		store_do(store, &op);
		expect(STORE_INVALID, &op);
		assert_int_equal(op.attempts, 0);
		assert_int_equal(simple(STORE_GET, bad[i]), STORE_INVALID);
	}
	for (int i = 0; i <= STORE_KEY_MAX; i++)
		longest[i] = i % 100 == 99 ? '/' : 'k';
	assert_int_equal(simple(STORE_GET, longest), STORE_INVALID);
	free(longest);
}

static const char *const odd_names[] = {
    "with space",
    "plus+plus",
    "per%cent",
    "already%20escaped",
    "%2e%2e",
    "a&b=c?d#e;f",
    "tilde~_-.",
    "\"quotes\" '",
    "back\\slash",
    "ümläut/Straße",
    "日本語/ファイル",
    "emoji-\xf0\x9f\x98\x80",
    "star*(paren)",
    "comma,colon:@",
    "<xml>&amp;<",
    "[brackets]{braces}",
    "pipe|caret^grave`",
    "tab\there",
    "...three",
    " lead",
    "trail ",
    "$dollar!",
    "\x01\x1f\x7f",
    "e\xcc\x81 decomposed",
};

/* Azure keeps such names otherwise than they are: refused before any request. The engine packs what has them. */
static bool is_refused(const char *name)
{
	size_t n = strlen(name);

	return !strcmp(config.type, "azure") && (strpbrk(name, "\\\x01\x1f\x7f\t") || (n > 0 && name[n - 1] == '.'));
}

static int note_key(void *ctx, const struct store_list_item *item, struct error *err)
{
	bool *seen = ctx;

	(void)err;
	for (size_t i = 0; i < ARRAY_SIZE(odd_names); i++) {
		const char *k = key("odd/");

		if (!strncmp(item->key, k, strlen(k)) && !strcmp(item->key + strlen(k), odd_names[i])) {
			assert_false(seen[i]);
			seen[i] = true;
			return 0;
		}
	}
	fail_msg("a key that was never written: %s", item->key);
	return 0;
}

static void odd_keys_are_written_read_listed_copied_and_deleted_as_they_are(void **state)
{
	bool seen[ARRAY_SIZE(odd_names)] = {false};
	struct error err = ERROR_INIT;
	char name[400];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd_names); i++) {
		snprintf(name, sizeof(name), "odd/%s", odd_names[i]);
		if (is_refused(odd_names[i]))
			assert_int_equal(simple(STORE_HEAD, key(name)), STORE_INVALID);
		else
			put_text(key(name), odd_names[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(odd_names); i++) {
		struct store_op op;
		char copy[420];

		if (is_refused(odd_names[i]))
			continue;
		snprintf(name, sizeof(name), "odd/%s", odd_names[i]);
		snprintf(copy, sizeof(copy), "oddcopy/%s", odd_names[i]);
		expect_text(key(name), odd_names[i]);
		store_op_init(&op, STORE_COPY, key(copy));
		op.source = key(name);
		store_do(store, &op);
		expect(STORE_OK, &op);
		expect_text(key(copy), odd_names[i]);
		assert_int_equal(simple(STORE_DELETE, key(copy)), STORE_OK);
	}
	assert_int_equal(store_list(store, key("odd/"), note_key, seen, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(odd_names); i++) {
		if (seen[i] == is_refused(odd_names[i]))
			fail_msg("not listed, or refused and listed: %s", odd_names[i]);
		if (!seen[i])
			continue;
		snprintf(name, sizeof(name), "odd/%s", odd_names[i]);
		assert_int_equal(simple(STORE_DELETE, key(name)), STORE_OK);
		assert_int_equal(simple(STORE_HEAD, key(name)), STORE_ABSENT);
	}
}

static void a_long_key_of_allowed_names_is_stored(void **state)
{
	char name[900];

	(void)state;
	memset(name, 'n', sizeof(name));
	for (size_t i = 200; i < sizeof(name); i += 201)
		name[i] = '/';
	name[sizeof(name) - 1] = '\0';
	put_text(key(name), "long");
	expect_text(key(name), "long");
	assert_int_equal(simple(STORE_DELETE, key(name)), STORE_OK);
}

static void a_part_of_a_file_goes_up_and_comes_down_at_an_offset(void **state)
{
	int in = temp_file(), out = temp_file();
	struct store_op op;
	char buf[8] = "";

	(void)state;
	assert_int_equal(pwrite_all(in, "xxabcdeyy", 9, 0), 0);
	store_op_init(&op, STORE_PUT, key("part"));
	op.in_fd = in;
	op.in_offset = 2;
	op.size = 5;
	store_do(store, &op);
	expect(STORE_OK, &op);
	expect_text(op.key, "abcde");
	store_op_init(&op, STORE_GET, op.key);
	op.out_fd = out;
	op.out_offset = 3;
	op.offset = 1;
	op.length = 3;
	store_do(store, &op);
	expect(STORE_OK, &op);
	assert_int_equal(op.got_size, 3);
	assert_int_equal(pread(out, buf, sizeof(buf), 0), 6);
	assert_memory_equal(buf, "\0\0\0bcd", 6);
	close(in);
	close(out);
}

static void data_that_does_not_fit_its_hash_or_length_is_not_stored(void **state)
{
	struct store_op op = put_op(key("lie"), "data");
	int in = temp_file();

	(void)state;
	op.sha256 = "0000000000000000000000000000000000000000000000000000000000000000";
	store_do(store, &op);
	expect(STORE_CORRUPT, &op);
	assert_int_equal(simple(STORE_HEAD, op.key), STORE_ABSENT);

	fill_file(in, 1000);
	store_op_init(&op, STORE_PUT, key("short"));
	op.in_fd = in;
	op.size = 1001;
	store_do(store, &op);
	expect(STORE_CORRUPT, &op);
	assert_int_equal(simple(STORE_HEAD, op.key), STORE_ABSENT);
	close(in);
}

static int expect_one(void *ctx, const struct store_list_item *item, struct error *err)
{
	(void)err;
	assert_string_equal(item->key, key("dir/empty/"));
	assert_int_equal(item->size, 0);
	++*(int *)ctx;
	return 0;
}

static void a_directory_marker_is_listed_read_and_deleted(void **state)
{
	struct error err = ERROR_INIT;
	int n = 0;

	(void)state;
	put_text(key("dir/empty/"), "");
	assert_int_equal(store_list(store, key("dir/"), expect_one, &n, &err), 0);
	assert_int_equal(n, 1);
	expect_text(key("dir/empty/"), "");
	put_text(key("dir/empty/file"), "x");
	assert_int_equal(simple(STORE_DELETE, key("dir/empty/file")), STORE_OK);
	assert_int_equal(store_list(store, key("dir/"), expect_one, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(simple(STORE_DELETE, key("dir/empty/")), STORE_OK);
	assert_int_equal(simple(STORE_HEAD, key("dir/empty/")), STORE_ABSENT);
	assert_int_equal(store_list(store, key("dir/"), expect_one, &n, &err), 0);
	assert_int_equal(n, 2);
}

static void a_copy_has_the_bytes_of_its_source_and_its_own_mark(void **state)
{
	struct store_op op = put_op(key("from"), "source"), head;

	(void)state;
	op.mark = "1/old/mark";
	store_do(store, &op);
	expect(STORE_OK, &op);
	store_op_init(&op, STORE_COPY, key("to"));
	op.source = key("from");
	op.mark = "2/new/mark";
	store_do(store, &op);
	expect(STORE_OK, &op);
	expect_text(key("to"), "source");
	store_op_init(&head, STORE_HEAD, key("to"));
	store_do(store, &head);
	assert_string_equal(head.got_mark, "2/new/mark");
	assert_string_equal(head.tag, op.tag);
	store_op_init(&op, STORE_COPY, key("to"));
	op.source = key("never");
	store_do(store, &op);
	expect(STORE_ABSENT, &op);
	expect_text(key("to"), "source");
}

static bool never(void *ctx)
{
	++*(int *)ctx;
	return false;
}

static void nothing_is_changed_once_the_lease_is_not_valid(void **state)
{
	struct store_op op = put_op(key("fenced"), "late");
	int asked = 0;

	(void)state;
	put_text(key("fenced"), "early");
	store->valid = never;
	store->valid_ctx = &asked;
	store_do(store, &op);
	expect(STORE_CANCELLED, &op);
	assert_int_equal(simple(STORE_DELETE, op.key), STORE_CANCELLED);
	store_op_init(&op, STORE_COPY, key("fenced2"));
	op.source = key("fenced");
	store_do(store, &op);
	expect(STORE_CANCELLED, &op);
	expect_text(key("fenced"), "early");
	store->valid = NULL;
	assert_int_equal(asked, 3);
	assert_int_equal(simple(STORE_HEAD, key("fenced2")), STORE_ABSENT);
}

static void the_probe_proves_that_conditions_are_enforced(void **state)
{
	(void)state;
	if (probe_error.code != 0)
		fail_msg("%s", probe_error.msg);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_probe_proves_that_conditions_are_enforced),
	    cmocka_unit_test(what_was_put_is_read_back_with_tag_size_and_mark),
	    cmocka_unit_test(a_write_without_a_mark_takes_the_mark_off),
	    cmocka_unit_test(absent_objects_are_absent_and_their_deletion_succeeds),
	    cmocka_unit_test(an_empty_object_is_an_object),
	    cmocka_unit_test(ranges_give_exactly_what_was_asked_or_an_error),
	    cmocka_unit_test(a_body_larger_than_the_caller_has_room_for_is_an_error),
	    cmocka_unit_test(conditions_hold_or_nothing_is_written),
	    cmocka_unit_test(conditions_on_delete_hold_where_the_store_says_so),
	    cmocka_unit_test(keys_that_no_path_can_have_are_refused_before_any_request),
	    cmocka_unit_test(odd_keys_are_written_read_listed_copied_and_deleted_as_they_are),
	    cmocka_unit_test(a_long_key_of_allowed_names_is_stored),
	    cmocka_unit_test(a_part_of_a_file_goes_up_and_comes_down_at_an_offset),
	    cmocka_unit_test(data_that_does_not_fit_its_hash_or_length_is_not_stored),
	    cmocka_unit_test(a_big_body_goes_up_in_parts_and_comes_back_the_same),
	    cmocka_unit_test(two_hundred_mebibytes_move_in_a_few_of_memory),
	    cmocka_unit_test(a_listing_of_more_than_a_thousand_keys_is_whole_and_in_order),
	    cmocka_unit_test(a_directory_marker_is_listed_read_and_deleted),
	    cmocka_unit_test(a_copy_has_the_bytes_of_its_source_and_its_own_mark),
	    cmocka_unit_test(nothing_is_changed_once_the_lease_is_not_valid),
	    cmocka_unit_test(of_thirty_two_processes_exactly_one_wins_each_race),
	};
	char dir[] = "/tmp/volrun-conformance-XXXXXX";
	bool temporary = argc == 1;
	int failed;

	if (getenv("STORE_TESTS"))
		cmocka_set_test_filter(getenv("STORE_TESTS"));
	config.name = "conformance";
	if (temporary) {
		if (!mkdtemp(dir))
			return 1;
		config.type = "filesystem";
		config.path = dir;
	} else if (argc >= 4 && (!strcmp(argv[1], "s3") || !strcmp(argv[1], "gcs") || !strcmp(argv[1], "azure"))) {
		config.type = argv[1];
		config.endpoint = argv[2][0] ? argv[2] : NULL;
		config.bucket = config.container = argv[3];
		config.path_style = true;
		config.prefix = "below/this +prefix";
		config.ca_file = argv[4];
		/* An emulator, unless there is something to show to Google. */
		if (!strcmp(argv[1], "gcs") && !getenv("GOOGLE_APPLICATION_CREDENTIALS"))
			config.credentials.from = "none";
	} else {
		fprintf(stderr, "usage: store_conformance [s3|gcs|azure ENDPOINT BUCKET [CA_FILE]]\n");
		return 2;
	}
	failed = cmocka_run_group_tests(tests, set_up, tear_down);
	if (temporary)
		remove_tree_at(AT_FDCWD, dir);
	return failed;
}
