/* SPDX-License-Identifier: Apache-2.0 */
/* What one node wrote, another one finds (volumes.md §5). */
#include "tests/engine_box.h"

#include "base/cleanup.h"
#include "hooks/engine/index.h"
#include "hooks/engine/pack.h"

static void odd_tree(struct node *n)
{
	int root = node_root(n);

	assert_int_equal(fchmod(root, 01777), 0);
	close(root);
	put_file(n, "a", "hello\n", 0644, 1000000000);
	put_file(n, "empty", "", 0600, 5);
	put_file(n, "with space\nand line", "x", 0444, -5);
	put_file(n, "not\xff\xfeutf8", "raw", 0755, 7);
	put_file(n, "unreadable", "secret", 0, 7);
	put_dir(n, "dir", 0750);
	put_dir(n, "dir/empty", 0111);
	put_dir(n, "dir.x", 0755);
	put_file(n, "dir/b", "in a directory", 0640, 1700000000);
	put_file(n, "dir.x/c", "sorted between", 0640, 1700000000);
	put_link(n, "dangling", "no/such/target");
	put_link(n, "dir/absolute", "/etc/passwd");
	put_link(n, "not\xffutf8 link", "target\xff");
	put_file(n, "_symlinks.json", "{\"mine\":\"own\"}", 0644, 9);
	put_big(n, "exactly", PACK_FILE_MAX, 1);
	put_big(n, "over", PACK_FILE_MAX + 1, 2);
	put_big(n, "pieces", (33u << 20) + 17, 3);
}

static void a_second_node_finds_the_tree_byte_for_byte(void **state)
{
	struct node *a = node_open(*state, "a"), *b = node_open(*state, "b");
	_cleanup_free_ char *tree = NULL;

	node_begin(a);
	odd_tree(a);
	tree = dump_tree(a, "rw");
	if (node_end(a) < 0)
		fail_msg("%s", a->err.msg);
	assert_string_equal(a->report.warning, "");
	assert_same_tree(tree, a);
	node_begin(b);
	assert_same_tree(tree, b);
	assert_false(b->report.warm);
	assert_string_equal(b->report.warning, "");
	assert_int_equal(node_end(b), 0);
	node_close(a);
	node_close(b);
}

static void what_changed_and_went_is_changed_and_gone_for_the_other(void **state)
{
	struct node *a = node_open(*state, "a"), *b = node_open(*state, "b");
	_cleanup_free_ char *tree = NULL;

	node_begin(a);
	odd_tree(a);
	assert_int_equal(node_end(a), 0);
	node_begin(b);
	drop(b, "a");
	drop(b, "dir");
	put_file(b, "dir", "a file now", 0644, 77);
	drop(b, "empty");
	put_dir(b, "empty", 0755);
	put_file(b, "empty/in", "was a file", 0644, 78);
	drop(b, "dangling");
	put_link(b, "dangling", "elsewhere");
	put_file(b, "exactly", "small", 0644, 79);
	put_big(b, "over", PACK_FILE_MAX + 5, 9);
	tree = dump_tree(b, "rw");
	if (node_end(b) < 0)
		fail_msg("%s", b->err.msg);
	assert_string_equal(b->report.warning, "");
	node_begin(a);
	assert_same_tree(tree, a);
	assert_int_equal(node_end(a), 0);
	node_close(a);
	node_close(b);
}

static void nothing_changed_sends_nothing(void **state)
{
	struct node *a = node_open(*state, "a");

	node_begin(a);
	put_file(a, "f", "text", 0644, 1);
	assert_int_equal(node_end(a), 0);
	node_settle(a);
	node_begin(a);
	assert_true(a->report.warm);
	a->requests = 0;
	a->report = (struct transfer_report){0};
	assert_int_equal(commit_run(&a->v, a->lease, &a->report, &(uint64_t){0}, &a->err), 0);
	assert_int_equal(a->requests, 0);
	node_close(a);
}

static void a_small_commit_is_one_object(void **state)
{
	struct node *a = node_open(*state, "a");
	struct box *b = *state;
	unsigned before;

	node_begin(a);
	for (int i = 0; i < 50; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		put_file(a, name, name, 0644, i);
	}
	before = fake_store_count(b->fake, STORE_PUT);
	assert_int_equal(node_end(a), 0);
	/* pack and record, register, 50 files, applied table, release */
	assert_int_equal(fake_store_count(b->fake, STORE_PUT) - before, 1 + 1 + 50 + 1 + 1);
	node_close(a);
}

static void only_what_changed_is_sent(void **state)
{
	struct node *a = node_open(*state, "a");

	node_begin(a);
	odd_tree(a);
	assert_int_equal(node_end(a), 0);
	node_begin(a);
	put_file(a, "a", "changed", 0644, 3);
	put_file(a, "dir/b", "in a directory", 0640, 4); /* touched, the same */
	assert_int_equal(node_end(a), 0);
	assert_int_equal(a->report.files_changed, 2);
	assert_true(a->report.bytes_out < 20000);
	node_close(a);
}

static void a_limit_refuses_the_commit_and_leaves_the_last_one(void **state)
{
	struct node *a = node_open(*state, "a"), *b = node_open(*state, "b");
	_cleanup_free_ char *tree = NULL;

	node_begin(a);
	put_file(a, "f", "text", 0644, 1);
	tree = dump_tree(a, "rw");
	assert_int_equal(node_end(a), 0);
	node_begin(a);
	put_file(a, "g", "0123456789", 0644, 1);
	a->v.max_file_bytes = 9;
	assert_int_equal(node_end(a), -EFBIG);
	assert_non_null(strstr(a->err.msg, "\"g\" has 10 bytes, the limit is 9"));
	a->v.max_file_bytes = 0;
	a->v.max_files = 1;
	assert_int_equal(node_end(a), -EFBIG);
	a->v.max_files = 0;
	a->v.max_bytes = 13;
	assert_int_equal(node_end(a), -EFBIG);
	node_kill(a);
	node_begin(b);
	assert_same_tree(tree, b);
	node_close(b);
}

static void without_an_index_the_commit_is_the_same(void **state)
{
	struct node *a = node_open(*state, "a"), *b = node_open(*state, "b");
	_cleanup_free_ char *tree = NULL;

	node_begin(a);
	odd_tree(a);
	assert_int_equal(node_end(a), 0);
	node_begin(a);
	put_file(a, "a", "changed", 0644, 3);
	tree = dump_tree(a, "rw");
	assert_int_equal(unlinkat(a->v.cache.dir_fd, "index", 0), 0);
	assert_int_equal(node_end(a), 0);
	assert_int_equal(a->report.files_changed, 1);
	node_begin(b);
	assert_same_tree(tree, b);
	node_close(a);
	node_close(b);
}

static void a_lost_lease_commits_nothing(void **state)
{
	struct node *a = node_open(*state, "a"), *b = node_open(*state, "b");
	_cleanup_free_ char *tree = NULL;

	node_begin(a);
	put_file(a, "f", "of a", 0644, 1);
	node_begin(b); /* the same identity: a is taken for dead */
	put_file(b, "f", "of b", 0644, 2);
	tree = dump_tree(b, "rw");
	assert_int_equal(node_end(a), -ESTALE);
	assert_int_equal(node_end(b), 0);
	node_begin(b);
	assert_same_tree(tree, b);
	node_close(a);
	node_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_second_node_finds_the_tree_byte_for_byte, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(what_changed_and_went_is_changed_and_gone_for_the_other, box_setup,
					    box_teardown),
	    cmocka_unit_test_setup_teardown(nothing_changed_sends_nothing, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(a_small_commit_is_one_object, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(only_what_changed_is_sent, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(a_limit_refuses_the_commit_and_leaves_the_last_one, box_setup,
					    box_teardown),
	    cmocka_unit_test_setup_teardown(without_an_index_the_commit_is_the_same, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(a_lost_lease_commits_nothing, box_setup, box_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
