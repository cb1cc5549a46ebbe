/* SPDX-License-Identifier: Apache-2.0 */
/* The lease (volumes.md §4) where answers get lost, writes land late, processes pause, others steal. */
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

static void a_lost_reply_of_a_create_is_found_by_its_nonce(void **state)
{
	struct fixture *x = *state;
	struct lease *l;

	spoil(x, STORE_PUT, STORE_UNKNOWN, FAKE_DONE, 1);
	l = must_acquire(&x->a, &quiet, &node_a);
	assert_int_equal(lease_epoch(l), 1);
	assert_true(lease_valid(l));
	assert_int_equal(fake_store_count(x->f, STORE_PUT), 1);
	lease_free(l);
}

static void a_write_that_never_arrived_is_sent_again(void **state)
{
	struct fixture *x = *state;
	struct lease *l;

	spoil(x, STORE_PUT, STORE_UNKNOWN, FAKE_NOTHING, 2);
	l = must_acquire(&x->a, &quiet, &node_a);
	assert_int_equal(lease_epoch(l), 1);
	assert_int_equal(fake_store_count(x->f, STORE_PUT), 3);
	lease_free(l);
}

static void a_412_after_a_retry_is_not_believed_without_reading(void **state)
{
	struct fixture *x = *state;
	struct lease *l;

	/* The write is done, the client hears 412: as after a retry whose first sending had landed. */
	spoil(x, STORE_PUT, STORE_FALSE, FAKE_DONE, 1);
	l = must_acquire(&x->a, &quiet, &node_a);
	assert_int_equal(lease_epoch(l), 1);
	assert_true(lease_valid(l));
	lease_free(l);
}

static void an_unreadable_outcome_is_an_error_not_a_lease(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = NULL;

	spoil(x, STORE_PUT, STORE_UNREACHABLE, FAKE_NOTHING, -1);
	assert_int_equal(try_acquire(&x->a, &node_a, NSEC_PER_SEC, &l, &err), -EIO);
	assert_null(l);
	assert_string_equal(err.msg, "fake store: unreachable");
}

struct contender {
	struct fixture *x;
	struct volume v;
	pthread_t thread;
	struct lease_identity id;
	char name[16];
	struct lease *lease;
};

static void *contend(void *arg)
{
	struct contender *c = arg;
	struct error err = ERROR_INIT;

	try_acquire(&c->v, &c->id, 300 * MS, &c->lease, &err);
	return NULL;
}

static void of_many_contenders_one_wins(void **state)
{
	struct fixture *x = *state;
	struct contender c[16];
	int winners = 0, round;
	size_t i;

	for (round = 0; round < 2; round++) {
		winners = 0;
		for (i = 0; i < 16; i++) {
			c[i] = (struct contender){.x = x};
			snprintf(c[i].name, sizeof(c[i].name), "node-%zu", i);
			c[i].id = (struct lease_identity){c[i].name, c[i].name, "boot", "1 1", "c"};
			open_volume(&c[i].v, x->f);
		}
		for (i = 0; i < 16; i++)
			pthread_create(&c[i].thread, NULL, contend, &c[i]);
		for (i = 0; i < 16; i++)
			pthread_join(c[i].thread, NULL);
		for (i = 0; i < 16; i++) {
			struct error err = ERROR_INIT;

			winners += c[i].lease != NULL;
			if (c[i].lease) {
				assert_int_equal(lease_epoch(c[i].lease), round + 1);
				assert_int_equal(lease_release(c[i].lease, 0, &err), 0);
			}
			lease_free(c[i].lease);
			close_volume(&c[i].v);
		}
		assert_int_equal(winners, 1);
	}
}

static void a_pause_of_the_whole_process_ends_validity(void **state)
{
	struct fixture *x = *state;
	struct lease *l = must_acquire(&x->a, &quiet, &node_a);

	assert_true(lease_valid(l));
	clock_jump = 300 * MS;
	assert_true(lease_valid(l));
	clock_jump = 510 * MS; /* ttl 600 - margin 100 */
	assert_false(lease_valid(l));
	assert_false(lease_lost(l)); /* nobody took it yet */
	lease_free(l);
}

static void after_a_pause_the_lease_is_resumed_when_nobody_took_it(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = must_acquire(&x->a, &quiet, &node_a);
	struct head_commit c = commit_of(1, 1);

	clock_jump = 10 * NSEC_PER_SEC;
	assert_false(lease_valid(l));
	assert_int_equal(lease_commit(l, &c, &no_stats, &err), 0);
	assert_true(lease_valid(l));
	lease_free(l);
}

static void a_commit_after_a_steal_is_refused(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct arena a = ARENA_INIT;
	struct lease *old = must_acquire(&x->a, &quiet, &node_a), *l = must_acquire(&x->b, &quiet, &node_b);
	struct head_commit c = commit_of(1, 1);
	struct pollfd p = {.fd = lease_lost_fd(old), .events = POLLIN};
	struct head h;

	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(lease_commit(old, &c, &no_stats, &err), -ESTALE);
	assert_true(lease_lost(old));
	assert_false(lease_valid(old));
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(lease_applied(old, 1, &err), -ESTALE);
	assert_int_equal(lease_release(old, 0, &err), -ESTALE);
	h = shown(x, &a);
	assert_int_equal(h.commit.seq, 0);
	assert_int_equal(h.state, HEAD_HELD);
	assert_string_equal(h.holder.node, "node-b-id");
	lease_free(old);
	lease_free(l);
	arena_free(&a);
}

static void the_thread_notices_a_steal_and_says_so_by_its_descriptor(void **state)
{
	struct fixture *x = *state;
	struct lease *l = must_acquire(&x->a, &lively, &node_a);
	struct pollfd p = {.fd = lease_lost_fd(l), .events = POLLIN};
	char *text = fake_store_text(x->f, HEAD_KEY), *nonce = strstr(text, "\"nonce\":\"");

	/* Another's write, as far as a nonce can tell. */
	nonce[10] = nonce[10] == 'a' ? 'b' : 'a';
	fake_store_put(x->f, HEAD_KEY, text);
	free(text);
	assert_int_equal(poll(&p, 1, 2000), 1);
	assert_true(lease_lost(l));
	assert_false(lease_valid(l));
	lease_free(l);
}

static void an_outage_longer_than_the_ttl_is_survived_when_nobody_took_it(void **state)
{
	struct fixture *x = *state;
	struct lease *l = must_acquire(&x->a, &lively, &node_a);

	/* More failed renewals than nonces are kept. */
	spoil(x, STORE_PUT, STORE_UNREACHABLE, FAKE_NOTHING, -1);
	for (int i = 0; i < 300 && (lease_valid(l) || fake_store_count(x->f, STORE_PUT) <= 40); i++)
		clock_sleep_ns(100 * MS);
	assert_false(lease_valid(l));
	assert_true(fake_store_count(x->f, STORE_PUT) > 40);
	spoil(x, STORE_PUT, STORE_OK, FAKE_NOTHING, 0);
	for (int i = 0; i < 100 && !lease_valid(l); i++)
		clock_sleep_ns(100 * MS);
	assert_true(lease_valid(l));
	assert_false(lease_lost(l));
	lease_free(l);
}

static void an_older_write_that_lands_late_counts_from_its_own_sending(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = must_acquire(&x->a, &minute, &node_a); /* valid until 50 s */
	struct head_commit c = commit_of(1, 1);

	clock_jump = 40 * NSEC_PER_SEC;
	spoil(x, STORE_PUT, STORE_UNKNOWN, FAKE_LATE, -1);
	assert_int_equal(lease_commit(l, &c, &no_stats, &err), -EIO);
	assert_int_equal(fake_store_land(x->f), 1);
	/* Later ones get lost. The register shows the one sent at 40 s: valid until 90 s, not 130. */
	spoil(x, STORE_PUT, STORE_UNKNOWN, FAKE_NOTHING, -1);
	clock_jump = 80 * NSEC_PER_SEC;
	assert_false(lease_valid(l));
	assert_int_equal(lease_commit(l, &c, &no_stats, &err), -EIO);
	assert_true(lease_valid(l));
	clock_jump = 91 * NSEC_PER_SEC;
	assert_false(lease_valid(l));
	/* The commit landed: told again, it is no second one. */
	spoil(x, STORE_PUT, STORE_OK, FAKE_NOTHING, 0);
	assert_int_equal(lease_commit(l, &c, &no_stats, &err), 0);
	lease_free(l);
}

static void a_lost_reply_of_a_commit_is_a_commit(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct arena a = ARENA_INIT;
	struct lease *l = must_acquire(&x->a, &quiet, &node_a);
	struct head_commit c = commit_of(1, 1);
	struct head_stats stats = {.files = 3, .bytes = 17};
	struct head h;

	spoil(x, STORE_PUT, STORE_UNKNOWN, FAKE_DONE, 1);
	assert_int_equal(lease_commit(l, &c, &stats, &err), 0);
	assert_int_equal(lease_head(l, &a, &h), 0);
	assert_int_equal(h.commit.seq, 1);
	assert_int_equal(h.applied_seq, 0);
	h = shown(x, &a);
	assert_int_equal(h.commit.seq, 1);
	assert_int_equal(h.stats.files, 3);
	assert_int_equal(h.stats.bytes, 17);
	lease_free(l);
	arena_free(&a);
}

static void a_renewal_is_not_blocked_by_a_slow_transfer(void **state)
{
	struct fixture *x = *state;
	struct lease *l = must_acquire(&x->a, &lively, &node_a);
	struct store_op op;

	fake_store_fault(x->f, (struct fake_fault){STORE_PUT, "slow", STORE_OK, FAKE_DONE, 1200 * MS, 1});
	store_op_init(&op, STORE_PUT, "slow");
	op.data = "x";
	op.size = 1;
	assert_int_equal(store_do(x->a.store, &op), STORE_OK);
	assert_true(lease_valid(l));
	lease_free(l);
}

static void of_a_register_that_vanished_the_lease_is_not_lost_but_not_valid_either(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct arena a = ARENA_INIT;
	struct lease *l = must_acquire(&x->a, &lively, &node_a);
	struct pollfd p = {.fd = lease_lost_fd(l), .events = POLLIN};
	struct head_commit c = commit_of(1, 1);
	char *text, *none;

	assert_int_equal(lease_commit(l, &c, &no_stats, &err), 0);
	text = fake_store_text(x->f, HEAD_KEY);
	fake_store_put(x->f, HEAD_KEY, NULL);
	for (int i = 0; i < 40 && lease_valid(l); i++) /* less than its validity: it was looked */
		clock_sleep_ns(10 * MS);
	assert_false(lease_valid(l));
	assert_int_equal(lease_applied(l, 1, &err), -ENODATA);
	assert_non_null(strstr(err.msg, "has lost the register"));
	/* Nobody makes it anew, with numbers that begin again. */
	clock_sleep_ns(300 * MS);
	none = fake_store_text(x->f, HEAD_KEY);
	assert_null(none);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_false(lease_lost(l));
	/* The store has it again: nobody took it. */
	fake_store_put(x->f, HEAD_KEY, text);
	for (int i = 0; i < 200 && !lease_valid(l); i++)
		clock_sleep_ns(10 * MS);
	assert_true(lease_valid(l));
	assert_int_equal(lease_release(l, 1, &err), 0);
	assert_int_equal(shown(x, &a).commit.seq, 1);
	lease_free(l);
	arena_free(&a);
	free(text);
}

static void a_release_to_a_store_without_the_register_says_so(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = must_acquire(&x->a, &quiet, &node_a);

	fake_store_put(x->f, HEAD_KEY, NULL);
	assert_int_equal(lease_release(l, 0, &err), -ENODATA);
	assert_false(lease_lost(l));
	lease_free(l);
}

static void a_register_that_vanished_and_was_made_anew_is_another_holders(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = must_acquire(&x->a, &quiet, &node_a), *theirs;

	fake_store_put(x->f, HEAD_KEY, NULL);
	assert_int_equal(lease_renew(l, &err), -ENODATA);
	theirs = must_acquire(&x->b, &quiet, &node_b);
	assert_int_equal(lease_epoch(theirs), lease_epoch(l));
	assert_int_equal(lease_renew(l, &err), -ESTALE);
	assert_true(lease_lost(l));
	lease_free(l);
	lease_free(theirs);
}

static void an_answer_that_broke_on_the_way_is_asked_for_again(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = NULL;

	lease_free(must_acquire(&x->a, &quiet, &node_a));
	spoil(x, STORE_GET, STORE_OK, FAKE_BROKEN, 1);
	l = must_acquire(&x->a, &quiet, &node_a);
	assert_true(lease_valid(l));
	assert_int_equal(lease_release(l, 0, &err), 0);
	lease_free(l);
	spoil(x, STORE_GET, STORE_OK, FAKE_BROKEN, -1);
	assert_int_equal(try_acquire(&x->a, &node_a, NSEC_PER_SEC, &l, &err), -EINVAL);
	assert_ptr_equal(strstr(err.msg, "register"), err.msg);
	assert_non_null(strstr(err.msg, "so says " HEAD_KEY " of store"));
}

static void a_hostile_register_is_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "{",
	    "[]",
	    "{\"format\":1}",
	    "{\"format\":2,\"epoch\":1,\"state\":\"free\",\"ttl_ms\":60000,\"holder\":{\"node\":\"n\",\"boot_id\":\"b\"},"
	    "\"nonce\":\"0123456789abcdef0123456789abcdef\",\"commit\":{\"seq\":0},\"applied_seq\":0,\"stats\":{}}",
	    "{\"format\":1,\"epoch\":1,\"state\":\"free\",\"ttl_ms\":99999999999,\"holder\":{\"node\":\"n\",\"boot_id\":\"b\"},"
	    "\"nonce\":\"0123456789abcdef0123456789abcdef\",\"commit\":{\"seq\":0},\"applied_seq\":0,\"stats\":{}}",
	};
	struct fixture *x = *state;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error err = ERROR_INIT;
		struct lease *l = NULL;
		unsigned puts = fake_store_count(x->f, STORE_PUT);

		fake_store_put(x->f, HEAD_KEY, bad[i]);
		assert_int_equal(try_acquire(&x->a, &node_a, 0, &l, &err),
				 strstr(bad[i], "\"format\":2") ? -ENOTSUP : -EINVAL);
		assert_ptr_equal(strstr(err.msg, "register"), err.msg);
		assert_int_equal(fake_store_count(x->f, STORE_PUT), puts);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, lease_box_setup, lease_box_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_lost_reply_of_a_create_is_found_by_its_nonce),
	    TEST(a_write_that_never_arrived_is_sent_again),
	    TEST(a_412_after_a_retry_is_not_believed_without_reading),
	    TEST(an_unreadable_outcome_is_an_error_not_a_lease),
	    TEST(of_many_contenders_one_wins),
	    TEST(a_pause_of_the_whole_process_ends_validity),
	    TEST(after_a_pause_the_lease_is_resumed_when_nobody_took_it),
	    TEST(a_commit_after_a_steal_is_refused),
	    TEST(the_thread_notices_a_steal_and_says_so_by_its_descriptor),
	    TEST(an_outage_longer_than_the_ttl_is_survived_when_nobody_took_it),
	    TEST(an_older_write_that_lands_late_counts_from_its_own_sending),
	    TEST(a_lost_reply_of_a_commit_is_a_commit),
	    TEST(a_renewal_is_not_blocked_by_a_slow_transfer),
	    TEST(of_a_register_that_vanished_the_lease_is_not_lost_but_not_valid_either),
	    TEST(a_release_to_a_store_without_the_register_says_so),
	    TEST(a_register_that_vanished_and_was_made_anew_is_another_holders),
	    TEST(an_answer_that_broke_on_the_way_is_asked_for_again),
	    TEST(a_hostile_register_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
