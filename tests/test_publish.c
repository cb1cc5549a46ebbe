/* SPDX-License-Identifier: Apache-2.0 */
/* The published copy (volumes.md §5.5): what stands there, and what is left of a holder that died while writing it. */
#include "tests/engine_box.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"

static void assert_plain(struct box *b, const char *path, const char *text)
{
	_cleanup_free_ char *got = plain_text(b, path);

	if (!text != !got || (text && strcmp(text, got) != 0))
		fail_msg("plain object %s is \"%s\", not \"%s\"", path, got ? got : "(none)", text ? text : "(none)");
}

static void first_tree(struct node *n)
{
	put_file(n, "kept", "the same", 0644, 1);
	put_file(n, "changed", "old", 0644, 2);
	put_file(n, "deleted", "soon gone", 0644, 3);
	put_dir(n, "dir", 0755);
	put_file(n, "dir/f", "in dir", 0644, 4);
	put_file(n, "file", "becomes a directory", 0644, 5);
	put_link(n, "link", "kept");
}

static void second_tree(struct node *n)
{
	put_file(n, "changed", "new", 0644, 6);
	drop(n, "deleted");
	drop(n, "dir");
	put_file(n, "dir", "was a directory", 0644, 7);
	drop(n, "file");
	put_dir(n, "file", 0755);
	put_file(n, "file/g", "below", 0600, 8);
	put_file(n, "added", "", 0644, 9);
	put_link(n, "link2", "changed");
}

static void assert_second_published(struct box *b)
{
	assert_plain(b, "kept", "the same");
	assert_plain(b, "changed", "new");
	assert_plain(b, "deleted", NULL);
	assert_plain(b, "dir/f", NULL);
	assert_plain(b, "dir", "was a directory");
	assert_plain(b, "file", NULL);
	assert_plain(b, "file/g", "below");
	assert_plain(b, "added", "");
	assert_plain(b, "_symlinks.json", "{\"link\":\"kept\",\n\"link2\":\"changed\"}\n");
}

static void the_plain_copy_is_the_tree(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a");

	node_begin(a);
	first_tree(a);
	assert_int_equal(node_end(a), 0);
	assert_plain(b, "dir/f", "in dir");
	assert_plain(b, "_symlinks.json", "{\"link\":\"kept\"}\n");
	node_begin(a);
	second_tree(a);
	assert_int_equal(node_end(a), 0);
	assert_string_equal(a->report.warning, "");
	assert_second_published(b);
	node_begin(a);
	drop(a, "link");
	drop(a, "link2");
	assert_int_equal(node_end(a), 0);
	assert_plain(b, "_symlinks.json", NULL);
	node_close(a);
}

/*
 * A commit whose store goes away at request n. Returns 0 when it needed fewer, -1 when this machine was so slow that
 * the lease expired before.
 */
static int die_at(struct node *a, int n, bool after)
{
	int r;

	a->requests = 0;
	a->cut_off_at = n;
	a->cut_off_after = after;
	r = node_end(a);
	if ((int)a->requests > n)
		return 1;
	return r < 0 || a->report.warning[0] ? -1 : 0;
}

static bool died_and_taken_over(int n, bool after)
{
	_cleanup_free_ char *old = NULL, *new = NULL, *got = NULL, *last = NULL;
	struct node *a, *c, *d;
	struct box *b;
	uint64_t applied;
	int died;

	box_setup((void **)&b);
	a = node_open(b, "a");
	c = node_open(b, "c");
	d = node_open(b, "d");
	node_begin(a);
	first_tree(a);
	assert_int_equal(node_end(a), 0);
	old = dump_tree(a, "rw");
	b->ttl_ns = 400 * NSEC_PER_MSEC;
	node_begin(a);
	second_tree(a);
	new = dump_tree(a, "rw");
	died = die_at(a, n, after);
	node_kill(a);
	if (died < 0) {
		node_close(c);
		node_close(d);
		box_teardown((void **)&b);
		return died_and_taken_over(n, after);
	}
	b->ttl_ns = 0;
	if (node_start(c) < 0)
		fail_msg("died at %d: restore: %s", n, c->err.msg);
	got = dump_tree(c, "rw");
	if (strcmp(got, old) != 0 && strcmp(got, new) != 0)
		fail_msg("died at %d: a tree that never was:\n%s", n, got);
	if (publish_redo(&c->v, c->lease, &applied, &c->err) < 0)
		fail_msg("died at %d: redo: %s", n, c->err.msg);
	if (!strcmp(got, new))
		assert_second_published(b);
	else
		assert_plain(b, "changed", "old");
	/* The next commit and the next start are sound. */
	put_file(c, "changed", "third", 0644, 20);
	last = dump_tree(c, "rw");
	if (node_end(c) < 0)
		fail_msg("died at %d: next commit: %s", n, c->err.msg);
	assert_int_equal(c->report.conflicts, 0);
	assert_plain(b, "changed", "third");
	node_begin(d);
	assert_same_tree(last, d);
	node_close(c);
	node_close(d);
	box_teardown((void **)&b);
	return died;
}

static void a_holder_that_dies_at_any_request_leaves_the_old_or_the_new_tree(void **state)
{
	int n = 0;

	(void)state;
	while (died_and_taken_over(n, false))
		n++;
	assert_true(n > 10);
}

static void a_holder_whose_last_answer_is_lost_leaves_the_old_or_the_new_tree(void **state)
{
	int n = 0;

	(void)state;
	while (died_and_taken_over(n, true))
		n++;
	assert_true(n > 10);
}

static void a_late_write_of_a_former_holder_is_no_part_of_the_tree(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a"), *c = node_open(b, "c");
	_cleanup_free_ char *tree = NULL;

	node_begin(a);
	first_tree(a);
	assert_int_equal(node_end(a), 0);
	node_begin(a);
	put_file(a, "changed", "written late", 0644, 9);
	put_file(a, "new", "written late, too", 0644, 9);
	/* The plain writes stay on the way: the commit counts, its publishing does not come to an end. */
	fake_store_fault(b->fake, (struct fake_fault){STORE_PUT, "vol/new", STORE_UNREACHABLE, FAKE_LATE, 0, 1});
	assert_int_equal(node_end(a), 0);
	assert_true(a->report.n_warnings > 0);
	node_close(a);
	node_begin(c);
	assert_int_equal(publish_redo(&c->v, c->lease, &(uint64_t){0}, &c->err), 0);
	drop(c, "new");
	tree = dump_tree(c, "rw");
	assert_int_equal(node_end(c), 0);
	assert_plain(b, "new", NULL);
	/* It was written where nothing was: now it lands, after its file was deleted. */
	assert_int_equal(fake_store_land(b->fake), 1);
	assert_plain(b, "new", "written late, too");
	node_begin(c);
	assert_same_tree(tree, c);
	/* The next commit clears it away. */
	put_file(c, "kept", "more", 0644, 30);
	assert_int_equal(node_end(c), 0);
	assert_plain(b, "new", NULL);
	node_close(c);
}

static void names_that_are_no_keys_are_in_the_commit_alone(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a"), *c = node_open(b, "c");
	_cleanup_free_ char *tree = NULL;
	char name[256];

	memset(name, 'n', 255);
	name[255] = '\0';
	node_begin(a);
	put_file(a, "line\nbreak", "x", 0644, 1);
	put_file(a, "\xff", "y", 0644, 1);
	put_file(a, "_symlinks.json", "of the user", 0644, 1);
	for (int i = 0; i < 4; i++) {
		int root = node_root(a), r = 0;

		for (int k = 0; k <= i && r >= 0; k++) {
			r = mkdirat(root, name, 0755);
			if (k < i)
				r = openat(root, name, O_RDONLY | O_DIRECTORY);
			close(root);
			root = r;
		}
	}
	tree = dump_tree(a, "rw");
	assert_int_equal(node_end(a), 0);
	assert_plain(b, "line\nbreak", NULL);
	assert_plain(b, "_symlinks.json", NULL);
	node_begin(c);
	assert_same_tree(tree, c);
	node_close(a);
	node_close(c);
}

static void what_another_tool_wrote_during_the_run_is_not_overwritten(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a");
	_cleanup_free_ char *text = NULL;

	node_begin(a);
	first_tree(a);
	assert_int_equal(node_end(a), 0);
	node_begin(a);
	put_file(a, "changed", "ours", 0644, 9);
	put_file(a, "added", "ours", 0644, 9);
	drop(a, "deleted");
	plain_put(b, "changed", "theirs");
	plain_put(b, "added", "theirs");
	plain_put(b, "deleted", "theirs");
	assert_int_equal(node_end(a), 0);
	assert_int_equal(a->report.conflicts, 3);
	assert_plain(b, "changed", "theirs");
	assert_plain(b, "added", "theirs");
	assert_plain(b, "deleted", "theirs");
	node_begin(a);
	text = file_text(a, "changed");
	assert_string_equal(text, "theirs");
	node_close(a);
}

static void publishing_goes_on_from_the_store_where_the_tree_is_another(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a"), *c = node_open(b, "c");
	struct fake_fault fault = {STORE_PUT, "volumes/ws/vol/", STORE_UNREACHABLE, FAKE_NOTHING, 0, -1};

	node_begin(a);
	first_tree(a);
	put_file(a, "empty", "", 0644, 1); /* its bytes are nowhere */
	fake_store_fault(b->fake, fault);
	assert_int_equal(node_end(a), 0);
	assert_plain(b, "kept", NULL);
	fake_store_fault(b->fake, (struct fake_fault){0});
	node_acquire(c); /* its cache is empty */
	assert_int_equal(publish_redo(&c->v, c->lease, &(uint64_t){0}, &c->err), 0);
	assert_plain(b, "kept", "the same");
	assert_plain(b, "dir/f", "in dir");
	assert_plain(b, "empty", "");
	node_close(a);
	node_close(c);
}

/* S3 copies more than 5 GiB in parts alone, and only when it is told the size. */
static void a_copy_within_the_store_names_its_size(void **state)
{
	struct node *a = node_open(*state, "a");

	node_begin(a);
	put_big(a, "large", (8u << 20) + 1, 1);
	assert_int_equal(node_end(a), 0);
	assert_int_equal(a->copied, (8u << 20) + 1);
	node_close(a);
}

/* Without a listing nobody else reads the cache's copy; the volume must not be stuck on it. */
static void a_broken_copy_of_the_applied_table_is_fetched_again(void **state)
{
	struct node *a = node_open(*state, "a");
	struct stat st;
	int fd, r = 0;

	a->config.foreign_ignore = true;
	node_begin(a);
	first_tree(a);
	assert_int_equal(node_end(a), 0);
	node_settle(a);
	fd = openat(a->v.cache.dir_fd, "applied", O_WRONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, st.st_size - 4), 0);
	close(fd);
	node_begin(a);
	put_file(a, "new", "text", 0644, 1);
	for (int i = 0; i < 2; i++) {
		uint64_t applied = 0;

		r = commit_run(&a->v, a->lease, &a->report, &applied, &a->err);
	}
	assert_int_equal(r, 0);
	assert_plain(*state, "new", "text");
	node_close(a);
}

/* Lengths of the tables, and what another node makes of them. */
static void a_table_is_a_delta_where_that_is_shorter(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a"), *c = node_open(b, "c");
	size_t whole = 0, shortest = SIZE_MAX, wholes = 0;
	char name[64];

	node_begin(a);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "file-%03d", i);
		put_file(a, name, name, 0644, i + 1);
	}
	assert_int_equal(node_end(a), 0);
	for (int i = 0; i < 40; i++) {
		_cleanup_free_ char *tree = NULL, *text = NULL;
		size_t len;

		node_begin(a);
		snprintf(name, sizeof(name), "file-%03d", i);
		put_file(a, name, "changed", 0600, 1000 + i);
		snprintf(name, sizeof(name), "file-%03d", 199 - i);
		drop(a, name);
		snprintf(name, sizeof(name), "new-%03d", i);
		put_file(a, name, "new", 0600, 1000 + i);
		tree = dump_tree(a, "rw");
		if (i % 3 == 2)
			unlinkat(a->v.cache.dir_fd, "applied", 0);
		assert_int_equal(node_end(a), 0);
		assert_int_equal(a->report.conflicts, 0);
		node_settle(a);
		snprintf(name, sizeof(name), "volumes/ws/.volrun/vol/%d.applied", i + 2);
		text = fake_store_text(b->fake, name);
		len = strlen(text);
		whole = len > whole ? len : whole;
		shortest = len < shortest ? len : shortest;
		wholes += strstr(text, "\"kind\":\"applied\"") != NULL;
		/* Nothing is foreign, missing or stale by it: a start asks about nothing. */
		node_begin(c);
		assert_same_tree(tree, c);
		assert_int_equal(node_end(c), 0);
		node_begin(c);
		assert_int_equal(c->data_requests, 0);
		lease_free(c->lease);
		c->lease = NULL;
	}
	assert_true(shortest < whole / 20);
	assert_in_range(wholes, 2, 10);
	node_close(a);
	node_close(c);
}

static void the_table_of_an_empty_tree_is_whole(void **state)
{
	struct node *a = node_open(*state, "a");
	_cleanup_free_ char *text = NULL;
	char name[64];

	node_begin(a);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%d", i);
		put_file(a, name, "x", 0644, 1);
	}
	assert_int_equal(node_end(a), 0);
	node_begin(a);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%d", i);
		drop(a, name);
	}
	assert_int_equal(node_end(a), 0);
	node_settle(a);
	text = fake_store_text(((struct box *)*state)->fake, "volumes/ws/.volrun/vol/2.applied");
	assert_non_null(strstr(text, "\"kind\":\"applied\""));
	assert_non_null(strstr(text, "}\n{\"end\":0}"));
	node_close(a);
}

static void an_object_that_the_store_refuses_is_noted_and_no_obstacle(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a"), *c = node_open(b, "c");
	_cleanup_free_ char *tree = NULL;
	struct head head;

	node_begin(a);
	put_file(a, "locked", "one", 0644, 1);
	put_file(a, "free", "one", 0644, 1);
	assert_int_equal(node_end(a), 0);
	fake_store_fault(b->fake, (struct fake_fault){STORE_PUT, "vol/locked", STORE_REFUSED, FAKE_NOTHING, 0, -1});
	for (int i = 0; i < 2; i++) {
		node_begin(a);
		put_file(a, "locked", i ? "three" : "two", 0644, 2 + i);
		put_file(a, "free", i ? "three" : "two", 0644, 2 + i);
		assert_int_equal(node_end(a), 0);
		assert_non_null(strstr(a->report.warning, "\"locked\" can't be published, the commit has it"));
		assert_plain(b, "free", i ? "three" : "two");
		assert_plain(b, "locked", "one");
	}
	assert_int_equal(lease_peek(&a->v, &a->arena, &head, NULL, &a->err), 0);
	assert_int_equal(head.applied_seq, 3);
	tree = dump_tree(a, "rw");
	node_begin(c);
	assert_same_tree(tree, c);
	/* When it may be written again, it is. */
	fake_store_fault(b->fake, (struct fake_fault){0});
	put_file(c, "other", "x", 0644, 1);
	assert_int_equal(node_end(c), 0);
	assert_plain(b, "locked", "three");
	node_close(a);
	node_close(c);
}

static void refused_credentials_leave_a_commit_unpublished(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a");
	struct head head;
	char name[64];

	node_begin(a);
	/* As many as no register carries the table of. */
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		put_file(a, name, "one", 0644, 1);
	}
	fake_store_fault(b->fake, (struct fake_fault){STORE_PUT, ".applied", STORE_REFUSED, FAKE_NOTHING, 0, -1});
	assert_int_equal(node_end(a), 0);
	assert_int_equal(lease_peek(&a->v, &a->arena, &head, NULL, &a->err), 0);
	assert_int_equal(head.commit.seq, 1);
	assert_int_equal(head.applied_seq, 0);
	node_close(a);
}

static void a_chain_of_tables_that_is_cut_is_no_table(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a"), *c = node_open(b, "c");
	_cleanup_free_ char *tree = NULL;
	char name[64];

	node_begin(a);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "file-%03d", i);
		put_file(a, name, name, 0644, i + 1);
	}
	assert_int_equal(node_end(a), 0);
	node_begin(a);
	put_file(a, "file-007", "changed", 0644, 5);
	tree = dump_tree(a, "rw");
	assert_int_equal(node_end(a), 0);
	fake_store_put(b->fake, "volumes/ws/.volrun/vol/1.applied", NULL);
	/* The marks tell what is ours. */
	node_begin(c);
	assert_same_tree(tree, c);
	assert_int_equal(node_end(c), 0);
	fake_store_put(b->fake, "volumes/ws/.volrun/vol/1.applied",
		       "{\"format\":1,\"kind\":\"applied\",\"epoch\":1,"
		       "\"seq\":9,\"record\":\"x\"}\n{\"end\":0}\n");
	unlinkat(c->v.cache.dir_fd, "applied", 0);
	assert_true(node_start(c) < 0);
	assert_string_equal(c->err.msg, "applied table: it is of another commit");
	node_close(a);
	node_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_plain_copy_is_the_tree, box_setup, box_teardown),
	    cmocka_unit_test(a_holder_that_dies_at_any_request_leaves_the_old_or_the_new_tree),
	    cmocka_unit_test(a_holder_whose_last_answer_is_lost_leaves_the_old_or_the_new_tree),
	    cmocka_unit_test_setup_teardown(a_late_write_of_a_former_holder_is_no_part_of_the_tree, box_setup,
					    box_teardown),
	    cmocka_unit_test_setup_teardown(names_that_are_no_keys_are_in_the_commit_alone, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(what_another_tool_wrote_during_the_run_is_not_overwritten, box_setup,
					    box_teardown),
	    cmocka_unit_test_setup_teardown(publishing_goes_on_from_the_store_where_the_tree_is_another, box_setup,
					    box_teardown),
	    cmocka_unit_test_setup_teardown(a_copy_within_the_store_names_its_size, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(a_table_is_a_delta_where_that_is_shorter, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(the_table_of_an_empty_tree_is_whole, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(an_object_that_the_store_refuses_is_noted_and_no_obstacle, box_setup,
					    box_teardown),
	    cmocka_unit_test_setup_teardown(refused_credentials_leave_a_commit_unpublished, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(a_chain_of_tables_that_is_cut_is_no_table, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(a_broken_copy_of_the_applied_table_is_fetched_again, box_setup,
					    box_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
