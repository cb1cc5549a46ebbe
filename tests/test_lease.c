/* SPDX-License-Identifier: Apache-2.0 */
/* The lease (volumes.md §4): acquire, wait, expiry, release, commit. */
#include "tests/lease_box.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void creates_an_absent_register_with_epoch_1(void **state)
{
	struct fixture *x = *state;
	struct arena a = ARENA_INIT;
	struct lease *l = must_acquire(&x->a, &quiet, &node_a);
	struct head h = shown(x, &a);

	assert_int_equal(h.epoch, 1);
	assert_int_equal(h.state, HEAD_HELD);
	assert_int_equal(h.ttl_ms, 600);
	assert_string_equal(h.holder.node, "node-a-id");
	assert_string_equal(h.holder.container, "c1");
	assert_int_equal(lease_epoch(l), 1);
	assert_true(lease_valid(l));
	lease_free(l);
	arena_free(&a);
}

static void a_release_is_one_write_that_keeps_the_epoch_and_the_object(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct arena a = ARENA_INIT;
	struct lease *l = must_acquire(&x->a, &quiet, &node_a);
	unsigned puts = fake_store_count(x->f, STORE_PUT);
	struct head h;

	assert_int_equal(lease_release(l, 0, &err), 0);
	assert_false(lease_valid(l));
	assert_false(lease_lost(l));
	lease_free(l);
	h = shown(x, &a);
	assert_int_equal(h.state, HEAD_FREE);
	assert_int_equal(h.epoch, 1);
	assert_int_equal(fake_store_count(x->f, STORE_PUT), puts + 1);
	assert_int_equal(fake_store_count(x->f, STORE_DELETE), 0);
	l = must_acquire(&x->b, &quiet, &node_b);
	assert_int_equal(lease_epoch(l), 2);
	lease_free(l);
	arena_free(&a);
}

static void every_write_carries_another_nonce(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct arena a = ARENA_INIT;
	struct lease *l = must_acquire(&x->a, &quiet, &node_a);
	struct head h1 = shown(x, &a), h2;

	assert_int_equal(lease_release(l, 0, &err), 0);
	h2 = shown(x, &a);
	assert_string_not_equal(h1.nonce, h2.nonce);
	assert_int_equal(strlen(h2.nonce), 32);
	lease_free(l);
	arena_free(&a);
}

static void a_waiter_gives_up_with_one_line_that_names_the_holder(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = must_acquire(&x->a, &lively, &node_a), *none = NULL;

	assert_int_equal(try_acquire(&x->b, &node_b, NSEC_PER_SEC, &none, &err), -ETIMEDOUT);
	assert_null(none);
	assert_ptr_equal(strstr(err.msg, "lease held by node-a (container c1, since 20"), err.msg);
	assert_non_null(strstr(err.msg, "Z), waited 1s"));
	assert_true(lease_valid(l));
	lease_free(l);
}

static void a_waiter_never_writes_before_expiry(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = must_acquire(&x->a, &quiet, &node_a), *none = NULL;
	unsigned puts = fake_store_count(x->f, STORE_PUT);

	assert_int_equal(try_acquire(&x->b, &node_b, 400 * MS, &none, &err), -ETIMEDOUT);
	assert_int_equal(fake_store_count(x->f, STORE_PUT), puts);
	lease_free(l);
}

static void a_waiter_is_cancelled_by_its_descriptor(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = must_acquire(&x->a, &quiet, &node_a), *none = NULL;
	int p[2];

	assert_int_equal(pipe(p), 0);
	close(p[1]);
	assert_int_equal(lease_acquire(&x->b, &quiet, &node_b, INT64_MAX, p[0], &none, &err), -ECANCELED);
	close(p[0]);
	lease_free(l);
}

static void expiry_counts_from_when_the_tag_was_first_seen(void **state)
{
	struct fixture *x = *state;
	struct lease *dead = must_acquire(&x->a, &quiet, &node_a), *l;
	int64_t start;

	/* However old the lease is by the holder's own clock: B sees it first now. */
	clock_sleep_ns(300 * MS);
	start = clock_boottime_ns();
	l = must_acquire(&x->b, &quiet, &node_b);
	assert_true(clock_boottime_ns() - start >= 750 * MS);
	assert_true(clock_boottime_ns() - start < 1500 * MS);
	assert_int_equal(lease_epoch(l), 2);
	assert_false(lease_valid(dead));
	lease_free(l);
	lease_free(dead);
}

static void a_renewed_lease_does_not_expire(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = must_acquire(&x->a, &lively, &node_a), *none = NULL;

	assert_int_equal(try_acquire(&x->b, &node_b, 1500 * MS, &none, &err), -ETIMEDOUT);
	assert_true(lease_valid(l));
	lease_free(l);
}

static void the_waiter_uses_the_ttl_of_the_register_not_its_own(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = must_acquire(&x->a, &minute, &node_a), *none = NULL;

	assert_int_equal(try_acquire(&x->b, &node_b, NSEC_PER_SEC, &none, &err), -ETIMEDOUT);
	lease_free(l);
}

static void a_dead_keeper_of_this_node_and_boot_is_replaced_at_once(void **state)
{
	static const struct lease_identity next_a = {"node-a-id", "node-a", "boot-1", "99 99", "c9"};
	struct fixture *x = *state;
	struct lease *dead = must_acquire(&x->a, &quiet, &node_a), *l;
	int64_t start = clock_boottime_ns();

	l = must_acquire(&x->b, &quiet, &next_a);
	assert_true(clock_boottime_ns() - start < 200 * MS);
	assert_int_equal(lease_epoch(l), 2);
	lease_free(l);
	lease_free(dead);
}

static void another_boot_of_this_node_waits_for_expiry_when_that_is_earlier(void **state)
{
	struct fixture *x = *state;
	struct lease *dead = must_acquire(&x->a, &quiet, &node_a), *l;
	int64_t start = clock_boottime_ns();

	l = must_acquire(&x->b, &quiet, &rebooted_a);
	assert_true(clock_boottime_ns() - start >= 750 * MS);
	lease_free(l);
	lease_free(dead);
}

struct jumper {
	struct fixture *x;
	unsigned puts_at_24s;
};

static void *jump_twice(void *arg)
{
	struct jumper *j = arg;

	clock_sleep_ns(200 * MS);
	clock_jump = 24 * NSEC_PER_SEC;
	clock_sleep_ns(200 * MS);
	j->puts_at_24s = fake_store_count(j->x->f, STORE_PUT);
	clock_jump = 26 * NSEC_PER_SEC;
	return NULL;
}

static void another_boot_of_this_node_waits_for_25_seconds(void **state)
{
	struct fixture *x = *state;
	struct lease *dead = must_acquire(&x->a, &minute, &node_a), *l;
	unsigned puts = fake_store_count(x->f, STORE_PUT);
	struct jumper j = {x, 0};
	struct error err = ERROR_INIT;
	pthread_t t;

	pthread_create(&t, NULL, jump_twice, &j);
	assert_int_equal(lease_acquire(&x->b, &quiet, &rebooted_a, INT64_MAX, -1, &l, &err), 0);
	pthread_join(t, NULL);
	assert_int_equal(j.puts_at_24s, puts);
	assert_true(clock_jump >= 26 * NSEC_PER_SEC);
	assert_int_equal(lease_epoch(l), 2);
	lease_free(l);
	lease_free(dead);
}

static void a_commit_needs_the_one_before_it_published(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = must_acquire(&x->a, &quiet, &node_a);
	struct head_commit c = commit_of(1, 1);

	assert_int_equal(lease_commit(l, &c, &no_stats, &err), 0);
	c = commit_of(1, 2);
	assert_int_equal(lease_commit(l, &c, &no_stats, &err), -EBUSY);
	assert_int_equal(lease_applied(l, 1, &err), 0);
	assert_int_equal(lease_commit(l, &c, &no_stats, &err), 0);
	c = commit_of(1, 4);
	assert_int_equal(lease_commit(l, &c, &no_stats, &err), -EINVAL);
	c = commit_of(2, 3);
	assert_int_equal(lease_commit(l, &c, &no_stats, &err), -EINVAL);
	assert_int_equal(lease_applied(l, 3, &err), -EINVAL);
	lease_free(l);
}

static void release_carries_what_is_published_and_the_next_holder_sees_the_commit(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct arena a = ARENA_INIT;
	struct lease *l = must_acquire(&x->a, &lively, &node_a);
	struct head_commit c = commit_of(1, 1);
	struct head h;

	assert_int_equal(lease_commit(l, &c, &no_stats, &err), 0);
	assert_int_equal(lease_release(l, 1, &err), 0);
	lease_free(l);
	l = must_acquire(&x->b, &quiet, &node_b);
	assert_int_equal(lease_head(l, &a, &h), 0);
	assert_int_equal(h.epoch, 2);
	assert_int_equal(h.commit.seq, 1);
	assert_int_equal(h.commit.epoch, 1);
	assert_int_equal(h.applied_seq, 1);
	assert_string_equal(h.commit.sha256, SHA);
	lease_free(l);
	arena_free(&a);
}

/* Of a pod that had another container in between: the first one's end is not the second one's. */
static void an_unquiet_commit_stays_so_though_one_before_it_was_a_runs_end(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct arena a = ARENA_INIT;
	struct lease *l = must_acquire(&x->a, &quiet, &node_a);
	struct head_commit c = commit_of(1, 1);
	struct head h;

	assert_int_equal(lease_commit(l, &c, &no_stats, &err), 0);
	lease_finished(l);
	assert_int_equal(lease_applied(l, 1, &err), 0);
	c = commit_of(1, 2);
	c.unquiet = true;
	assert_int_equal(lease_commit(l, &c, &no_stats, &err), 0);
	assert_int_equal(lease_release(l, 2, &err), 0);
	lease_free(l);
	l = must_acquire(&x->b, &quiet, &node_b);
	assert_int_equal(lease_head(l, &a, &h), 0);
	assert_true(h.commit.unquiet);
	assert_non_null(h.finished);
	assert_int_equal(h.finished->seq, 1);
	lease_free(l);
	arena_free(&a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, lease_box_setup, lease_box_teardown)

/* The register is read beside something else, and taken from what was seen. */
static void what_was_looked_at_is_taken_without_reading_again(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = NULL;
	bool first = false;
	unsigned gets;

	l = must_acquire(&x->b, &quiet, &node_b);
	assert_int_equal(lease_release(l, 0, &err), 0);
	lease_free(l);
	assert_int_equal(lease_look(&x->a, &quiet, &l, &err), 0);
	assert_true(lease_looked(l, &node_a));
	gets = fake_store_count(x->f, STORE_GET);
	assert_int_equal(lease_take(l, &node_a, INT64_MAX, -1, &first, &err), 0);
	assert_true(first);
	assert_int_equal(fake_store_count(x->f, STORE_GET), gets);
	assert_true(lease_valid(l));
	lease_free(l);
}

static void a_look_that_is_old_is_found_out(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = NULL, *other;
	bool first = true;

	assert_int_equal(lease_look(&x->a, &quiet, &l, &err), 0);
	assert_true(lease_looked(l, &node_a));
	other = must_acquire(&x->b, &quiet, &node_b);
	assert_int_equal(lease_release(other, 0, &err), 0);
	lease_free(other);
	assert_int_equal(lease_take(l, &node_a, clock_boottime_ns() + 5 * NSEC_PER_SEC, -1, &first, &err), 0);
	assert_false(first);
	assert_int_equal(lease_epoch(l), 2);
	lease_free(l);
}

static void a_look_that_is_given_up_writes_nothing(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = NULL, *holder = must_acquire(&x->b, &quiet, &node_b);
	unsigned puts = fake_store_count(x->f, STORE_PUT);

	assert_int_equal(lease_look(&x->a, &quiet, &l, &err), 0);
	lease_free(l);
	assert_int_equal(lease_look(&x->a, &quiet, &l, &err), 0);
	assert_false(lease_looked(l, &node_a));
	lease_free(l);
	assert_int_equal(fake_store_count(x->f, STORE_PUT), puts);
	lease_free(holder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(creates_an_absent_register_with_epoch_1),
	    TEST(a_release_is_one_write_that_keeps_the_epoch_and_the_object),
	    TEST(every_write_carries_another_nonce),
	    TEST(a_waiter_gives_up_with_one_line_that_names_the_holder),
	    TEST(a_waiter_never_writes_before_expiry),
	    TEST(a_waiter_is_cancelled_by_its_descriptor),
	    TEST(expiry_counts_from_when_the_tag_was_first_seen),
	    TEST(a_renewed_lease_does_not_expire),
	    TEST(the_waiter_uses_the_ttl_of_the_register_not_its_own),
	    TEST(a_dead_keeper_of_this_node_and_boot_is_replaced_at_once),
	    TEST(another_boot_of_this_node_waits_for_expiry_when_that_is_earlier),
	    TEST(another_boot_of_this_node_waits_for_25_seconds),
	    TEST(a_commit_needs_the_one_before_it_published),
	    TEST(what_was_looked_at_is_taken_without_reading_again),
	    TEST(a_look_that_is_old_is_found_out),
	    TEST(a_look_that_is_given_up_writes_nothing),
	    TEST(release_carries_what_is_published_and_the_next_holder_sees_the_commit),
	    TEST(an_unquiet_commit_stays_so_though_one_before_it_was_a_runs_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
