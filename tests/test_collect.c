/* SPDX-License-Identifier: Apache-2.0 */
/* What goes when no commit needs it any more, and what stays (volumes.md §3, §5). */
#include "tests/engine_box.h"

#include <stdio.h>
#include <time.h>

#include "base/cleanup.h"
#include "hooks/engine/check.h"
#include "hooks/engine/collect.h"
#include "hooks/engine/index.h"
#include "hooks/engine/pack.h"
#include "hooks/engine/scan.h"

#define DAY_AND_MORE (25 * 3600)
#define GARBAGE(lines) "{\"format\":1,\"kind\":\"garbage\",\"entries\":1}\n" lines
#define HEAD_KEY "volumes/ws/.volrun/vol/head"

static struct node *open_node(struct box *b, const char *name)
{
	struct node *n = node_open(b, name);

	n->v.collect = true;
	return n;
}

/* A day passes, for the store and for the register's hint. */
static void a_day_passes(struct box *b)
{
	_cleanup_free_ char *text = fake_store_text(b->fake, HEAD_KEY);
	char *at = text ? strstr(text, "\"collected\":") : NULL;

	if (at) {
		for (at += strlen("\"collected\":"); *at >= '0' && *at <= '9'; at++)
			*at = '1';
		fake_store_put(b->fake, HEAD_KEY, text);
	}
	fake_store_age(b->fake, DAY_AND_MORE);
}

static size_t count_objects(struct box *b, const char *part)
{
	struct collect c = {0};
	struct transfer_report report = {0};
	struct error err = ERROR_INIT;
	struct node *n = node_open(b, "counter");
	struct transfer x = {.v = &n->v, .report = &report, .err = &err};
	size_t count = 0;

	assert_int_equal(collect_list(&c, &x, UINT64_MAX), 0);
	for (size_t i = 0; i < c.n; i++)
		count += strstr(c.objects[i].name, part) != NULL;
	collect_free(&c);
	node_close(n);
	return count;
}

static void assert_sound(struct box *b, struct node *n)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct check_report report;

	fake_store_put(b->fake, "volumes/ws/.volrun/vol/meta", "{\"owner\":\"u/me\"}");
	if (check_volume(&n->v, &a, &report, &n->err) < 0)
		fail_msg("%s", n->err.msg);
	if (report.n_problems > 0)
		fail_msg("%s", report.problems[0]);
}

static void change(struct node *n, int i)
{
	char name[32], text[32];

	node_begin(n);
	snprintf(name, sizeof(name), "f%d", i % 3);
	snprintf(text, sizeof(text), "text %d", i);
	put_file(n, name, text, 0644, 1000 + i);
	if (node_end(n) < 0)
		fail_msg("%s", n->err.msg);
}

static void idle(struct node *n)
{
	node_begin(n);
	assert_int_equal(node_end(n), 0);
	assert_string_equal(n->report.warning, "");
}

#define DAYS(n) ((int64_t)(n)*24 * 3600)
static bool given_up[4];

/* Uploads that another one has begun, so long ago. */
static int tell_uploads(struct store *s, const char *prefix, store_upload_fn fn, void *ctx, uint64_t *ret_n,
			struct error *err)
{
	char key[4][100];
	int64_t now = time(NULL);

	(void)s, (void)ret_n, (void)err;
	snprintf(key[0], sizeof(key[0]), "%sconflicts/1/tree/large", prefix);
	snprintf(key[1], sizeof(key[1]), "%sodd/1/large", prefix);
	given_up[0] = fn(ctx, key[0], now - DAYS(2));
	given_up[1] = fn(ctx, key[0], now - DAYS(40));
	given_up[2] = fn(ctx, key[1], now - DAYS(2));
	given_up[3] = fn(ctx, key[1], now);
	return 0;
}

static void a_conflict_that_is_being_uploaded_for_days_is_not_given_up(void **state)
{
	struct box *b = *state;
	struct node *a = open_node(b, "a");
	struct store_vtable ops = *a->v.store->ops;

	ops.give_up = tell_uploads;
	a->v.store->ops = &ops;
	change(a, 1);
	a_day_passes(b);
	change(a, 2);
	assert_false(given_up[0]);
	assert_true(given_up[1]);
	assert_true(given_up[2]);
	assert_false(given_up[3]);
	node_close(a);
}

static void what_a_commit_left_behind_goes_a_day_after_it_was_listed(void **state)
{
	struct box *b = *state;
	struct node *a = open_node(b, "a"), *c = open_node(b, "c");
	_cleanup_free_ char *tree = NULL;

	for (int i = 0; i < 20; i++)
		change(a, i);
	assert_int_equal(count_objects(b, "commits/"), 20);
	/* Listed, not deleted: somebody may be reading the commit before. */
	a_day_passes(b);
	idle(a);
	assert_int_equal(a->report.collected, 0);
	assert_int_equal(count_objects(b, "commits/"), 20);
	/* On another day they go, by whichever node. */
	tree = dump_tree(a, "rw");
	a_day_passes(b);
	idle(c);
	assert_true(c->report.collected >= 17 + 19);
	assert_true(count_objects(b, "commits/") <= 3);
	assert_int_equal(count_objects(b, ".applied"), 1);
	assert_same_tree(tree, c);
	assert_sound(b, c);
	node_close(a);
	node_close(c);
}

static void a_list_that_is_not_a_day_old_is_not_followed(void **state)
{
	struct box *b = *state;
	struct node *a = open_node(b, "a");
	_cleanup_free_ char *text = NULL;

	for (int i = 0; i < 5; i++)
		change(a, i);
	a_day_passes(b);
	idle(a);
	/* This node's clock says that a day passed, the store's doesn't. */
	text = fake_store_text(b->fake, HEAD_KEY);
	*strstr(strstr(text, "\"collected\":"), ":1") = ':';
	fake_store_put(b->fake, HEAD_KEY, text);
	idle(a);
	assert_int_equal(a->report.collected, 0);
	assert_int_equal(count_objects(b, "commits/"), 5);
	node_close(a);
}

static void it_is_done_once_a_day(void **state)
{
	struct box *b = *state;
	struct node *a = open_node(b, "a");
	_cleanup_free_ char *list = NULL;

	for (int i = 0; i < 5; i++)
		change(a, i);
	list = fake_store_text(b->fake, "volumes/ws/.volrun/vol/garbage");
	assert_null(list);
	assert_false(collect_due((uint64_t)time(NULL)));
	assert_true(collect_due((uint64_t)time(NULL) - COLLECT_EVERY));
	/* Noted by a node with a wrong clock. */
	assert_true(collect_due((uint64_t)time(NULL) + COLLECT_EVERY + 10));
	node_close(a);
}

static void a_list_names_nothing_that_a_commit_needs(void **state)
{
	static const char *const lists[] = {
	    "",
	    "{",
	    "{\"format\":2,\"kind\":\"garbage\",\"entries\":0}\n",
	    GARBAGE(
		"{\"name\":\"head\"}\n{\"name\":\"meta\"}\n{\"name\":\"../vol/f0\"}\n{\"name\":\"commits/%s\"}\n{\"name\":\"\"}\n"),
	    GARBAGE("{\"name\":7}\n"),
	    GARBAGE("{\"name\":\"commits/1-1/"),
	};
	struct box *b = *state;
	struct node *a = open_node(b, "a");
	struct head head;

	for (int i = 0; i < 3; i++)
		change(a, i);
	assert_int_equal(lease_peek(&a->v, &a->arena, &head, NULL, &a->err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		char text[1024];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof(text), lists[i], head.commit.object);
#pragma GCC diagnostic pop
		fake_store_put(b->fake, "volumes/ws/.volrun/vol/garbage", text);
		a_day_passes(b);
		node_begin(a);
		assert_int_equal(node_end(a), 0);
		assert_int_equal(a->report.collected, 0);
		assert_sound(b, a);
	}
	node_close(a);
}

static void without_its_lease_it_deletes_nothing(void **state)
{
	struct box *b = *state;
	struct node *a = open_node(b, "a");
	unsigned deletes;

	for (int i = 0; i < 8; i++)
		change(a, i);
	a_day_passes(b);
	idle(a);
	a_day_passes(b);
	/* Cut off at each request of the end in turn: what is there then is whole. */
	for (int i = 0;; i++) {
		struct node *n = open_node(b, "a");

		node_begin(n);
		deletes = fake_store_count(b->fake, STORE_DELETE);
		n->cut_off_at = (int)n->requests + i;
		if (node_end(n) == 0 && n->requests <= (unsigned)n->cut_off_at) {
			assert_true(n->report.collected > 0);
			assert_true(fake_store_count(b->fake, STORE_DELETE) > deletes);
			node_kill(n);
			break;
		}
		node_kill(n);
		n = node_open(b, "other");
		assert_sound(b, n);
		node_close(n);
		a_day_passes(b);
	}
	node_close(a);
}

/* --- packs --------------------------------------------------------------------------- */

static void packs_that_are_mostly_dead_are_put_together_anew(void **state)
{
	struct box *b = *state;
	struct node *a = open_node(b, "a"), *c = open_node(b, "c");
	_cleanup_free_ char *tree = NULL;
	char name[32];

	node_begin(a);
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "big%d", i);
		put_big(a, name, 4u << 20, (unsigned)i);
	}
	assert_int_equal(node_end(a), 0);
	node_begin(a);
	for (int i = 1; i < 10; i++) {
		snprintf(name, sizeof(name), "big%d", i);
		drop(a, name);
	}
	assert_int_equal(node_end(a), 0);
	tree = dump_tree(a, "rw");
	for (int i = 0; i < 2; i++) {
		a_day_passes(b);
		idle(a);
	}
	assert_true(a->report.collected_bytes > 30u << 20);
	node_begin(c);
	assert_same_tree(tree, c);
	assert_sound(b, c);
	node_close(a);
	node_close(c);
}

static void many_small_packs_become_few(void **state)
{
	struct box *b = *state;
	struct node *a = open_node(b, "a"), *c = open_node(b, "c");
	_cleanup_free_ char *tree = NULL;

	for (int i = 0; i < 80; i++) {
		char name[32];

		node_begin(a);
		snprintf(name, sizeof(name), "file%d", i);
		put_file(a, name, name, 0644, i);
		if (i == 7)
			put_link(a, "link", "x");
		assert_int_equal(node_end(a), 0);
	}
	tree = dump_tree(a, "rw");
	assert_int_equal(count_objects(b, "/pack-"), 80);
	for (int i = 0; i < 2; i++) {
		a_day_passes(b);
		idle(a);
	}
	/* Those of files that were looked at within a tick of their change stay for another day. */
	assert_in_range(count_objects(b, "/pack-"), 1, 32);
	node_begin(c);
	assert_same_tree(tree, c);
	assert_sound(b, c);
	node_close(a);
	node_close(c);
}

static void a_file_of_a_pack_that_was_emptied_since_the_scan_makes_a_record_that_can_be_read(void **state)
{
	_cleanup_(manifest_free) struct manifest base = {0}, m = {0}, got = {0};
	struct box *b = *state;
	struct node *a = open_node(b, "a");
	_cleanup_close_ int root = -1;
	struct transfer x = {.v = &a->v, .report = &a->report, .err = &a->err};
	struct head_commit commit;
	struct stage *s;

	node_begin(a);
	put_file(a, "f", "text", 0644, 1);
	assert_int_equal(node_end(a), 0);
	node_begin(a);
	assert_int_equal(index_load(&a->v, &base), 0);
	root = node_root(a);
	assert_int_equal(scan_tree(&a->v, root, &base, true, &m, &a->report, &a->err), 0);
	manifest_find(&m, "f")->flags |= ENTRY_REPACK;
	put_file(a, "f", "", 0644, 2);
	m.epoch = 2;
	m.seq = 2;
	s = stage_new(&x, root, m.epoch, m.seq);
	assert_non_null(s);
	assert_int_equal(stage_files(s, &base, &m), 0);
	assert_int_equal(stage_record(s, false, &commit), 0);
	if (restore_manifest(&a->v, &commit, &got, &a->err) < 0)
		fail_msg("%s", a->err.msg);
	stage_free(s);
	node_kill(a);
}

/* A commit of a container that runs. */
static void live(struct node *n, const char *text)
{
	static const struct snapshot_limits limits = {.copy_bytes = UINT64_MAX, .deadline_ns = INT64_MAX};
	struct commit_mapped nothing = {0};
	struct commit_live *l;
	uint64_t seq, applied;

	put_file(n, "f0", text, 0644, 5000 + text[0]);
	n->report = (struct transfer_report){0};
	if (commit_live_begin(&n->v, n->lease, &n->report, &l, &n->err) < 0 ||
	    commit_live_snapshot(l, &limits, &n->err) < 0 ||
	    commit_live_finish(l, &nothing, &seq, &applied, &n->err) < 0)
		fail_msg("%s", n->err.msg);
	commit_live_free(l);
	assert_string_equal(n->report.warning, "");
}

static void a_run_of_days_collects_and_keeps_what_the_last_run_left(void **state)
{
	static const char *const texts[] = {"a", "b", "c", "d", "e"};
	struct box *b = *state;
	struct node *a = open_node(b, "a");

	change(a, 0);
	change(a, 3);
	node_begin(a);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		live(a, texts[i]);
	assert_int_equal(count_objects(b, "commits/"), 7);
	/* As a_day_passes, but it is the holder who writes the register: when it notes what is published. */
	lease_collected(a->lease, 1);
	live(a, "f");
	assert_int_equal(a->report.collected, 0);
	assert_int_equal(count_objects(b, "commits/"), 8);
	fake_store_age(b->fake, DAY_AND_MORE);
	lease_collected(a->lease, 1);
	live(a, "g");
	assert_in_range(a->report.collected, 5, 99);
	/* The end of the last run, and what this one has now. */
	assert_int_equal(count_objects(b, "commits/2-2/"), 1);
	assert_int_equal(count_objects(b, "commits/1-1/"), 0);
	assert_int_equal(count_objects(b, "commits/3-3/"), 0);
	assert_sound(b, a);
	assert_int_equal(node_end(a), 0);
	/* And that one goes, when this run has ended. */
	for (int i = 0; i < 2; i++) {
		a_day_passes(b);
		idle(a);
	}
	assert_int_equal(count_objects(b, "commits/2-2/"), 0);
	assert_sound(b, a);
	node_close(a);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(a_conflict_that_is_being_uploaded_for_days_is_not_given_up),
	    TEST(what_a_commit_left_behind_goes_a_day_after_it_was_listed),
	    TEST(a_list_that_is_not_a_day_old_is_not_followed),
	    TEST(it_is_done_once_a_day),
	    TEST(a_list_names_nothing_that_a_commit_needs),
	    TEST(without_its_lease_it_deletes_nothing),
	    TEST(packs_that_are_mostly_dead_are_put_together_anew),
	    TEST(a_run_of_days_collects_and_keeps_what_the_last_run_left),
	    TEST(many_small_packs_become_few),
	    TEST(a_file_of_a_pack_that_was_emptied_since_the_scan_makes_a_record_that_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
