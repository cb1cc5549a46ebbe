/* SPDX-License-Identifier: Apache-2.0 */
/* conflict-<id>/ -> store: what is different from the commit that the run began with. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"
#include "hooks/engine/conflict.h"
#include "hooks/engine/index.h"
#include "hooks/engine/keeper_name.h"
#include "hooks/engine/scan.h"
#include "hooks/engine/stream.h"
#include "hooks/engine/transfer.h"
#include "hooks/engine/tree.h"
#include "hooks/engine/xattrs.h"

struct upload {
	struct transfer x;
	struct conflict_note note;
	struct arena arena;
	int root_fd;
	struct manifest base, m;
	size_t next, n_odd;
	struct stream_out out;
	char sha256[SHA256_HEX_MAX];
};

/* A file on its way. */
struct job {
	struct store_op op;
	struct entry *e;
	char *name; /* below conflicts/<id>/ */
	const char *change;
};

static char *key_of(struct upload *u, struct arena *a, const char *name)
{
	const char *below = arena_printf(a, "conflicts/%s/%s", u->note.id, name);

	return below ? volume_key_meta(a, u->x.v, below) : NULL;
}

static bool is_key(const char *key)
{
	size_t len = strlen(key);

	for (const char *p = key; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return len <= STORE_KEY_MAX && json_utf8_valid(key, len);
}

static char *hex(struct arena *a, const char *s)
{
	char *h = arena_alloc(a, 2 * strlen(s) + 1);

	if (h)
		hex_encode(s, strlen(s), h);
	return h;
}

/* A line of changes.json. */
static void add_line(struct upload *u, const struct entry *e, const char *change, const char *key)
{
	static const char *const types[] = {[ENTRY_FILE] = "file", [ENTRY_DIR] = "dir", [ENTRY_SYMLINK] = "symlink"};
	_cleanup_strbuf_ struct strbuf line = STRBUF_INIT;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct conflict_change c = {.change = change, .type = types[e->type], .key = key};

	if (json_utf8_valid(e->path, strlen(e->path)))
		c.path = e->path;
	else
		c.rawpath = hex(&a, e->path);
	if (e->type == ENTRY_SYMLINK && json_utf8_valid(e->target, strlen(e->target)))
		c.target = e->target;
	else if (e->type == ENTRY_SYMLINK)
		c.rawtarget = hex(&a, e->target);
	if (key) {
		hex_encode(e->sha256, SHA256_LEN, u->sha256);
		c.sha256 = u->sha256;
	}
	if (strcmp(change, "deleted") != 0) {
		c.mode = e->mode;
		c.uid = e->uid;
		c.gid = e->gid;
		c.mtime = e->mtime_ns;
		c.size = e->size;
		c.xattrs = e->xattrs;
		c.first =
		    e->type == ENTRY_FILE && e->link && json_utf8_valid(e->link, strlen(e->link)) ? e->link : NULL;
	}
	json_write(&line, &conflict_change_table, &c, 0);
	strbuf_addc(&line, '\n');
	if (line.failed)
		transfer_fail(&u->x, ENOMEM, "out of memory");
	else
		stream_add(&u->out, line.data, line.len);
}

static bool differs(const struct entry *a, const struct entry *b)
{
	if (a->type != b->type || a->mode != b->mode || a->uid != b->uid || a->gid != b->gid)
		return true;
	if (!xattrs_equal(a->xattrs, b->xattrs))
		return true;
	if (a->type == ENTRY_SYMLINK)
		return strcmp(a->target, b->target) != 0;
	return a->type == ENTRY_FILE &&
	       (a->mtime_ns != b->mtime_ns || a->size != b->size || memcmp(a->sha256, b->sha256, SHA256_LEN) != 0);
}

/* Opens the file and hashes it; it has the entry's size then. A descriptor or a negative errno. */
static int read_entry_file(struct upload *u, struct entry *e)
{
	_cleanup_close_ int fd = -1;
	struct xattrs_lost lost = {0};
	struct stat st;
	int r;

	fd = tree_open_file(u->root_fd, e->path, &st);
	if (fd < 0)
		return fd;
	e->size = (uint64_t)st.st_size;
	/* What can't be read of them is not worth the file. */
	if (xattrs_read(fd, &u->arena, &e->xattrs, &lost) < 0)
		e->xattrs = NULL;
	r = entry_hash_fd(fd, e->size, e->sha256);
	return r < 0 ? r : TAKE_FD(fd);
}

static struct job *new_job(struct upload *u, struct entry *e, int fd, const char *change)
{
	struct job *j = arena_alloc(&u->arena, sizeof(*j));
	char *key = NULL;

	if (j) {
		j->name = arena_printf(&u->arena, "tree/%s", e->path);
		key = j->name ? key_of(u, &u->arena, j->name) : NULL;
	}
	if (key && !is_key(key)) {
		j->name = arena_printf(&u->arena, "odd/%zu", u->n_odd++);
		key = j->name ? key_of(u, &u->arena, j->name) : NULL;
	}
	if (!key) {
		close(fd);
		transfer_fail(&u->x, ENOMEM, "out of memory");
		return NULL;
	}
	j->e = e;
	j->change = change;
	store_op_init(&j->op, STORE_PUT, key);
	j->op.in_fd = fd;
	j->op.size = e->size;
	j->op.user = j;
	return j;
}

/* One entry: a line, or a request that ends in one. */
static struct store_op *look_at(struct upload *u, struct entry *e)
{
	const struct entry *old = manifest_find(&u->base, e->path);
	const char *change = old ? "changed" : "added";
	struct job *j;
	int fd = -1;

	if (e->flags & ENTRY_CLEAN)
		return NULL;
	if (e->type == ENTRY_FILE &&
	    (u->note.bytes + e->size > CONFLICT_MAX_BYTES || u->note.files >= CONFLICT_MAX_CHANGES)) {
		u->note.skipped++;
		return NULL;
	}
	if (e->type == ENTRY_FILE)
		fd = read_entry_file(u, e);
	if (e->type == ENTRY_FILE && fd < 0) {
		u->note.skipped++;
		return NULL;
	}
	if (old && !differs(e, old)) {
		cleanup_close(&fd);
		return NULL;
	}
	if (e->type != ENTRY_FILE) {
		add_line(u, e, change, NULL);
		return NULL;
	}
	j = new_job(u, e, fd, change);
	if (!j)
		return NULL;
	u->note.files++;
	u->note.bytes += e->size;
	return &j->op;
}

static struct store_op *next(void *ctx)
{
	struct upload *u = ctx;
	struct store_op *op = NULL;

	while (!op && u->next < u->m.n && transfer_go_on(&u->x))
		op = look_at(u, &u->m.entries[u->next++]);
	return op;
}

static void done(void *ctx, struct store_op *op)
{
	struct upload *u = ctx;
	struct job *j = op->user;

	if (op->result == STORE_OK)
		add_line(u, j->e, j->change, j->name);
	else
		transfer_fail_op(&u->x, op);
	close(op->in_fd);
}

static void add_deleted(struct upload *u)
{
	for (size_t i = 0; i < u->base.n; i++) {
		const struct entry *e = &u->base.entries[i];

		if (entry_in_tree(e) && !manifest_find(&u->m, e->path))
			add_line(u, e, "deleted", NULL);
	}
}

/* The note comes first in the file, but is known last. */
static int put_changes(struct upload *u, int fd)
{
	_cleanup_close_ int whole = tree_tmpfile(u->x.v);
	_cleanup_strbuf_ struct strbuf head = STRBUF_INIT;
	struct store_op op;
	off_t offset = 0;
	int r;

	u->note.uploaded = true;
	json_write(&head, &conflict_note_table, &u->note, 0);
	strbuf_addc(&head, '\n');
	store_op_init(&op, STORE_PUT, key_of(u, &u->arena, "changes.json"));
	r = whole < 0 ? whole : head.failed || !op.key ? -ENOMEM : write_all(whole, head.data, head.len);
	if (r < 0) {
		transfer_fail_cache(&u->x, r, "can't make a file");
		return u->x.failed;
	}
	while (offset < u->out.offset) {
		ssize_t n = copy_file_range(fd, &offset, whole, NULL, (size_t)(u->out.offset - offset), 0);

		if (n <= 0) {
			transfer_fail_cache(&u->x, n < 0 ? errno : EIO, "can't write a file");
			return u->x.failed;
		}
	}
	op.in_fd = whole;
	op.size = head.len + (uint64_t)offset;
	op.content_type = "application/x-ndjson";
	if (store_do(u->x.v->store, &op) != STORE_OK)
		transfer_fail_op(&u->x, &op);
	return u->x.failed;
}

static int upload(struct upload *u)
{
	struct transfer_report ignored = {0};
	_cleanup_close_ int fd = -1;
	char name[80];
	int r;

	snprintf(name, sizeof(name), "conflict-%s", u->note.id);
	u->root_fd = tree_open(u->x.v->cache.dir_fd, name, O_RDONLY | O_DIRECTORY);
	if (u->root_fd < 0)
		return tree_error(u->x.err, u->root_fd, "cache: the tree %s can't be opened", name);
	strcat(name, ".index");
	/* Without one all is sent. */
	if (index_load_file(u->x.v, name, &u->base) == 0 && u->note.unsure)
		u->base.time_ns = 0;
	r = scan_tree(u->x.v, u->root_fd, &u->base, false, &u->m, &ignored, u->x.err);
	if (r < 0)
		return r;
	fd = tree_tmpfile(u->x.v);
	r = fd < 0 ? fd : stream_out_open(&u->out, fd, 0);
	if (r < 0)
		return tree_error(u->x.err, r, "cache: can't make a file");
	u->note.files = u->note.bytes = u->note.skipped = 0;
	store_run(u->x.v->store, next, done, u);
	add_deleted(u);
	if (u->x.failed == 0 && stream_finish(&u->out, NULL) < 0)
		transfer_fail_cache(&u->x, u->out.failed, "can't write a file");
	return u->x.failed < 0 ? u->x.failed : put_changes(u, fd);
}

static void note_uploaded(struct upload *u)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	char name[80];

	json_write(&text, &conflict_note_table, &u->note, 0);
	strbuf_addc(&text, '\n');
	snprintf(name, sizeof(name), "conflict-%s.json", u->note.id);
	/* Else it is sent once more. */
	if (!text.failed)
		write_file_atomic_at(u->x.v->cache.dir_fd, name, text.data, text.len, 0600, false);
}

int conflict_upload(struct volume *v, const char *id, struct error *err)
{
	struct transfer_report report = {0};
	struct upload u = {.x = {.v = v, .report = &report, .err = err}, .root_fd = -1, .out = {.fd = -1}};
	bool (*valid)(void *) = v->store->valid;
	int r;

	if (conflict_read_local(&v->cache, id, &u.arena, &u.note) < 0 || u.note.uploaded || u.note.local ||
	    keeper_alive(u.note.keeper)) {
		arena_free(&u.arena);
		return 0;
	}
	u.note.keeper = NULL;
	/* These keys are nobody's but this run's: no lease is needed to write them. */
	v->store->valid = NULL;
	r = upload(&u);
	v->store->valid = valid;
	if (r == 0)
		note_uploaded(&u);
	stream_out_close(&u.out);
	manifest_free(&u.m);
	manifest_free(&u.base);
	cleanup_close(&u.root_fd);
	arena_free(&u.arena);
	return r;
}
