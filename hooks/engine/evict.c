/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/evict.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "hooks/engine/tree_mounts.h"
#include "oci/json.h"

#define USAGE "usage"
#define PIN "pin"
#define USAGE_MAX_SIZE 1024
/* What a file takes beside its bytes: the rest of its last block, inode, name; on the large side. */
#define FILE_OVERHEAD 4096

struct usage {
	uint64_t files, bytes, used;
};

static const struct json_field usage_fields[] = {
    JSON_FIELD(struct usage, files, "files", JSON_U64, .write_empty = true),
    JSON_FIELD(struct usage, bytes, "bytes", JSON_U64, .write_empty = true),
    JSON_FIELD(struct usage, used, "used", JSON_U64, .required = true),
    {NULL},
};
static const struct json_table usage_table = {"usage", sizeof(struct usage), usage_fields, JSON_STRICT};

/* Of the wall clock: it lasts over reboots, and a jump costs the order of a few. */
static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void cache_note_usage(const struct cache_volume *c, uint64_t files, uint64_t bytes)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	struct usage u = {.files = files, .bytes = bytes, .used = now_ms()};

	json_write(&text, &usage_table, &u, 0);
	if (!text.failed)
		write_file_atomic_at(c->dir_fd, USAGE, text.data, text.len, 0600, false);
}

/* None: it was never complete. */
static struct usage read_usage(int dir_fd)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_free_ char *text = NULL;
	struct error ignored = ERROR_INIT;
	struct usage u;
	size_t len;

	if (read_file_at(dir_fd, USAGE, USAGE_MAX_SIZE, &text, &len) < 0 ||
	    json_parse(text, len, USAGE, &usage_table, &a, &u, &ignored) < 0)
		return (struct usage){0};
	return u;
}

/* --- what is there ------------------------------------------------------------------------ */

/* fn for each name in the directory, but for those with a dot before. */
static void each_name(int dir_fd, void (*fn)(void *ctx, int dir_fd, const char *name), void *ctx)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			fn(ctx, dir_fd, e->d_name);
}

static int open_dir(int dir_fd, const char *name)
{
	return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* A volume in the cache. */
struct cached {
	char *path; /* below the cache */
	uint64_t bytes, used;
	unsigned trees;
	bool conflict;
};

struct survey {
	struct cached *list;
	size_t n, room;
	uint64_t bytes;
	char path[3 * 256];
	unsigned depth;
};

static void look_at_name(void *ctx, int dir_fd, const char *name)
{
	struct cached *v = ctx;

	(void)dir_fd;
	if (strcmp(name, "rw") == 0 || has_prefix(name, "ro-") || has_prefix(name, "new-ro-"))
		v->trees++;
	if (has_prefix(name, "conflict-"))
		v->conflict = true;
}

static void add_volume(struct survey *s, int dir_fd)
{
	struct usage u = read_usage(dir_fd);
	struct cached v = {.used = u.used};

	each_name(dir_fd, look_at_name, &v);
	if (v.trees == 0)
		return;
	if (s->n == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		struct cached *list = reallocarray(s->list, room, sizeof(*list));

		if (!list)
			return;
		s->list = list;
		s->room = room;
	}
	v.path = strdup(s->path);
	if (!v.path)
		return;
	v.bytes = v.trees * (u.bytes + u.files * FILE_OVERHEAD);
	s->bytes += v.bytes;
	s->list[s->n++] = v;
}

/* <store>/<workspace>/<volume> */
static void look_below(void *ctx, int dir_fd, const char *name)
{
	_cleanup_close_ int fd = open_dir(dir_fd, name);
	struct survey *s = ctx;
	size_t len = strlen(s->path);

	if (fd < 0 || snprintf(s->path + len, sizeof(s->path) - len, "%s%s", len ? "/" : "", name) >=
			  (int)(sizeof(s->path) - len)) {
		s->path[len] = '\0';
		return;
	}
	if (++s->depth == 3)
		add_volume(s, fd);
	else
		each_name(fd, look_below, s);
	s->depth--;
	s->path[len] = '\0';
}

static int by_use(const void *a, const void *b)
{
	const struct cached *x = a, *y = b;

	return x->used < y->used ? -1 : x->used > y->used ? 1 : strcmp(x->path, y->path);
}

static void survey(int cache_fd, struct survey *ret)
{
	*ret = (struct survey){0};
	each_name(cache_fd, look_below, ret);
	if (ret->n > 1)
		qsort(ret->list, ret->n, sizeof(*ret->list), by_use);
}

static void survey_free(struct survey *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->list[i].path);
	free(s->list);
}

/* --- removing ------------------------------------------------------------------------------ */

bool cache_is_read(int dir_fd, const char *name)
{
	_cleanup_close_ int fd = open_dir(dir_fd, name);

	/* Its keeper locks it (keeper_take.c), and may have died before the container. */
	return fd >= 0 && (flock(fd, LOCK_EX | LOCK_NB) < 0 || tree_is_mounted_elsewhere(fd, NULL));
}

struct readers {
	const char *keep;
	bool in_use;
};

static void remove_reader(void *ctx, int dir_fd, const char *name)
{
	struct readers *r = ctx;

	if (!has_prefix(name, "ro-") || (r->keep && strcmp(name, r->keep) == 0))
		return;
	if (cache_is_read(dir_fd, name)) {
		r->in_use = true;
		return;
	}
	/* At once, so that a tree of its name is always complete. */
	remove_tree_at(dir_fd, CACHE_LEAVING);
	if (renameat(dir_fd, name, dir_fd, CACHE_LEAVING) == 0)
		remove_tree_at(dir_fd, CACHE_LEAVING);
}

void cache_remove_old_readers(const struct cache_volume *c, const char *keep)
{
	struct readers r = {.keep = keep};

	each_name(c->dir_fd, remove_reader, &r);
}

static void remove_half_made(void *ctx, int dir_fd, const char *name)
{
	(void)ctx;
	if (has_prefix(name, "new-ro-"))
		remove_tree_at(dir_fd, name);
}

static int lock_now(int dir_fd, const char *name)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 ? TAKE_FD(fd) : -1;
}

/* The marks first: a tree that is half gone must not be taken for a commit's. */
static bool remove_contents(const struct cache_volume *c)
{
	struct readers r = {0};

	unlinkat(c->dir_fd, "clean", 0);
	unlinkat(c->dir_fd, "index", 0);
	remove_tree_at(c->dir_fd, "rw");
	remove_tree_at(c->dir_fd, "tmp");
	each_name(c->dir_fd, remove_reader, &r);
	each_name(c->dir_fd, remove_half_made, NULL);
	if (!r.in_use)
		unlinkat(c->dir_fd, USAGE, 0);
	return !r.in_use;
}

static bool evict_one(int cache_fd, const struct cached *v)
{
	_cleanup_close_ int fd = sys_openat2(cache_fd, v->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
					     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	_cleanup_close_ int lock = -1, lock_ro = -1;
	struct cache_volume c = {.dir_fd = fd, .lock_fd = -1};
	struct cache_mark mark;

	if (fd < 0 || v->conflict || cache_is_pinned(&c))
		return false;
	lock = lock_now(fd, "lock");
	lock_ro = lock < 0 ? -1 : lock_now(fd, "lock-ro");
	/* Only now: who had the lock may have left it dirty. */
	if (lock_ro < 0 || cache_read_dirty(&c, &mark) == 0)
		return false;
	return remove_contents(&c);
}

void cache_evict(int cache_fd, uint64_t max_bytes, struct evict_report *ret)
{
	_cleanup_close_ int lock = lock_now(cache_fd, "evicting");
	struct survey s;

	*ret = (struct evict_report){0};
	if (lock < 0)
		return;
	survey(cache_fd, &s);
	ret->left = s.bytes;
	for (size_t i = 0; i < s.n && ret->left > max_bytes; i++) {
		if (!evict_one(cache_fd, &s.list[i]))
			continue;
		ret->volumes++;
		ret->bytes += s.list[i].bytes;
		ret->left -= s.list[i].bytes;
	}
	survey_free(&s);
}

bool cache_has_room(int cache_fd, uint64_t need)
{
	struct statvfs fs;

	/* What can't be asked, or does not count what it has (ramfs), is not full. */
	return fstatvfs(cache_fd, &fs) < 0 || fs.f_blocks == 0 || (uint64_t)fs.f_bavail * fs.f_frsize >= need;
}

size_t cache_make_room(int cache_fd, uint64_t need)
{
	struct survey s;
	size_t n = 0;

	if (cache_has_room(cache_fd, need))
		return 0;
	survey(cache_fd, &s);
	for (size_t i = 0; i < s.n && !cache_has_room(cache_fd, need); i++)
		n += evict_one(cache_fd, &s.list[i]);
	survey_free(&s);
	return n;
}

size_t cache_evict_more(int cache_fd)
{
	struct statvfs fs;

	return fstatvfs(cache_fd, &fs) < 0 ? 0 : cache_make_room(cache_fd, (uint64_t)fs.f_bavail * fs.f_frsize + 1);
}

/* --- pins --------------------------------------------------------------------------------------- */

int cache_pin(const struct cache_volume *c, bool pin, struct error *err)
{
	int r = 0;

	if (pin)
		r = write_file_atomic_at(c->dir_fd, PIN, "", 0, 0600, false);
	else if (unlinkat(c->dir_fd, PIN, 0) < 0 && errno != ENOENT)
		r = -errno;
	return r < 0 ? error_set(err, r, "cache: the volume can't be %s (error %d)", pin ? "pinned" : "unpinned", -r)
		     : 0;
}

bool cache_is_pinned(const struct cache_volume *c)
{
	return faccessat(c->dir_fd, PIN, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}
