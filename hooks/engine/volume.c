/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/volume.h"

#include <errno.h>
#include <string.h>

#include "hooks/engine/listing.h"

/*
 * The register's requests are small and a renewal must come to an end long
 * before the lease does, so that they get shorter limits than transfers.
 */
#define LEASE_CONNECT_TIMEOUT_MS 5000
#define LEASE_LOW_SPEED_SECONDS 5

static struct store_config *lease_store_config(struct arena *a, const struct store_config *config)
{
	struct store_config *c = arena_alloc(a, sizeof(*c));

	if (!c)
		return NULL;
	*c = *config;
	if (c->connect_timeout_ms == 0 || c->connect_timeout_ms > LEASE_CONNECT_TIMEOUT_MS)
		c->connect_timeout_ms = LEASE_CONNECT_TIMEOUT_MS;
	if (c->low_speed_seconds == 0 || c->low_speed_seconds > LEASE_LOW_SPEED_SECONDS)
		c->low_speed_seconds = LEASE_LOW_SPEED_SECONDS;
	return c;
}

int volume_open(struct volume *v, const struct store_config *config, int cache_fd, const char *workspace,
		const char *name, bool ro, struct error *err)
{
	struct store_config *lease_config;
	int r;

	*v = (struct volume){.config = config, .ro = ro, .collect = true, .cache = {.dir_fd = -1, .lock_fd = -1}};
	v->workspace = arena_strdup(&v->arena, workspace);
	v->name = arena_strdup(&v->arena, name);
	lease_config = lease_store_config(&v->arena, config);
	if (!v->workspace || !v->name || !lease_config)
		r = error_set(err, ENOMEM, "out of memory");
	else
		r = store_open(config, &v->store, err);
	if (r == 0)
		r = store_open(lease_config, &v->lease_store, err);
	if (r == 0)
		r = cache_volume_open(cache_fd, config->name, workspace, name, &v->cache, err);
	if (r < 0)
		volume_close(v);
	return r;
}

void volume_close(struct volume *v)
{
	listing_free(v->listing);
	v->listing = NULL;
	cache_volume_close(&v->cache);
	if (v->store)
		store_close(v->store);
	if (v->lease_store)
		store_close(v->lease_store);
	v->store = v->lease_store = NULL;
	arena_free(&v->arena);
}

char *volume_key_plain(struct arena *a, const struct volume *v, const char *path)
{
	return arena_printf(a, "volumes/%s/%s/%s", v->workspace, v->name, path);
}

char *volume_key_meta(struct arena *a, const struct volume *v, const char *name)
{
	return arena_printf(a, "volumes/%s/.volrun/%s/%s", v->workspace, v->name, name);
}
