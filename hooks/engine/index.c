/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/index.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/sys.h"
#include "hooks/engine/record.h"
#include "hooks/engine/tree.h"
#include "hooks/engine/xattrs.h"

#define INDEX_MAGIC "volrun index 4\n"
/* Two changes within a tick of the kernel's clock can have one time stamp. */
#define TICK_NS (20 * NSEC_PER_MSEC)

struct disk_header {
	char magic[16];
	uint64_t n, epoch, seq;
	int64_t time_ns;
	char record_sha256[SHA256_HEX_MAX];
	uint8_t differs, n_chain;
};

/* What of an entry's flags is kept: the others are of one scan. */
#define FLAGS (ENTRY_FOREIGN | ENTRY_REPUBLISH | ENTRY_SPARSE)

/* Of the manifest's chain, after the header. */
struct disk_commit {
	uint64_t seq, epoch, offset, length;
	char object[256], sha256[SHA256_HEX_MAX];
};

/* The strings follow it, in this order, without NULs. */
struct disk_entry {
	uint16_t path_len, target_len, object_len, tag_len;
	uint64_t size, offset, ino;
	int64_t mtime_ns, ctime_ns;
	uint32_t uid, gid;
	uint16_t mode;
	uint8_t type, flags;
	uint32_t xattrs_len;
	unsigned char sha256[SHA256_LEN];
};

static size_t length(const char *s)
{
	return s ? strlen(s) : 0;
}

static void write_entry(struct stream_out *out, const struct entry *e)
{
	struct disk_entry d;

	memset(&d, 0, sizeof(d)); /* padding too */
	d.path_len = (uint16_t)length(e->path);
	d.target_len = (uint16_t)length(e->target);
	d.object_len = (uint16_t)length(e->object);
	d.tag_len = (uint16_t)length(e->tag);
	d.xattrs_len = (uint32_t)length(e->xattrs);
	d.size = e->size;
	d.offset = e->offset;
	d.ino = e->ino;
	d.mtime_ns = e->mtime_ns;
	d.ctime_ns = e->ctime_ns;
	d.uid = e->uid;
	d.gid = e->gid;
	d.mode = e->mode;
	d.type = e->type;
	d.flags = e->flags & FLAGS;
	memcpy(d.sha256, e->sha256, SHA256_LEN);
	stream_add(out, &d, sizeof(d));
	stream_add(out, e->path, d.path_len);
	stream_add(out, e->target, d.target_len);
	stream_add(out, e->object, d.object_len);
	stream_add(out, e->tag, d.tag_len);
	stream_add(out, e->xattrs, d.xattrs_len);
}

static void write_commit(struct stream_out *out, const struct head_commit *c)
{
	struct disk_commit d;

	memset(&d, 0, sizeof(d));
	d.seq = c->seq;
	d.epoch = c->epoch;
	d.offset = c->offset;
	d.length = c->length;
	snprintf(d.object, sizeof(d.object), "%s", c->object);
	snprintf(d.sha256, sizeof(d.sha256), "%s", c->sha256);
	stream_add(out, &d, sizeof(d));
}

static int write_all_of(int fd, const struct manifest *m)
{
	_cleanup_(stream_out_close) struct stream_out out;
	struct disk_header h;
	int r;

	r = stream_out_open_summed(&out, fd, 0);
	if (r < 0)
		return r;
	memset(&h, 0, sizeof(h));
	memcpy(h.magic, INDEX_MAGIC, sizeof(h.magic));
	h.n = m->n;
	h.epoch = m->epoch;
	h.seq = m->seq;
	h.time_ns = m->time_ns;
	h.differs = m->differs;
	memcpy(h.record_sha256, m->record_sha256, sizeof(h.record_sha256));
	h.n_chain = (uint8_t)m->n_chain;
	stream_add(&out, &h, sizeof(h));
	for (size_t i = 0; i < m->n_chain; i++)
		write_commit(&out, &m->chain[i]);
	write_entry(&out, &m->root);
	for (size_t i = 0; i < m->n; i++)
		write_entry(&out, &m->entries[i]);
	return stream_finish_summed(&out);
}

int index_write(const struct volume *v, const struct manifest *m, struct error *err)
{
	_cleanup_close_ int fd = -1;
	int r = 0;

	unlinkat(v->cache.dir_fd, "index.new", 0);
	fd = openat(v->cache.dir_fd, "index.new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		r = -errno;
	else
		r = write_all_of(fd, m);
	/* No fsync: the clean mark's syncfs comes after, and what is broken is only a loss of time. */
	if (r == 0 && renameat(v->cache.dir_fd, "index.new", v->cache.dir_fd, "index") < 0)
		r = -errno;
	return r < 0 ? tree_error(err, r, "cache: can't write the index") : 0;
}

static int read_string(struct stream_in *in, struct manifest *m, size_t len, const char **ret)
{
	char *s;
	int r;

	if (len == 0)
		return 0;
	s = arena_text(&m->arena, len);
	*ret = s;
	if (!s)
		return -ENOMEM;
	r = stream_read(in, s, len);
	s[r < 0 ? 0 : len] = '\0';
	return r == 0 && strlen(s) != len ? -EINVAL : r;
}

/* The sum at the end tells of chance, not of who wrote it: what the rest of the engine relies on is looked at. */
static bool is_entry(const struct entry *e, bool root)
{
	if (e->type >= ENTRY_REMOVED || (e->mode & ~01777) || (e->type == ENTRY_SYMLINK && !e->target) ||
	    (e->xattrs && !xattrs_valid(e->xattrs)))
		return false;
	return root ? e->type == ENTRY_DIR && !*e->path : path_is_safe_relative(e->path, strlen(e->path));
}

static int read_entry(struct stream_in *in, struct manifest *m, struct entry *e)
{
	struct disk_entry d;
	char object[256];
	int r;

	r = stream_read(in, &d, sizeof(d));
	if (r < 0)
		return r;
	if (d.path_len > MANIFEST_PATH_MAX || d.target_len > MANIFEST_PATH_MAX || d.object_len >= sizeof(object) ||
	    d.tag_len >= STORE_TAG_MAX || d.xattrs_len > XATTRS_TEXT_MAX)
		return -EINVAL;
	*e = (struct entry){.path = "", .size = d.size, .offset = d.offset, .ino = d.ino, .mtime_ns = d.mtime_ns};
	e->ctime_ns = d.ctime_ns;
	e->uid = d.uid;
	e->gid = d.gid;
	e->mode = d.mode;
	e->type = d.type;
	e->flags = d.flags & FLAGS;
	memcpy(e->sha256, d.sha256, SHA256_LEN);
	r = read_string(in, m, d.path_len, &e->path);
	if (r == 0)
		r = read_string(in, m, d.target_len, &e->target);
	if (r == 0)
		r = stream_read(in, object, d.object_len);
	if (r == 0 && d.object_len > 0) {
		object[d.object_len] = '\0';
		e->object = manifest_object(m, object);
		r = e->object ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = read_string(in, m, d.tag_len, &e->tag);
	return r < 0 ? r : read_string(in, m, d.xattrs_len, &e->xattrs);
}

static int read_chain(struct stream_in *in, struct manifest *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct manifest last = {.chain = m->chain, .n_chain = i};
		struct head_commit c = {0};
		struct disk_commit d;
		int r = n <= RECORD_CHAIN_MAX ? stream_read(in, &d, sizeof(d)) : -EINVAL;

		if (r < 0)
			return r;
		d.object[sizeof(d.object) - 1] = d.sha256[sizeof(d.sha256) - 1] = '\0';
		c.seq = d.seq;
		c.epoch = d.epoch;
		c.offset = d.offset;
		c.length = d.length;
		c.object = d.object;
		c.sha256 = d.sha256;
		if (manifest_chain(m, &last, &c) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int read_all_of(struct stream_in *in, struct manifest *m)
{
	struct disk_header h;
	int r;

	r = stream_read(in, &h, sizeof(h));
	if (r < 0)
		return r;
	if (memcmp(h.magic, INDEX_MAGIC, sizeof(h.magic)) != 0 || h.n > MANIFEST_MAX_ENTRIES)
		return -EINVAL;
	m->epoch = h.epoch;
	m->seq = h.seq;
	m->time_ns = h.time_ns;
	m->differs = h.differs;
	memcpy(m->record_sha256, h.record_sha256, sizeof(m->record_sha256));
	m->record_sha256[sizeof(m->record_sha256) - 1] = '\0';
	r = read_chain(in, m, h.n_chain);
	if (r == 0)
		r = read_entry(in, m, &m->root);
	if (r == 0 && !is_entry(&m->root, true))
		r = -EINVAL;
	for (uint64_t i = 0; i < h.n && r == 0; i++) {
		struct entry *e = manifest_add(m);

		r = e ? read_entry(in, m, e) : -ENOMEM;
		if (r == 0 && !is_entry(e, false))
			r = -EINVAL;
	}
	if (r < 0)
		return r;
	return stream_in_is_whole(in) ? 0 : -EINVAL;
}

int index_load(const struct volume *v, struct manifest *ret)
{
	return index_load_file(v, "index", ret);
}

int index_load_file(const struct volume *v, const char *name, struct manifest *ret)
{
	_cleanup_close_ int fd = openat(v->cache.dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_(stream_in_close) struct stream_in in = {.fd = -1};
	struct manifest m = {0};
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || stream_in_open(&in, fd, 0, (uint64_t)st.st_size, true) < 0)
		return -ENOENT;
	if (read_all_of(&in, &m) < 0) {
		manifest_free(&m);
		return -ENOENT;
	}
	manifest_sort(&m);
	*ret = m;
	return 0;
}

int index_now(const struct volume *v, int64_t *ret_ns, struct error *err)
{
	_cleanup_close_ int fd = tree_tmpfile(v);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return tree_error(err, fd < 0 ? fd : errno, "cache: can't make a file");
	*ret_ns = entry_time_ns(&st.st_ctim);
	return 0;
}

bool index_same(const struct manifest *m, const struct entry *e, const struct stat *st)
{
	int64_t ctime_ns = entry_time_ns(&st->st_ctim);
	/* Whole seconds only: a file system that knows no parts of them. */
	int64_t tick = ctime_ns % NSEC_PER_SEC ? TICK_NS : 2 * NSEC_PER_SEC;

	if (m->time_ns == 0 || e->ino == 0)
		return false;
	if (e->ino != st->st_ino || e->ctime_ns != ctime_ns || e->mtime_ns != entry_time_ns(&st->st_mtim))
		return false;
	if (e->type == ENTRY_FILE && e->size != (uint64_t)st->st_size)
		return false;
	return ctime_ns < m->time_ns - tick;
}

void index_set_stat(struct entry *e, const struct stat *st)
{
	e->ino = st->st_ino;
	e->ctime_ns = entry_time_ns(&st->st_ctim);
}
