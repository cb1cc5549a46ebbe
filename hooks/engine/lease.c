/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/lease_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"

/* How often a change is made anew after an earlier write of ours landed late. */
#define UPDATE_ATTEMPTS 3
#define THREAD_STACK (256 * 1024)
#define RETRY_MIN_NS (50 * NSEC_PER_MSEC)
#define RETRY_MAX_NS NSEC_PER_SEC

static int64_t margin_ns(const struct lease *l)
{
	return l->config.ttl_ns / 6;
}

/* A file that can't be written says what it said last, which ends by itself. */
static void set_valid(struct lease *l, int64_t until)
{
	atomic_store(&l->valid_until, until);
	if (l->shown_fd >= 0)
		pwrite_all(l->shown_fd, &until, sizeof(until), 0);
}

void lease_show_validity(struct lease *l, int fd)
{
	pthread_mutex_lock(&l->mutex);
	l->shown_fd = fd;
	set_valid(l, lease_lost(l) ? 0 : atomic_load(&l->valid_until));
	pthread_mutex_unlock(&l->mutex);
}

void lease_note_shown(struct lease *l)
{
	int64_t sent = register_shown_sent_ns(&l->reg);

	if (sent >= 0 && l->reg.shown.epoch == l->epoch) {
		bool held = l->reg.shown.state == HEAD_HELD;

		set_valid(l, held ? sent + l->config.ttl_ns - margin_ns(l) : 0);
		return;
	}
	set_valid(l, 0);
	if (!atomic_exchange(&l->lost, true))
		eventfd_write(l->lost_fd, 1);
}

bool lease_valid(void *lease)
{
	struct lease *l = lease;

	return !atomic_load(&l->lost) && clock_boottime_ns() < atomic_load(&l->valid_until);
}

bool lease_lost(struct lease *l)
{
	return atomic_load(&l->lost);
}

int lease_lost_fd(const struct lease *l)
{
	return l->lost_fd;
}

uint64_t lease_epoch(const struct lease *l)
{
	return l->epoch;
}

static int error_lost(struct error *err)
{
	return error_set(err, ESTALE, "the lease was lost to another holder");
}

/*
 * Changes what the register shows and brings it to the store. `change` returns
 * 1 when there is nothing (more) to write, or a negative errno.
 */
typedef int (*change_fn)(struct head *next, const void *arg, struct error *err);

static void note_published(const struct lease *l, struct head *next)
{
	if (l->published_seq == 0 || l->published_seq != next->commit.seq)
		return;
	next->applied_seq = l->published_seq;
	next->carried = l->carried;
}

/*
 * Nobody took the lease: the store is not what it was. Nothing more is written to it until it has the register again;
 * a renewal finds that out.
 */
static int note_vanished(struct lease *l, struct error *err)
{
	set_valid(l, 0);
	lease_check_vanished(l->reg.store, l->cache, err);
	return -ENODATA;
}

static int update_locked(struct lease *l, change_fn change, const void *arg, struct error *err)
{
	int attempt, r;

	for (attempt = 1;; attempt++) {
		struct head next = l->reg.shown;

		if (lease_lost(l))
			return error_lost(err);
		note_published(l, &next);
		r = change(&next, arg, err);
		if (r != 0)
			return r < 0 ? r : 0;
		if (next.settled_seq < l->settled_seq)
			next.settled_seq = l->settled_seq;
		if (l->collected > 0)
			next.collected = l->collected;
		r = register_write(&l->reg, &next, err);
		if (r == 0 || r == -ESTALE || r == -EAGAIN)
			lease_note_shown(l);
		if (r == -ESTALE)
			return error_lost(err);
		if (r == -ENODATA)
			return note_vanished(l, err);
		if (r != -EAGAIN || attempt == UPDATE_ATTEMPTS)
			return r;
	}
}

/* A renewal is the register as it is, with a new nonce. */
static int change_nothing(struct head *next, const void *arg, struct error *err)
{
	(void)next, (void)arg, (void)err;
	return 0;
}

/* --- the thread that renews ------------------------------------------------- */

static int64_t clamp(int64_t v, int64_t min, int64_t max)
{
	return v < min ? min : v > max ? max : v;
}

/* Waits under the mutex for ns, or until the thread is to stop. */
static void thread_sleep(struct lease *l, int64_t ns)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ns / NSEC_PER_SEC;
	ts.tv_nsec += ns % NSEC_PER_SEC;
	if (ts.tv_nsec >= NSEC_PER_SEC) {
		ts.tv_sec++;
		ts.tv_nsec -= NSEC_PER_SEC;
	}
	while (!l->stop && pthread_cond_timedwait(&l->wake, &l->mutex, &ts) == 0)
		;
}

static void *renew_loop(void *arg)
{
	struct lease *l = arg;
	int64_t pause = l->config.renew_ns;

	pthread_mutex_lock(&l->mutex);
	for (;;) {
		struct error ignored = ERROR_INIT;

		thread_sleep(l, pause);
		if (l->stop || lease_lost(l))
			break;
		if (update_locked(l, change_nothing, NULL, &ignored) == 0)
			pause = l->config.renew_ns;
		else
			pause = clamp(l->config.renew_ns / 10, RETRY_MIN_NS, RETRY_MAX_NS);
	}
	pthread_mutex_unlock(&l->mutex);
	return NULL;
}

int lease_start_thread(struct lease *l, struct error *err)
{
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	r = pthread_create(&l->thread, &attr, renew_loop, l);
	pthread_attr_destroy(&attr);
	if (r != 0)
		return error_set(err, r, "can't start the thread that renews the lease (error %d)", r);
	l->threaded = true;
	return 0;
}

static void thread_stop(struct lease *l)
{
	if (!l->threaded)
		return;
	pthread_mutex_lock(&l->mutex);
	l->stop = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->mutex);
	pthread_join(l->thread, NULL);
	l->threaded = false;
}

/* --- making and freeing --------------------------------------------------------- */

int lease_new(struct volume *v, const struct lease_config *config, struct lease **ret, struct error *err)
{
	struct lease *l = calloc(1, sizeof(*l));
	pthread_condattr_t attr;
	char *key;

	if (!l)
		return error_set(err, ENOMEM, "out of memory");
	l->config = *config;
	l->cache = &v->cache;
	l->shown_fd = -1;
	pthread_mutex_init(&l->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->wake, &attr);
	pthread_condattr_destroy(&attr);
	l->lost_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	key = volume_key_meta(&l->arena, v, "head");
	register_init(&l->reg, v->lease_store, key);
	if (!key || l->lost_fd < 0) {
		lease_free(l);
		return error_set(err, ENOMEM, "out of memory or descriptors");
	}
	*ret = l;
	return 0;
}

void lease_free(struct lease *l)
{
	if (!l)
		return;
	lease_end_look(l);
	thread_stop(l);
	register_free(&l->reg);
	free(l->carried);
	cleanup_close(&l->lost_fd);
	cleanup_close(&l->shown_fd);
	pthread_cond_destroy(&l->wake);
	pthread_mutex_destroy(&l->mutex);
	arena_free(&l->arena);
	free(l);
}

/* --- what the holder does ------------------------------------------------------- */

int lease_head(struct lease *l, struct arena *a, struct head *ret)
{
	struct error ignored = ERROR_INIT;
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	struct head now;
	int r;

	pthread_mutex_lock(&l->mutex);
	now = l->reg.shown;
	note_published(l, &now);
	r = head_write(&text, &now);
	pthread_mutex_unlock(&l->mutex);
	return r < 0 ? r : head_parse(text.data, text.len, a, ret, &ignored);
}

int lease_renew(struct lease *l, struct error *err)
{
	int r;

	pthread_mutex_lock(&l->mutex);
	r = update_locked(l, change_nothing, NULL, err);
	pthread_mutex_unlock(&l->mutex);
	return r;
}

struct commit_change {
	const struct head_commit *commit;
	const struct head_stats *stats;
	uint64_t epoch;
	struct head_commit *last; /* room for the one before */
};

/* What a run left at its end stays beside the commits of the next run, until that one ends. */
static void keep_finished(struct head *next, const struct head_commit *c, struct head_commit *room)
{
	if (!c->running && !c->unquiet) {
		next->finished = NULL;
	} else if (!next->commit.running && !next->commit.unquiet && next->commit.seq > 0) {
		*room = next->commit;
		next->finished = room;
	}
}

static int change_commit(struct head *next, const void *arg, struct error *err)
{
	const struct commit_change *c = arg;

	if (next->commit.seq == c->commit->seq && next->commit.epoch == c->epoch && c->commit->epoch == c->epoch &&
	    strcmp(next->commit.sha256, c->commit->sha256) == 0)
		return 1; /* it landed, only the answer had been lost */
	if (c->commit->epoch != c->epoch || c->commit->seq != next->commit.seq + 1)
		return error_set(err, EINVAL, "commit %" PRIu64 " does not follow %" PRIu64, c->commit->seq,
				 next->commit.seq);
	if (next->applied_seq != next->commit.seq || next->carried)
		return error_set(err, EBUSY, "commit %" PRIu64 " is not published yet", next->commit.seq);
	keep_finished(next, c->commit, c->last);
	next->commit = *c->commit;
	next->stats = *c->stats;
	return 0;
}

static int change_applied(struct head *next, const void *arg, struct error *err)
{
	uint64_t seq = *(const uint64_t *)arg;

	if (seq > next->commit.seq)
		return error_set(err, EINVAL, "commit %" PRIu64 " can't be published, it is not there yet", seq);
	if (seq <= next->applied_seq)
		return 1;
	next->applied_seq = seq;
	return 0;
}

struct release_change {
	uint64_t applied_seq;
	bool finished;
};

static int change_release(struct head *next, const void *arg, struct error *err)
{
	const struct release_change *c = arg;

	if (next->state == HEAD_FREE)
		return 1;
	next->state = HEAD_FREE;
	if (c->finished) {
		next->commit.running = next->commit.unquiet = false;
		next->finished = NULL;
	}
	return change_applied(next, &c->applied_seq, err) < 0 ? -err->code : 0;
}

struct remove_change {
	uint64_t applied_seq;
	const char *removed;
};

static int change_remove(struct head *next, const void *arg, struct error *err)
{
	const struct remove_change *c = arg;

	next->removed = c->removed;
	return change_release(next, &(struct release_change){.applied_seq = c->applied_seq}, err);
}

static int change_revive(struct head *next, const void *arg, struct error *err)
{
	(void)arg, (void)err;
	if (!next->removed)
		return 1;
	next->removed = NULL;
	return 0;
}

/* A change by a holder: of a validity that ran out, or is not known, a renewal says first whether the lease is ours. */
static int holder_update(struct lease *l, change_fn change, const void *arg, struct error *err)
{
	int r = 0;

	pthread_mutex_lock(&l->mutex);
	if (!lease_valid(l))
		r = update_locked(l, change_nothing, NULL, err);
	if (r == 0)
		r = update_locked(l, change, arg, err);
	pthread_mutex_unlock(&l->mutex);
	return r;
}

int lease_commit(struct lease *l, const struct head_commit *commit, const struct head_stats *stats, struct error *err)
{
	struct head_commit last;
	struct commit_change c = {commit, stats, l->epoch, &last};

	l->finished = false; /* it was said of the commit before */
	return holder_update(l, change_commit, &c, err);
}

int lease_applied(struct lease *l, uint64_t seq, struct error *err)
{
	return holder_update(l, change_applied, &seq, err);
}

int lease_published(struct lease *l, uint64_t seq, const char *carried)
{
	char *text = carried ? strdup(carried) : NULL;

	if (carried && !text)
		return -ENOMEM;
	pthread_mutex_lock(&l->mutex);
	free(l->carried);
	l->carried = text;
	l->published_seq = seq;
	pthread_mutex_unlock(&l->mutex);
	return 0;
}

void lease_finished(struct lease *l)
{
	l->finished = true;
}

void lease_settled(struct lease *l, uint64_t seq)
{
	pthread_mutex_lock(&l->mutex);
	l->settled_seq = seq;
	pthread_mutex_unlock(&l->mutex);
}

void lease_collected(struct lease *l, uint64_t time)
{
	pthread_mutex_lock(&l->mutex);
	l->collected = time;
	pthread_mutex_unlock(&l->mutex);
}

static int last_update(struct lease *l, change_fn change, const void *arg, struct error *err)
{
	int r;

	thread_stop(l);
	pthread_mutex_lock(&l->mutex);
	r = update_locked(l, change, arg, err);
	pthread_mutex_unlock(&l->mutex);
	return r;
}

int lease_release(struct lease *l, uint64_t applied_seq, struct error *err)
{
	const struct release_change c = {.applied_seq = applied_seq, .finished = l->finished};

	return last_update(l, change_release, &c, err);
}

int lease_remove(struct lease *l, uint64_t applied_seq, struct error *err)
{
	char now[CLOCK_RFC3339_MAX];
	struct remove_change c = {applied_seq, clock_rfc3339(NULL, now)};

	return last_update(l, change_remove, &c, err);
}

int lease_revive(struct lease *l, struct error *err)
{
	return holder_update(l, change_revive, NULL, err);
}
