/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_pod.h"

#include "base/clock.h"
#include "hooks/keeper_socket.h"
#include "hooks/keeper_users.h"
#include "hooks/pod_note.h"

/* How long a lease is kept for a container that may come: others wait, perhaps. */
#define DEFAULT_TIMEOUT_NS (600 * NSEC_PER_SEC)

bool hold_pod_lives(const struct hold *h)
{
	return h->request->pod && pod_lives(h->config->run_dir, h->request->pod);
}

/* Who joins begins with the tree as it is: it is the last commit's as long as nobody else can have made one. */
static bool are_valid(const struct hold *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->volumes[i].lease && !lease_valid(h->volumes[i].lease))
			return false;
	return true;
}

/* A tree that could not be marked clean looks like one that somebody joined. */
static bool all_marked(const struct hold *h)
{
	struct cache_mark mark;

	for (size_t i = 0; i < h->n; i++)
		if (h->volumes[i].lease && cache_read_dirty(&h->volumes[i].v.cache, &mark) == 0)
			return false;
	return true;
}

bool hold_rest(struct hold *h)
{
	bool leased = false;

	for (size_t i = 0; i < h->n; i++) {
		const struct hold_volume *hv = &h->volumes[i];

		if (hv->orphan || hv->aside || hv->conflict)
			return false;
		leased |= hv->lease != NULL;
	}
	if (!leased || !are_valid(h))
		return false;
	hold_quiet(h);
	if (!hold_commit(h) || !all_marked(h))
		return false;
	h->rest_until_ns = clock_boottime_ns() + config_duration(h->config->lease.pod_timeout, DEFAULT_TIMEOUT_NS);
	for (size_t i = 0; i < h->n; i++) {
		struct hold_volume *hv = &h->volumes[i];

		if (hv->joined)
			hold_leave(h, hv);
		if (!hv->lease)
			continue;
		hv->resting = lease_epoch(hv->lease);
		users_set_joinable(h, hv, true);
	}
	return true;
}

/* Who joined since it rested? His are the volumes that are to be committed again. */
static bool wake(struct hold *h, bool joinable)
{
	struct cache_mark mark;
	bool woken = false;

	for (size_t i = 0; i < h->n; i++) {
		struct hold_volume *hv = &h->volumes[i];

		/* He may have ended since. */
		if (!hv->lease || !hv->resting || cache_read_dirty(&hv->v.cache, &mark) < 0)
			continue;
		hv->dirty = woken = true;
		hv->resting = 0;
		users_set_joinable(h, hv, joinable); /* the note: the mark says whose tree it is now */
	}
	return woken;
}

bool hold_is_used(struct hold *h)
{
	bool shared;

	wake(h, true);
	shared = hold_is_shared(h);
	/* Who joined at the last moment may have ended, too. */
	wake(h, shared);
	hold_check_lost(h);
	return shared;
}

void hold_want(void *volume)
{
	struct hold_volume *hv = volume;
	const struct keeper_request *q = hv->hold->request;
	char key[KEEPER_KEY_MAX];

	if (hv->wanted || !hold_pod_lives(hv->hold))
		return;
	keeper_key(q->id, q->bundle, key);
	hv->wanted = pod_want(hv->hold->config->run_dir, q->pod, key, hv->hold->lease_id.keeper, hv->request->store,
			      hv->request->name) == 0;
}

void hold_want_over(struct hold_volume *hv)
{
	const struct keeper_request *q = hv->hold->request;
	char key[KEEPER_KEY_MAX];

	if (!hv->wanted)
		return;
	keeper_key(q->id, q->bundle, key);
	pod_want_over(hv->hold->config->run_dir, q->pod, key);
	hv->wanted = false;
}

/* Does one of the pod wait for a volume that comes before one of these? They are in that order. */
static bool is_in_the_way(const struct hold *h)
{
	for (size_t i = h->n; i-- > 0;)
		if (h->volumes[i].lease)
			return pod_wants_before(h->config->run_dir, h->request->pod, h->volumes[i].request->store,
						h->volumes[i].request->name);
	return false;
}

enum rest hold_look_at_rest(struct hold *h, bool stop)
{
	bool woken = wake(h, true);

	hold_check_lost(h);
	if (woken)
		return REST_WOKEN;
	if (!stop && are_valid(h) && clock_boottime_ns() < h->rest_until_ns && hold_pod_lives(h) && !is_in_the_way(h))
		return REST_GOES_ON;
	return hold_is_used(h) ? REST_WOKEN : REST_OVER;
}
