/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/scan_look.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooks/engine/index.h"
#include "hooks/engine/scan.h"
#include "hooks/engine/tree.h"

int scan_no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory for the tree's entries");
}

int scan_too_many(struct error *err)
{
	return error_set(err, EFBIG, "it has more than %d entries; nothing was committed", MANIFEST_MAX_ENTRIES);
}

static void set_owner(const struct scan *s, struct entry *e, const struct stat *st)
{
	e->uid = ids_uid_from_disk(s->ids, st->st_uid);
	e->gid = ids_gid_from_disk(s->ids, st->st_gid);
}

static void warn_set_id(struct walker *w)
{
	struct walk *k = w->walk;

	pthread_mutex_lock(&k->mutex);
	if (!k->set_id)
		report_warning(w->s->report, "set-id bits are not kept (\"%.200s\")", w->path);
	k->set_id = true;
	pthread_mutex_unlock(&k->mutex);
}

void scan_set_entry(struct walker *w, struct entry *e, const struct stat *st, int type)
{
	if (st->st_mode & (S_ISUID | S_ISGID))
		warn_set_id(w);
	e->type = (uint8_t)type;
	e->mode = st->st_mode & 01777;
	set_owner(w->s, e, st);
	e->mtime_ns = entry_time_ns(&st->st_mtim);
	if (type == ENTRY_SYMLINK)
		e->mode = 0777;
	if (type == ENTRY_FILE)
		e->size = (uint64_t)st->st_size;
	index_set_stat(e, st);
}

static int read_target(struct walker *w, int dir_fd, const char *name, struct entry *e)
{
	ssize_t n = readlinkat(dir_fd, name, w->target, sizeof(w->target));

	if (n < 0)
		return tree_error(&w->err, errno, "the link \"%s\" can't be read", w->path);
	if (n > MANIFEST_PATH_MAX)
		return error_set(&w->err, ENAMETOOLONG, "the link \"%s\" has a target over %d bytes", w->path,
				 MANIFEST_PATH_MAX);
	w->target[n] = '\0';
	e->target = arena_strdup(&w->m.arena, w->target);
	return e->target ? 0 : scan_no_memory(&w->err);
}

int scan_add_name(struct scan_names *names, const struct scan_name *name)
{
	if (names->n == names->room) {
		size_t room = names->room ? names->room * 2 : 64;
		struct scan_name *all = reallocarray(names->all, room, sizeof(*all));

		if (!all)
			return -ENOMEM;
		names->all = all;
		names->room = room;
	}
	names->all[names->n++] = *name;
	return 0;
}

static int add_file_name(struct walker *w, const struct entry *e, const struct stat *st)
{
	const struct scan_name name = {st->st_dev, st->st_ino, e->path};

	if (st->st_nlink <= 1)
		return 0;
	return scan_add_name(&w->names, &name) < 0 ? scan_no_memory(&w->err) : 0;
}

int scan_add(struct walker *w, const struct entry *e)
{
	struct entry *room = manifest_add(&w->m);

	if (!room)
		return w->m.n >= MANIFEST_MAX_ENTRIES ? scan_too_many(&w->err) : scan_no_memory(&w->err);
	*room = *e;
	return 0;
}

/* A directory is added when its attributes are known. */
static int add_directory(struct walker *w, const struct entry *e)
{
	struct entry *dir = arena_alloc(&w->m.arena, sizeof(*dir));

	if (!dir)
		return scan_no_memory(&w->err);
	*dir = *e;
	return scan_push_directory(w, dir);
}

/* Its stat is the base's: it is what the base says. */
static int take(struct walker *w, struct entry *old, const struct stat *st)
{
	struct entry e;
	int r;

	/* Names of one file, and owners that moved, are looked at again: the base keeps what it had. */
	if (!w->s->v->ids_moved && (old->type != ENTRY_FILE || st->st_nlink == 1)) {
		/* A tree that changes meanwhile can show one name twice. */
		__atomic_or_fetch(&old->flags, ENTRY_TAKEN, __ATOMIC_RELAXED);
		return old->type == ENTRY_DIR ? scan_push_directory(w, old) : 0;
	}
	e = *old;
	e.flags = (uint8_t)((e.flags & ~ENTRY_CHANGED) | ENTRY_CLEAN);
	if (w->s->v->ids_moved)
		set_owner(w->s, &e, st);
	if (e.type == ENTRY_DIR)
		return add_directory(w, &e);
	if (e.type == ENTRY_FILE)
		e.link = NULL; /* until all names are known */
	r = e.type == ENTRY_FILE ? add_file_name(w, &e, st) : 0;
	return r < 0 ? r : scan_add(w, &e);
}

static int add_entry(struct walker *w, int dir_fd, const char *name, struct entry *old, const struct stat *st, int type)
{
	struct entry e = {.path = old ? old->path : NULL};
	int r;

	if (old && old->type == type && index_same(w->s->base, old, st))
		return take(w, old, st);
	if (!e.path)
		e.path = arena_strdup(&w->m.arena, w->path);
	if (!e.path)
		return scan_no_memory(&w->err);
	scan_set_entry(w, &e, st, type);
	/* A directory's tag is its marker's, another entry's that of a plain object. */
	if (old && (old->type == ENTRY_DIR || old->type == ENTRY_GONE_DIR) == (type == ENTRY_DIR))
		e.tag = old->tag;
	if (type == ENTRY_DIR)
		return add_directory(w, &e);
	if (type == ENTRY_FILE)
		e.flags = ENTRY_CHANGED;
	r = type == ENTRY_FILE ? add_file_name(w, &e, st) : read_target(w, dir_fd, name, &e);
	return r < 0 ? r : scan_add(w, &e);
}

/* Holes cost nothing to make, and as much as bytes to hash and to send: many files of them are as bad as a large one.
 */
static int check_file(struct walker *w, const struct stat *st)
{
	uint64_t size = (uint64_t)st->st_size, there = (uint64_t)st->st_blocks * 512;
	const struct volume *v = w->s->v;

	if (!w->s->limits || !v->max_file_bytes)
		return 0;
	if (size > v->max_file_bytes)
		return error_set(&w->err, EFBIG,
				 "the file \"%s\" has %" PRIu64 " bytes, the limit is %" PRIu64
				 " (limits.bytes_per_file); nothing was committed",
				 w->path, size, v->max_file_bytes);
	if (size > there && __atomic_add_fetch(&w->walk->holes, size - there, __ATOMIC_RELAXED) > v->max_file_bytes)
		return error_set(&w->err, EFBIG,
				 "its files have holes of more than %" PRIu64
				 " bytes in all (limits.bytes_per_file), \"%s\" among them; nothing was committed",
				 v->max_file_bytes, w->path);
	return 0;
}

static void skip(struct walker *w)
{
	pthread_mutex_lock(&w->walk->mutex);
	w->s->report->files_skipped++;
	report_warning(w->s->report, "sockets, pipes and devices are not kept (\"%.200s\")", w->path);
	pthread_mutex_unlock(&w->walk->mutex);
}

/* What the base has of that name in the directory. */
static struct entry *find_old(const struct scan *s, const struct listed *l, const char *name)
{
	const size_t at = l->len > 0 ? l->len + 1 : 0;
	size_t lo = l->lo, hi = l->hi;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int cmp = strcmp(s->base->entries[mid].path + at, name);

		if (cmp == 0)
			return &s->base->entries[mid];
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

int scan_look_at(struct walker *w, const struct listed *l, const char *name)
{
	size_t len = strlen(name), at = l->len;
	int fd = dirfd(l->dir);
	struct entry *old;
	struct stat st;
	int r;

	w->seen++;
	memcpy(w->path, l->path, at + 1);
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : tree_error(&w->err, errno, "\"%s/%s\" can't be read", w->path, name);
	if (at + len + 1 > MANIFEST_PATH_MAX)
		return error_set(&w->err, EFBIG,
				 "it has a path of over %d bytes (\"%.60s/...\"); nothing was committed",
				 MANIFEST_PATH_MAX, w->path);
	if (at > 0)
		w->path[at++] = '/';
	memcpy(w->path + at, name, len + 1);
	old = find_old(w->s, l, name);
	if (S_ISREG(st.st_mode)) {
		r = check_file(w, &st);
		return r < 0 ? r : add_entry(w, fd, name, old, &st, ENTRY_FILE);
	}
	if (S_ISDIR(st.st_mode))
		return add_entry(w, fd, name, old, &st, ENTRY_DIR);
	if (S_ISLNK(st.st_mode))
		return add_entry(w, fd, name, old, &st, ENTRY_SYMLINK);
	skip(w);
	return 0;
}
