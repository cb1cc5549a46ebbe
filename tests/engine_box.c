/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/engine_box.h"

#include <fts.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "hooks/engine/xattrs.h"

/* One identity for all: who was killed is known to be dead, and nobody waits for his lease. */
static const struct lease_identity identity = {"node", "node", "boot", "1 1", "c"};

struct spy {
	struct store store;
	struct store *inner;
	struct node *node;
	bool lease;
};

static bool is_cut_off(struct spy *s, bool *ret_lost)
{
	struct node *n = s->node;
	int i = (int)n->requests++;

	*ret_lost = n->cut_off_at >= 0 && n->cut_off_after && i == n->cut_off_at;
	return n->cut_off_at >= 0 && i >= n->cut_off_at && !*ret_lost;
}

static void spy_run(struct store *store, struct store_op *(*next)(void *), void (*done)(void *, struct store_op *),
		    void *ctx, unsigned parallel)
{
	struct spy *s = (struct spy *)store;
	struct store_op *op;

	(void)parallel;
	while ((op = next(ctx))) {
		bool lost, off = is_cut_off(s, &lost);

		s->inner->valid = store->valid;
		s->inner->valid_ctx = store->valid_ctx;
		if (!off)
			store_do(s->inner, op);
		if (op->kind == STORE_COPY)
			s->node->copied = op->size;
		if (op->kind == STORE_GET && op->length > 0 && s->node->no_range_tags)
			op->tag[0] = '\0';
		if ((op->kind == STORE_GET || op->kind == STORE_HEAD) && !strstr(op->key, "/head"))
			s->node->data_requests++;
		if (off || lost) {
			op->result = op->condition != STORE_ANY ? STORE_UNKNOWN : STORE_UNREACHABLE;
			error_set(&op->err, EIO, "cut off");
		}
		done(ctx, op);
	}
}

static int spy_list(struct store *store, const char *prefix, store_list_fn fn, void *ctx, struct error *err)
{
	struct spy *s = (struct spy *)store;
	bool lost, off = is_cut_off(s, &lost);

	return off || lost ? error_set(err, EIO, "cut off") : store_list(s->inner, prefix, fn, ctx, err);
}

static void spy_close(struct store *store)
{
	store_close(((struct spy *)store)->inner);
	free(store);
}

static struct store *spy_open(struct node *n, bool lease)
{
	static const struct store_vtable ops = {"spy", spy_close, spy_run, spy_list};
	struct spy *s = calloc(1, sizeof(*s));

	s->inner = fake_store_open(n->box->fake);
	s->store.ops = &ops;
	s->store.name = "spy";
	s->store.caps = s->inner->caps;
	s->store.parallel = 1;
	s->node = n;
	s->lease = lease;
	return &s->store;
}

int box_setup(void **state)
{
	struct box *b = calloc(1, sizeof(*b));

	strcpy(b->dir, "/tmp/volrun-test-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->fake = fake_store_new();
	*state = b;
	return 0;
}

int box_teardown(void **state)
{
	struct box *b = *state;

	remove_tree_at(AT_FDCWD, b->dir);
	fake_store_free(b->fake);
	free(b);
	return 0;
}

struct node *node_open(struct box *b, const char *name)
{
	struct node *n = calloc(1, sizeof(*n));
	char path[128];
	int fd;

	n->box = b;
	n->cut_off_at = -1;
	n->config.name = "spy";
	n->v = (struct volume){.workspace = "ws", .name = "vol", .config = &n->config};
	n->v.store = spy_open(n, false);
	n->v.lease_store = spy_open(n, true);
	snprintf(path, sizeof(path), "%s/%s", b->dir, name);
	assert_int_equal(cache_open(path, &fd, &n->err), 0);
	assert_int_equal(cache_volume_open(fd, "spy", "ws", "vol", &n->v.cache, &n->err), 0);
	close(fd);
	return n;
}

void node_kill(struct node *n)
{
	lease_free(n->lease);
	n->lease = NULL;
	node_close(n);
}

void node_close(struct node *n)
{
	lease_free(n->lease);
	cache_volume_close(&n->v.cache);
	store_close(n->v.store);
	store_close(n->v.lease_store);
	arena_free(&n->v.arena);
	arena_free(&n->arena);
	free(n);
}

void node_acquire(struct node *n)
{
	/* Renewals would be counted among the requests. */
	struct lease_config quiet = {.renew_ns = 3600 * NSEC_PER_SEC, .poll_ns = 20 * NSEC_PER_MSEC};
	int r;

	quiet.ttl_ns = n->box->ttl_ns ? n->box->ttl_ns : 60 * NSEC_PER_SEC;
	r = lease_acquire(&n->v, &quiet, &identity, clock_boottime_ns() + 5 * NSEC_PER_SEC, -1, &n->lease, &n->err);

	if (r < 0)
		fail_msg("acquire: %s", n->err.msg);
	lease_head(n->lease, &n->arena, &n->head);
	n->requests = n->data_requests = 0;
}

static char *plain_key_of(const char *path)
{
	char *key = NULL;

	assert_true(asprintf(&key, "volumes/ws/vol/%s", path) > 0);
	return key;
}

char *plain_text(struct box *b, const char *path)
{
	_cleanup_free_ char *key = plain_key_of(path);

	return fake_store_text(b->fake, key);
}

void plain_put(struct box *b, const char *path, const char *text)
{
	_cleanup_free_ char *key = plain_key_of(path);

	fake_store_put(b->fake, key, text);
}

int node_start(struct node *n)
{
	int r;

	node_acquire(n);
	n->report = (struct transfer_report){0};
	r = restore_run(&n->v, &n->head, lease_valid, n->lease, &n->report, &n->err);
	if (r == 0)
		lease_settled(n->lease, n->report.settled_seq);
	return r;
}

void node_begin(struct node *n)
{
	if (node_start(n) < 0)
		fail_msg("restore: %s", n->err.msg);
	assert_int_equal(cache_mark_dirty(&n->v.cache, n->head.epoch, n->head.commit.seq, &n->err), 0);
}

int node_end(struct node *n)
{
	uint64_t applied;
	int r;

	n->report = (struct transfer_report){0};
	r = commit_run(&n->v, n->lease, &n->report, &applied, &n->err);
	if (r == 0 && n->cut_off_at < 0) {
		r = lease_release(n->lease, applied, &n->err);
		lease_free(n->lease);
		n->lease = NULL;
	}
	return r;
}

void node_settle(struct node *n)
{
	uint64_t applied;

	node_acquire(n);
	assert_int_equal(publish_redo(&n->v, n->lease, &applied, &n->err), 0);
	assert_int_equal(lease_release(n->lease, applied, &n->err), 0);
	lease_free(n->lease);
	n->lease = NULL;
}

/* --- trees ------------------------------------------------------------------- */

int node_root(struct node *n)
{
	int fd = openat(n->v.cache.dir_fd, "rw", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void set_mtime(int root, const char *path, int64_t mtime)
{
	struct timespec t[2] = {{mtime, 123456789}, {mtime, 123456789}};

	assert_int_equal(utimensat(root, path, t, AT_SYMLINK_NOFOLLOW), 0);
}

void put_file(struct node *n, const char *path, const char *text, mode_t mode, int64_t mtime)
{
	_cleanup_close_ int root = node_root(n);
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	set_mtime(root, path, mtime);
}

void put_big(struct node *n, const char *path, size_t size, unsigned seed)
{
	_cleanup_close_ int root = node_root(n);
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	uint32_t block[1024], x = seed * 2654435761u + 1;

	assert_true(fd >= 0);
	while (size > 0) {
		size_t len = size < sizeof(block) ? size : sizeof(block);

		for (size_t i = 0; i < 1024; i++)
			block[i] = x = x * 1664525u + 1013904223u;
		assert_int_equal(write_all(fd, block, len), 0);
		size -= len;
	}
	close(fd);
}

void put_dir(struct node *n, const char *path, mode_t mode)
{
	_cleanup_close_ int root = node_root(n);

	assert_int_equal(mkdirat(root, path, 0700), 0);
	assert_int_equal(fchmodat(root, path, mode, 0), 0);
}

void put_link(struct node *n, const char *path, const char *target)
{
	_cleanup_close_ int root = node_root(n);

	assert_int_equal(symlinkat(target, root, path), 0);
	set_mtime(root, path, 1234567);
}

void drop(struct node *n, const char *path)
{
	_cleanup_close_ int root = node_root(n);

	assert_int_equal(remove_tree_at(root, path), 0);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void dump_attributes(struct strbuf *out, const FTSENT *e)
{
	_cleanup_close_ int fd = open(e->fts_accpath, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct xattrs_lost lost = {0};
	const char *text = NULL;

	if (S_ISLNK(e->fts_statp->st_mode))
		return;
	assert_int_equal(xattrs_read(fd, &a, &text, &lost), 0);
	if (text)
		strbuf_addf(out, " {%s}", text);
}

static void dump_entry(struct strbuf *out, const FTSENT *e, size_t skip)
{
	const struct stat *st = e->fts_statp;
	char text[4096];
	ssize_t len;

	strbuf_addf(out, "%s %o %u:%u %" PRId64 ".%09ld", e->fts_path + skip, st->st_mode, st->st_uid, st->st_gid,
		    (int64_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	if (S_ISLNK(st->st_mode)) {
		len = readlink(e->fts_accpath, text, sizeof(text) - 1);
		strbuf_addf(out, " -> %.*s", (int)len, text);
	}
	dump_attributes(out, e);
	if (S_ISREG(st->st_mode)) {
		char hex[SHA256_HEX_MAX];
		int fd = open(e->fts_accpath, O_RDONLY);

		assert_int_equal(sha256_fd(fd, 0, UINT64_MAX, hex, NULL), 0);
		strbuf_addf(out, " %" PRId64 " %s links %u", (int64_t)st->st_size, hex, (unsigned)st->st_nlink);
		close(fd);
	}
	strbuf_addc(out, '\n');
}

char *dump_tree(struct node *n, const char *name)
{
	struct strbuf out = STRBUF_INIT;
	char fd[FD_PATH_MAX], path[128];
	char *const paths[] = {path, NULL};
	FTSENT *e;
	FTS *fts;

	snprintf(path, sizeof(path), "%s/%s", fd_path(n->v.cache.dir_fd, fd), name);
	fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	assert_non_null(fts);
	while ((e = fts_read(fts)))
		if (e->fts_info != FTS_DP)
			dump_entry(&out, e, strlen(path));
	fts_close(fts);
	return strbuf_take(&out);
}

void assert_same_tree(const char *expected, struct node *n)
{
	_cleanup_free_ char *got = dump_tree(n, "rw");

	assert_string_equal(got, expected);
}

char *file_text(struct node *n, const char *path)
{
	_cleanup_close_ int root = node_root(n);
	char *text = NULL;

	return read_file_at(root, path, 1 << 20, &text, NULL) < 0 ? NULL : text;
}

void store_spoil(struct box *b, const char *key, const char *from, const char *to)
{
	_cleanup_free_ char *text = fake_store_text(b->fake, key), *copy = NULL;
	char *at;

	assert_non_null(text);
	at = strstr(text, from);
	assert_non_null(at);
	*at = '\0';
	assert_true(asprintf(&copy, "%s%s%s", text, to, at + strlen(from)) > 0);
	fake_store_put(b->fake, key, copy);
}

char *store_commit_key(struct box *b)
{
	_cleanup_free_ char *head = fake_store_text(b->fake, "volumes/ws/.volrun/vol/head");
	char *object = strstr(head, "\"object\":\""), *key = NULL;

	assert_non_null(object);
	object += 10;
	object[strcspn(object, "\"")] = '\0';
	assert_true(asprintf(&key, "volumes/ws/.volrun/vol/commits/%s", object) > 0);
	return key;
}

void assert_file(struct node *n, const char *path, const char *text)
{
	_cleanup_free_ char *got = file_text(n, path);

	if (!text != !got || (text && strcmp(text, got) != 0))
		fail_msg("file %s is \"%s\", not \"%s\"", path, got ? got : "(none)", text ? text : "(none)");
}
