/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun volume recover`: what keepers that died left on this node. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/engine/conflict.h"
#include "hooks/volume_hold.h"

struct recovered {
	const char *store, *workspace, *name, *outcome;
	uint64_t commit;
	const char *conflict, *why;
	struct lease_sighting seen;
};

static const struct json_field recovered_fields[] = {
    JSON_FIELD(struct recovered, store, "store", JSON_STR),
    JSON_FIELD(struct recovered, workspace, "workspace", JSON_STR),
    JSON_FIELD(struct recovered, name, "name", JSON_STR),
    JSON_FIELD(struct recovered, outcome, "outcome", JSON_STR),
    JSON_FIELD(struct recovered, commit, "commit", JSON_U64),
    JSON_FIELD(struct recovered, conflict, "conflict", JSON_STR),
    JSON_FIELD(struct recovered, why, "why", JSON_STR),
    {NULL},
};
static const struct json_table recovered_table = {"recovered", sizeof(struct recovered), recovered_fields, 0};

struct result {
	struct recovered *volumes;
	size_t n_volumes;
};
static const struct json_field result_fields[] = {
    JSON_LIST(struct result, volumes, "volumes", JSON_ARR_OBJ, .table = &recovered_table, .write_empty = true),
    {NULL},
};
static const struct json_table result_table = {"result", sizeof(struct result), result_fields, 0};

#define RECOVER_MAX 10000

struct walk {
	const struct volume_cmd *c;
	struct arena *a;
	struct result result;
	unsigned failed;
};

/* Something that was not sent, or a dead keeper's note: the register may say still that it has the lease. */
static bool is_left(const struct volume_cmd *c, const char *store, const char *workspace, const char *name)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct volume_local l;

	return volume_local_read(c->config, store, workspace, name, &a, &l) == 0 &&
	       (strcmp(l.state, "dirty") == 0 || l.n_kept > 0 || (l.noted && strcmp(l.state, "in use") != 0));
}

/* 1: a keeper has it; 2: its container lives, and a new keeper goes on with it. */
static int recover(struct volume_hold *w, struct error *err)
{
	int64_t deadline = clock_boottime_ns() + w->q.wait_ns;
	int r;

	r = hold_open_volume(&w->hold, w->hv, err);
	if (r == 0)
		r = cache_lock(&w->hv->v.cache, 0, -1, err);
	if (r == -ETIMEDOUT)
		return 1;
	if (r == 0)
		r = hold_recover(&w->hold, w->hv, deadline, err);
	if (r == 1)
		return 2;
	if (r == 0)
		r = hold_recover_lease(&w->hold, w->hv, deadline, err);
	/* What was set aside belongs to the store that has the volume's register. */
	if (r >= 0 && r != RECOVER_LEASE_UNKNOWN)
		r = conflict_upload_all(&w->hv->v, err);
	/* Here, as the end of a hold takes the note with it: what could not be given back is for the next one. */
	if (w->hv->open)
		cache_unlock(&w->hv->v.cache);
	return r < 0 ? r : 0;
}

static const char *outcome_text(const struct recover_result *r, int rc)
{
	if (rc < 0)
		return "failed";
	if (rc > 0)
		return rc == 1 ? "in use" : "adopted";
	return r->outcome == RECOVER_COMMITTED	 ? "committed"
	       : r->outcome == RECOVER_SET_ASIDE ? "set aside"
						 : "nothing";
}

static void print_one(const struct recovered *v)
{
	printf("%s/%s/%s: %s", v->store, v->workspace, v->name, v->outcome);
	if (v->commit)
		printf(", commit %" PRIu64, v->commit);
	if (v->conflict)
		printf(", conflict %s", v->conflict);
	if (v->why)
		printf(": %s", v->why);
	putchar('\n');
}

static int collect_one(void *ctx, const char *store, const char *workspace, const char *name)
{
	struct walk *x = ctx;

	if (x->c->name &&
	    (strcmp(x->c->name, name) || strcmp(x->c->workspace, workspace) || strcmp(x->c->store->name, store)))
		return 0;
	if (is_left(x->c, store, workspace, name) && x->result.n_volumes < RECOVER_MAX)
		x->result.volumes[x->result.n_volumes++] =
		    (struct recovered){.store = arena_strdup(x->a, store),
				       .workspace = arena_strdup(x->a, workspace),
				       .name = arena_strdup(x->a, name)};
	return 0;
}

/* All registers, before the first lease is waited for: then the wait of one is that of all. */
static void look_one(const struct walk *x, struct recovered *v)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct error ignored = ERROR_INIT;
	struct volume_hold w;
	struct head head;

	if (volume_hold_open(&w, x->c, "volrun volume recover", v->store, v->workspace, v->name, &ignored) == 0 &&
	    hold_open_volume(&w.hold, w.hv, &ignored) == 0 &&
	    lease_peek(&w.hv->v, &a, &head, v->seen.tag, &ignored) == 0)
		v->seen.since_ns = clock_boottime_ns();
	else
		v->seen.tag[0] = '\0';
	strbuf_reset(&w.hold.warnings);
	volume_hold_close(&w);
}

static void recover_one(struct walk *x, struct recovered *v)
{
	struct error err = ERROR_INIT;
	struct volume_hold w;
	int r;

	r = volume_hold_open(&w, x->c, "volrun volume recover", v->store, v->workspace, v->name, &err);
	w.hold.lease_config.seen = v->seen;
	w.hold.forsaken = x->c->force;
	if (r == 0)
		r = recover(&w, &err);
	if (w.hv) {
		v->outcome = outcome_text(&w.hv->recovered, r);
		v->commit = w.hv->recovered.seq;
		v->conflict = w.hv->recovered.conflict ? arena_strdup(x->a, w.hv->recovered.conflict) : NULL;
		v->why = w.hv->recovered.why ? arena_strdup(x->a, w.hv->recovered.why) : NULL;
	}
	if (r < 0) {
		x->failed++;
		v->outcome = "failed";
		v->why = arena_strdup(x->a, err.msg);
	}
	/* What it has to warn of is in the result. */
	strbuf_reset(&w.hold.warnings);
	volume_hold_close(&w);
	if (!x->c->json)
		print_one(v);
}

int volume_cmd_recover(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	struct walk x = {.c = c, .a = a};
	int r = 0;

	if (c->force && !c->name)
		return error_set(err, EINVAL, "recover --force is for one volume: name it");
	x.result.volumes = arena_calloc(a, RECOVER_MAX, sizeof(*x.result.volumes));
	if (!x.result.volumes || volume_local_each(c->config, a, collect_one, &x) < 0)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < x.result.n_volumes && c->wait_ns > 0; i++)
		look_one(&x, &x.result.volumes[i]);
	for (size_t i = 0; i < x.result.n_volumes; i++)
		recover_one(&x, &x.result.volumes[i]);
	if (c->json)
		r = volume_print_json(&result_table, &x.result, err);
	if (r == 0 && x.failed)
		r = error_set(err, EIO, "%u of %zu volumes could not be recovered yet; they are kept, try again",
			      x.failed, x.result.n_volumes);
	return r;
}
