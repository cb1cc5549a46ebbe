/* SPDX-License-Identifier: Apache-2.0 */
/* Commits of a tree that is written to on and on (volumes.md §5, sync=). */
#include "tests/engine_box.h"

#include "base/cleanup.h"
#include "base/clock.h"

static const struct snapshot_limits no_limits = {.copy_bytes = UINT64_MAX, .deadline_ns = INT64_MAX};

static int live_begin(struct node *n, const struct snapshot_limits *limits, struct commit_live **ret)
{
	int r;

	n->report = (struct transfer_report){0};
	r = commit_live_begin(&n->v, n->lease, &n->report, ret, &n->err);
	return r < 0 ? r : commit_live_snapshot(*ret, limits, &n->err);
}

/* The number of the commit; 0: nothing had changed. */
static uint64_t live_finish(struct node *n, struct commit_live *live)
{
	struct commit_mapped nothing = {0};
	uint64_t seq = 99, applied;

	if (commit_live_finish(live, &nothing, &seq, &applied, &n->err) < 0)
		fail_msg("%s", n->err.msg);
	assert_int_equal(applied, seq ? seq : applied);
	commit_live_free(live);
	return seq;
}

static uint64_t live_commit(struct node *n)
{
	struct commit_live *live;

	assert_int_equal(live_begin(n, &no_limits, &live), 0);
	return live_finish(n, live);
}

static char *committed_tree(struct box *b, const char *name)
{
	struct node *r = node_open(b, name);
	const char *tree;
	char *dump;

	r->report = (struct transfer_report){0};
	assert_int_equal(lease_peek(&r->v, &r->arena, &r->head, NULL, &r->err), 0);
	if (restore_read_only(&r->v, &r->head, &r->arena, &tree, &r->report, &r->err) < 0)
		fail_msg("%s", r->err.msg);
	dump = dump_tree(r, tree);
	node_close(r);
	return dump;
}

static void a_tree(struct node *a)
{
	put_file(a, "small", "one", 0644, 1);
	put_file(a, "empty", "", 0600, 2);
	put_dir(a, "dir", 0755);
	put_file(a, "dir/gone", "here", 0644, 3);
	put_big(a, "large", 9000000, 1);
	put_big(a, "middle", 300000, 2);
	put_link(a, "link", "small");
}

static void what_is_written_after_the_snapshot_is_of_the_next_commit(void **state)
{
	_cleanup_free_ char *first = NULL, *second = NULL, *got = NULL;
	struct box *b = *state;
	struct node *a = node_open(b, "a");
	struct commit_live *live;

	node_begin(a);
	a_tree(a);
	first = dump_tree(a, "rw");
	assert_int_equal(live_begin(a, &no_limits, &live), 0);
	put_file(a, "small", "another", 0640, 5);
	put_file(a, "empty", "no more", 0600, 5);
	drop(a, "dir/gone");
	put_big(a, "large", 9100000, 3);
	put_big(a, "middle", 300000, 4);
	put_file(a, "new", "new", 0644, 5);
	second = dump_tree(a, "rw");
	assert_int_equal(live_finish(a, live), 1);
	got = committed_tree(b, "r");
	assert_string_equal(got, first);
	free(got);
	assert_int_equal(live_commit(a), 2);
	got = committed_tree(b, "r");
	assert_string_equal(got, second);
	assert_int_equal(live_commit(a), 0);
	node_close(a);
}

static void the_tree_stays_dirty_and_the_end_commits_the_rest(void **state)
{
	_cleanup_free_ char *tree = NULL;
	struct box *b = *state;
	struct node *a = node_open(b, "a"), *c = node_open(b, "c");
	struct cache_mark mark;

	node_begin(a);
	a_tree(a);
	assert_int_equal(live_commit(a), 1);
	assert_int_equal(cache_read_clean(&a->v.cache, &mark), -ENOENT);
	assert_int_equal(cache_read_dirty(&a->v.cache, &mark), 0);
	assert_int_equal(mark.seq, 1);
	put_file(a, "small", "last", 0644, 6);
	tree = dump_tree(a, "rw");
	assert_int_equal(node_end(a), 0);
	assert_int_equal(cache_read_dirty(&a->v.cache, &mark), -ENOENT);
	node_begin(c);
	assert_same_tree(tree, c);
	node_close(a);
	node_close(c);
}

static void a_second_commit_reads_only_what_changed_since_the_first(void **state)
{
	struct node *a = node_open(*state, "a");
	struct commit_live *live;
	uint64_t copied, cloned;

	node_begin(a);
	a_tree(a);
	assert_int_equal(live_commit(a), 1);
	/* Long enough for time stamps to tell what came later, writes under way included. */
	clock_sleep_ns(2200 * NSEC_PER_MSEC);
	put_file(a, "small", "two", 0644, 6);
	assert_int_equal(live_begin(a, &no_limits, &live), 0);
	live_finish(a, live);
	clock_sleep_ns(2200 * NSEC_PER_MSEC);
	put_file(a, "small", "three", 0644, 7);
	assert_int_equal(live_begin(a, &no_limits, &live), 0);
	commit_live_stats(live, &copied, &cloned);
	assert_int_equal(copied + cloned, 5);
	assert_int_equal(live_finish(a, live), 3);
	node_close(a);
}

static void past_its_limits_nothing_is_committed_and_nothing_lost(void **state)
{
	const struct snapshot_limits few = {.copy_bytes = 299999, .deadline_ns = INT64_MAX};
	const struct snapshot_limits late = {.copy_bytes = UINT64_MAX, .deadline_ns = clock_boottime_ns()};
	_cleanup_free_ char *tree = NULL, *got = NULL;
	struct box *b = *state;
	struct node *a = node_open(b, "a");
	struct commit_live *live;
	int r;

	node_begin(a);
	a_tree(a);
	tree = dump_tree(a, "rw");
	/* Where the test's directory has reflinks, nothing counts as copied. */
	r = live_begin(a, &few, &live);
	assert_true(r == -EFBIG || r == 0);
	commit_live_free(live);
	assert_int_equal(live_begin(a, &late, &live), -ETIME);
	commit_live_free(live);
	assert_int_equal(a->v.store->valid == NULL, 1);
	assert_int_equal(live_commit(a), 1);
	got = committed_tree(b, "r");
	assert_string_equal(got, tree);
	node_close(a);
}

static void the_last_end_of_a_run_stays_named_until_the_next(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a");
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct head head;

	node_begin(a);
	put_file(a, "f", "1", 0644, 1);
	assert_int_equal(live_commit(a), 1);
	assert_int_equal(lease_head(a->lease, &arena, &head), 0);
	assert_null(head.finished);
	put_file(a, "f", "2", 0644, 1);
	assert_int_equal(node_end(a), 0);
	node_begin(a);
	put_file(a, "f", "3", 0644, 1);
	assert_int_equal(live_commit(a), 3);
	put_file(a, "f", "4", 0644, 1);
	assert_int_equal(live_commit(a), 4);
	assert_int_equal(lease_head(a->lease, &arena, &head), 0);
	assert_non_null(head.finished);
	assert_int_equal(head.finished->seq, 2);
	assert_true(head.commit.running);
	put_file(a, "f", "5", 0644, 1);
	assert_int_equal(node_end(a), 0);
	assert_int_equal(lease_peek(&a->v, &arena, &head, NULL, &a->err), 0);
	assert_null(head.finished);
	assert_false(head.commit.running);
	node_close(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_is_written_after_the_snapshot_is_of_the_next_commit, box_setup,
					    box_teardown),
	    cmocka_unit_test_setup_teardown(the_tree_stays_dirty_and_the_end_commits_the_rest, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(a_second_commit_reads_only_what_changed_since_the_first, box_setup,
					    box_teardown),
	    cmocka_unit_test_setup_teardown(past_its_limits_nothing_is_committed_and_nothing_lost, box_setup,
					    box_teardown),
	    cmocka_unit_test_setup_teardown(the_last_end_of_a_run_stays_named_until_the_next, box_setup, box_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
