/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun volume sync NAME|CONTAINER`: asks the keeper to commit now, and waits. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/keeper_proto.h"
#include "hooks/keeper_socket.h"
#include "hooks/volume_cmd.h"
#include "oci/volume.h"

struct search {
	const struct volume_cmd *c;
	struct arena *a;
	const char *container, *socket;
};

static int look_at_volume(void *ctx, const char *store, const char *workspace, const char *name)
{
	struct search *s = ctx;
	struct volume_local l;

	if (!s->socket && volume_local_read(s->c->config, store, workspace, name, s->a, &l) == 0 && l.socket &&
	    l.container && strcmp(l.container, s->container) == 0)
		s->socket = l.socket;
	return 0;
}

/* The keeper's socket: of the volume of that name, else of the container of that id. */
static int find_keeper(const struct volume_cmd *c, struct arena *a, const char **ret, struct error *err)
{
	struct search s = {.c = c, .a = a, .container = c->args[0]};
	bool is_volume = volume_name_valid(c->args[0]);
	struct volume_local l;

	is_volume = is_volume && volume_local_read(c->config, c->store->name, c->workspace, c->args[0], a, &l) == 0;
	if (is_volume && l.socket) {
		*ret = l.socket;
		return 0;
	}
	if (volume_local_each(c->config, a, look_at_volume, &s) < 0)
		return error_set(err, ENOMEM, "out of memory");
	if (s.socket) {
		*ret = s.socket;
		return 0;
	}
	if (is_volume)
		return error_set(err, ESRCH, "volume %s is not in use on this node (store %s, workspace %s)",
				 c->args[0], c->store->name, c->workspace);
	return error_set(err, ESRCH, "%s is neither a volume in use on this node nor a container that uses one",
			 c->args[0]);
}

static int ask(const struct volume_cmd *c, const char *key, struct arena *a, struct keeper_outcome *ret,
	       struct error *err)
{
	static const struct keeper_command command = {KEEPER_SYNC};
	_cleanup_close_ int fd = keeper_socket_connect(c->config->run_dir, key);
	size_t n = 0;
	int r;

	if (fd < 0)
		return error_set(err, ESRCH, "the keeper of %s can't be reached (error %d)", c->args[0], -fd);
	r = keeper_send(fd, &keeper_command_table, &command, NULL, 0, err);
	if (r == 0)
		r = keeper_receive(fd, &keeper_outcome_table, a, ret, NULL, &n, err);
	if (r == -ENODATA)
		return error_set(err, ESRCH, "the container of %s has ended meanwhile; its keeper commits at the end",
				 c->args[0]);
	return r;
}

static void print_result(const struct keeper_result *r)
{
	printf("%s: commit %" PRIu64 "%s", r->name, r->commit, r->changed ? "" : " (nothing changed since)");
	if (r->changed)
		printf(", frozen for %" PRIu64 ".%03" PRIu64 " ms, %" PRIu64 " bytes copied, %" PRIu64 " reflinked",
		       r->frozen_us / 1000, r->frozen_us % 1000, r->copied_bytes, r->reflinked_bytes);
	putchar('\n');
}

int volume_cmd_sync(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	struct keeper_outcome o;
	const char *key = NULL;
	int r = find_keeper(c, a, &key, err);

	if (r == 0)
		r = ask(c, key, a, &o, err);
	if (r == 0 && o.error)
		r = error_set(err, EIO, "%s: %s", c->args[0], o.error);
	if (r < 0)
		return r;
	if (c->json)
		r = volume_print_json(&keeper_outcome_table, &o, err);
	for (size_t i = 0; i < o.n_results; i++) {
		if (o.results[i].error)
			r = error_set(err, EIO, "volume %s: %s", o.results[i].name, o.results[i].error);
		else if (!c->json)
			print_result(&o.results[i]);
	}
	return r;
}
