/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a lease: who waits for it, for how long, and when it may be taken. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "hooks/engine/keeper_name.h"
#include "hooks/engine/lease_internal.h"

/* A holder of this node but another boot is dead, unless the node's id was copied: its tag must stand this long. */
#define OTHER_BOOT_NS (25 * NSEC_PER_SEC)

static int64_t clamp(int64_t v, int64_t min, int64_t max)
{
	return v < min ? min : v > max ? max : v;
}

struct waiting {
	struct lease_sighting seen; /* the tag that stands, and when it was seen first */
	int64_t deadline_ns;
	int64_t start_ns;
	int cancel_fd;
};

int lease_error_held(const struct head_holder *holder, int64_t waited_ns, struct error *err)
{
	const char *node = holder->node_name && *holder->node_name ? holder->node_name : holder->node;
	char waited[32];

	if (waited_ns >= NSEC_PER_SEC / 2)
		snprintf(waited, sizeof(waited), "%" PRId64 "s", (waited_ns + NSEC_PER_SEC / 2) / NSEC_PER_SEC);
	else
		snprintf(waited, sizeof(waited), "%" PRId64 "ms", waited_ns / NSEC_PER_MSEC);
	return error_set(err, ETIMEDOUT, "lease held by %s (container %s, since %s), waited %s", node ? node : "?",
			 holder->container ? holder->container : "?", holder->since ? holder->since : "?", waited);
}

/* How long the tag must have stood before the lease may be taken; 0: at once. */
static int64_t patience_ns(const struct head *h, const struct lease_identity *id)
{
	int64_t expiry = (int64_t)h->ttl_ms * NSEC_PER_MSEC / 4 * 5;

	if (h->state == HEAD_FREE)
		return 0;
	if (strcmp(h->holder.node, id->node) != 0)
		return expiry;
	/* The caller has the node's lock of this volume: the holder is dead, or reached the store by another name. */
	if (strcmp(h->holder.boot_id, id->boot_id) == 0)
		return keeper_alive(h->holder.keeper) ? expiry : 0;
	return expiry < OTHER_BOOT_NS ? expiry : OTHER_BOOT_NS;
}

/* After a read: how long is still to wait before the lease may be taken. */
static int64_t turn_in(struct lease *l, const struct lease_identity *id, struct waiting *w)
{
	int64_t now = clock_boottime_ns(), left;

	if (!l->reg.exists)
		return 0;
	if (strcmp(w->seen.tag, l->reg.tag) != 0) {
		memcpy(w->seen.tag, l->reg.tag, sizeof(w->seen.tag));
		w->seen.since_ns = now;
	}
	left = w->seen.since_ns + patience_ns(&l->reg.shown, id) - now;
	return left > 0 ? left : 0;
}

static int wait_turn(struct lease *l, int64_t turn_ns, const struct waiting *w, struct error *err)
{
	struct pollfd p = {.fd = w->cancel_fd, .events = POLLIN};
	int64_t now = clock_boottime_ns(), ns = l->config.poll_ns / 2;
	uint32_t jitter;

	if (now >= w->deadline_ns)
		return lease_error_held(&l->reg.shown.holder, now - w->start_ns, err);
	if (l->config.waiting)
		l->config.waiting(l->config.waiting_arg);
	random_bytes(&jitter, sizeof(jitter));
	ns += (int64_t)((double)jitter / UINT32_MAX * (double)(l->config.poll_ns - ns));
	ns = clamp(ns, 0, turn_ns);
	ns = clamp(ns, 0, w->deadline_ns - now);
	if (poll(&p, 1, (int)((ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC)) > 0)
		return error_set(err, ECANCELED, "cancelled");
	return 0;
}

/*
 * A register is never deleted. Where there is none, but this node has something of the volume, this is not the store
 * that it went to (a file system that is not mounted, another bucket), or somebody emptied it: a run would begin with
 * an empty tree, and epochs would begin again.
 */
int lease_check_vanished(const struct store *s, const struct cache_volume *c, struct error *err)
{
	const char *way_out = "recover --force` with its name sets them aside";
	struct cache_mark mark;
	char left[64];

	if (cache_read_dirty(c, &mark) == 0 && mark.epoch > 0) {
		snprintf(left, sizeof(left), "changes of its run %" PRIu64 " that are not committed", mark.epoch);
	} else if (cache_read_clean(c, &mark) == 0 && mark.seq > 0) {
		snprintf(left, sizeof(left), "its commit %" PRIu64, mark.seq);
		way_out = "prune` with its name forgets it here";
	} else {
		return 0;
	}
	return error_set(
	    err, ENODATA,
	    "store \"%s\" (%s) has no register of it, but this node has %s: mount the file system, or name "
	    "the bucket, that has it; if it is gone for good, `volrun volume %s",
	    s->name, s->place ? s->place : "", left, way_out);
}

/* One write that makes the lease ours: absent -> epoch 1, else epoch + 1; the commit stays. */
static int take(struct lease *l, const struct lease_identity *id, struct error *err)
{
	struct head next = l->reg.exists ? l->reg.shown : (struct head){.format = HEAD_FORMAT};
	char since[CLOCK_RFC3339_MAX];
	int r = l->reg.exists ? 0 : lease_check_vanished(l->reg.store, l->cache, err);

	if (r < 0)
		return r;
	/* What there is of another life of the volume is not of this one. */
	if (!l->reg.exists)
		unlinkat(l->cache->dir_fd, "applied", 0);
	/* For people: whole seconds. */
	strcpy(strchr(clock_rfc3339(NULL, since), '.'), "Z");
	next.epoch++;
	next.state = HEAD_HELD;
	next.ttl_ms = (uint64_t)(l->config.ttl_ns / NSEC_PER_MSEC);
	next.holder = (struct head_holder){.node = id->node,
					   .node_name = id->node_name,
					   .boot_id = id->boot_id,
					   .keeper = id->keeper,
					   .container = id->container,
					   .since = since};
	r = register_write(&l->reg, &next, err);
	/* An earlier try to take it landed late: it is ours all the same. */
	return r == -EAGAIN ? 0 : r;
}

/* The first time it may have been read already. */
static int read_register(struct lease *l, struct error *err)
{
	bool looked = l->looked;

	l->looked = false;
	if (!looked)
		return register_read(&l->reg, err);
	if (l->look_result < 0)
		*err = l->look_error;
	return l->look_result;
}

static int acquire(struct lease *l, const struct lease_identity *id, struct waiting *w, bool *ret_first,
		   struct error *err)
{
	int r;

	for (*ret_first = true;; *ret_first = false) {
		int64_t turn_ns;

		r = read_register(l, err);
		if (r < 0)
			return r;
		if (register_shown_sent_ns(&l->reg) >= 0)
			return 0;
		turn_ns = turn_in(l, id, w);
		if (turn_ns == 0) {
			r = take(l, id, err);
			if (r != -ESTALE)
				return r;
			turn_ns = INT64_MAX; /* another one was faster */
		}
		r = wait_turn(l, turn_ns, w, err);
		if (r < 0)
			return r;
	}
}

static void cleanup_lease(struct lease **l)
{
	lease_free(*l);
}

static void *look(void *arg)
{
	struct lease *l = arg;

	l->look_result = register_read(&l->reg, &l->look_error);
	return NULL;
}

/* The register is this thread's again. */
void lease_end_look(struct lease *l)
{
	if (!l->looking)
		return;
	pthread_join(l->thread, NULL);
	l->looking = false;
	l->looked = true;
}

int lease_look(struct volume *v, const struct lease_config *config, struct lease **ret, struct error *err)
{
	int r = lease_new(v, config, ret, err);

	/* Without a thread, the register is read when it is needed. */
	if (r == 0)
		(*ret)->looking = pthread_create(&(*ret)->thread, NULL, look, *ret) == 0;
	return r;
}

bool lease_looked(struct lease *l, const struct lease_identity *id)
{
	lease_end_look(l);
	return l->looked && l->look_result == 0 && (!l->reg.exists || patience_ns(&l->reg.shown, id) == 0);
}

int lease_take(struct lease *l, const struct lease_identity *id, int64_t deadline_ns, int cancel_fd, bool *ret_first,
	       struct error *err)
{
	struct waiting w = {.seen = l->config.seen,
			    .deadline_ns = deadline_ns,
			    .start_ns = clock_boottime_ns(),
			    .cancel_fd = cancel_fd};
	bool looked;
	int r;

	lease_end_look(l);
	looked = l->looked;
	r = acquire(l, id, &w, ret_first, err);
	if (r < 0)
		return r;
	*ret_first &= looked;
	l->epoch = l->reg.shown.epoch;
	lease_note_shown(l);
	return lease_start_thread(l, err);
}

int lease_acquire(struct volume *v, const struct lease_config *config, const struct lease_identity *id,
		  int64_t deadline_ns, int cancel_fd, struct lease **ret, struct error *err)
{
	_cleanup_(cleanup_lease) struct lease *l = NULL;
	bool first;
	int r;

	r = lease_new(v, config, &l, err);
	if (r == 0)
		r = lease_take(l, id, deadline_ns, cancel_fd, &first, err);
	if (r == 0)
		*ret = TAKE_PTR(l);
	return r;
}
