/* SPDX-License-Identifier: Apache-2.0 */
/* lease_box.h - one volume as two nodes see it, over a store in memory whose answers are spoiled, with a clock that can
 * jump. */
#ifndef VOLRUN_TESTS_LEASE_BOX_H
#define VOLRUN_TESTS_LEASE_BOX_H

#include "base/clock.h"
#include "hooks/engine/lease.h"
#include "tests/fake_store.h"

#define MS NSEC_PER_MSEC
#define HEAD_KEY "volumes/ws/.volrun/vol/head"
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Added to the clock of the code under test (the linker wraps it): what a stopped process or a suspend looks like. */
extern _Atomic int64_t clock_jump;
int64_t __real_clock_boottime_ns(void);
int64_t __wrap_clock_boottime_ns(void);

/*
 * quiet: ttl 600 ms (valid for 500; a waiter waits 750), no renewals. lively: the same, renewed every 100 ms.
 * minute: ttl 60 s, no renewals.
 */
extern const struct lease_config quiet, lively, minute;
extern const struct lease_identity node_a, rebooted_a, node_b;
extern const struct head_stats no_stats;

struct fixture {
	struct fake_store *f;
	struct volume a, b; /* the same volume, as two nodes see it */
};

int lease_box_setup(void **state);
int lease_box_teardown(void **state);
void open_volume(struct volume *v, struct fake_store *f);
void close_volume(struct volume *v);
struct lease *must_acquire(struct volume *v, const struct lease_config *c, const struct lease_identity *id);
int try_acquire(struct volume *v, const struct lease_identity *id, int64_t wait_ns, struct lease **ret,
		struct error *err);
/* The register, by another client. */
struct head shown(struct fixture *x, struct arena *a);
void spoil(struct fixture *x, enum store_op_kind kind, enum store_result result, enum fake_effect effect, int count);
struct head_commit commit_of(uint64_t epoch, uint64_t seq);

#endif
