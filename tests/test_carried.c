/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A short applied table that the register carries from the end of a run to the next holder (head.h): it counts like one
 * in the store, it gets there before the next commit, and who doesn't know of it loses nothing.
 */
#include "tests/engine_box.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define MANY 200
#define HEAD "volumes/ws/.volrun/vol/head"
#define TABLE "volumes/ws/.volrun/vol/2.applied"

static struct head head_of(struct node *n)
{
	struct head h;

	assert_int_equal(lease_peek(&n->v, &n->arena, &h, NULL, &n->err), 0);
	return h;
}

static bool is_stored(struct box *b, const char *key)
{
	_cleanup_free_ char *text = fake_store_text(b->fake, key);

	return text != NULL;
}

/* Commit 1 of many files, whose table is in the store; commit 2 of one more change, which the register carries. */
static void carry(struct node *a)
{
	char name[64];

	node_begin(a);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "file-%03d", i);
		put_file(a, name, name, 0644, i + 1);
	}
	assert_int_equal(node_end(a), 0);
	node_begin(a);
	put_file(a, "file-007", "changed", 0644, 1000);
	put_file(a, "new", "new", 0644, 1000);
	drop(a, "file-100");
	a->requests = 0;
	assert_int_equal(node_end(a), 0);
	assert_string_equal(a->report.warning, "");
}

/* What an earlier version makes of the register. */
static void forget_hints(struct node *n, struct box *b)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	struct head h = head_of(n);

	assert_non_null(h.carried);
	h.carried = NULL;
	h.applied_seq--;
	assert_int_equal(head_write(&text, &h), 0);
	fake_store_put(b->fake, HEAD, strbuf_str(&text));
}

static void the_end_of_a_run_puts_no_table(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a");
	_cleanup_free_ char *text = NULL, *carried = NULL;
	struct head h;

	carry(a);
	/* The pack with its record, the commit, two files, of the third a HEAD and a DELETE, the release. */
	assert_int_equal(a->requests, 7);
	h = head_of(a);
	assert_int_equal(h.applied_seq, 2);
	assert_non_null(h.carried);
	assert_false(is_stored(b, TABLE));
	carried = strdup(h.carried);
	node_settle(a);
	text = fake_store_text(b->fake, TABLE);
	assert_string_equal(text, carried);
	h = head_of(a);
	assert_int_equal(h.applied_seq, 2);
	assert_null(h.carried);
	node_close(a);
}

/* What the next run of a node that has, or has not, the volume asks the store for. */
static unsigned look(struct node *n, const char *tree)
{
	n->data_requests = 0;
	node_begin(n);
	assert_same_tree(tree, n);
	assert_int_equal(n->report.n_warnings, 0);
	return n->data_requests;
}

static void it_explains_the_plain_copy_to_everybody(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a"), *c = node_open(b, "c");
	_cleanup_free_ char *tree = NULL;

	carry(a);
	tree = dump_tree(a, "rw");
	/* Not even the table before: the cache has it. */
	assert_int_equal(look(a, tree), 0);
	assert_true(a->report.warm);
	assert_int_equal(node_end(a), 0);
	assert_true(is_stored(b, TABLE));
	/* Tables, records, packs; no look at any file. */
	assert_true(look(c, tree) < 8);
	put_file(c, "file-007", "again", 0644, 2000);
	assert_int_equal(node_end(c), 0);
	assert_int_equal(c->report.conflicts, 0);
	node_close(a);
	node_close(c);
}

static void another_node_takes_it_from_the_register(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a"), *c = node_open(b, "c");
	_cleanup_free_ char *tree = NULL, *last = NULL;

	carry(a);
	tree = dump_tree(a, "rw");
	assert_true(look(c, tree) < 8);
	/* Its own commit has to know what it replaces. */
	put_file(c, "file-007", "again", 0644, 2000);
	drop(c, "new");
	last = dump_tree(c, "rw");
	assert_int_equal(node_end(c), 0);
	assert_int_equal(c->report.conflicts, 0);
	assert_true(is_stored(b, TABLE));
	look(a, last);
	assert_int_equal(node_end(a), 0);
	node_close(a);
	node_close(c);
}

static void what_another_tool_did_meanwhile_is_told_from_ours(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a"), *c = node_open(b, "c");
	_cleanup_free_ char *text = NULL, *new = NULL, *gone = NULL;

	carry(a);
	plain_put(b, "file-007", "theirs");
	plain_put(b, "file-100", "theirs too");
	node_begin(c);
	text = file_text(c, "file-007");
	new = file_text(c, "new");
	gone = file_text(c, "file-100");
	assert_string_equal(text, "theirs");
	assert_string_equal(new, "new");
	assert_string_equal(gone, "theirs too");
	put_file(c, "new", "newer", 0644, 2000);
	assert_int_equal(node_end(c), 0);
	assert_int_equal(c->report.conflicts, 0);
	node_close(a);
	node_close(c);
}

/* A version that reads over hints has a commit that is not published, and publishes it. */
static void who_does_not_know_it_publishes_again(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a"), *c = node_open(b, "c");
	_cleanup_free_ char *tree = NULL, *plain = NULL;
	struct head h;

	carry(a);
	tree = dump_tree(a, "rw");
	forget_hints(a, b);
	plain_put(b, "file-008", "theirs");
	h = head_of(a);
	assert_int_equal(h.applied_seq, 1);
	node_acquire(c);
	assert_int_equal(publish_redo(&c->v, c->lease, &(uint64_t){0}, &c->err), 0);
	assert_int_equal(lease_release(c->lease, 2, &c->err), 0);
	lease_free(c->lease);
	c->lease = NULL;
	assert_true(is_stored(b, TABLE));
	plain = plain_text(b, "file-008");
	assert_string_equal(plain, "theirs");
	plain_put(b, "file-008", "file-008");
	node_begin(a);
	put_file(a, "new", "newer", 0644, 2000);
	assert_int_equal(node_end(a), 0);
	assert_int_equal(a->report.conflicts, 0);
	node_close(a);
	node_close(c);
}

/* The next holder is killed between its write of the table and the register's: the next one does it again. */
static void a_table_that_is_there_already_is_written_again(void **state)
{
	struct box *b = *state;
	struct node *a = node_open(b, "a"), *c = node_open(b, "c");
	_cleanup_free_ char *tree = NULL;

	carry(a);
	tree = dump_tree(a, "rw");
	b->ttl_ns = 200 * NSEC_PER_MSEC;
	node_acquire(c);
	assert_int_equal(publish_redo(&c->v, c->lease, &(uint64_t){0}, &c->err), 0);
	node_kill(c);
	b->ttl_ns = 0;
	assert_non_null(head_of(a).carried);
	look(a, tree);
	put_file(a, "new", "newer", 0644, 2000);
	assert_int_equal(node_end(a), 0);
	assert_int_equal(a->report.conflicts, 0);
	node_close(a);
}

static void one_that_is_broken_is_an_error(void **state)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	struct box *b = *state;
	struct node *a = node_open(b, "a"), *c = node_open(b, "c");
	struct head h;

	carry(a);
	h = head_of(a);
	h.carried = "{\"format\":1,\"kind\":\"applied\",\"epoch\":1,\"seq\":2,\"record\":\"x\"}\n{\"path\":\"../x\"";
	assert_int_equal(head_write(&text, &h), 0);
	fake_store_put(b->fake, HEAD, strbuf_str(&text));
	assert_true(node_start(c) < 0);
	assert_non_null(strstr(c->err.msg, "applied table: line 2"));
	node_close(a);
	node_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_end_of_a_run_puts_no_table, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(it_explains_the_plain_copy_to_everybody, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(another_node_takes_it_from_the_register, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(what_another_tool_did_meanwhile_is_told_from_ours, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(who_does_not_know_it_publishes_again, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(a_table_that_is_there_already_is_written_again, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(one_that_is_broken_is_an_error, box_setup, box_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
