/* SPDX-License-Identifier: Apache-2.0 */
/* Where applied tables lie: in the store, and a copy in the cache. */
#include "hooks/engine/applied_store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/engine/tree.h"

char *applied_key(struct arena *a, const struct volume *v, uint64_t seq)
{
	char name[40];

	snprintf(name, sizeof(name), "%" PRIu64 ".applied", seq);
	return volume_key_meta(a, v, name);
}

/* The cache's copy, if it is of this seq. */
static int open_kept(const struct volume *v, uint64_t seq, uint64_t *ret_size)
{
	_cleanup_close_ int fd = openat(v->cache.dir_fd, "applied", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_(kept_close) struct kept_in k = {.in = {.fd = -1}};
	struct error ignored = ERROR_INIT;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || kept_open(&k, fd, (uint64_t)st.st_size, &ignored) < 0)
		return -ENOENT;
	if (k.head.seq != seq)
		return -ENOENT;
	*ret_size = (uint64_t)st.st_size;
	return TAKE_FD(fd);
}

void applied_forget(const struct volume *v)
{
	unlinkat(v->cache.dir_fd, "applied", 0);
}

void applied_keep(const struct volume *v, int fd, uint64_t size)
{
	_cleanup_close_ int out = -1;
	off_t offset = 0;

	unlinkat(v->cache.dir_fd, "applied.new", 0);
	out = openat(v->cache.dir_fd, "applied.new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	while (out >= 0 && (uint64_t)offset < size) {
		ssize_t n = copy_file_range(fd, &offset, out, NULL, size - (uint64_t)offset, 0);

		if (n <= 0)
			break;
	}
	if (out >= 0 && (uint64_t)offset == size)
		renameat(v->cache.dir_fd, "applied.new", v->cache.dir_fd, "applied");
	unlinkat(v->cache.dir_fd, "applied.new", 0);
}

/* The text of a table, into a file; -1: there is none, or it failed. */
static int get_text(struct transfer *x, uint64_t seq, uint64_t *ret_size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int fd = tree_tmpfile(x->v);
	struct store_op op;

	store_op_init(&op, STORE_GET, applied_key(&a, x->v, seq));
	op.out_fd = fd;
	if (!op.key || fd < 0)
		transfer_fail_cache(x, fd < 0 ? fd : ENOMEM, "can't make a file");
	if (!transfer_go_on(x))
		return -1;
	x->report->data_requests++;
	if (store_do(x->v->store, &op) == STORE_ABSENT)
		return -1;
	if (op.result != STORE_OK)
		transfer_fail_op(x, &op);
	else if (op.got_size > APPLIED_MAX_SIZE)
		transfer_fail(x, EFBIG, "applied table: %" PRIu64 " bytes are too many", op.got_size);
	*ret_size = op.got_size;
	return x->failed < 0 ? -1 : TAKE_FD(fd);
}

/* The text that the register carries, into a file. */
static int get_carried(struct transfer *x, const char *text, uint64_t *ret_size)
{
	_cleanup_close_ int fd = tree_tmpfile(x->v);
	int r;

	*ret_size = strlen(text);
	r = fd < 0 ? fd : pwrite_all(fd, text, *ret_size, 0);
	if (r < 0)
		transfer_fail_cache(x, r, "can't make a file");
	return x->failed < 0 ? -1 : TAKE_FD(fd);
}

/* Reads the text of a table into `a`: a whole one, or a delta on what is there. */
static int read_text(struct transfer *x, int fd, const struct applied_link *link, bool first, struct applied *a)
{
	struct stream_in in;
	int r;

	if (stream_in_open(&in, fd, 0, link->length, false) < 0) {
		transfer_fail(x, ENOMEM, "out of memory");
		return x->failed;
	}
	r = first ? applied_read(in, a, x->err) : applied_apply(a, in, x->err);
	if (r == 0 && a->head.seq != link->seq)
		r = error_set(x->err, EINVAL, "applied table: it is of another commit");
	return x->failed = r;
}

static int read_head(struct transfer *x, int fd, uint64_t size, struct applied_head *ret)
{
	_cleanup_(applied_close) struct applied_in in = {.in = {.fd = -1}};
	struct stream_in stream;
	int r;

	if (stream_in_open(&stream, fd, 0, size, false) < 0) {
		transfer_fail(x, ENOMEM, "out of memory");
		return x->failed;
	}
	r = applied_open(&in, stream, x->err);
	if (r == 0)
		*ret = in.head;
	return x->failed = r;
}

static int load_kept(int fd, uint64_t size, struct applied *ret, struct error *err)
{
	_cleanup_(applied_free) struct applied a = {0};
	_cleanup_(kept_close) struct kept_in k = {.in = {.fd = -1}};
	struct applied_entry e;
	int r = kept_open(&k, fd, size, err);

	while (r >= 0 && (r = kept_next(&k, &e, err)) > 0)
		if (applied_add(&a, &e) < 0)
			return error_set(err, ENOMEM, "out of memory");
	if (r < 0)
		return r;
	a.head = k.head;
	*ret = a;
	a = (struct applied){0};
	return 0;
}

/* What a table builds on, by its chain. 1; 0: it is not there. */
static int get_base(struct transfer *x, struct applied_head *head, struct applied *ret)
{
	struct error ignored = ERROR_INIT;
	_cleanup_close_ int kept = -1;
	uint64_t size;

	if (head->n_chain > 0)
		kept = open_kept(x->v, head->chain[head->n_chain - 1].seq, &size);
	if (kept >= 0 && load_kept(kept, size, ret, &ignored) == 0)
		return 1;
	for (size_t i = 0; i < head->n_chain; i++) {
		struct applied_link *link = &head->chain[i];
		_cleanup_close_ int fd = get_text(x, link->seq, &link->length);

		if (fd < 0 || read_text(x, fd, link, i == 0, ret) < 0)
			return x->failed;
	}
	return 1;
}

/* The table of seq, whole, with its own link at the end of its chain. carried: its text; NULL: it is in the store. 1;
 * 0: there is none. */
static int get_table(struct transfer *x, uint64_t seq, const char *carried, struct applied *ret)
{
	_cleanup_(applied_free) struct applied a = {0};
	_cleanup_close_ int last = -1;
	struct applied_head head;
	uint64_t size;

	last = carried ? get_carried(x, carried, &size) : get_text(x, seq, &size);
	if (last < 0 || read_head(x, last, size, &head) < 0 || get_base(x, &head, &a) <= 0)
		return x->failed;
	head.chain[head.n_chain] = (struct applied_link){seq, size};
	if (read_text(x, last, &head.chain[head.n_chain], head.n_chain == 0, &a) < 0)
		return x->failed;
	head.n_chain++;
	a.head = head;
	*ret = a;
	a = (struct applied){0};
	return 1;
}

static int write_kept(struct transfer *x, const struct applied *a, int fd, uint64_t *ret_size)
{
	_cleanup_(stream_out_close) struct stream_out out = {.fd = -1};

	if (stream_out_open_summed(&out, fd, 0) < 0) {
		transfer_fail(x, ENOMEM, "out of memory");
		return x->failed;
	}
	kept_write_head(&out, &a->head);
	for (size_t i = 0; i < a->n; i++)
		kept_write_entry(&out, &a->entries[i]);
	if (kept_write_end(&out) < 0)
		transfer_fail_cache(x, out.failed, "the applied table can't be written");
	*ret_size = out.written;
	return x->failed;
}

int applied_fetch(struct transfer *x, uint64_t seq, int *ret_fd, uint64_t *ret_size)
{
	_cleanup_(applied_free) struct applied a = {0};
	_cleanup_close_ int fd = -1;

	*ret_fd = -1;
	*ret_size = 0;
	if (seq == 0 || x->failed < 0 || (*ret_fd = open_kept(x->v, seq, ret_size)) >= 0)
		return x->failed;
	*ret_fd = -1;
	if (get_table(x, seq, NULL, &a) <= 0)
		return x->failed;
	fd = tree_tmpfile(x->v);
	if (fd < 0)
		transfer_fail_cache(x, fd, "can't make a file");
	if (x->failed < 0 || write_kept(x, &a, fd, ret_size) < 0)
		return x->failed;
	applied_keep(x->v, fd, *ret_size);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int applied_load(struct transfer *x, const struct head *head, struct applied *ret)
{
	struct error err = ERROR_INIT;
	int r = 0;

	*ret = (struct applied){0};
	/* The second time from the store: the cache's copy may be broken. */
	for (int i = 0; i < 2; i++) {
		_cleanup_close_ int fd = -1;
		uint64_t size;

		if (x->failed == 0 && head->carried && (fd = open_kept(x->v, head->applied_seq, &size)) < 0)
			get_table(x, head->applied_seq, head->carried, ret);
		else if (fd < 0)
			applied_fetch(x, head->applied_seq, &fd, &size);
		if (x->failed < 0 || fd < 0)
			return x->failed;
		r = load_kept(fd, size, ret, &err);
		if (r == 0)
			return 0;
		applied_forget(x->v);
	}
	transfer_fail(x, -r, "%s", err.msg);
	return x->failed;
}

/* Failures cost requests later, nothing else. */
static void keep_carried(struct volume *v, const struct head *head)
{
	_cleanup_(applied_free) struct applied a = {0};
	struct transfer_report ignored = {0};
	struct error err = ERROR_INIT;
	struct transfer x = {.v = v, .report = &ignored, .err = &err};
	_cleanup_close_ int fd = -1;
	uint64_t size;

	if (get_table(&x, head->applied_seq, head->carried, &a) <= 0)
		return;
	fd = tree_tmpfile(v);
	if (fd >= 0 && write_kept(&x, &a, fd, &size) == 0)
		applied_keep(v, fd, size);
}

int applied_put(struct transfer *x, const struct head *head)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct store_op op;

	store_op_init(&op, STORE_PUT, applied_key(&a, x->v, head->applied_seq));
	op.data = head->carried;
	op.size = strlen(head->carried);
	if (!op.key)
		transfer_fail(x, ENOMEM, "out of memory");
	if (!transfer_go_on(x))
		return x->failed;
	x->report->data_requests++;
	if (store_do(x->v->store, &op) != STORE_OK)
		transfer_fail_op(x, &op);
	else
		keep_carried(x->v, head);
	return x->failed;
}
