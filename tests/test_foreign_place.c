/* SPDX-License-Identifier: Apache-2.0 */
/* Another tool's files in the plain copy for which the tree has no place (volumes.md §3). */
#include "tests/engine_box.h"

#include "base/cleanup.h"
#include "hooks/engine/conflict.h"

/* A volume with a committed file, a directory and a link. */
static struct node *begun(struct box *b)
{
	struct node *a = node_open(b, "a");

	node_begin(a);
	put_file(a, "f", "ours", 0600, 1);
	put_dir(a, "dir", 0700);
	put_file(a, "dir/g", "ours too", 0600, 1);
	put_link(a, "link", "f");
	assert_int_equal(node_end(a), 0);
	return a;
}

static void foreign_files_in_the_way_of_ours_become_a_conflict(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b);

	plain_put(b, "dir", "where a directory is");
	plain_put(b, "f/below", "beneath a file");
	plain_put(b, "link", "where a link is");
	node_begin(a);
	assert_int_equal(a->report.n_warnings, 3);
	assert_non_null(strstr(a->report.warning, "it is moved to the volume's conflicts"));
	assert_int_equal(conflict_take_foreign(&a->v, a->lease, &a->err), 0);
	assert_null(plain_text(b, "dir"));
	assert_null(plain_text(b, "f/below"));
	assert_null(plain_text(b, "link"));
	assert_true(fake_store_holds(b->fake, "beneath a file"));
	assert_true(fake_store_holds(b->fake, "where a link is"));
	assert_true(fake_store_holds(b->fake, "\"path\":\"dir\",\"change\":\"added\",\"type\":\"file\""));
	assert_int_equal(node_end(a), 0);
	node_begin(a);
	assert_true(a->report.warm);
	assert_int_equal(a->report.n_warnings, 0);
	assert_int_equal(conflict_take_foreign(&a->v, a->lease, &a->err), 0);
	assert_file(a, "f", "ours");
	assert_file(a, "dir/g", "ours too");
	node_close(a);
}

static void a_foreign_file_that_changes_meanwhile_is_not_removed(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b);
	_cleanup_free_ char *text = NULL;

	plain_put(b, "dir", "seen");
	node_begin(a);
	plain_put(b, "dir", "not seen");
	assert_int_equal(conflict_take_foreign(&a->v, a->lease, &a->err), 0);
	text = plain_text(b, "dir");
	assert_string_equal(text, "not seen");
	assert_int_equal(node_end(a), 0);
	node_close(a);
}

static void of_a_foreign_file_and_files_beneath_it_these_come_in(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b);

	plain_put(b, "new", "a file of that name");
	plain_put(b, "new-", "between them");
	plain_put(b, "new/x", "one beneath it");
	plain_put(b, "both", "a file");
	plain_put(b, "both/", "");
	node_begin(a);
	assert_file(a, "new/x", "one beneath it");
	assert_file(a, "new-", "between them");
	assert_int_equal(a->report.n_warnings, 2);
	assert_int_equal(conflict_take_foreign(&a->v, a->lease, &a->err), 0);
	assert_null(plain_text(b, "new"));
	assert_null(plain_text(b, "both"));
	assert_true(fake_store_holds(b->fake, "a file of that name"));
	assert_int_equal(node_end(a), 0);
	node_begin(a);
	assert_int_equal(a->report.n_warnings, 0);
	assert_file(a, "new/x", "one beneath it");
	node_close(a);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(foreign_files_in_the_way_of_ours_become_a_conflict),
	    TEST(a_foreign_file_that_changes_meanwhile_is_not_removed),
	    TEST(of_a_foreign_file_and_files_beneath_it_these_come_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
