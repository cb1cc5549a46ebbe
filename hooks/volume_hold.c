/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/volume_hold.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

int volume_hold_open(struct volume_hold *w, const struct volume_cmd *c, const char *what, const char *store,
		     const char *workspace, const char *name, struct error *err)
{
	int r;

	*w = (struct volume_hold){.q = {.name = name ? name : c->name,
					.destination = "",
					.store = store ? store : c->store->name,
					.wait_ns = c->wait_ns}};
	w->request = (struct keeper_request){.id = what,
					     .bundle = "",
					     .pid = getpid(),
					     .config = c->config_path,
					     .workspace = workspace ? workspace : c->workspace,
					     .user = c->owner,
					     .volumes = &w->q,
					     .n_volumes = 1};
	r = hold_open(&w->hold, c->config, &w->request, -1, err);
	if (r < 0)
		return r;
	w->hold.access.administrator = true;
	w->hold.no_foreign = true;
	w->hv = &w->hold.volumes[0];
	return 0;
}

void volume_hold_shut(struct volume_hold *w)
{
	if (w->hv && w->hv->open)
		volume_close(&w->hv->v);
	if (w->hv)
		w->hv->open = false;
}

int volume_hold_finish(struct volume_hold *w, struct error *err)
{
	bool dirty = w->hv && w->hv->lease && w->hv->dirty;

	if (w->hv)
		hold_finish(&w->hold);
	if (dirty && (w->hv->dirty || w->hv->aside))
		return error_set(err, EIO, "volume %s: not committed", w->q.name);
	return 0;
}

void volume_hold_discard(struct volume_hold *w)
{
	if (!w->hv || !w->hv->dirty)
		return;
	w->hv->dirty = false;
	unlinkat(w->hv->v.cache.dir_fd, "dirty", 0);
}

void volume_hold_close(struct volume_hold *w)
{
	struct error ignored = ERROR_INIT;
	char *line, *rest, *text;

	volume_hold_finish(w, &ignored);
	text = w->hold.warnings.len ? strdup(strbuf_str(&w->hold.warnings)) : NULL;
	for (line = text ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
		fprintf(stderr, "warning: %s\n", line);
	free(text);
	hold_close(&w->hold);
}

int volume_cmd_open(const struct volume_cmd *c, const char *name, bool ro, struct volume *ret, struct error *err)
{
	_cleanup_close_ int cache_fd = -1;
	int r = cache_open(c->config->cache.path, &cache_fd, err);

	return r < 0 ? r : volume_open(ret, c->store, cache_fd, c->workspace, name, ro, err);
}

int volume_cmd_peek(const struct volume_cmd *c, struct volume *v, struct arena *a, struct head *ret, struct error *err)
{
	int r = lease_peek(v, a, ret, NULL, err);

	if (r == -ENOENT || (r == 0 && ret->removed))
		return error_set(err, ENOENT, "volume %s: not in store %s, workspace %s", v->name, c->store->name,
				 c->workspace);
	return r < 0 ? error_wrap(err, "volume %s", v->name) : 0;
}
