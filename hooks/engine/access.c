/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/access.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "hooks/engine/format.h"
#include "hooks/engine/lease.h"
#include "hooks/engine/object_read.h"

#define META_MAX_PERMISSIONS 1000
/* Others may write too: each try has a winner. */
#define WRITE_ATTEMPTS 40
#define PAUSE_MAX_NS (50 * NSEC_PER_MSEC)

static const struct json_field meta_fields[] = {
    JSON_FIELD(struct access_meta, format, "format", JSON_U32),
    JSON_FIELD(struct access_meta, owner, "owner", JSON_STR),
    JSON_LIST(struct access_meta, permissions, "permissions", JSON_MAP_STR, .max_count = META_MAX_PERMISSIONS),
    JSON_FIELD(struct access_meta, created, "created", JSON_STR),
    JSON_FIELD(struct access_meta, removed, "removed", JSON_STR),
    {NULL},
};
/* Strict: a rule that this version does not know must not be skipped. */
const struct json_table access_meta_table = {"meta", sizeof(struct access_meta), meta_fields, JSON_STRICT};

static int error_refused(struct error *err, const char *why)
{
	return error_set(err, EPERM, "volume access refused: %s", why);
}

/* Is `subject` ("u/<user>", "g/<group>") one of the identity's? */
static bool is_me(const char *subject, const struct access_identity *id)
{
	size_t i;

	if (strncmp(subject, "u/", 2) == 0)
		return id->user && strcmp(subject + 2, id->user) == 0;
	if (strncmp(subject, "g/", 2) != 0)
		return false;
	for (i = 0; i < id->n_groups; i++)
		if (strcmp(subject + 2, id->groups[i]) == 0)
			return true;
	return false;
}

int access_decide(const struct access_meta *m, const struct access_identity *id, bool ro, struct error *err)
{
	bool may_read = false;
	size_t i;

	if (id->administrator || m->n_permissions == 0 || (m->owner && is_me(m->owner, id)))
		return 0;
	for (i = 0; i < id->n_admins; i++)
		if (is_me(id->admins[i], id))
			return 0;
	for (i = 0; i < m->n_permissions; i++) {
		if (!is_me(m->permissions[i].key, id))
			continue;
		if (strcmp(m->permissions[i].value, "rw") == 0)
			return 0;
		may_read = may_read || strcmp(m->permissions[i].value, "ro") == 0;
	}
	if (!may_read)
		return error_refused(err, "neither owner nor listed in its permissions");
	return ro ? 0 : error_refused(err, "read-only permission; declare the volume as ro");
}

#define FIRST_USE_ATTEMPTS 3
#define FIRST_USE_PAUSE_NS (100 * NSEC_PER_MSEC)

struct meta_reading {
	struct arena *arena;
	struct access_meta *meta;
	char *tag;
};

static int parse_meta(void *ctx, const struct store_op *op, struct error *err)
{
	const struct meta_reading *m = ctx;

	memcpy(m->tag, op->tag, STORE_TAG_MAX);
	return format_parse(strbuf_str(&op->body), op->body.len, "meta", &access_meta_table, m->arena, m->meta, err);
}

static int read_meta(struct volume *v, struct arena *a, struct access_meta *ret, char tag[STORE_TAG_MAX],
		     struct error *err)
{
	/* cppcheck-suppress ctuuninitvar ; it is what is filled */
	struct meta_reading m = {a, ret, tag};
	char *key = volume_key_meta(a, v, "meta");
	int r;

	if (!key)
		return error_set(err, ENOMEM, "out of memory");
	r = object_read(v->store, key, ACCESS_META_MAX, parse_meta, &m, err);
	return r > 0 ? error_set(err, ENOENT, "the volume has no owner yet") : r;
}

int access_read(struct volume *v, struct arena *a, struct access_meta *ret, struct error *err)
{
	char tag[STORE_TAG_MAX];

	return read_meta(v, a, ret, tag, err);
}

/* On the condition that it still has this tag (NULL: is not there). 1: it has not, or the answer got lost: read again.
 */
static int write_meta(struct volume *v, struct arena *a, const struct access_meta *m, const char *tag,
		      struct error *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	char *key = volume_key_meta(a, v, "meta");
	struct store_op op;

	json_write(&text, &access_meta_table, m, 0);
	if (!key || text.failed)
		return error_set(err, ENOMEM, "out of memory");
	if (text.len > ACCESS_META_MAX)
		return error_set(err, E2BIG, "more permissions than a volume can have");
	store_op_init(&op, STORE_PUT, key);
	op.data = text.data;
	op.size = text.len;
	op.content_type = "application/json";
	op.condition = tag ? STORE_IF_TAG : STORE_IF_ABSENT;
	op.if_tag = tag;
	switch (store_do(v->store, &op)) {
	case STORE_OK:
		return 0;
	case STORE_FALSE:
	case STORE_UNKNOWN:
		return 1;
	default:
		return object_error(&op, err);
	}
}

struct names {
	struct arena *a;
	size_t prefix_len, n, room;
	const char **list;
};

static int add_meta(void *ctx, const struct store_list_item *item, struct error *err)
{
	struct names *l = ctx;
	const char *name = item->key + l->prefix_len, *slash = strchr(name, '/');

	if (!slash || strcmp(slash, "/meta") != 0)
		return 0;
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		const char **list = reallocarray(l->list, room, sizeof(*list));

		if (!list)
			return error_set(err, ENOMEM, "out of memory");
		l->list = list;
		l->room = room;
	}
	l->list[l->n] = arena_strdup(l->a, item->key);
	return l->list[l->n++] ? 0 : error_set(err, ENOMEM, "out of memory");
}

/* What was removed left its mark there. What can't be read counts. */
static bool is_removed(struct volume *v, const char *key)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct error ignored = ERROR_INIT;
	struct access_meta m;
	struct store_op op;
	bool removed;

	store_op_init(&op, STORE_GET, key);
	op.max_body = ACCESS_META_MAX;
	removed = store_do(v->store, &op) == STORE_OK &&
		  json_parse(strbuf_str(&op.body), op.body.len, "meta", &access_meta_table, &a, &m, &ignored) == 0 &&
		  m.removed;
	strbuf_free(&op.body);
	return removed;
}

/* Two that make their first volumes at the same moment may both pass: a bound, not a price. */
static int check_count(struct volume *v, struct arena *a, struct error *err)
{
	char *prefix = arena_printf(a, "volumes/%s/.volrun/", v->workspace);
	struct names l = {.a = a, .prefix_len = prefix ? strlen(prefix) : 0};
	uint64_t live = 0;
	int r;

	if (!prefix)
		return error_set(err, ENOMEM, "out of memory");
	r = store_list(v->store, prefix, add_meta, &l, err);
	for (size_t i = 0; r == 0 && l.n >= v->max_volumes && i < l.n && live < v->max_volumes; i++)
		live += !is_removed(v, l.list[i]);
	free(l.list);
	if (r == 0 && live >= v->max_volumes)
		r = error_set(err, EDQUOT,
			      "the workspace %s has %" PRIu64
			      " volumes, which is the limit (limits.volumes_per_workspace); no other is made",
			      v->workspace, v->max_volumes);
	return r;
}

/*
 * First use, also of a volume that was removed (tag: of what says so). 0 also when another one was faster or the answer
 * got lost: what counts is what is read next.
 */
static int create_meta(struct volume *v, struct arena *a, const struct access_identity *id, const char *tag,
		       struct error *err)
{
	char created[CLOCK_RFC3339_MAX];
	struct access_meta m = {.created = clock_rfc3339(NULL, created)};
	int r = v->max_volumes > 0 ? check_count(v, a, err) : 0;

	if (r < 0)
		return r;
	if (id->user)
		m.owner = arena_printf(a, "u/%s", id->user);
	if (id->user && !m.owner)
		return error_set(err, ENOMEM, "out of memory");
	r = write_meta(v, a, &m, tag, err);
	return r < 0 ? r : 0;
}

static int error_not_there(struct error *err)
{
	return error_set(err, ENOENT, "not there yet: ro needs an existing volume");
}

/* A volume without `meta`: new, unless it has a register. */
static int first_use(struct volume *v, struct arena *a, const struct access_identity *id, struct error *err)
{
	struct head h;
	int r = lease_peek(v, a, &h, NULL, err);

	/* Another node's first use may lie between the two answers. */
	if (r == 0) {
		struct access_meta m;
		char tag[STORE_TAG_MAX];

		r = read_meta(v, a, &m, tag, err);
		return r != -ENOENT ? r
				    : error_refused(err, "it has a register but nobody's permissions (the object "
							 "\"meta\" is missing)");
	}
	if (r != -ENOENT)
		return r;
	r = lease_check_vanished(v->store, &v->cache, err);
	if (r < 0)
		return r;
	return v->ro ? error_not_there(err) : create_meta(v, a, id, NULL, err);
}

int access_check(struct volume *v, const struct access_identity *id, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char tag[STORE_TAG_MAX];
	struct access_meta m;
	int r;

	r = read_meta(v, &a, &m, tag, err);
	if (r == 0 && m.removed && v->ro)
		return error_not_there(err);
	/* What was sent may have got lost on the way. */
	for (int attempt = 0; (r == -ENOENT || (r == 0 && m.removed)) && attempt < FIRST_USE_ATTEMPTS; attempt++) {
		clock_sleep_ns(FIRST_USE_PAUSE_NS * attempt);
		r = r == -ENOENT ? first_use(v, &a, id, err) : create_meta(v, &a, id, tag, err);
		if (r < 0)
			return r;
		r = read_meta(v, &a, &m, tag, err);
	}
	if (r == 0 && m.removed)
		return error_set(err, EAGAIN, "it was removed, and can't be created anew; try again");
	return r < 0 ? r : access_decide(&m, id, v->ro, err);
}

/* So that many at once don't go in step. */
static void pause_a_while(void)
{
	uint32_t jitter;

	random_bytes(&jitter, sizeof(jitter));
	clock_sleep_ns(jitter % PAUSE_MAX_NS);
}

/* --- changes ------------------------------------------------------------------------- */

/* 1: nothing is to be written. */
static int set_permission(struct access_meta *m, const char *subject, const char *permission, struct arena *a,
			  struct error *err)
{
	struct json_pair *all = arena_calloc(a, m->n_permissions + 1, sizeof(*all));
	size_t n = 0;
	bool found = false;

	if (!all)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < m->n_permissions; i++) {
		bool same = strcmp(m->permissions[i].key, subject) == 0;

		found |= same;
		if (!same)
			all[n++] = m->permissions[i];
		else if (permission)
			all[n++] = (struct json_pair){subject, permission};
	}
	if (!found && !permission)
		return error_set(err, ENOENT, "%s has no permission that could be taken away", subject);
	if (!found)
		all[n++] = (struct json_pair){subject, permission};
	if (n > META_MAX_PERMISSIONS)
		return error_set(err, E2BIG, "more than %d permissions", META_MAX_PERMISSIONS);
	m->permissions = all;
	m->n_permissions = n;
	return 0;
}

/* Is it as it would be written? After a lost answer. */
static bool has_permission(const struct access_meta *m, const char *subject, const char *permission)
{
	const char *now = json_pair_get(m->permissions, m->n_permissions, subject);

	return permission ? now && strcmp(now, permission) == 0 : !now;
}

int access_share(struct volume *v, const char *subject, const char *permission, struct error *err)
{
	char tag[STORE_TAG_MAX];
	int r = 1;

	for (int i = 0; i < WRITE_ATTEMPTS && r == 1; i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct access_meta m;

		r = read_meta(v, &a, &m, tag, err);
		if (r == -ENOENT || (r == 0 && m.removed))
			return error_set(err, ENOENT, "not there");
		if (r == 0 && i > 0 && has_permission(&m, subject, permission))
			return 0;
		if (r == 0)
			r = set_permission(&m, subject, permission, &a, err);
		if (r == 0)
			r = write_meta(v, &a, &m, tag, err);
		if (r == 1)
			pause_a_while();
	}
	return r == 1 ? error_set(err, EBUSY, "its permissions change all the time") : r;
}

int access_remove(struct volume *v, struct error *err)
{
	char tag[STORE_TAG_MAX], now[CLOCK_RFC3339_MAX];
	int r = 1;

	for (int i = 0; i < WRITE_ATTEMPTS && r == 1; i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct access_meta m, gone = {.removed = clock_rfc3339(NULL, now)};

		r = read_meta(v, &a, &m, tag, err);
		if (r == -ENOENT || (r == 0 && m.removed))
			return 0;
		if (r == 0)
			r = write_meta(v, &a, &gone, tag, err);
		if (r == 1)
			pause_a_while();
	}
	return r == 1 ? error_set(err, EBUSY, "its permissions change all the time") : r;
}
