/* SPDX-License-Identifier: Apache-2.0 */
/* Another tool's files in the plain copy for which the volume's tree has no place: kept as a conflict. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "hooks/engine/conflict.h"
#include "hooks/engine/fence.h"
#include "hooks/engine/transfer.h"
#include "hooks/engine/tree.h"

struct taking {
	struct transfer x;
	struct arena arena;
	struct strbuf lines; /* of changes.json, behind the note */
	struct conflict_note note;
	char id[32];
	const struct foreign_left **taken; /* to be removed, when all that is kept is there */
	size_t n_taken;
};

static void no_memory(struct taking *t)
{
	transfer_fail(&t->x, ENOMEM, "out of memory");
}

/* The same files have the same number: what broke off is begun again in its place. */
static void set_id(struct taking *t, const struct volume *v)
{
	uint64_t h = HASH64_START;

	for (size_t i = 0; i < v->n_left; i++) {
		h = hash64(h, v->left[i].path, strlen(v->left[i].path) + 1);
		h = hash64(h, v->left[i].tag, strlen(v->left[i].tag) + 1);
	}
	/* Neither a commit's number nor one of cache_set_aside. */
	snprintf(t->id, sizeof(t->id), "0-%" PRIu64, h >> 2 | UINT64_C(1) << 62);
}

static char *key_of(struct taking *t, const char *name)
{
	const char *below = arena_printf(&t->arena, "conflicts/%s/%s", t->id, name);
	char *key = below ? volume_key_meta(&t->arena, t->x.v, below) : NULL;

	if (!key)
		no_memory(t);
	return key;
}

static int send(struct taking *t, struct store_op *op)
{
	if (t->x.failed == 0 && store_do(t->x.v->store, op) != STORE_OK)
		transfer_fail_op(&t->x, op);
	return t->x.failed;
}

/* 1: it is another one now, or gone; the next start sees. */
static int fetch(struct taking *t, const struct foreign_left *f, int fd, struct store_op *get)
{
	char *key = volume_key_plain(&t->arena, t->x.v, f->path);

	if (!key || fd < 0) {
		no_memory(t);
		return t->x.failed;
	}
	store_op_init(get, STORE_GET, key);
	get->out_fd = fd;
	switch (store_do(t->x.v->store, get)) {
	case STORE_OK:
		return strcmp(get->tag, f->tag) != 0;
	case STORE_ABSENT:
		return 1;
	default:
		transfer_fail_op(&t->x, get);
		return t->x.failed;
	}
}

static void take(struct taking *t, const struct foreign_left *f)
{
	struct conflict_change c = {.path = f->path, .change = "added", .type = "file", .mode = 0644};
	_cleanup_close_ int fd = tree_tmpfile(t->x.v);
	char sha256[SHA256_HEX_MAX];
	struct store_op get, put;

	if (fetch(t, f, fd, &get) != 0)
		return;
	if (sha256_fd(fd, 0, get.got_size, sha256, NULL) < 0) {
		transfer_fail(&t->x, EIO, "cache: a file can't be read");
		return;
	}
	/* Not by its path: that may be too long there. */
	c.key = arena_printf(&t->arena, "odd/%zu", t->n_taken);
	c.sha256 = sha256;
	c.size = get.got_size;
	c.uid = t->x.v->owner_uid;
	c.gid = t->x.v->owner_gid;
	c.mtime = f->mtime_ns;
	store_op_init(&put, STORE_PUT, c.key ? key_of(t, c.key) : NULL);
	put.in_fd = fd;
	put.size = c.size;
	put.sha256 = sha256;
	if (!put.key)
		no_memory(t);
	if (send(t, &put) < 0)
		return;
	json_write(&t->lines, &conflict_change_table, &c, 0);
	strbuf_addc(&t->lines, '\n');
	t->note.files++;
	t->note.bytes += c.size;
	t->taken[t->n_taken++] = f;
}

static void put_changes(struct taking *t)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	struct store_op op;

	json_write(&text, &conflict_note_table, &t->note, 0);
	strbuf_addc(&text, '\n');
	strbuf_adds(&text, strbuf_str(&t->lines));
	store_op_init(&op, STORE_PUT, key_of(t, "changes.json"));
	op.data = text.data;
	op.size = text.len;
	op.content_type = "application/x-ndjson";
	if (text.failed || t->lines.failed)
		no_memory(t);
	send(t, &op);
}

/* Asked for once more first: not every store deletes on a condition. */
static void remove_plain(struct taking *t, const struct foreign_left *f)
{
	struct store_op op;

	store_op_init(&op, STORE_HEAD, volume_key_plain(&t->arena, t->x.v, f->path));
	if (!op.key)
		no_memory(t);
	if (t->x.failed < 0 || store_do(t->x.v->store, &op) != STORE_OK || strcmp(op.tag, f->tag) != 0)
		return;
	store_op_init(&op, STORE_DELETE, op.key);
	op.condition = STORE_IF_TAG;
	op.if_tag = f->tag;
	store_do(t->x.v->store, &op); /* else by the next start */
}

/* On a way that another one of them is in the way of: it is left for the next start. */
static bool is_below_another(const struct volume *v, size_t at)
{
	const char *path = v->left[at].path;

	for (size_t i = 0; i < v->n_left; i++) {
		size_t n = strlen(v->left[i].path);

		if (i != at && !strncmp(path, v->left[i].path, n) && (path[n] == '/' || (!path[n] && i < at)))
			return true;
	}
	return false;
}

int conflict_take_foreign(struct volume *v, struct lease *l, struct error *err)
{
	struct transfer_report ignored = {0};
	struct taking t = {.x = {.v = v, .report = &ignored, .err = err}};
	_cleanup_(fence_end) struct fence fence = {0};
	char since[CLOCK_RFC3339_MAX];

	if (v->n_left == 0)
		return 0;
	set_id(&t, v);
	t.note = (struct conflict_note){.id = t.id, .uploaded = true, .since = clock_rfc3339(NULL, since)};
	t.note.why = "another tool put these files where the volume has something else";
	t.taken = arena_calloc(&t.arena, v->n_left, sizeof(*t.taken));
	t.x.failed = t.taken ? fence_begin(&fence, v, l, err) : error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < v->n_left && t.x.failed == 0; i++)
		if (v->left[i].size <= CONFLICT_MAX_BYTES - t.note.bytes && !is_below_another(v, i))
			take(&t, &v->left[i]);
	if (t.n_taken > 0 && t.x.failed == 0)
		put_changes(&t);
	for (size_t i = 0; i < t.n_taken && t.x.failed == 0; i++)
		remove_plain(&t, t.taken[i]);
	if (t.x.failed == 0)
		v->n_left = 0;
	strbuf_free(&t.lines);
	arena_free(&t.arena);
	return t.x.failed;
}
