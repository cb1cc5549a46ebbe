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

static bool has_unsent(const struct volume_cmd *c, const char *store, const char *workspace, const char *name)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct volume_local l;

	return volume_local_read(c->config, store, workspace, name, &a, &l) == 0 &&
	       (strcmp(l.state, "dirty") == 0 || l.n_kept > 0);
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
		r = conflict_upload_all(&w->hv->v, err);
	return r;
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

static int recover_one(void *ctx, const char *store, const char *workspace, const char *name)
{
	struct walk *x = ctx;
	struct error err = ERROR_INIT;
	struct recovered *v;
	struct volume_hold w;
	int r;

	if (x->c->name &&
	    (strcmp(x->c->name, name) || strcmp(x->c->workspace, workspace) || strcmp(x->c->store->name, store)))
		return 0;
	if (!has_unsent(x->c, store, workspace, name) || x->result.n_volumes == RECOVER_MAX)
		return 0;
	r = volume_hold_open(&w, x->c, "volrun volume recover", store, workspace, name, &err);
	if (r == 0)
		r = recover(&w, &err);
	v = &x->result.volumes[x->result.n_volumes++];
	*v = (struct recovered){.store = arena_strdup(x->a, store),
				.workspace = arena_strdup(x->a, workspace),
				.name = arena_strdup(x->a, name)};
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
	return 0;
}

int volume_cmd_recover(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	struct walk x = {.c = c, .a = a};
	int r = 0;

	x.result.volumes = arena_calloc(a, RECOVER_MAX, sizeof(*x.result.volumes));
	if (!x.result.volumes || volume_local_each(c->config, a, recover_one, &x) < 0)
		return error_set(err, ENOMEM, "out of memory");
	if (c->json)
		r = volume_print_json(&result_table, &x.result, err);
	if (r == 0 && x.failed)
		r = error_set(err, EIO, "%u of %zu volumes could not be recovered yet; they are kept, try again",
			      x.failed, x.result.n_volumes);
	return r;
}
