/* SPDX-License-Identifier: Apache-2.0 */
/* A tree so large that several threads look at it: nothing is seen twice, and nothing is missed. */
#include "tests/engine_box.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/engine/scan.h"
#include "hooks/engine/tree.h"

#define DIRS 40
#define FILES 60
#define FLAT 3000
#define ALL (DIRS * (FILES + 2) + FLAT + 1)

static int scan(struct node *n, struct manifest *base, struct manifest *ret)
{
	int root = node_root(n), r;

	n->report = (struct transfer_report){0};
	r = scan_tree(&n->v, root, base, true, ret, &n->report, &n->err);
	close(root);
	return r;
}

static void make_file(int root, const char *path)
{
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	close(fd);
}

static void make_tree(struct node *n)
{
	int root = node_root(n);
	char path[64];

	for (int d = 0; d < DIRS; d++) {
		snprintf(path, sizeof(path), "d%d", d);
		put_dir(n, path, 0755);
		for (int i = 0; i < FILES; i++) {
			snprintf(path, sizeof(path), "d%d/file-%d", d, i);
			make_file(root, path);
		}
		snprintf(path, sizeof(path), "d%d/link", d);
		put_link(n, path, "file-0");
	}
	put_dir(n, "flat", 0755);
	for (int i = 0; i < FLAT; i++) {
		snprintf(path, sizeof(path), "flat/%d", i);
		make_file(root, path);
	}
	close(root);
}

static void assert_sorted(const struct manifest *m)
{
	for (size_t i = 1; i < m->n; i++)
		assert_true(strcmp(m->entries[i - 1].path, m->entries[i].path) < 0);
}

static void a_large_tree_is_seen_whole(void **state)
{
	struct manifest none = {0}, base = {0}, m = {0};
	struct node *a = node_open(*state, "a");
	size_t taken = 0;

	node_begin(a);
	make_tree(a);
	clock_sleep_ns(50 * NSEC_PER_MSEC);
	assert_int_equal(scan(a, &none, &base), 0);
	assert_int_equal(base.n, ALL);
	assert_int_equal(base.files, DIRS * FILES + FLAT);
	assert_sorted(&base);
	put_file(a, "flat/1500", "changed", 0644, 1);
	put_file(a, "flat/new", "new", 0644, 1);
	drop(a, "d7/file-3");
	assert_int_equal(scan(a, &base, &m), 0);
	assert_int_equal(m.n, ALL);
	assert_int_equal(m.files, DIRS * FILES + FLAT);
	assert_sorted(&m);
	for (size_t i = 0; i < m.n; i++)
		taken += (m.entries[i].flags & ENTRY_TAKEN) != 0;
	/* All but the changed one, the new one, and the directories of what changed. */
	assert_int_equal(taken, ALL - 4);
	assert_int_equal(manifest_find(&m, "flat/1500")->flags, ENTRY_CHANGED);
	assert_int_equal(manifest_find(&m, "flat/new")->flags, ENTRY_CHANGED);
	assert_int_equal(manifest_find(&m, "flat")->flags, 0);
	/* What the base had of these, and no more. */
	assert_int_equal(base.n, 4);
	assert_string_equal(base.entries[0].path, "d7");
	assert_string_equal(base.entries[1].path, "d7/file-3");
	assert_string_equal(base.entries[2].path, "flat");
	assert_string_equal(base.entries[3].path, "flat/1500");
	manifest_free(&m);
	manifest_free(&base);
	manifest_free(&none);
	node_close(a);
}

/* A scan's list is a base as any: nothing in it is taken for being there because it was. */
static void what_was_taken_once_is_looked_for_again(void **state)
{
	struct manifest none = {0}, one = {0}, two = {0}, three = {0};
	struct node *a = node_open(*state, "a");

	node_begin(a);
	put_file(a, "f", "text", 0644, 1);
	put_file(a, "g", "text", 0644, 1);
	clock_sleep_ns(50 * NSEC_PER_MSEC);
	assert_int_equal(scan(a, &none, &one), 0);
	assert_int_equal(scan(a, &one, &two), 0);
	assert_true(two.entries[0].flags & ENTRY_TAKEN);
	drop(a, "f");
	assert_int_equal(scan(a, &two, &three), 0);
	assert_int_equal(three.n, 1);
	assert_string_equal(three.entries[0].path, "g");
	manifest_free(&three);
	manifest_free(&two);
	manifest_free(&one);
	manifest_free(&none);
	node_close(a);
}

static void one_that_fails_ends_them_all(void **state)
{
	struct manifest none = {0}, m = {0};
	struct node *a = node_open(*state, "a");

	node_begin(a);
	make_tree(a);
	put_file(a, "d39/large", "more than ten bytes", 0644, 1);
	a->v.max_file_bytes = 10;
	assert_int_equal(scan(a, &none, &m), -EFBIG);
	assert_non_null(strstr(a->err.msg, "d39/large"));
	assert_int_equal(m.n, 0);
	manifest_free(&none);
	node_close(a);
}

/* What changed is told by the commit, as of a small tree. */
static void one_of_many_is_committed(void **state)
{
	struct node *a = node_open(*state, "a"), *b;

	node_begin(a);
	make_tree(a);
	assert_int_equal(node_end(a), 0);
	clock_sleep_ns(50 * NSEC_PER_MSEC);
	for (int i = 0; i < 3; i++) {
		_cleanup_free_ char *text = NULL, *expected = NULL;
		char want[32];

		snprintf(want, sizeof(want), "text %d", i);
		node_begin(a);
		put_file(a, "d20/file-20", want, 0644, i + 1);
		assert_int_equal(node_end(a), 0);
		assert_int_equal(a->report.files_added, 0);
		assert_int_equal(a->report.files_changed, 1);
		assert_int_equal(a->report.files_deleted, 0);
		text = plain_text(*state, "d20/file-20");
		assert_string_equal(text, want);
		expected = dump_tree(a, "rw");
		b = node_open(*state, i ? "b" : "c");
		assert_int_equal(node_start(b), 0);
		assert_same_tree(expected, b);
		assert_int_equal(node_end(b), 0);
		node_close(b);
	}
	node_close(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_large_tree_is_seen_whole, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(what_was_taken_once_is_looked_for_again, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(one_that_fails_ends_them_all, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(one_of_many_is_committed, box_setup, box_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
