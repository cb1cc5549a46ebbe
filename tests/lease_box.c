/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lease_box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The clock of the code under test (the linker wraps it): jumps are what a stopped process or a suspend looks like. */
_Atomic int64_t clock_jump;
int64_t __real_clock_boottime_ns(void);
int64_t __wrap_clock_boottime_ns(void);
int64_t __wrap_clock_boottime_ns(void)
{
	return __real_clock_boottime_ns() + clock_jump;
}

/* ttl 600 ms, valid for 500; a waiter waits 750. Renewals only where a test asks for them. */
const struct lease_config quiet = {.ttl_ns = 600 * MS, .renew_ns = 3600 * NSEC_PER_SEC, .poll_ns = 20 * MS};
const struct lease_config lively = {.ttl_ns = 600 * MS, .renew_ns = 100 * MS, .poll_ns = 20 * MS};
const struct lease_identity node_a = {"node-a-id", "node-a", "boot-1", "11 22", "c1"};
const struct lease_config minute = {.ttl_ns = 60 * NSEC_PER_SEC, .renew_ns = 3600 * NSEC_PER_SEC, .poll_ns = 20 * MS};
const struct lease_identity rebooted_a = {"node-a-id", "node-a", "boot-2", "99 99", "c9"};
const struct lease_identity node_b = {"node-b-id", "node-b", "boot-7", "33 44", "c2"};

void open_volume(struct volume *v, struct fake_store *f)
{
	*v = (struct volume){.workspace = "ws", .name = "vol"};
	v->store = fake_store_open(f);
	v->lease_store = fake_store_open(f);
}

void close_volume(struct volume *v)
{
	store_close(v->store);
	store_close(v->lease_store);
	arena_free(&v->arena);
}

int lease_box_setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	x->f = fake_store_new();
	open_volume(&x->a, x->f);
	open_volume(&x->b, x->f);
	clock_jump = 0;
	*state = x;
	return 0;
}

int lease_box_teardown(void **state)
{
	struct fixture *x = *state;

	close_volume(&x->a);
	close_volume(&x->b);
	fake_store_free(x->f);
	free(x);
	return 0;
}

struct lease *must_acquire(struct volume *v, const struct lease_config *c, const struct lease_identity *id)
{
	struct error err = ERROR_INIT;
	struct lease *l = NULL;

	if (lease_acquire(v, c, id, clock_boottime_ns() + 5 * NSEC_PER_SEC, -1, &l, &err) < 0)
		fail_msg("not acquired: %s", err.msg);
	return l;
}

int try_acquire(struct volume *v, const struct lease_identity *id, int64_t wait_ns, struct lease **ret,
		struct error *err)
{
	return lease_acquire(v, &quiet, id, clock_boottime_ns() + wait_ns, -1, ret, err);
}

struct head shown(struct fixture *x, struct arena *a)
{
	struct error err = ERROR_INIT;
	struct head h;

	if (lease_peek(&x->b, a, &h, NULL, &err) < 0)
		fail_msg("no register: %s", err.msg);
	return h;
}

void spoil(struct fixture *x, enum store_op_kind kind, enum store_result result, enum fake_effect effect, int count)
{
	fake_store_fault(x->f, (struct fake_fault){kind, NULL, result, effect, 0, count});
}

const struct head_stats no_stats;

struct head_commit commit_of(uint64_t epoch, uint64_t seq)
{
	static char object[64];

	snprintf(object, sizeof(object), "%llu-%llu/record", (unsigned long long)epoch, (unsigned long long)seq);
	return (struct head_commit){.seq = seq, .epoch = epoch, .object = object, .length = 10, .sha256 = SHA};
}
