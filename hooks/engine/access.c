/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/access.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "hooks/engine/lease.h"

static const struct json_field meta_fields[] = {
    JSON_FIELD(struct access_meta, owner, "owner", JSON_STR),
    JSON_LIST(struct access_meta, permissions, "permissions", JSON_MAP_STR, .max_count = 1000),
    JSON_FIELD(struct access_meta, created, "created", JSON_STR),
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

	if (m->n_permissions == 0 || (m->owner && is_me(m->owner, id)))
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

static int store_error(const struct store_op *op, struct error *err)
{
	return error_set(err, EIO, "%s", op->err.msg[0] ? op->err.msg : store_result_name(op->result));
}

int access_read(struct volume *v, struct arena *a, struct access_meta *ret, struct error *err)
{
	char *key = volume_key_meta(a, v, "meta");
	struct store_op op;
	int r;

	if (!key)
		return error_set(err, ENOMEM, "out of memory");
	store_op_init(&op, STORE_GET, key);
	op.max_body = ACCESS_META_MAX;
	switch (store_do(v->store, &op)) {
	case STORE_OK:
		r = json_parse(strbuf_str(&op.body), op.body.len, "meta", &access_meta_table, a, ret, err);
		break;
	case STORE_ABSENT:
		r = error_set(err, ENOENT, "the volume has no owner yet");
		break;
	default:
		r = store_error(&op, err);
	}
	strbuf_free(&op.body);
	return r;
}

/* First use. 0 also when another one was faster or the answer got lost: what counts is what is read next. */
static int create_meta(struct volume *v, struct arena *a, const struct access_identity *id, struct error *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	char *key = volume_key_meta(a, v, "meta");
	char created[CLOCK_RFC3339_MAX];
	struct access_meta m = {.created = clock_rfc3339(NULL, created)};
	struct store_op op;

	if (id->user)
		m.owner = arena_printf(a, "u/%s", id->user);
	json_write(&text, &access_meta_table, &m, 0);
	if (!key || (id->user && !m.owner) || text.failed)
		return error_set(err, ENOMEM, "out of memory");
	store_op_init(&op, STORE_PUT, key);
	op.data = text.data;
	op.size = text.len;
	op.content_type = "application/json";
	op.condition = STORE_IF_ABSENT;
	switch (store_do(v->store, &op)) {
	case STORE_OK:
	case STORE_FALSE:
	case STORE_UNKNOWN:
		return 0;
	default:
		return store_error(&op, err);
	}
}

/* A volume without `meta`: new, unless it has a register. */
static int first_use(struct volume *v, struct arena *a, const struct access_identity *id, struct error *err)
{
	struct head h;
	int r = lease_peek(v, a, &h, NULL, err);

	if (r == 0)
		return error_refused(err,
				     "it has a register but nobody's permissions (the object \"meta\" is missing)");
	if (r != -ENOENT)
		return r;
	if (v->ro)
		return error_set(err, ENOENT, "not there yet: ro needs an existing volume");
	return create_meta(v, a, id, err);
}

int access_check(struct volume *v, const struct access_identity *id, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct access_meta m;
	int r;

	r = access_read(v, &a, &m, err);
	/* What was sent may have got lost on the way. */
	for (int attempt = 0; r == -ENOENT && attempt < FIRST_USE_ATTEMPTS; attempt++) {
		clock_sleep_ns(FIRST_USE_PAUSE_NS * attempt);
		r = first_use(v, &a, id, err);
		if (r < 0)
			break;
		r = access_read(v, &a, &m, err);
	}
	return r < 0 ? r : access_decide(&m, id, v->ro, err);
}
