/* SPDX-License-Identifier: Apache-2.0 */
/* What other tools do to the plain copy between runs (volumes.md §3, "Foreign files"), and what hostile ones try. */
#include "tests/engine_box.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"

/* A volume with a committed file, a directory and a link. */
static struct node *begun(struct box *b)
{
	struct node *a = node_open(b, "a");

	a->v.owner_uid = 1234;
	a->v.owner_gid = 5678;
	node_begin(a);
	put_file(a, "f", "ours", 0600, 1);
	put_dir(a, "dir", 0700);
	put_file(a, "dir/g", "ours too", 0600, 1);
	put_link(a, "link", "f");
	assert_int_equal(node_end(a), 0);
	return a;
}

static void foreign_files_join_the_tree_and_the_next_commit(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b), *c = node_open(b, "c");
	_cleanup_free_ char *tree = NULL;
	struct stat st;
	int root;

	plain_put(b, "f", "theirs");
	plain_put(b, "new/deep/file", "added");
	plain_put(b, "nothing", "");
	plain_put(b, "marker/", "");
	node_begin(a);
	assert_file(a, "f", "theirs");
	assert_file(a, "new/deep/file", "added");
	assert_file(a, "nothing", "");
	assert_file(a, "dir/g", "ours too");
	root = node_root(a);
	assert_int_equal(fstatat(root, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(st.st_gid, 5678);
	assert_int_equal(fstatat(root, "marker", &st, 0), 0);
	assert_true(S_ISDIR(st.st_mode));
	close(root);
	tree = dump_tree(a, "rw");
	assert_int_equal(node_end(a), 0);
	assert_string_equal(a->report.warning, "");
	/* They are of the commit now: a store whose plain copy is not looked at gives them as well. */
	c->config.foreign_ignore = true;
	node_begin(c);
	assert_same_tree(tree, c);
	node_close(a);
	node_close(c);
}

static void foreign_files_that_were_seen_need_no_request_again(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b);

	plain_put(b, "f", "theirs");
	assert_int_equal(node_start(a), 0);
	assert_false(a->report.warm);
	node_kill(a);
	a = node_open(b, "a");
	assert_int_equal(node_start(a), 0);
	assert_true(a->report.warm);
	assert_int_equal(a->data_requests, 0);
	assert_file(a, "f", "theirs");
	/* And when it is taken back, the tree follows. */
	node_kill(a);
	plain_put(b, "f", "theirs again");
	a = node_open(b, "a");
	assert_int_equal(node_start(a), 0);
	assert_file(a, "f", "theirs again");
	node_close(a);
}

static void a_foreign_file_that_another_node_committed_is_not_fetched_again(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b), *c = node_open(b, "c");
	char theirs[10001] = "";

	b->ttl_ns = 500 * NSEC_PER_MSEC;
	memset(theirs, 'f', sizeof(theirs) - 1);
	plain_put(b, "f", theirs);
	plain_put(b, "dir/g", "other bytes");
	assert_int_equal(node_start(c), 0);
	node_kill(c);
	/* One of them as the other node has it, one of the same length that is not. */
	plain_put(b, "dir/g", "bytes other");
	node_begin(a);
	assert_int_equal(node_end(a), 0);
	c = node_open(b, "c");
	assert_int_equal(node_start(c), 0);
	assert_file(c, "f", theirs);
	assert_file(c, "dir/g", "bytes other");
	assert_true(c->report.bytes_in < sizeof(theirs));
	node_close(a);
	node_close(c);
}

static void what_a_run_made_of_a_foreign_file_replaces_it(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b), *c = node_open(b, "c");
	_cleanup_free_ char *one = NULL, *two = NULL;

	plain_put(b, "one", "theirs");
	plain_put(b, "two", "theirs");
	node_begin(a);
	put_file(a, "one", "ours now", 0644, 3);
	drop(a, "two");
	assert_int_equal(node_end(a), 0);
	assert_int_equal(a->report.conflicts, 0);
	one = plain_text(b, "one");
	assert_string_equal(one, "ours now");
	two = plain_text(b, "two");
	assert_null(two);
	node_begin(c);
	assert_file(c, "one", "ours now");
	assert_file(c, "two", NULL);
	node_close(a);
	node_close(c);
}

static void ours_is_kept_where_another_tool_changed_the_same_file_during_the_run(void **state)
{
	static const char prefix[] = "volumes/ws/.volrun/vol/conflicts/0-2/";
	struct box *b = *state;
	struct node *a = begun(b), *c = node_open(b, "c");
	_cleanup_free_ char *ours = NULL, *links = NULL, *changes = NULL, *empty = NULL;
	char key[128];

	node_begin(a);
	put_file(a, "f", "ours now", 0640, 3);
	put_file(a, "new", "", 0644, 3);
	put_link(a, "link2", "f");
	plain_put(b, "f", "theirs");
	plain_put(b, "new", "theirs too");
	plain_put(b, "_symlinks.json", "{\"theirs\":\"f\"}");
	/* Whoever publishes it. */
	fake_store_fault(b->fake, (struct fake_fault){STORE_PUT, "conflicts/", STORE_UNREACHABLE, FAKE_NOTHING, 0, -1});
	assert_int_equal(node_end(a), 0);
	fake_store_fault(b->fake, (struct fake_fault){0});
	node_begin(c);
	assert_file(c, "f", "theirs");
	assert_file(c, "new", "theirs too");
	assert_int_equal(publish_redo(&c->v, c->lease, &(uint64_t){0}, &c->err), 0);
	snprintf(key, sizeof(key), "%stree/f", prefix);
	ours = fake_store_text(b->fake, key);
	assert_string_equal(ours, "ours now");
	snprintf(key, sizeof(key), "%stree/new", prefix);
	empty = fake_store_text(b->fake, key);
	assert_string_equal(empty, "");
	snprintf(key, sizeof(key), "%stree/_symlinks.json", prefix);
	links = fake_store_text(b->fake, key);
	assert_non_null(strstr(links, "link2"));
	snprintf(key, sizeof(key), "%schanges.json", prefix);
	changes = fake_store_text(b->fake, key);
	assert_non_null(strstr(changes, "\"key\":\"tree/f\""));
	node_close(a);
	node_close(c);
}

static void a_later_commit_of_the_run_keeps_ours_again_only_where_it_changed(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b);
	_cleanup_free_ char *first = NULL, *again = NULL, *changed = NULL;
	uint64_t applied = 0;

	node_begin(a);
	put_file(a, "f", "ours now", 0640, 3);
	put_file(a, "new", "new", 0640, 3);
	plain_put(b, "f", "theirs");
	plain_put(b, "new", "theirs");
	assert_int_equal(commit_run(&a->v, a->lease, &a->report, &applied, &a->err), 0);
	put_file(a, "dir/g", "changed", 0640, 4);
	put_file(a, "new", "newer", 0640, 5);
	assert_int_equal(commit_run(&a->v, a->lease, &a->report, &applied, &a->err), 0);
	assert_int_equal(applied, 3);
	first = fake_store_text(b->fake, "volumes/ws/.volrun/vol/conflicts/0-2/tree/f");
	assert_string_equal(first, "ours now");
	again = fake_store_text(b->fake, "volumes/ws/.volrun/vol/conflicts/0-3/tree/f");
	assert_null(again);
	changed = fake_store_text(b->fake, "volumes/ws/.volrun/vol/conflicts/0-3/tree/new");
	assert_string_equal(changed, "newer");
	node_close(a);
}

static void a_foreign_file_does_not_come_back_over_a_commit_that_is_not_published(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b), *c = node_open(b, "c");
	_cleanup_free_ char *text = NULL;

	plain_put(b, "one", "theirs");
	plain_put(b, "two", "theirs");
	plain_put(b, "_symlinks.json", "{\"theirs\":\"f\"}");
	node_begin(a);
	put_file(a, "one", "ours now", 0644, 3);
	drop(a, "two");
	drop(a, "theirs");
	fake_store_fault(b->fake, (struct fake_fault){STORE_PUT, "vol/one", STORE_UNREACHABLE, FAKE_NOTHING, 0, -1});
	assert_int_equal(node_end(a), 0);
	fake_store_fault(b->fake, (struct fake_fault){0});
	for (int i = 0; i < 2; i++) {
		/* By a node that knows nothing, then by the one that committed. */
		struct node *n = i ? a : c;

		if (node_start(n) < 0)
			fail_msg("%s", n->err.msg);
		assert_file(n, "one", "ours now");
		assert_file(n, "two", NULL);
		assert_file(n, "theirs", NULL);
		lease_free(n->lease);
		n->lease = NULL;
	}
	node_acquire(a);
	assert_int_equal(publish_redo(&a->v, a->lease, &(uint64_t){0}, &a->err), 0);
	text = plain_text(b, "one");
	assert_string_equal(text, "ours now");
	assert_null(plain_text(b, "two"));
	assert_null(plain_text(b, "_symlinks.json"));
	node_close(a);
	node_close(c);
}

#define DAY_AND_MORE (25 * 3600)

/* A start, and an end without a change by the run. */
static void run_idle(struct node *n)
{
	node_begin(n);
	assert_int_equal(node_end(n), 0);
	assert_int_equal(n->report.conflicts, 0);
}

static void a_foreign_deletion_counts_for_what_was_seen_a_day_after_it_was_written(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b), *c = node_open(b, "c");
	_cleanup_free_ char *published = NULL;

	fake_store_age(b->fake, DAY_AND_MORE);
	node_begin(a);
	put_file(a, "late", "a change", 0644, 1);
	assert_int_equal(node_end(a), 0);
	/* What another commit wrote since is not old, and no obstacle to the rest. */
	plain_put(b, "f", NULL);
	plain_put(b, "late", NULL);
	node_begin(c);
	assert_file(c, "f", NULL);
	assert_file(c, "dir/g", "ours too");
	assert_file(c, "late", "a change");
	assert_int_equal(node_end(c), 0);
	assert_int_equal(c->report.conflicts, 0);
	published = plain_text(b, "late");
	assert_non_null(published);
	node_begin(a);
	assert_file(a, "f", NULL);
	node_close(a);
	node_close(c);
}

/* A DELETE that an earlier holder sent lands when the file is committed anew, and nobody starts for a day. */
static void a_late_delete_never_takes_a_committed_file(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b);

	plain_put(b, "f", NULL);
	fake_store_age(b->fake, DAY_AND_MORE);
	for (int i = 0; i < 2; i++) {
		_cleanup_free_ char *text = NULL;

		node_begin(a);
		assert_file(a, "f", "ours");
		assert_int_equal(node_end(a), 0);
		/* It was published again although the run changed nothing, and is young again. */
		text = plain_text(b, "f");
		assert_non_null(text);
		plain_put(b, "f", NULL);
		plain_put(b, "dir/g", i ? "theirs" : NULL);
	}
	node_begin(a);
	assert_file(a, "f", "ours");
	assert_file(a, "dir/g", "theirs");
	node_close(a);
}

static void the_node_s_clock_alone_makes_nothing_old(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b);
	struct head head;

	/* By the store's clock all is of one time: a day behind this node's. */
	node_acquire(a);
	fake_store_age(b->fake, DAY_AND_MORE);
	a->report = (struct transfer_report){0};
	assert_int_equal(restore_run(&a->v, &a->head, NULL, NULL, &a->report, &a->err), 0);
	assert_int_equal(a->report.settled_seq, 0);
	lease_free(a->lease);
	a->lease = NULL;
	/* And again when the register was written since. */
	run_idle(a);
	assert_int_equal(lease_peek(&a->v, &a->arena, &head, NULL, &a->err), 0);
	assert_int_equal(head.settled_seq, head.commit.seq);
	node_close(a);
}

static void a_late_write_of_ours_is_removed_by_the_next_end(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b);
	struct store *s = fake_store_open(b->fake);
	char mark[STORE_MARK_MAX];
	struct store_op op;

	/* What a holder sent that lost its lease: our mark, of a commit that had the path, or of none. */
	store_op_init(&op, STORE_HEAD, "volumes/ws/vol/f");
	assert_int_equal(store_do(s, &op), STORE_OK);
	strcpy(mark, op.got_mark);
	node_begin(a);
	drop(a, "f");
	assert_int_equal(node_end(a), 0);
	store_op_init(&op, STORE_PUT, "volumes/ws/vol/f");
	op.mark = mark;
	op.data = "ours";
	op.size = 4;
	assert_int_equal(store_do(s, &op), STORE_OK);
	store_close(s);
	run_idle(a);
	assert_null(plain_text(b, "f"));
	node_close(a);
}

static void a_failed_listing_is_no_empty_volume(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b);

	fake_store_age(b->fake, DAY_AND_MORE);
	node_acquire(a);
	a->cut_off_at = 0;
	assert_true(restore_run(&a->v, &a->head, NULL, NULL, &a->report, &a->err) < 0);
	a->cut_off_at = -1;
	assert_file(a, "f", "ours");
	node_close(a);
}

static void foreign_links_replace_ours(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b);
	_cleanup_free_ char *text = NULL;
	char target[64];
	int root;

	plain_put(b, "_symlinks.json", "{\"a/b/link\":\"../../../etc\",\"abs\":\"/etc/passwd\",\"f\":\"not this\"}");
	node_begin(a);
	root = node_root(a);
	assert_int_equal(readlinkat(root, "link", target, sizeof(target)), -1);
	assert_int_equal(readlinkat(root, "a/b/link", target, sizeof(target)), 12);
	assert_int_equal(readlinkat(root, "abs", target, sizeof(target)), 11);
	close(root);
	assert_file(a, "f", "ours");
	assert_non_null(strstr(a->report.warning, "\"f\" was left out"));
	assert_int_equal(node_end(a), 0);
	/* The run's document replaces theirs. */
	text = plain_text(b, "_symlinks.json");
	assert_non_null(strstr(text, "\"abs\":\"/etc/passwd\""));
	assert_null(strstr(text, "not this"));
	node_begin(a);
	assert_true(a->report.warm);
	node_close(a);
}

static void plain_files_without_a_register_make_a_volume(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a");

	plain_put(b, "seed/file", "put there first");
	plain_put(b, "_symlinks.json", "{\"l\":\"seed\"}");
	node_begin(a);
	assert_file(a, "seed/file", "put there first");
	assert_int_equal(node_end(a), 0);
	node_begin(a);
	assert_true(a->report.warm);
	assert_int_equal(node_end(a), 0);
	node_close(a);
}

static void a_key_that_is_only_odd_is_left_out_with_a_warning(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b);
	char name[400];

	memset(name, 'x', sizeof(name));
	name[300] = '\0';
	plain_put(b, name, "a segment of 300 bytes");
	plain_put(b, "line\nbreak", "x");
	plain_put(b, "f/below", "below a file");
	plain_put(b, "dir", "where a directory is");
	plain_put(b, "link/below", "below a link of the commit");
	plain_put(b, "ok", "fine");
	node_begin(a);
	assert_int_equal(a->report.n_warnings, 5);
	assert_null(strchr(a->report.warning, '\n'));
	assert_file(a, "ok", "fine");
	assert_file(a, "f", "ours");
	assert_file(a, "dir/g", "ours too");
	node_close(a);
}

/* Each is one clear line, and nothing is written outside of the volume. */
static void hostile_store(void **state)
{
	static const struct {
		const char *key, *text, *links, *message;
	} attempts[] = {
	    {"../outside", "x", NULL, "leads out of the volume"},
	    {"a/../../outside", "x", NULL, "leads out of the volume"},
	    {"/etc/outside", "x", NULL, "leads out of the volume"},
	    {"a//outside", "x", NULL, "leads out of the volume"},
	    {"./outside", "x", NULL, "leads out of the volume"},
	    {"x/..", "x", NULL, "leads out of the volume"},
	    {"sub/../", "", NULL, "leads out of the volume"},
	    {"evil/outside", "x", "{\"evil\":\"/tmp\"}", "makes a link"},
	    {"evil/deep/outside", "x", "{\"evil\":\"..\"}", "makes a link"},
	    {"ok", "x", "{\"../../outside\":\"x\"}", "no path within the volume"},
	    {"ok", "x", "{\"/tmp/outside\":\"x\"}", "no path within the volume"},
	    {"ok", "x", "{\"a//outside\":\"x\"}", "no path within the volume"},
	    {"ok", "x", "{\"\":\"x\"}", "no path within the volume"},
	    {"ok", "x", "{\"evil\":\"/tmp\",\"evil/outside\":\"x\"}", "makes a link"},
	    {"ok", "x", "{\"twice\":\"a\",\"twice\":\"b\"}", "_symlinks.json"},
	    {"ok", "x", "{\"cut", "_symlinks.json"},
	    {"ok", "x", "[]", "_symlinks.json"},
	    {"ok", "x", "{}},{\"a\":1", "_symlinks.json"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		_cleanup_free_ char *before = NULL;
		struct node *a;
		struct box *b;

		box_setup((void **)&b);
		a = begun(b);
		before = dump_tree(a, "rw");
		plain_put(b, attempts[i].key, attempts[i].text);
		if (attempts[i].links)
			plain_put(b, "_symlinks.json", attempts[i].links);
		if (node_start(a) >= 0)
			fail_msg("%s was let in", attempts[i].key);
		if (!strstr(a->err.msg, attempts[i].message) || strchr(a->err.msg, '\n'))
			fail_msg("%s: %s", attempts[i].key, a->err.msg);
		assert_same_tree(before, a);
		assert_int_equal(access("/tmp/outside", F_OK), -1);
		assert_int_equal(access("/etc/outside", F_OK), -1);
		/* The way out that the message names. */
		a->config.foreign_ignore = true;
		lease_free(a->lease);
		a->lease = NULL;
		node_begin(a);
		assert_file(a, "f", "ours");
		node_close(a);
		box_teardown((void **)&b);
	}
}

static void our_object_copied_to_another_place_is_a_foreign_file(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b);
	struct store *s = fake_store_open(b->fake);
	struct store_op op;

	/* As a browser does, with its metadata. */
	store_op_init(&op, STORE_HEAD, "volumes/ws/vol/f");
	assert_int_equal(store_do(s, &op), STORE_OK);
	store_op_init(&op, STORE_COPY, "volumes/ws/vol/copy");
	op.source = "volumes/ws/vol/f";
	op.mark = op.got_mark;
	assert_int_equal(store_do(s, &op), STORE_OK);
	store_close(s);
	node_begin(a);
	assert_file(a, "copy", "ours");
	node_close(a);
}

static void large_foreign_files(struct box *b, bool range_tags)
{
	struct node *a = node_open(b, "a");
	const size_t size = (40u << 20) + 5;
	_cleanup_free_ char *text = malloc(size + 1), *got = malloc(size);
	_cleanup_close_ int root = -1;
	unsigned before;

	assert_true(text && got);
	for (size_t i = 0; i < size; i++)
		text[i] = (char)('a' + (i >> 20) + i % 3);
	text[size] = '\0';
	plain_put(b, "large", text);
	plain_put(b, "larger/still", text);
	plain_put(b, "small", "x");
	a->no_range_tags = !range_tags;
	before = a->data_requests;
	node_begin(a);
	if (range_tags)
		assert_true(a->data_requests - before >= 7);
	root = node_root(a);
	for (unsigned i = 0; i < 2; i++) {
		_cleanup_close_ int fd = openat(root, i ? "larger/still" : "large", O_RDONLY | O_CLOEXEC);

		assert_int_equal(pread_full(fd, got, size, 0), 0);
		assert_memory_equal(got, text, size);
	}
	assert_file(a, "small", "x");
	assert_int_equal(node_end(a), 0);
	node_close(a);
}

static void a_large_foreign_file_comes_in_pieces(void **state)
{
	large_foreign_files(*state, true);
}

/* Pieces could be of two objects, if another tool replaces it meanwhile. */
static void a_large_foreign_file_comes_in_one_where_no_piece_says_what_it_is_of(void **state)
{
	large_foreign_files(*state, false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(foreign_files_join_the_tree_and_the_next_commit),
	    TEST(foreign_files_that_were_seen_need_no_request_again),
	    TEST(a_foreign_file_that_another_node_committed_is_not_fetched_again),
	    TEST(what_a_run_made_of_a_foreign_file_replaces_it),
	    TEST(ours_is_kept_where_another_tool_changed_the_same_file_during_the_run),
	    TEST(a_later_commit_of_the_run_keeps_ours_again_only_where_it_changed),
	    TEST(a_foreign_file_does_not_come_back_over_a_commit_that_is_not_published),
	    TEST(a_foreign_deletion_counts_for_what_was_seen_a_day_after_it_was_written),
	    TEST(a_late_delete_never_takes_a_committed_file),
	    TEST(the_node_s_clock_alone_makes_nothing_old),
	    TEST(a_late_write_of_ours_is_removed_by_the_next_end),
	    TEST(a_failed_listing_is_no_empty_volume),
	    TEST(foreign_links_replace_ours),
	    TEST(plain_files_without_a_register_make_a_volume),
	    TEST(a_key_that_is_only_odd_is_left_out_with_a_warning),
	    TEST(a_large_foreign_file_comes_in_pieces),
	    TEST(a_large_foreign_file_comes_in_one_where_no_piece_says_what_it_is_of),
	    cmocka_unit_test(hostile_store),
	    TEST(our_object_copied_to_another_place_is_a_foreign_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
