/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun volume pin|unpin NAME`: what is pinned stays in this node's cache, whatever its size. */
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "hooks/engine/evict.h"
#include "hooks/volume_cmd.h"

static int set_pin(const struct volume_cmd *c, bool pin, struct error *err)
{
	_cleanup_close_ int cache_fd = -1;
	struct cache_volume v;
	int r = cache_open(c->config->cache.path, &cache_fd, err);

	if (r == 0)
		r = cache_volume_open(cache_fd, c->store->name, c->workspace, c->name, &v, err);
	if (r < 0)
		return r;
	r = cache_pin(&v, pin, err);
	cache_volume_close(&v);
	return r;
}

int volume_cmd_pin(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	(void)a;
	return set_pin(c, true, err);
}

int volume_cmd_unpin(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	(void)a;
	return set_pin(c, false, err);
}
