/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun volume lease`, `break-lease`, `share`, `unshare`. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/volume_hold.h"

struct lease_view {
	const char *name, *state;
	uint64_t epoch, commit;
	const char *node, *container, *since;
};

static const struct json_field view_fields[] = {
    JSON_FIELD(struct lease_view, name, "name", JSON_STR),
    JSON_FIELD(struct lease_view, state, "state", JSON_STR),
    JSON_FIELD(struct lease_view, epoch, "epoch", JSON_U64),
    JSON_FIELD(struct lease_view, commit, "commit", JSON_U64, .write_empty = true),
    JSON_FIELD(struct lease_view, node, "node", JSON_STR),
    JSON_FIELD(struct lease_view, container, "container", JSON_STR),
    JSON_FIELD(struct lease_view, since, "since", JSON_STR),
    {NULL},
};
static const struct json_table view_table = {"lease", sizeof(struct lease_view), view_fields, 0};

static struct lease_view view_of(const struct volume_cmd *c, const struct head *h)
{
	bool held = h->state == HEAD_HELD;

	return (struct lease_view){.name = c->name,
				   .state = held ? "held" : "free",
				   .epoch = h->epoch,
				   .commit = h->commit.seq,
				   .node = held ? h->holder.node_name : NULL,
				   .container = held ? h->holder.container : NULL,
				   .since = held ? h->holder.since : NULL};
}

int volume_cmd_lease(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	struct lease_view view;
	struct volume v;
	struct head head;
	int r;

	r = volume_cmd_open(c, c->name, true, &v, err);
	if (r < 0)
		return r;
	r = volume_cmd_peek(c, &v, a, &head, err);
	volume_close(&v);
	if (r < 0)
		return r;
	view = view_of(c, &head);
	if (c->json)
		return volume_print_json(&view_table, &view, err);
	printf("%-24s %-6s %8s %8s %-16s %-24s %s\n", "NAME", "LEASE", "EPOCH", "COMMIT", "NODE", "CONTAINER", "SINCE");
	printf("%-24s %-6s %8" PRIu64 " %8" PRIu64 " %-16s %-24s %s\n", c->name, view.state, view.epoch, view.commit,
	       volume_text(a, view.node), volume_text(a, view.container), volume_text(a, view.since));
	return 0;
}

int volume_cmd_break_lease(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	struct lease_view view;
	struct head head = {0};
	struct volume_hold w;
	int r;

	r = volume_hold_open(&w, c, "volrun volume break-lease", NULL, NULL, NULL, err);
	if (r == 0)
		r = hold_open_volume(&w.hold, w.hv, err); /* probed: what follows counts on conditions */
	if (r == 0)
		r = volume_cmd_peek(c, &w.hv->v, a, &head, err);
	if (r == 0) {
		r = lease_break(&w.hv->v, a, &head, err);
		if (r < 0)
			error_wrap(err, "volume %s", c->name);
	}
	if (r == 0) {
		view = view_of(c, &head);
		if (c->json)
			r = volume_print_json(&view_table, &view, err);
		else
			printf("volume %s: the lease of %s (container %s, since %s) is broken; what its run writes "
			       "will be kept as a conflict\n",
			       c->name, volume_text(a, view.node), volume_text(a, view.container),
			       volume_text(a, view.since));
	}
	volume_hold_close(&w);
	return r;
}

static int change(const struct volume_cmd *c, const char *permission, struct error *err)
{
	const char *subject = c->args[1];
	struct volume_hold w;
	int r;

	if ((strncmp(subject, "u/", 2) != 0 && strncmp(subject, "g/", 2) != 0) || !subject[2] ||
	    strlen(subject) > 257 ||
	    strspn(subject + 2, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+-") !=
		strlen(subject + 2))
		return error_set(err, EINVAL, "\"%.300s\" is neither u/USER nor g/GROUP", subject);
	r = volume_hold_open(&w, c, "volrun volume share", NULL, NULL, NULL, err);
	if (r == 0)
		r = hold_open_volume(&w.hold, w.hv, err);
	if (r == 0)
		r = access_share(&w.hv->v, subject, permission, err);
	if (r < 0)
		error_wrap(err, "volume %s", c->name);
	volume_hold_close(&w);
	return r;
}

int volume_cmd_share(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	(void)a;
	if (strcmp(c->args[2], "ro") != 0 && strcmp(c->args[2], "rw") != 0)
		return error_set(err, EINVAL, "\"%.100s\" is neither ro nor rw", c->args[2]);
	return change(c, c->args[2], err);
}

int volume_cmd_unshare(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	(void)a;
	return change(c, NULL, err);
}
