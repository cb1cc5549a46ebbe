/* SPDX-License-Identifier: Apache-2.0 */
/* From the store into the cache (volumes.md §3, §6): warm, cold, broken off, and from a store that lies. */
#include "tests/engine_box.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "hooks/engine/index.h"

static char *committed(struct box *b, int files)
{
	struct node *a = node_open(b, "a");
	char *tree;

	node_begin(a);
	put_dir(a, "d", 0755);
	put_link(a, "l", "d");
	for (int i = 0; i < files; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%sfile%d", i % 2 ? "d/" : "", i);
		put_file(a, name, name, 0644, i);
	}
	put_big(a, "big", 9u << 20, 7);
	tree = dump_tree(a, "rw");
	assert_int_equal(node_end(a), 0);
	node_close(a);
	return tree;
}

static void one_file(struct box *b)
{
	struct node *a = node_open(b, "a");

	node_begin(a);
	put_file(a, "name", "content", 0644, 1);
	assert_int_equal(node_end(a), 0);
	node_settle(a);
	node_close(a);
}

static void a_warm_start_reads_the_register_and_the_listing_alone(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *tree = committed(b, 20);
	struct node *a = node_open(b, "a");

	node_begin(a);
	assert_true(a->report.warm);
	assert_int_equal(a->data_requests, 0);
	assert_int_equal(a->requests, 1);
	assert_same_tree(tree, a);
	assert_int_equal(node_end(a), 0);
	a->config.foreign_ignore = true;
	node_begin(a);
	assert_true(a->report.warm);
	assert_int_equal(a->requests, 0);
	node_close(a);
}

static void neighbours_in_a_pack_are_one_request(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *tree = committed(b, 300);
	struct node *c = node_open(b, "c");

	node_begin(c);
	assert_same_tree(tree, c);
	/* the applied table, the record, the pack, the large file */
	assert_int_equal(c->data_requests, 4);
	assert_int_equal(c->report.files_added, 301);
	node_close(c);
}

/* The clean mark is of another boot now. */
static void age_mark(struct node *n)
{
	_cleanup_free_ char *mark = NULL;
	char *boot;
	size_t len;

	assert_int_equal(read_file_at(n->v.cache.dir_fd, "clean", 4096, &mark, &len), 0);
	boot = strstr(mark, "\"boot_id\":\"");
	assert_non_null(boot);
	boot[11] = boot[11] == '0' ? '1' : '0';
	assert_int_equal(write_file_atomic_at(n->v.cache.dir_fd, "clean", mark, len, 0600, false), 0);
}

static void a_clean_tree_of_another_boot_is_compared_and_not_fetched(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *tree = committed(b, 20);
	struct node *a = node_open(b, "a");

	age_mark(a);
	/* What the power failure spoiled without a trace in its times is found by the index's inode and ctime. */
	put_file(a, "file0", "FILE0", 0644, 0);
	node_begin(a);
	assert_false(a->report.warm);
	assert_same_tree(tree, a);
	assert_int_equal(a->report.files_changed, 1);
	assert_true(a->report.bytes_in < (1 << 20));
	node_close(a);
}

/* A file changes, and the index says that it did not. */
static void spoil(struct node *n, const char *name)
{
	_cleanup_(manifest_free) struct manifest index = {0};
	char path[64];
	struct stat st;

	put_file(n, name, "FILE0", 0644, 0);
	snprintf(path, sizeof(path), "rw/%s", name);
	assert_int_equal(index_load(&n->v, &index), 0);
	assert_int_equal(fstatat(n->v.cache.dir_fd, path, &st, 0), 0);
	index_set_stat(manifest_find(&index, name), &st);
	index.time_ns = entry_time_ns(&st.st_ctim) + 10 * NSEC_PER_SEC;
	assert_int_equal(index_write(&n->v, &index, &n->err), 0);
}

static void a_restored_tree_of_another_boot_that_was_not_on_the_disk_is_read_anew(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *tree = committed(b, 20);
	struct node *c = node_open(b, "c");

	node_acquire(c);
	assert_int_equal(restore_run(&c->v, &c->head, NULL, NULL, &c->report, &c->err), 0);
	assert_true(cache_is_unsettled(&c->v.cache));
	node_kill(c);
	c = node_open(b, "c");
	spoil(c, "file0");
	age_mark(c);
	node_begin(c);
	assert_false(c->report.warm);
	assert_same_tree(tree, c);
	node_close(c);
}

static void a_dirty_tree_is_set_aside_and_not_overwritten(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *tree = committed(b, 4), *text = NULL;
	struct node *a = node_open(b, "a");
	uint64_t epoch;
	char path[64];

	node_begin(a);
	epoch = a->head.epoch;
	put_file(a, "file0", "not committed", 0644, 1);
	node_kill(a);
	a = node_open(b, "a");
	node_begin(a);
	assert_same_tree(tree, a);
	snprintf(path, sizeof(path), "conflict-%llu/file0", (unsigned long long)epoch);
	assert_int_equal(read_file_at(a->v.cache.dir_fd, path, 100, &text, NULL), 0);
	assert_string_equal(text, "not committed");
	assert_non_null(strstr(a->report.warning, "conflict-"));
	node_close(a);
}

static void a_restore_that_was_killed_goes_on(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *tree = committed(b, 30);
	bool ended = false;

	for (int i = 0; i < 20 && !ended; i++) {
		char name[8];
		struct node *c;

		snprintf(name, sizeof(name), "c%d", i);
		c = node_open(b, name);
		node_acquire(c);
		c->cut_off_at = i;
		ended = restore_run(&c->v, &c->head, NULL, NULL, &c->report, &c->err) == 0;
		node_kill(c);
		c = node_open(b, name);
		if (node_start(c) < 0)
			fail_msg("%s", c->err.msg);
		assert_same_tree(tree, c);
		if (!ended && i == 4)
			/* What was there already is not fetched again. */
			assert_true(c->report.bytes_in < (10u << 20));
		node_kill(c);
	}
	assert_true(ended);
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

static void a_restore_stops_when_the_lease_is_gone(void **state)
{
	struct box *b = *state;
	struct node *c = node_open(b, "c");

	one_file(b);
	node_acquire(c);
	assert_int_equal(restore_run(&c->v, &c->head, never, NULL, &c->report, &c->err), -ESTALE);
	assert_int_equal(c->requests, 0);
	node_close(c);
}

static void things_that_no_commit_has_are_removed_from_the_tree(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *tree = committed(b, 6);
	struct node *a = node_open(b, "a");

	/* As if somebody had worked in the cache. */
	assert_int_equal(unlinkat(a->v.cache.dir_fd, "clean", 0), 0);
	put_file(a, "surplus", "x", 0644, 1);
	drop(a, "file0");
	put_dir(a, "file0", 0755);
	put_file(a, "file0/in", "x", 0644, 1);
	drop(a, "d");
	put_link(a, "d", "/tmp");
	drop(a, "l");
	put_file(a, "l", "was a link", 0644, 1);
	put_file(a, "big", "shrunk", 0644, 1);
	node_begin(a);
	assert_same_tree(tree, a);
	node_close(a);
}

static void readers_get_the_commit_beside_the_holder(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *tree = committed(b, 10), *got = NULL;
	struct node *a = node_open(b, "a"), *r = node_open(b, "a");
	struct transfer_report report = {0};
	struct head head;
	const char *name;

	node_begin(a);
	put_file(a, "file0", "being written", 0644, 3);
	assert_int_equal(lease_peek(&r->v, &r->arena, &head, NULL, &r->err), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(restore_read_only(&r->v, &head, &r->arena, &name, &report, &r->err), 0);
		assert_int_equal(strncmp(name, "ro-1-", 5), 0);
		assert_int_equal(report.warm, i == 1);
		free(got);
		got = dump_tree(r, name);
		assert_string_equal(got, tree);
	}
	node_close(a);
	node_close(r);
}

/* --- a store that lies ------------------------------------------------------------- */

static void assert_refused(struct box *b, const char *message)
{
	struct node *c = node_open(b, "c");

	if (node_start(c) >= 0)
		fail_msg("it was believed");
	if (!strstr(c->err.msg, message))
		fail_msg("%s", c->err.msg);
	assert_null(strchr(c->err.msg, '\n'));
	assert_int_equal(access("/tmp/volrun-outside", F_OK), -1);
	node_close(c);
}

static void a_record_that_broke_on_the_way_is_asked_for_again(void **state)
{
	struct fake_fault broken = {.kind = STORE_GET, .key_part = "/commits/", .effect = FAKE_BROKEN, .count = 2};
	struct box *b = *state;
	struct node *c;

	one_file(b);
	fake_store_fault(b->fake, broken);
	assert_refused(b, "sha256 differs");
	broken.count = 1;
	fake_store_fault(b->fake, broken);
	c = node_open(b, "c");
	if (node_start(c) < 0)
		fail_msg("%s", c->err.msg);
	node_close(c);
}

static void a_record_that_is_not_the_registers_is_refused(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *key = NULL;

	one_file(b);
	key = store_commit_key(b);
	store_spoil(b, key, "\"path\":\"name\"", "\"path\":\"../x\"");
	assert_refused(b, "sha256 differs");
}

static void bytes_that_are_not_the_commits_are_refused(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *key = NULL;

	one_file(b);
	key = store_commit_key(b);
	store_spoil(b, key, "content", "CONTENT");
	assert_refused(b, "has other bytes for \"name\"");
}

static void a_commit_that_is_gone_is_an_error_and_no_empty_volume(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *key = NULL;

	one_file(b);
	key = store_commit_key(b);
	fake_store_put(b->fake, key, NULL);
	assert_refused(b, "absent");
}

static void a_broken_applied_table_is_an_error(void **state)
{
	struct box *b = *state;

	one_file(b);
	store_spoil(b, "volumes/ws/.volrun/vol/1.applied", "\"path\":\"name\"", "\"path\":\"../volrun-outside\"");
	assert_refused(b, "applied table: line 2");
}

static void an_applied_table_cut_short_is_an_error(void **state)
{
	struct box *b = *state;

	one_file(b);
	store_spoil(b, "volumes/ws/.volrun/vol/1.applied", "{\"end\":1}\n", "");
	assert_refused(b, "applied table: line 3: it ends in the middle");
}

static void without_the_applied_table_the_marks_tell_what_is_ours(void **state)
{
	struct box *b = *state;
	struct node *c = node_open(b, "c");
	_cleanup_free_ char *text = NULL;

	one_file(b);
	fake_store_put(b->fake, "volumes/ws/.volrun/vol/1.applied", NULL);
	node_begin(c);
	text = file_text(c, "name");
	assert_string_equal(text, "content");
	assert_int_equal(c->report.n_warnings, 0);
	node_close(c);
}

static void a_tree_that_was_removed_is_fetched_again_and_its_files_are_no_deletions(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *tree = committed(b, 10);
	struct node *a = node_open(b, "a");

	assert_int_equal(remove_tree_at(a->v.cache.dir_fd, "rw"), 0);
	node_begin(a);
	assert_false(a->report.warm);
	assert_same_tree(tree, a);
	node_close(a);
}

/* As a power failure may leave it: the index reached the disk, the file's bytes did not, and no mark vouches for it. */
static void without_a_clean_mark_the_index_vouches_for_nothing(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *tree = committed(b, 4);
	struct node *a = node_open(b, "a");

	spoil(a, "file0");
	assert_int_equal(unlinkat(a->v.cache.dir_fd, "clean", 0), 0);
	node_begin(a);
	assert_same_tree(tree, a);
	node_close(a);
}

static void readers_of_a_volume_that_was_made_anew_do_not_get_the_old_one(void **state)
{
	struct box *b = *state;
	struct node *r = node_open(b, "r"), *other = NULL;
	struct transfer_report report = {0};
	_cleanup_free_ char *text = NULL;
	struct head head;
	const char *name;
	char path[128];

	one_file(b);
	assert_int_equal(lease_peek(&r->v, &r->arena, &head, NULL, &r->err), 0);
	assert_int_equal(restore_read_only(&r->v, &head, &r->arena, &name, &report, &r->err), 0);
	fake_store_put(b->fake, "volumes/ws/.volrun/vol/head", NULL);
	fake_store_put(b->fake, "volumes/ws/.volrun/vol/1.applied", NULL);
	plain_put(b, "name", NULL);
	other = node_open(b, "other");
	node_begin(other);
	put_file(other, "name", "another volume", 0644, 1);
	assert_int_equal(node_end(other), 0);
	assert_int_equal(lease_peek(&r->v, &r->arena, &head, NULL, &r->err), 0);
	assert_int_equal(head.commit.seq, 1);
	assert_int_equal(restore_read_only(&r->v, &head, &r->arena, &name, &report, &r->err), 0);
	snprintf(path, sizeof(path), "%s/name", name);
	assert_int_equal(read_file_at(r->v.cache.dir_fd, path, 100, &text, NULL), 0);
	assert_string_equal(text, "another volume");
	node_close(other);
	node_close(r);
}

static void what_a_killed_reader_left_half_made_is_removed(void **state)
{
	struct box *b = *state;
	struct node *r = node_open(b, "r");
	struct transfer_report report = {0};
	struct head head;
	const char *name;

	one_file(b);
	assert_int_equal(mkdirat(r->v.cache.dir_fd, "new-ro-1-0123456789abcdef", 0700), 0);
	assert_int_equal(mkdirat(r->v.cache.dir_fd, "tmp", 0700), 0);
	close(openat(r->v.cache.dir_fd, "tmp/new-ro-1-0123456789abcdef1-0", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(lease_peek(&r->v, &r->arena, &head, NULL, &r->err), 0);
	assert_int_equal(restore_read_only(&r->v, &head, &r->arena, &name, &report, &r->err), 0);
	assert_int_equal(faccessat(r->v.cache.dir_fd, "new-ro-1-0123456789abcdef", F_OK, 0), -1);
	assert_int_equal(faccessat(r->v.cache.dir_fd, "tmp/new-ro-1-0123456789abcdef1-0", F_OK, 0), -1);
	node_close(r);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(a_warm_start_reads_the_register_and_the_listing_alone),
	    TEST(neighbours_in_a_pack_are_one_request),
	    TEST(a_clean_tree_of_another_boot_is_compared_and_not_fetched),
	    TEST(a_restored_tree_of_another_boot_that_was_not_on_the_disk_is_read_anew),
	    TEST(a_dirty_tree_is_set_aside_and_not_overwritten),
	    TEST(a_restore_that_was_killed_goes_on),
	    TEST(a_restore_stops_when_the_lease_is_gone),
	    TEST(things_that_no_commit_has_are_removed_from_the_tree),
	    TEST(readers_get_the_commit_beside_the_holder),
	    TEST(a_record_that_broke_on_the_way_is_asked_for_again),
	    TEST(a_record_that_is_not_the_registers_is_refused),
	    TEST(bytes_that_are_not_the_commits_are_refused),
	    TEST(a_commit_that_is_gone_is_an_error_and_no_empty_volume),
	    TEST(a_broken_applied_table_is_an_error),
	    TEST(an_applied_table_cut_short_is_an_error),
	    TEST(without_the_applied_table_the_marks_tell_what_is_ours),
	    TEST(a_tree_that_was_removed_is_fetched_again_and_its_files_are_no_deletions),
	    TEST(without_a_clean_mark_the_index_vouches_for_nothing),
	    TEST(readers_of_a_volume_that_was_made_anew_do_not_get_the_old_one),
	    TEST(what_a_killed_reader_left_half_made_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
