/* SPDX-License-Identifier: Apache-2.0 */
/* What a hold is made of, before anything is taken. */
#include "hooks/keeper_hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/engine/keeper_name.h"
#include "hooks/pod_note.h"

#define DEFAULT_TTL_NS (60 * NSEC_PER_SEC)
#define DEFAULT_POLL_NS (5 * NSEC_PER_SEC)

static int by_lease_order(const void *a, const void *b)
{
	const struct hold_volume *x = a, *y = b;

	/* One request has one workspace. */
	return pod_volume_order(x->request->store, x->request->name, y->request->store, y->request->name);
}

static int open_volumes(struct hold *h, struct error *err)
{
	size_t i;

	h->volumes = arena_calloc(&h->arena, h->request->n_volumes, sizeof(*h->volumes));
	if (!h->volumes)
		return error_set(err, ENOMEM, "out of memory");
	h->n = h->request->n_volumes;
	for (i = 0; i < h->n; i++) {
		struct hold_volume *hv = &h->volumes[i];

		*hv = (struct hold_volume){.request = &h->request->volumes[i], .index = i, .tree_fd = -1};
		hv->hold = h;
		hv->store = config_store(h->config, hv->request->store);
		if (!hv->store)
			return error_set(err, EINVAL, "volume %s: the configuration has no store \"%s\"",
					 hv->request->name, hv->request->store);
	}
	qsort(h->volumes, h->n, sizeof(*h->volumes), by_lease_order);
	return 0;
}

static int set_identity(struct hold *h, struct error *err)
{
	struct lease_identity *id = &h->lease_id;
	char boot_id[CACHE_CLEAN_BOOT_ID_MAX];
	struct utsname u;
	int r;

	r = cache_node_id(h->cache_fd, &h->arena, &id->node, err);
	if (r < 0)
		return r;
	if (cache_boot_id(boot_id) < 0 || uname(&u) < 0)
		return error_set(err, EIO, "can't read the boot's id");
	id->boot_id = arena_strdup(&h->arena, boot_id);
	id->node_name = arena_strdup(&h->arena, h->config->node_name ? h->config->node_name : u.nodename);
	id->keeper = keeper_name(getpid(), &h->arena);
	id->container = h->request->id;
	if (!id->boot_id || !id->node_name || !id->keeper)
		return error_set(err, ENOMEM, "out of memory");
	h->access = (struct access_identity){.user = h->request->user,
					     .groups = h->request->groups,
					     .n_groups = h->request->n_groups,
					     .admins = h->config->access.admins,
					     .n_admins = h->config->access.n_admins,
					     .administrator = h->request->administrator};
	return 0;
}

int hold_open(struct hold *h, const struct config *config, const struct keeper_request *request, int cancel_fd,
	      struct error *err)
{
	const struct config_lease *l = &config->lease;
	int r;

	*h = (struct hold){
	    .config = config, .request = request, .cache_fd = -1, .mnt_ns = -1, .cancel_fd = cancel_fd, .stop_fd = -1};
	h->lease_config.ttl_ns = config_duration(l->ttl, DEFAULT_TTL_NS);
	h->lease_config.renew_ns = config_duration(l->renew, h->lease_config.ttl_ns / 6);
	h->lease_config.poll_ns = config_duration(l->poll, DEFAULT_POLL_NS);
	r = cache_open(config->cache.path, &h->cache_fd, err);
	if (r == 0)
		r = set_identity(h, err);
	return r < 0 ? r : open_volumes(h, err);
}

void hold_close(struct hold *h)
{
	size_t i;

	for (i = 0; i < h->n; i++) {
		struct hold_volume *hv = &h->volumes[i];

		lease_free(hv->lease);
		cleanup_close(&hv->tree_fd);
		if (hv->open)
			volume_close(&hv->v);
	}
	free(h->ids);
	cleanup_close(&h->cache_fd);
	cleanup_close(&h->mnt_ns);
	strbuf_free(&h->warnings);
	strbuf_free(&h->journal);
	arena_free(&h->arena);
}
