/* SPDX-License-Identifier: Apache-2.0 */
/* The lease (volumes.md §4) over a store in memory whose answers are spoiled, and a clock that can jump. */
#include "hooks/engine/lease.h"

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

#include "base/clock.h"
#include "tests/fake_store.h"

#define MS NSEC_PER_MSEC
#define HEAD_KEY "volumes/ws/.volrun/vol/head"
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* The clock of the code under test (the linker wraps it): jumps are what a stopped process or a suspend looks like. */
static _Atomic int64_t clock_jump;
int64_t __real_clock_boottime_ns(void);
int64_t __wrap_clock_boottime_ns(void);
int64_t __wrap_clock_boottime_ns(void)
{
	return __real_clock_boottime_ns() + clock_jump;
}

/* ttl 600 ms, valid for 500; a waiter waits 750. Renewals only where a test asks for them. */
static const struct lease_config quiet = {.ttl_ns = 600 * MS, .renew_ns = 3600 * NSEC_PER_SEC, .poll_ns = 20 * MS};
static const struct lease_config lively = {.ttl_ns = 600 * MS, .renew_ns = 100 * MS, .poll_ns = 20 * MS};
static const struct lease_identity node_a = {"node-a-id", "node-a", "boot-1", "11 22", "c1"};
static const struct lease_config minute = {
    .ttl_ns = 60 * NSEC_PER_SEC, .renew_ns = 3600 * NSEC_PER_SEC, .poll_ns = 20 * MS};
static const struct lease_identity rebooted_a = {"node-a-id", "node-a", "boot-2", "99 99", "c9"};
static const struct lease_identity node_b = {"node-b-id", "node-b", "boot-7", "33 44", "c2"};

struct fixture {
	struct fake_store *f;
	struct volume a, b; /* the same volume, as two nodes see it */
};

static void open_volume(struct volume *v, struct fake_store *f)
{
	*v = (struct volume){.workspace = "ws", .name = "vol"};
	v->store = fake_store_open(f);
	v->lease_store = fake_store_open(f);
}

static void close_volume(struct volume *v)
{
	store_close(v->store);
	store_close(v->lease_store);
	arena_free(&v->arena);
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	x->f = fake_store_new();
	open_volume(&x->a, x->f);
	open_volume(&x->b, x->f);
	clock_jump = 0;
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	close_volume(&x->a);
	close_volume(&x->b);
	fake_store_free(x->f);
	free(x);
	return 0;
}

static struct lease *must_acquire(struct volume *v, const struct lease_config *c, const struct lease_identity *id)
{
	struct error err = ERROR_INIT;
	struct lease *l = NULL;

	if (lease_acquire(v, c, id, clock_boottime_ns() + 5 * NSEC_PER_SEC, -1, &l, &err) < 0)
		fail_msg("not acquired: %s", err.msg);
	return l;
}

static int try_acquire(struct volume *v, const struct lease_identity *id, int64_t wait_ns, struct lease **ret,
		       struct error *err)
{
	return lease_acquire(v, &quiet, id, clock_boottime_ns() + wait_ns, -1, ret, err);
}

static struct head shown(struct fixture *x, struct arena *a)
{
	struct error err = ERROR_INIT;
	struct head h;

	if (lease_peek(&x->b, a, &h, NULL, &err) < 0)
		fail_msg("no register: %s", err.msg);
	return h;
}

static void spoil(struct fixture *x, enum store_op_kind kind, enum store_result result, enum fake_effect effect,
		  int count)
{
	fake_store_fault(x->f, (struct fake_fault){kind, NULL, result, effect, 0, count});
}

static const struct head_stats no_stats;

static struct head_commit commit_of(uint64_t epoch, uint64_t seq)
{
	static char object[64];

	snprintf(object, sizeof(object), "%llu-%llu/record", (unsigned long long)epoch, (unsigned long long)seq);
	return (struct head_commit){.seq = seq, .epoch = epoch, .object = object, .length = 10, .sha256 = SHA};
}

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
	clock_sleep_ns(2500 * MS);
	assert_false(lease_valid(l));
	assert_true(fake_store_count(x->f, STORE_PUT) > 40);
	spoil(x, STORE_PUT, STORE_OK, FAKE_NOTHING, 0);
	clock_sleep_ns(200 * MS);
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

static void a_register_that_vanished_is_a_lost_lease(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct lease *l = must_acquire(&x->a, &quiet, &node_a);

	fake_store_put(x->f, HEAD_KEY, NULL);
	assert_int_equal(lease_release(l, 0, &err), -ESTALE);
	assert_true(lease_lost(l));
	lease_free(l);
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
		assert_int_equal(try_acquire(&x->a, &node_a, 0, &l, &err), -EINVAL);
		assert_ptr_equal(strstr(err.msg, "register"), err.msg);
		assert_int_equal(fake_store_count(x->f, STORE_PUT), puts);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

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
	    TEST(a_commit_needs_the_one_before_it_published),
	    TEST(release_carries_what_is_published_and_the_next_holder_sees_the_commit),
	    TEST(a_renewal_is_not_blocked_by_a_slow_transfer),
	    TEST(a_register_that_vanished_is_a_lost_lease),
	    TEST(a_hostile_register_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
