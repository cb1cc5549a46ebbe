/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/engine/access.h"
#include "hooks/engine/applied_store.h"
#include "hooks/engine/foreign.h"
#include "hooks/engine/lease.h"
#include "hooks/engine/restore.h"
#include "hooks/engine/tree.h"

struct check {
	struct transfer x;
	struct transfer_report transfers;
	struct arena *a;
	struct check_report *report;
	struct head head;
	struct plain plain;
	struct manifest m;
	struct applied applied;
	size_t next; /* entry whose bytes are asked for */
};

struct job {
	struct store_op op;
	const struct entry *e;
};

static void add_line(struct check *c, const char ***lines, size_t *n, uint64_t *all, const char *fmt, va_list ap)
{
	char text[ERROR_MSG_MAX];
	const char *copy;

	++*all;
	if (!*lines)
		*lines = arena_calloc(c->a, CHECK_LINES_MAX, sizeof(**lines));
	vsnprintf(text, sizeof(text), fmt, ap);
	copy = *n < CHECK_LINES_MAX ? arena_strdup(c->a, text) : NULL;
	if (*lines && copy)
		(*lines)[(*n)++] = copy;
}

static void __attribute__((format(printf, 2, 3))) problem(struct check *c, const char *fmt, ...)
{
	struct check_report *r = c->report;
	va_list ap;

	va_start(ap, fmt);
	add_line(c, &r->problems, &r->n_problems, &r->all_problems, fmt, ap);
	va_end(ap);
}

static void __attribute__((format(printf, 2, 3))) note(struct check *c, const char *fmt, ...)
{
	struct check_report *r = c->report;
	va_list ap;

	va_start(ap, fmt);
	add_line(c, &r->notes, &r->n_notes, &r->all_notes, fmt, ap);
	va_end(ap);
}

/* A failure of the store's is none of the volume's: it ends the check. Anything else is a problem of the volume. */
static bool is_stores(int r)
{
	return r == -EHOSTUNREACH || r == -EKEYREJECTED || r == -EIO || r == -ENOMEM;
}

/* Turns what failed in the transfer into a problem, where it is one; else the check's own error. */
static int judge(struct check *c, int r, const char *what)
{
	if (r >= 0)
		return 0;
	if (is_stores(r))
		return r;
	problem(c, "%s%s", what, c->x.err->msg);
	c->x.failed = 0;
	return 0;
}

/* --- the bytes of each file ---------------------------------------------------------- */

static struct store_op *next(void *ctx)
{
	struct check *c = ctx;
	const struct entry *e;
	struct job *j;
	char *name;

	if (c->x.failed < 0)
		return NULL;
	while (c->next < c->m.n && (c->m.entries[c->next].type != ENTRY_FILE || !c->m.entries[c->next].size))
		c->next++;
	if (c->next == c->m.n)
		return NULL;
	e = &c->m.entries[c->next++];
	name = e->object ? arena_printf(c->a, "commits/%s", e->object) : NULL;
	if (!name) {
		transfer_fail(&c->x, EINVAL, "record: \"%.300s\" has bytes in no object", e->path);
		return NULL;
	}
	j = calloc(1, sizeof(*j));
	if (!j) {
		transfer_fail(&c->x, ENOMEM, "out of memory");
		return NULL;
	}
	store_op_init(&j->op, STORE_GET, volume_key_meta(c->a, c->x.v, name));
	j->e = e;
	j->op.user = j;
	j->op.offset = e->offset;
	j->op.length = e->size;
	j->op.out_fd = tree_tmpfile(c->x.v);
	if (j->op.key && j->op.out_fd >= 0)
		return &j->op;
	transfer_fail_cache(&c->x, j->op.key ? j->op.out_fd : ENOMEM, "can't make a file");
	cleanup_close(&j->op.out_fd);
	free(j);
	return NULL;
}

static void done(void *ctx, struct store_op *op)
{
	unsigned char hash[SHA256_LEN];
	struct check *c = ctx;
	struct job *j = op->user;
	int fd = op->out_fd;

	/* A connection that broke again and again says nothing of the volume. */
	if (op->result == STORE_ABSENT || (op->result == STORE_CORRUPT && !op->cut) || op->result == STORE_INVALID) {
		problem(c, "\"%.300s\": its bytes are gone or cut short: %.500s", j->e->path, op->err.msg);
	} else if (op->result != STORE_OK) {
		transfer_fail_op(&c->x, op);
	} else if (op->got_size != j->e->size || entry_hash_fd(fd, j->e->size, hash) < 0 ||
		   memcmp(hash, j->e->sha256, SHA256_LEN) != 0) {
		problem(c, "\"%.300s\": the store has other bytes than its commit (object %.300s, sha256 differs)",
			j->e->path, j->e->object);
	} else {
		c->report->files++;
		c->report->bytes += j->e->size;
	}
	cleanup_close(&fd);
	free(j);
}

static int check_bytes(struct check *c)
{
	int r = restore_manifest(c->x.v, &c->head.commit, &c->m, c->x.err);

	if (r < 0)
		return judge(c, r, "");
	store_run(c->x.v->store, next, done, c);
	return judge(c, c->x.failed, "");
}

/* --- the plain copy -------------------------------------------------------------------- */

/* Says the table of what is published what the manifest says? */
static void compare_table(struct check *c)
{
	for (size_t i = 0; i < c->applied.n; i++) {
		const struct applied_entry *a = &c->applied.entries[i];
		const struct entry *e = manifest_find(&c->m, a->path);

		if (!strcmp(a->path, PLAIN_SYMLINKS))
			continue;
		if (!e || e->type != ENTRY_FILE)
			problem(c, "\"%.300s\" is published, but in the commit there is no file of that name", a->path);
		else if (memcmp(e->sha256, a->sha256, SHA256_LEN) != 0)
			problem(c, "\"%.300s\" is published with other bytes than the commit's", a->path);
	}
	for (size_t i = 0; i < c->m.n; i++) {
		const struct entry *e = &c->m.entries[i];

		if (e->type == ENTRY_FILE && applied_find(&c->applied, e->path) == SIZE_MAX)
			note(c, "\"%.300s\" is not published", e->path);
	}
}

static const char *const foreign_names[] = {
    [FOREIGN_FILE] = "another tool's file, which the next start takes in",
    [FOREIGN_MARKER] = "another tool's directory",
    [FOREIGN_LINKS] = "another tool's links",
    [FOREIGN_GONE] = "deleted by another tool; the next start deletes it, too",
    [FOREIGN_MISSING] = "missing or replaced by a late write; the next commit publishes it again",
    [FOREIGN_STALE] = "a late write of an earlier run, which is in no commit",
};

static int compare_listing(struct check *c)
{
	_cleanup_(foreign_free) struct foreign f = {0};
	int r = foreign_look(&c->x, &c->plain, &c->head, &c->applied, NULL, &f);

	for (size_t i = 0; r == 0 && i < f.n; i++) {
		bool collides = f.items[i].kind == FOREIGN_FILE && foreign_collides(&c->m, f.items[i].path);

		note(c, "\"%.300s\" in the plain copy: %s", f.items[i].path,
		     collides ? "another tool's file where the volume has something else; the next run moves it to the "
				"volume's conflicts"
			      : foreign_names[f.items[i].kind]);
	}
	return judge(c, r, "plain copy: ");
}

static bool table_is_there(struct check *c)
{
	_cleanup_close_ int fd = -1;
	uint64_t size;

	return applied_fetch(&c->x, c->head.applied_seq, &fd, &size) == 0 && fd >= 0;
}

static int check_plain(struct check *c)
{
	int r;

	if (c->head.applied_seq != c->head.commit.seq)
		note(c, "commit %" PRIu64 " is published up to %" PRIu64 " only", c->head.commit.seq,
		     c->head.applied_seq);
	if (c->head.applied_seq > 0 && !c->head.carried && c->x.failed == 0 && !table_is_there(c) && c->x.failed == 0)
		problem(c, "the table of what commit %" PRIu64 " published is missing", c->head.applied_seq);
	r = c->x.failed < 0 ? c->x.failed : applied_load(&c->x, &c->head, &c->applied);
	if (r < 0)
		return judge(c, r, "");
	if (c->head.applied_seq == c->head.commit.seq)
		compare_table(c);
	return compare_listing(c);
}

/* --- all ------------------------------------------------------------------------------- */

static int check_head(struct check *c)
{
	struct access_meta meta;
	int r = lease_peek(c->x.v, c->a, &c->head, NULL, c->x.err);

	if (r == -EINVAL)
		return judge(c, r, "");
	if (r < 0)
		return r;
	c->report->seq = c->head.commit.seq;
	c->report->epoch = c->head.commit.epoch;
	if (c->head.state == HEAD_HELD)
		note(c, "its lease is held");
	r = access_read(c->x.v, c->a, &meta, c->x.err);
	if (r == -ENOENT)
		problem(c, "it has a register and no \"meta\": nobody may use it");
	else if (judge(c, r, "") < 0)
		return r;
	r = check_bytes(c);
	return r < 0 ? r : check_plain(c);
}

int check_volume(struct volume *v, struct arena *a, struct check_report *ret, struct error *err)
{
	struct check c = {.x = {.v = v, .err = err}, .a = a, .report = ret};
	int r;

	*ret = (struct check_report){0};
	c.x.report = &c.transfers;
	r = plain_init(&c.plain, v, err);
	if (r == 0)
		r = check_head(&c);
	manifest_free(&c.m);
	applied_free(&c.applied);
	return r;
}
