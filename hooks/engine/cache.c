/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/cache.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"
#include "base/sys.h"
#include "oci/json.h"

#define MARK_MAX_SIZE 1024
#define NODE_ID_MAX 128
#define PROBE_MAX_SIZE 8192
/* How often a waiter looks at a lock: quick at first, then idle. flock(2) itself can't be given a time limit. */
#define LOCK_POLL_MIN_NS (2 * NSEC_PER_MSEC)
#define LOCK_POLL_MAX_NS (100 * NSEC_PER_MSEC)

int cache_open(const char *path, int *ret_fd, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	r = mkdir_p_at(AT_FDCWD, path, 0700);
	if (r < 0)
		return error_set(err, r, "cache %s: can't be made (error %d)", path, -r);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "cache %s: can't be opened (error %d)", path, errno);
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022))
		return error_set(err, EINVAL, "cache %s: must belong to uid %u and be writable by nobody else", path,
				 (unsigned)geteuid());
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The id stays what the first one who asked made it: link(2) doesn't replace. */
static int make_node_id(int cache_fd, struct error *err)
{
	unsigned char raw[16];
	char hex[2 * sizeof(raw) + 2], tmp[64];
	int r;

	random_bytes(raw, sizeof(raw));
	hex_encode(raw, sizeof(raw), hex);
	snprintf(tmp, sizeof(tmp), "node.%s", hex);
	strcat(hex, "\n");
	r = write_file_atomic_at(cache_fd, tmp, hex, strlen(hex), 0600, true);
	if (r < 0)
		return error_set(err, r, "cache: can't write the node's id (error %d)", -r);
	if (linkat(cache_fd, tmp, cache_fd, "node", 0) < 0 && errno != EEXIST)
		r = error_set(err, errno, "cache: can't write the node's id (error %d)", errno);
	unlinkat(cache_fd, tmp, 0);
	return r;
}

int cache_node_id(int cache_fd, struct arena *a, const char **ret, struct error *err)
{
	_cleanup_free_ char *id = NULL, *uuid = NULL;
	int r;

	r = read_file_at(cache_fd, "node", NODE_ID_MAX, &id, NULL);
	if (r == -ENOENT) {
		r = make_node_id(cache_fd, err);
		if (r < 0)
			return r;
		r = read_file_at(cache_fd, "node", NODE_ID_MAX, &id, NULL);
	}
	if (r < 0)
		return error_set(err, r, "cache: can't read the node's id (error %d)", -r);
	id[strcspn(id, "\n")] = '\0';
	if (strlen(id) != 32 || strspn(id, "0123456789abcdef") != 32)
		return error_set(err, EINVAL, "cache: the file \"node\" holds no node id; remove it");
	/* Readable by root only; without it a copied disk image would make two nodes of one id. */
	if (read_file_at(AT_FDCWD, "/sys/class/dmi/id/product_uuid", NODE_ID_MAX, &uuid, NULL) == 0)
		uuid[strcspn(uuid, "\n")] = '\0';
	*ret = arena_printf(a, "%s:%s", id, uuid ? uuid : "");
	return *ret ? 0 : error_set(err, ENOMEM, "out of memory");
}

int cache_volume_open(int cache_fd, const char *store, const char *workspace, const char *name,
		      struct cache_volume *ret, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *path = arena_printf(&a, "%s/%s/%s", store, workspace, name);
	int fd, r;

	if (!path)
		return error_set(err, ENOMEM, "out of memory");
	r = mkdir_p_at(cache_fd, path, 0700);
	if (r < 0)
		return error_set(err, r, "cache: can't make the directory %s (error %d)", path, -r);
	fd = sys_openat2(cache_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
			 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return error_set(err, errno, "cache: can't open the directory %s (error %d)", path, errno);
	*ret = (struct cache_volume){.dir_fd = fd, .lock_fd = -1};
	return 0;
}

void cache_volume_close(struct cache_volume *c)
{
	cache_unlock(c);
	cleanup_close(&c->dir_fd);
	c->dir_fd = -1;
}

/* Sleeps until *pause is over, the deadline or a cancellation; lengthens *pause. */
static int lock_pause(int64_t *pause, int64_t deadline_ns, int cancel_fd, struct error *err)
{
	struct pollfd p = {.fd = cancel_fd, .events = POLLIN};
	int64_t now = clock_boottime_ns(), ns = *pause;

	if (now >= deadline_ns)
		return error_set(err, ETIMEDOUT, "the volume is in use on this node");
	if (deadline_ns - now < ns)
		ns = deadline_ns - now;
	if (poll(&p, 1, (int)((ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC)) > 0)
		return error_set(err, ECANCELED, "cancelled");
	if (*pause < LOCK_POLL_MAX_NS)
		*pause *= 2;
	return 0;
}

static int lock_file(int dir_fd, const char *name, int64_t deadline_ns, int cancel_fd, int *ret_fd, struct error *err)
{
	_cleanup_close_ int fd = -1;
	int64_t pause = LOCK_POLL_MIN_NS;
	int r;

	fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set(err, errno, "cache: can't open the file \"%s\" (error %d)", name, errno);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return error_set(err, errno, "cache: can't lock the file \"%s\" (error %d)", name, errno);
		r = lock_pause(&pause, deadline_ns, cancel_fd, err);
		if (r < 0)
			return r;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int cache_lock(struct cache_volume *c, int64_t deadline_ns, int cancel_fd, struct error *err)
{
	return lock_file(c->dir_fd, "lock", deadline_ns, cancel_fd, &c->lock_fd, err);
}

void cache_unlock(struct cache_volume *c)
{
	cache_settle_end(c);
	cleanup_close(&c->lock_fd);
	c->lock_fd = -1;
}

int cache_lock_ro(const struct cache_volume *c, int64_t deadline_ns, int cancel_fd, int *ret_fd, struct error *err)
{
	return lock_file(c->dir_fd, "lock-ro", deadline_ns, cancel_fd, ret_fd, err);
}

struct mark_file {
	uint64_t epoch, seq, users;
	const char *record_sha256, *boot_id, *heir;
	bool unquiet;
};

static const struct json_field mark_fields[] = {
    JSON_FIELD(struct mark_file, epoch, "epoch", JSON_U64, .required = true),
    JSON_FIELD(struct mark_file, seq, "seq", JSON_U64, .required = true),
    JSON_FIELD(struct mark_file, record_sha256, "record_sha256", JSON_STR),
    JSON_FIELD(struct mark_file, boot_id, "boot_id", JSON_STR, .required = true),
    JSON_FIELD(struct mark_file, heir, "heir", JSON_STR),
    JSON_FIELD(struct mark_file, users, "users", JSON_U64),
    JSON_FIELD(struct mark_file, unquiet, "unquiet", JSON_BOOL),
    {NULL},
};
static const struct json_table mark_table = {"mark", sizeof(struct mark_file), mark_fields, JSON_STRICT};

static int read_mark(const struct cache_volume *c, const char *name, struct cache_mark *ret)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_free_ char *text = NULL;
	struct error ignored = ERROR_INIT;
	struct mark_file m;
	size_t len;

	if (read_file_at(c->dir_fd, name, MARK_MAX_SIZE, &text, &len) < 0)
		return -ENOENT;
	if (json_parse(text, len, name, &mark_table, &a, &m, &ignored) < 0)
		return -ENOENT;
	*ret = (struct cache_mark){.epoch = m.epoch, .seq = m.seq, .users = m.users, .unquiet = m.unquiet};
	snprintf(ret->record_sha256, sizeof(ret->record_sha256), "%s", m.record_sha256 ? m.record_sha256 : "");
	snprintf(ret->boot_id, sizeof(ret->boot_id), "%s", m.boot_id);
	snprintf(ret->heir, sizeof(ret->heir), "%s", m.heir ? m.heir : "");
	return 0;
}

int cache_read_dirty(const struct cache_volume *c, struct cache_mark *ret)
{
	if (read_mark(c, "dirty", ret) == 0)
		return 0;
	/* A dirty mark that can't be read still says that the tree is dirty, and so does a disk that does not tell. */
	if (faccessat(c->dir_fd, "dirty", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return -ENOENT;
	*ret = (struct cache_mark){0};
	return 0;
}

int cache_read_clean(const struct cache_volume *c, struct cache_mark *ret)
{
	return read_mark(c, "clean", ret);
}

static int write_mark(const struct cache_volume *c, const char *name, const struct mark_file *m, bool sync,
		      struct error *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	int r;

	json_write(&out, &mark_table, m, 0);
	strbuf_addc(&out, '\n');
	r = out.failed ? -ENOMEM : write_file_atomic_at(c->dir_fd, name, out.data, out.len, 0600, sync);
	return r < 0 ? error_set(err, r, "cache: can't write the mark \"%s\" (error %d)", name, -r) : 0;
}

static int write_mark_now(const struct cache_volume *c, const char *name, struct mark_file m, bool sync,
			  struct error *err)
{
	char boot_id[CACHE_CLEAN_BOOT_ID_MAX];
	int r = cache_boot_id(boot_id);

	if (r < 0)
		return error_set(err, r, "can't read the boot's id (error %d)", -r);
	m.boot_id = boot_id;
	return write_mark(c, name, &m, sync, err);
}

static int mark_dirty(const struct cache_volume *c, struct mark_file m, struct error *err)
{
	int r = write_mark_now(c, "dirty", m, true, err);

	if (r == 0)
		unlinkat(c->dir_fd, "clean", 0);
	return r;
}

int cache_mark_dirty(const struct cache_volume *c, uint64_t epoch, uint64_t seq, struct error *err)
{
	return mark_dirty(c, (struct mark_file){.epoch = epoch, .seq = seq}, err);
}

int cache_mark_unquiet(const struct cache_volume *c, uint64_t epoch, uint64_t seq, struct error *err)
{
	return mark_dirty(c, (struct mark_file){.epoch = epoch, .seq = seq, .unquiet = true}, err);
}

int cache_mark_heir(const struct cache_volume *c, const struct cache_mark *m, uint64_t epoch, const char *heir,
		    struct error *err)
{
	return write_mark(c, "dirty",
			  &(struct mark_file){.epoch = epoch,
					      .seq = m->seq,
					      .boot_id = m->boot_id,
					      .heir = heir,
					      .unquiet = m->unquiet,
					      .users = epoch == m->epoch ? m->users : m->epoch},
			  true, err);
}

static int mark_clean(const struct cache_volume *c, uint64_t epoch, uint64_t seq, const char *record_sha256, bool sync,
		      struct error *err)
{
	struct mark_file m = {.epoch = epoch, .seq = seq, .record_sha256 = record_sha256};
	int r = write_mark_now(c, "clean", m, sync, err);

	/* Last: while both are there, the tree counts as dirty. */
	if (r == 0 && unlinkat(c->dir_fd, "dirty", 0) < 0 && errno != ENOENT)
		r = error_set(err, errno, "cache: can't remove the mark \"dirty\" (error %d)", errno);
	return r;
}

int cache_mark_clean(const struct cache_volume *c, uint64_t epoch, uint64_t seq, const char *record_sha256,
		     struct error *err)
{
	int r = cache_settle(c->dir_fd);

	if (r < 0)
		return error_set(err, r, "cache: can't be written to disk (error %d)", -r);
	return mark_clean(c, epoch, seq, record_sha256, true, err);
}

int cache_mark_restored(const struct cache_volume *c, uint64_t epoch, uint64_t seq, const char *record_sha256,
			struct error *err)
{
	return mark_clean(c, epoch, seq, record_sha256, false, err);
}

/*
 * Of an epoch that nobody knows any more (an unreadable mark) other nodes, and what a commit could not publish
 * ("0-7", engine/conflict.h), have names in the same store: a number that nobody else has.
 */
static void set_aside_name(uint64_t epoch, unsigned n, char *ret, size_t size)
{
	uint64_t number;

	if (epoch == 0) {
		random_bytes(&number, sizeof(number));
		snprintf(ret, size, "conflict-0-%" PRIu64, number | UINT64_C(1) << 63);
	} else {
		snprintf(ret, size, n ? "conflict-%" PRIu64 "-%u" : "conflict-%" PRIu64, epoch, n);
	}
}

int cache_set_aside(const struct cache_volume *c, uint64_t epoch, struct arena *a, const char **ret_name,
		    struct error *err)
{
	char name[64], index[80];
	unsigned n;

	/* Without "clean" a tree is compared with the manifest: safe wherever this is interrupted. */
	unlinkat(c->dir_fd, "clean", 0);
	for (n = 0;; n++) {
		set_aside_name(epoch, n, name, sizeof(name));
		if (renameat2(c->dir_fd, "rw", c->dir_fd, name, RENAME_NOREPLACE) == 0)
			break;
		if (errno == ENOENT) {
			name[0] = '\0';
			break;
		}
		if (errno != EEXIST)
			return error_set(err, errno, "cache: can't set the tree aside (error %d)", errno);
	}
	*ret_name = NULL;
	if (name[0] && !(*ret_name = arena_strdup(a, name)))
		return error_set(err, ENOMEM, "out of memory");
	/* It tells what was changed since; a later tree's index it must not be. */
	snprintf(index, sizeof(index), "%s.index", name);
	if (!name[0] || renameat(c->dir_fd, "index", c->dir_fd, index) < 0)
		unlinkat(c->dir_fd, "index", 0);
	if (fsync(c->dir_fd) < 0)
		return error_set(err, errno, "cache: can't be written to disk (error %d)", errno);
	unlinkat(c->dir_fd, "dirty", 0);
	return 0;
}

static void note(const struct cache_volume *c, const char *name, const char *text)
{
	if (text)
		write_file_atomic_at(c->dir_fd, name, text, strlen(text), 0600, false);
	else
		unlinkat(c->dir_fd, name, 0);
}

void cache_note_error(const struct cache_volume *c, const char *text)
{
	note(c, "last-error", text);
}

void cache_note_keeper(const struct cache_volume *c, const char *json)
{
	note(c, "keeper", json);
}

struct probe_file {
	const char *fingerprint;
	uint32_t quirks;
};

static const struct json_field probe_fields[] = {
    JSON_FIELD(struct probe_file, fingerprint, "fingerprint", JSON_STR, .required = true),
    JSON_FIELD(struct probe_file, quirks, "quirks", JSON_U32, .required = true),
    {NULL},
};
static const struct json_table probe_table = {"probe", sizeof(struct probe_file), probe_fields, JSON_STRICT};

int cache_read_probe(int cache_fd, const char *store, const char *fingerprint, unsigned *ret_quirks)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_free_ char *text = NULL;
	const char *path = arena_printf(&a, "%s/.probe", store);
	struct error ignored = ERROR_INIT;
	struct probe_file p;
	size_t len;

	if (!path || read_file_at(cache_fd, path, PROBE_MAX_SIZE, &text, &len) < 0)
		return -ENOENT;
	if (json_parse(text, len, path, &probe_table, &a, &p, &ignored) < 0 || strcmp(p.fingerprint, fingerprint) != 0)
		return -ENOENT;
	*ret_quirks = p.quirks;
	return 0;
}

int cache_write_probe(int cache_fd, const char *store, const char *fingerprint, unsigned quirks, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	const char *path = arena_printf(&a, "%s/.probe", store);
	struct probe_file p = {.fingerprint = fingerprint, .quirks = quirks};
	int r;

	json_write(&out, &probe_table, &p, 0);
	if (!path || out.failed)
		return error_set(err, ENOMEM, "out of memory");
	r = write_file_atomic_at(cache_fd, path, out.data, out.len, 0600, false);
	return r < 0 ? error_set(err, r, "cache: can't write %s (error %d)", path, -r) : 0;
}

int cache_boot_id(char ret[CACHE_CLEAN_BOOT_ID_MAX])
{
	_cleanup_free_ char *id = NULL;
	int r = read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", CACHE_CLEAN_BOOT_ID_MAX, &id, NULL);

	if (r < 0)
		return r;
	id[strcspn(id, "\n")] = '\0';
	snprintf(ret, CACHE_CLEAN_BOOT_ID_MAX, "%s", id);
	return 0;
}
