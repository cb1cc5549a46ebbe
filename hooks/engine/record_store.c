/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/record_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "hooks/engine/restore.h"
#include "hooks/engine/tree.h"

#define ROOT_MODE 0755

static void empty_manifest(const struct volume *v, struct manifest *ret)
{
	*ret = (struct manifest){0};
	ret->root = (struct entry){.path = "",
				   .type = ENTRY_DIR,
				   .mode = ROOT_MODE,
				   .uid = v->owner_uid,
				   .gid = v->owner_gid,
				   .mtime_ns = entry_time_ns(&(struct timespec){.tv_sec = time(NULL)})};
}

/* Records on their way, each into a file of its own. */
struct fetch {
	struct transfer *x;
	struct job {
		struct store_op op;
		const struct head_commit *commit;
	} jobs[RECORD_CHAIN_MAX];
	size_t n, next;
};

static void fetch_close(struct fetch *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->jobs[i].op.out_fd >= 0)
			close(f->jobs[i].op.out_fd);
}

static struct store_op *next(void *ctx)
{
	struct fetch *f = ctx;

	return f->next < f->n && transfer_go_on(f->x) ? &f->jobs[f->next++].op : NULL;
}

static void done(void *ctx, struct store_op *op)
{
	struct fetch *f = ctx;
	struct job *j = op->user;

	f->x->report->data_requests++;
	f->x->report->bytes_in += op->got_size;
	if (op->result != STORE_OK)
		transfer_fail_op(f->x, op);
	else if (op->got_size != j->commit->length)
		transfer_fail(f->x, EBADMSG, "record: the store's object commits/%.300s is shorter than it should be",
			      j->commit->object);
}

static int fetch(struct fetch *f, struct transfer *x, const struct head_commit *commits, size_t n)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;

	*f = (struct fetch){.x = x};
	for (; f->n < n && x->failed == 0; f->n++) {
		const struct head_commit *c = &commits[f->n];
		const char *name = arena_printf(&a, "commits/%s", c->object);
		struct job *j = &f->jobs[f->n];

		if (c->length == 0 || c->length > RECORD_MAX_SIZE)
			transfer_fail(x, EINVAL, "register: a record of %" PRIu64 " bytes can't be", c->length);
		store_op_init(&j->op, STORE_GET, name ? volume_key_meta(&a, x->v, name) : NULL);
		j->commit = c;
		j->op.user = j;
		j->op.offset = c->offset;
		j->op.length = c->length;
		j->op.out_fd = tree_tmpfile(x->v);
		if (!j->op.key || j->op.out_fd < 0)
			transfer_fail_cache(x, j->op.key ? j->op.out_fd : ENOMEM, "can't make a file for the record");
	}
	if (x->failed == 0)
		store_run(x->v->store, next, done, f);
	return x->failed;
}

static int parse(int fd, const struct head_commit *commit, struct manifest *ret, struct error *err)
{
	_cleanup_(stream_in_close) struct stream_in in = {.fd = -1};
	char sha256[SHA256_HEX_MAX];
	int r;

	/* Believed only when it is what the register, or a record that is believed, names. */
	r = sha256_fd(fd, 0, commit->length, sha256, NULL);
	if (r == 0)
		r = stream_in_open(&in, fd, 0, commit->length, false);
	if (r < 0)
		return error_set(err, r, "cache: the record can't be read (error %d)", -r);
	if (strcmp(sha256, commit->sha256) != 0)
		return error_set(err, EBADMSG,
				 "record of commit %" PRIu64
				 ": its bytes are not those that the register names (sha256 differs)",
				 commit->seq);
	r = record_read(&in, ret, err);
	if (r < 0)
		return r;
	if (ret->seq == commit->seq && ret->epoch == commit->epoch)
		return 0;
	manifest_free(ret);
	return error_set(err, EINVAL, "record: it is of another commit than the register names");
}

/* The commit before a delta: its chain, from the base on. */
static int load_chain(struct transfer *x, const struct manifest *delta, struct manifest *ret)
{
	_cleanup_(fetch_close) struct fetch f;
	int r = fetch(&f, x, delta->chain, delta->n_chain);

	for (size_t i = 0; r == 0 && i < f.n; i++) {
		_cleanup_(manifest_free) struct manifest m = {0};

		r = parse(f.jobs[i].op.out_fd, &delta->chain[i], &m, x->err);
		if (r == 0 && record_is_delta(&m) != (i > 0))
			r = error_set(x->err, EINVAL, "record: a chain that doesn't begin with a base");
		if (r == 0 && i > 0) {
			r = record_apply(ret, &m, x->err);
		} else if (r == 0) {
			*ret = m;
			m = (struct manifest){0};
		}
	}
	return r;
}

static int load(struct transfer *x, const struct head_commit *commit, struct manifest *ret)
{
	_cleanup_(manifest_free) struct manifest delta = {0};
	_cleanup_(fetch_close) struct fetch f;
	struct manifest last;
	int r = fetch(&f, x, commit, 1);

	if (r == 0)
		r = parse(f.jobs[0].op.out_fd, commit, ret, x->err);
	if (r < 0 || !record_is_delta(ret))
		return r < 0 ? r : manifest_chain(ret, NULL, commit);
	delta = *ret;
	*ret = (struct manifest){0};
	/* Its strings go to ret with the rest. */
	last = (struct manifest){.chain = delta.chain, .n_chain = delta.n_chain};
	r = load_chain(x, &delta, ret);
	if (r == 0)
		r = record_apply(ret, &delta, x->err);
	if (r == 0)
		r = manifest_check(ret, x->err);
	return r < 0 ? r : manifest_chain(ret, &last, commit);
}

int record_load(struct transfer *x, const struct head_commit *commit, struct manifest *ret)
{
	struct manifest m = {0};
	int r = x->failed;

	if (commit->seq == 0) {
		empty_manifest(x->v, ret);
		return r;
	}
	if (r == 0)
		r = load(x, commit, &m);
	if (r == -ENOMEM)
		error_set(x->err, ENOMEM, "out of memory");
	if (r < 0) {
		manifest_free(&m);
		return x->failed = r;
	}
	snprintf(m.record_sha256, sizeof(m.record_sha256), "%s", commit->sha256);
	*ret = m;
	return 0;
}

int restore_manifest(struct volume *v, const struct head_commit *commit, struct manifest *ret, struct error *err)
{
	struct transfer_report ignored = {0};
	struct transfer x = {.v = v, .report = &ignored, .err = err};

	return record_load(&x, commit, ret);
}
