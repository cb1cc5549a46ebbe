/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "hooks/engine/publish_conflict.h"
#include "hooks/engine/publish_plan.h"
#include "hooks/engine/scan.h"
#include "hooks/engine/spool.h"
#include "hooks/engine/tree.h"

#define WRITE_ATTEMPTS 5

struct publish {
	struct transfer *x;
	const struct manifest *m;
	struct publish_plan plan;
	size_t next;   /* item of this round */
	bool deleting; /* the round's items are the deletions */
	struct spool spool;
};

struct job {
	struct store_op op;
	struct item *item;
	char key[STORE_KEY_MAX + 1], source[STORE_KEY_MAX + 1];
	char mark[STORE_MARK_MAX], sha256[SHA256_HEX_MAX];
};

static void no_memory(struct publish *p)
{
	transfer_fail(p->x, ENOMEM, "out of memory");
}

/* --- requests ------------------------------------------------------------------------------ */

static void leave(struct publish *p, struct item *i)
{
	if (i->spooled)
		spool_release(&p->spool, i->spool, i->e->size);
	i->spooled = false;
	i->state = STATE_LEFT;
}

static void finish(struct publish *p, struct item *i, const char *tag)
{
	leave(p, i);
	i->state = STATE_DONE;
	i->tag = tag ? arena_strdup(&p->plan.arena, tag) : NULL;
	if (tag && !i->tag)
		no_memory(p);
}

static void found_foreign(struct publish *p, struct item *i)
{
	p->x->report->conflicts++;
	report_warning(p->x->report,
		       "\"%.300s\" was changed in the store by another tool meanwhile: theirs was left there%s%s%s",
		       i->path, item_is_deletion(i) ? "" : ", ours is kept (`volrun volume conflicts ls ",
		       item_is_deletion(i) ? "" : p->x->v->name, item_is_deletion(i) ? "" : "`)");
	i->foreign = true;
	leave(p, i);
}

/* The answer to a HEAD. */
static void judge(struct publish *p, struct item *i, const struct store_op *op)
{
	unsigned char sha256[SHA256_LEN];
	bool ours, expected;
	uint64_t seq;

	if (op->result == STORE_ABSENT) {
		if (item_is_deletion(i)) {
			finish(p, i, NULL);
			return;
		}
		i->tag = NULL;
		i->state = STATE_WRITE;
		return;
	}
	ours = plain_mark_parse(op->got_mark, op->key, &seq, sha256);
	expected = (i->tag && !strcmp(i->tag, op->tag)) || (i->e && i->e->tag && !strcmp(i->e->tag, op->tag));
	if (ours && !item_is_deletion(i) && !memcmp(sha256, i->sha256, SHA256_LEN)) {
		finish(p, i, op->tag);
	} else if (ours || expected) {
		i->tag = arena_strdup(&p->plan.arena, op->tag);
		i->state = STATE_WRITE;
		if (!i->tag)
			no_memory(p);
	} else {
		found_foreign(p, i);
	}
}

/*
 * This one object may not be changed (an object lock, a policy). If it is the credentials, the table is refused, too,
 * and the commit stays unpublished. The next commit tries again.
 */
static void refused(struct publish *p, struct item *i, const struct store_op *op)
{
	report_warning(p->x->report, "\"%.300s\" can't be published, the commit has it: %.200s", i->path, op->err.msg);
	leave(p, i);
}

/* The answer to a PUT, COPY or DELETE. */
static void written(struct publish *p, struct item *i, const struct store_op *op)
{
	switch (op->result) {
	case STORE_OK:
		if (item_is_deletion(i))
			finish(p, i, NULL);
		else if (op->tag[0])
			finish(p, i, op->tag);
		else
			i->state = STATE_LOOK;
		p->x->report->bytes_out += op->kind == STORE_PUT ? op->size : 0;
		break;
	case STORE_ABSENT:
	case STORE_FALSE:
	case STORE_UNKNOWN:
		i->state = STATE_LOOK;
		break;
	case STORE_INVALID:
		report_warning(p->x->report, "\"%.300s\" can't be published under its name; the commit has it",
			       i->path);
		leave(p, i);
		break;
	case STORE_REFUSED:
		refused(p, i, op);
		break;
	default:
		transfer_fail_op(p->x, op);
	}
}

static void fetched(struct publish *p, struct item *i, const struct store_op *op)
{
	p->x->report->bytes_in += op->got_size;
	if (op->result != STORE_OK) {
		transfer_fail_op(p->x, op);
	} else if (!spool_verify(&p->spool, i->e, i->spool)) {
		transfer_fail(p->x, EBADMSG,
			      "the store has other bytes for \"%.300s\" than its commit (sha256 differs)", i->path);
	} else {
		i->state = STATE_WRITE;
	}
}

static void done(void *ctx, struct store_op *op)
{
	struct publish *p = ctx;
	struct job *j = op->user;

	p->x->report->data_requests++;
	if (op->kind == STORE_HEAD && op->result == STORE_REFUSED)
		refused(p, j->item, op);
	else if (op->kind == STORE_HEAD && op->result != STORE_OK && op->result != STORE_ABSENT)
		transfer_fail_op(p->x, op);
	else if (op->kind == STORE_HEAD)
		judge(p, j->item, op);
	else if (op->kind == STORE_GET)
		fetched(p, j->item, op);
	else
		written(p, j->item, op);
	free(j);
}

static bool set_object_key(struct publish *p, const struct item *i, char key[STORE_KEY_MAX + 1])
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *name = arena_printf(&a, "commits/%s", i->e->object);
	const char *full = name ? volume_key_meta(&a, p->x->v, name) : NULL;

	if (full)
		snprintf(key, STORE_KEY_MAX + 1, "%s", full);
	else
		no_memory(p);
	return full != NULL;
}

static void set_write(struct publish *p, struct job *j)
{
	struct item *i = j->item;

	j->op.kind = item_is_deletion(i) ? STORE_DELETE : item_is_copy(&p->plan, i) ? STORE_COPY : STORE_PUT;
	j->op.condition = i->tag ? STORE_IF_TAG : STORE_IF_ABSENT;
	j->op.if_tag = i->tag;
	if (j->op.kind == STORE_DELETE)
		return;
	plain_mark(p->m->seq, i->sha256, j->key, j->mark);
	j->op.mark = j->mark;
	if (j->op.kind == STORE_COPY) {
		set_object_key(p, i, j->source);
		j->op.source = j->source;
		j->op.size = i->e->size;
		return;
	}
	hex_encode(i->sha256, SHA256_LEN, j->sha256);
	j->op.sha256 = j->sha256;
	if (i->kind == ITEM_LINKS) {
		j->op.data = strbuf_str(&p->plan.links);
		j->op.size = p->plan.links.len;
		j->op.content_type = "application/json";
		return;
	}
	j->op.in_fd = p->spool.fd;
	j->op.in_offset = (off_t)i->spool;
	j->op.size = i->e->size;
}

static void set_request(struct publish *p, struct job *j)
{
	struct item *i = j->item;

	plain_key(&p->plan.plain, i->path, j->key);
	if (i->kind == ITEM_DELETE_MARKER && strlen(j->key) < STORE_KEY_MAX)
		strcat(j->key, "/");
	store_op_init(&j->op, STORE_HEAD, j->key);
	j->op.user = j;
	if (i->state == STATE_FETCH) {
		j->op.kind = STORE_GET;
		set_object_key(p, i, j->key);
		j->op.offset = i->e->offset;
		j->op.length = i->e->size;
		j->op.out_fd = p->spool.fd;
		j->op.out_offset = (off_t)i->spool;
	} else if (i->state == STATE_WRITE) {
		i->writes++;
		set_write(p, j);
	}
}

/* Has a PUT its bytes? Where the tree hasn't got them, they are fetched first, in another round. */
static bool has_source(struct publish *p, struct item *i)
{
	if (i->state != STATE_WRITE || i->kind != ITEM_FILE || item_is_copy(&p->plan, i) || i->spooled)
		return true;
	i->spool = spool_reserve(&p->spool, i->e->size);
	i->spooled = true;
	if (i->e->size == 0 || spool_from_tree(&p->spool, i->e, i->spool))
		return true;
	i->state = STATE_FETCH;
	return false;
}

static struct store_op *next(void *ctx)
{
	struct publish *p = ctx;
	struct item *i = NULL;
	struct job *j;

	if (!transfer_go_on(p->x))
		return NULL;
	for (; p->next < p->plan.n; p->next++) {
		i = &p->plan.items[p->next];
		if (item_is_deletion(i) != p->deleting || i->state >= STATE_DONE)
			continue;
		if (i->state != STATE_FETCH && p->spool.live > SPOOL_MAX && !i->spooled)
			continue;
		if (has_source(p, i))
			break;
	}
	if (p->next++ >= p->plan.n)
		return NULL;
	if (i->writes >= WRITE_ATTEMPTS) {
		transfer_fail(p->x, EAGAIN, "\"%.300s\" can't be published: it changes each time it is written",
			      i->path);
		return NULL;
	}
	j = calloc(1, sizeof(*j));
	if (!j) {
		no_memory(p);
		return NULL;
	}
	j->item = i;
	set_request(p, j);
	return &j->op;
}

/* Rounds, each one request an item, until nothing is left to be done. */
static int run(struct publish *p, bool deleting)
{
	p->deleting = deleting;
	for (;;) {
		bool pending = false;

		for (size_t i = 0; i < p->plan.n; i++)
			pending |=
			    item_is_deletion(&p->plan.items[i]) == deleting && p->plan.items[i].state < STATE_DONE;
		if (!pending || p->x->failed < 0)
			return p->x->failed;
		p->next = 0;
		store_run(p->x->v->store, next, done, p);
	}
}

/* --- the applied table ----------------------------------------------------------------------- */

/* Writes it to a file of its own; -1: failed. */
static int write_table(struct publish *p, enum table_form form, const struct applied_head *head, uint64_t *ret_length,
		       char ret_sha256[SHA256_HEX_MAX])
{
	_cleanup_(stream_out_close) struct stream_out out = {.fd = -1};
	_cleanup_close_ int fd = tree_tmpfile(p->x->v);

	if (fd < 0 || (form == TABLE_KEPT ? stream_out_open_summed : stream_out_open)(&out, fd, 0) < 0) {
		transfer_fail_cache(p->x, fd < 0 ? fd : ENOMEM, "can't make a file");
		return -1;
	}
	if (plan_write_table(&p->plan, form, head, &out) < 0)
		return -1;
	/* The kept one's writer has finished it. */
	if ((form == TABLE_KEPT ? out.failed : stream_finish(&out, ret_sha256)) < 0) {
		transfer_fail_cache(p->x, out.failed, "the applied table can't be written");
		return -1;
	}
	*ret_length = out.written;
	return TAKE_FD(fd);
}

/* Do the deltas, with one more of this length, pay beside their whole table? A reader fetches all of them. */
static bool deltas_pay(const struct applied_head *h, uint64_t length)
{
	for (size_t i = 1; i < h->n_chain; i++)
		length += h->chain[i].length;
	return length <= h->chain[0].length / 4;
}

/* The text that goes to the store, as a delta where that pays; head's chain gets what a reader has to fetch. */
static int write_text(struct publish *p, struct applied_head *head, uint64_t *ret_length,
		      char ret_sha256[SHA256_HEX_MAX])
{
	_cleanup_close_ int fd = -1;
	struct applied_head old;

	/* Of an empty tree the whole table is the shortest, and needs no earlier one. */
	if (p->m->files > 0 && plan_old_head(&p->plan, &old) == 0 && old.n_chain < APPLIED_CHAIN_MAX) {
		memcpy(head->chain, old.chain, sizeof(head->chain));
		head->n_chain = old.n_chain;
		fd = write_table(p, TABLE_DELTA, head, ret_length, ret_sha256);
		if (fd >= 0 && !deltas_pay(&old, *ret_length)) {
			close(fd);
			fd = -1;
			head->n_chain = 0;
		}
	}
	if (fd < 0 && p->x->failed == 0)
		fd = write_table(p, TABLE_WHOLE, head, ret_length, ret_sha256);
	if (fd >= 0)
		head->chain[head->n_chain++] = (struct applied_link){head->seq, *ret_length};
	return TAKE_FD(fd);
}

/* For the register, if it isn't too long. */
static char *read_carried(int fd, uint64_t length)
{
	char *text = length <= APPLIED_CARRIED_MAX ? malloc(length + 1) : NULL;

	if (text && pread_full(fd, text, length, 0) < 0) {
		free(text);
		text = NULL;
	}
	if (text)
		text[length] = '\0';
	return text;
}

static int put_table(struct publish *p, char **ret_carried)
{
	struct applied_head head = {.epoch = p->m->epoch, .seq = p->m->seq};
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int fd = -1, kept = -1;
	char sha256[SHA256_HEX_MAX];
	uint64_t length, kept_length;
	struct store_op op;

	memcpy(head.record_sha256, p->m->record_sha256, sizeof(head.record_sha256));
	fd = write_text(p, &head, &length, sha256);
	if (fd >= 0 && ret_carried && (*ret_carried = read_carried(fd, length)))
		return 0;
	if (fd >= 0)
		kept = write_table(p, TABLE_KEPT, &head, &kept_length, sha256);
	if (kept < 0)
		return p->x->failed;
	store_op_init(&op, STORE_PUT, applied_key(&a, p->x->v, p->m->seq));
	op.in_fd = fd;
	op.size = length;
	op.sha256 = sha256;
	if (!op.key)
		no_memory(p);
	if (!transfer_go_on(p->x))
		return p->x->failed;
	p->x->report->data_requests++;
	if (store_do(p->x->v->store, &op) != STORE_OK)
		transfer_fail_op(p->x, &op);
	else
		applied_keep(p->x->v, kept, kept_length);
	return p->x->failed;
}

static void publish_end(struct publish *p)
{
	plan_free(&p->plan);
	spool_close(&p->spool);
}

int publish_run(struct transfer *x, const struct manifest *m, uint64_t applied_seq, char **ret_carried)
{
	_cleanup_(publish_end) struct publish p = {.x = x, .m = m};
	int r;

	p.spool.fd = p.spool.root_fd = -1;
	plan_make(&p.plan, x, m, applied_seq);
	r = x->failed == 0 ? spool_open(&p.spool, x->v) : 0;
	if (r < 0)
		transfer_fail_cache(x, r, "can't make a file");
	/* Deletions first: where a file was, a directory may come. */
	if (x->failed == 0 && run(&p, true) == 0 && run(&p, false) == 0 && publish_keep_ours(x, &p.plan) == 0)
		put_table(&p, ret_carried);
	return x->failed;
}
