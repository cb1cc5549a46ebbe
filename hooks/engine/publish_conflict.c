/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/publish_conflict.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "hooks/engine/conflict.h"
#include "hooks/engine/spool.h"

struct keeping {
	struct transfer *x;
	const struct publish_plan *p;
	struct arena arena;
	struct spool spool;
	struct conflict_note note;
	char id[32];
	struct strbuf lines; /* of changes.json, behind the note */
	size_t n_odd;
};

static void no_memory(struct keeping *k)
{
	transfer_fail(k->x, ENOMEM, "out of memory");
}

static char *key_of(struct keeping *k, const char *name)
{
	const char *below = arena_printf(&k->arena, "conflicts/%s/%s", k->id, name);

	return below ? volume_key_meta(&k->arena, k->x->v, below) : NULL;
}

static char *key_of_bytes(struct keeping *k, const struct entry *e)
{
	const char *below = arena_printf(&k->arena, "commits/%s", e->object);

	return below ? volume_key_meta(&k->arena, k->x->v, below) : NULL;
}

static int send_op(struct keeping *k, struct store_op *op)
{
	if (!transfer_go_on(k->x))
		return k->x->failed;
	k->x->report->data_requests++;
	if (store_do(k->x->v->store, op) != STORE_OK)
		transfer_fail_op(k->x, op);
	return k->x->failed;
}

/* The committed bytes, into the spool at `offset`: of the tree, where it has them still, else of the store. */
static int fetch(struct keeping *k, const struct entry *e, uint64_t offset)
{
	struct store_op op;

	if (spool_from_tree(&k->spool, e, offset))
		return 0;
	store_op_init(&op, STORE_GET, key_of_bytes(k, e));
	op.offset = e->offset;
	op.length = e->size;
	op.out_fd = k->spool.fd;
	op.out_offset = (off_t)offset;
	if (!op.key)
		no_memory(k);
	if (k->x->failed == 0 && send_op(k, &op) == 0 && !spool_verify(&k->spool, e, offset))
		transfer_fail(k->x, EBADMSG,
			      "the store has other bytes for \"%.300s\" than its commit (sha256 differs)", e->path);
	return k->x->failed;
}

static int put(struct keeping *k, const struct item *i, const char *key)
{
	const struct entry *e = i->e;
	char sha256[SHA256_HEX_MAX];
	uint64_t offset = 0;
	struct store_op op;

	store_op_init(&op, STORE_PUT, key);
	if (i->kind == ITEM_LINKS) {
		op.data = strbuf_str(&k->p->links);
		op.size = k->p->links.len;
		return send_op(k, &op);
	}
	op.size = e->size;
	if (item_is_copy(k->p, i)) {
		op.kind = STORE_COPY;
		op.source = key_of_bytes(k, e);
		if (!op.source)
			no_memory(k);
		return k->x->failed < 0 ? k->x->failed : send_op(k, &op);
	}
	offset = spool_reserve(&k->spool, e->size);
	if (e->size > 0 && fetch(k, e, offset) < 0)
		return k->x->failed;
	hex_encode(e->sha256, SHA256_LEN, sha256);
	op.sha256 = sha256;
	op.in_fd = k->spool.fd;
	op.in_offset = (off_t)offset;
	send_op(k, &op);
	spool_release(&k->spool, offset, e->size);
	return k->x->failed;
}

static void keep(struct keeping *k, const struct item *i)
{
	struct conflict_change c = {.path = i->path, .change = "changed", .type = "file", .mode = 0644};
	char sha256[SHA256_HEX_MAX];
	const char *key;

	c.key = arena_printf(&k->arena, "tree/%s", i->path);
	key = c.key ? key_of(k, c.key) : NULL;
	if (key && strlen(key) > STORE_KEY_MAX) {
		c.key = arena_printf(&k->arena, "odd/%zu", k->n_odd++);
		key = c.key ? key_of(k, c.key) : NULL;
	}
	if (!key) {
		no_memory(k);
		return;
	}
	if (put(k, i, key) < 0)
		return;
	hex_encode(i->sha256, SHA256_LEN, sha256);
	c.sha256 = sha256;
	c.size = i->e ? i->e->size : k->p->links.len;
	if (i->e) {
		c.mode = i->e->mode;
		c.uid = i->e->uid;
		c.gid = i->e->gid;
		c.mtime = i->e->mtime_ns;
	}
	k->note.files++;
	k->note.bytes += c.size;
	json_write(&k->lines, &conflict_change_table, &c, 0);
	strbuf_addc(&k->lines, '\n');
}

static void put_changes(struct keeping *k)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	struct store_op op;

	json_write(&text, &conflict_note_table, &k->note, 0);
	strbuf_addc(&text, '\n');
	strbuf_adds(&text, strbuf_str(&k->lines));
	store_op_init(&op, STORE_PUT, key_of(k, "changes.json"));
	op.data = text.data;
	op.size = text.len;
	op.content_type = "application/x-ndjson";
	if (!op.key || text.failed || k->lines.failed)
		no_memory(k);
	else
		send_op(k, &op);
}

/* Else an earlier commit of the same run kept these bytes. */
static bool is_new(const struct publish_plan *p, const struct item *i)
{
	char prefix[48];

	snprintf(prefix, sizeof(prefix), "%" PRIu64 "-%" PRIu64 "/", p->m->epoch, p->m->seq);
	return i->in_old || i->kind == ITEM_LINKS || !i->e->object || !strncmp(i->e->object, prefix, strlen(prefix));
}

int publish_keep_ours(struct transfer *x, const struct publish_plan *p)
{
	struct keeping k = {.x = x, .p = p, .spool = {.fd = -1, .root_fd = -1}};
	char since[CLOCK_RFC3339_MAX];

	snprintf(k.id, sizeof(k.id), "0-%" PRIu64, p->m->seq);
	k.note = (struct conflict_note){.id = k.id, .epoch = p->m->epoch, .seq = p->m->seq, .uploaded = true};
	k.note.why = "another tool changed the same files in the store during the run";
	k.note.since = clock_rfc3339(NULL, since);
	for (size_t i = 0; i < p->n && x->failed == 0; i++) {
		if (!p->items[i].foreign || item_is_deletion(&p->items[i]) || !is_new(p, &p->items[i]))
			continue;
		int r = k.spool.fd < 0 ? spool_open(&k.spool, x->v) : 0;

		if (r < 0)
			transfer_fail_cache(x, r, "can't make a file");
		else
			keep(&k, &p->items[i]);
	}
	if (x->failed == 0 && k.note.files > 0)
		put_changes(&k);
	spool_close(&k.spool);
	strbuf_free(&k.lines);
	arena_free(&k.arena);
	return x->failed;
}
