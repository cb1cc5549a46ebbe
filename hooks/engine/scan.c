/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/engine/ids.h"
#include "hooks/engine/index.h"
#include "hooks/engine/tree.h"

/* A name of a file that has more of them. */
struct name {
	dev_t dev;
	ino_t ino;
	const char *path;
};

struct scan {
	const struct volume *v;
	int root_fd;
	const struct manifest *base;
	bool limits;
	struct manifest *m;
	struct transfer_report *report;
	struct error *err;
	bool set_id; /* was warned about */
	struct xattrs_lost warned;
	struct ids *ids;    /* of the tree */
	struct name *names; /* of files that have several */
	size_t n_names, names_room;
	uint64_t holes; /* bytes of all files that are not on the disk */
	char path[MANIFEST_PATH_MAX + 1];
	char target[MANIFEST_PATH_MAX + 2];
};

void report_warning(struct transfer_report *report, const char *fmt, ...)
{
	struct error text = ERROR_INIT; /* replaces control characters */
	char msg[sizeof(report->warning)];
	va_list ap;

	if (report->n_warnings++ > 0)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	error_set(&text, EINVAL, "%s", msg);
	snprintf(report->warning, sizeof(report->warning), "%.*s", (int)sizeof(report->warning) - 1, text.msg);
}

void report_lost(struct transfer_report *report, const struct xattrs_lost *lost, struct xattrs_lost *warned,
		 const char *path)
{
	if (lost->acl && !warned->acl)
		report_warning(report, "ACLs and capabilities of files are not kept (\"%.200s\")", path);
	if (lost->large && !warned->large)
		report_warning(
		    report, "extended attributes of over %d bytes, or more than %d of them, are not kept (\"%.200s\")",
		    XATTRS_MAX_BYTES, XATTRS_MAX_COUNT, path);
	warned->acl |= lost->acl;
	warned->large |= lost->large;
}

static int no_memory(struct scan *s)
{
	return error_set(s->err, ENOMEM, "the tree has more than %d entries, or memory is out", MANIFEST_MAX_ENTRIES);
}

static void set_owner(const struct scan *s, struct entry *e, const struct stat *st)
{
	e->uid = ids_uid_from_disk(s->ids, st->st_uid);
	e->gid = ids_gid_from_disk(s->ids, st->st_gid);
}

static void set_entry(struct scan *s, struct entry *e, const struct stat *st, int type)
{
	if ((st->st_mode & (S_ISUID | S_ISGID)) && !s->set_id) {
		s->set_id = true;
		report_warning(s->report, "set-id bits are not kept (\"%.200s\")", s->path);
	}
	e->type = (uint8_t)type;
	e->mode = st->st_mode & 01777;
	set_owner(s, e, st);
	e->mtime_ns = entry_time_ns(&st->st_mtim);
	if (type == ENTRY_SYMLINK)
		e->mode = 0777;
	if (type == ENTRY_FILE)
		e->size = (uint64_t)st->st_size;
	index_set_stat(e, st);
}

static int read_target(struct scan *s, int dir_fd, const char *name, struct entry *e)
{
	ssize_t n = readlinkat(dir_fd, name, s->target, sizeof(s->target));

	if (n < 0)
		return tree_error(s->err, errno, "the link \"%s\" can't be read", s->path);
	if (n > MANIFEST_PATH_MAX)
		return error_set(s->err, ENAMETOOLONG, "the link \"%s\" has a target over %d bytes", s->path,
				 MANIFEST_PATH_MAX);
	s->target[n] = '\0';
	e->target = arena_strdup(&s->m->arena, s->target);
	return e->target ? 0 : no_memory(s);
}

static int add_name(struct scan *s, const struct entry *e, const struct stat *st)
{
	if (s->n_names == s->names_room) {
		size_t room = s->names_room ? s->names_room * 2 : 64;
		struct name *names = reallocarray(s->names, room, sizeof(*names));

		if (!names)
			return no_memory(s);
		s->names = names;
		s->names_room = room;
	}
	s->names[s->n_names++] = (struct name){st->st_dev, st->st_ino, e->path};
	return 0;
}

static int add_entry(struct scan *s, int dir_fd, const char *name, const struct stat *st, int type)
{
	const struct entry *old = manifest_find(s->base, s->path);
	struct entry *e = manifest_add(s->m);

	if (!e)
		return no_memory(s);
	if (old && old->type == type && index_same(s->base, old, st)) {
		*e = *old;
		e->flags = (e->flags & ~ENTRY_CHANGED) | ENTRY_CLEAN;
		if (s->v->ids_moved)
			set_owner(s, e, st);
		if (type != ENTRY_FILE)
			return 0;
		e->link = NULL; /* until all names are known */
		return st->st_nlink > 1 ? add_name(s, e, st) : 0;
	}
	e->path = old ? old->path : arena_strdup(&s->m->arena, s->path);
	if (!e->path)
		return no_memory(s);
	set_entry(s, e, st, type);
	/* A directory's tag is its marker's, another entry's that of a plain object. */
	if (old && (old->type == ENTRY_DIR || old->type == ENTRY_GONE_DIR) == (type == ENTRY_DIR))
		e->tag = old->tag;
	if (type == ENTRY_FILE) {
		e->flags = ENTRY_CHANGED;
		return st->st_nlink > 1 ? add_name(s, e, st) : 0;
	}
	return type == ENTRY_SYMLINK ? read_target(s, dir_fd, name, e) : 0;
}

/* Holes cost nothing to make, and as much as bytes to hash and to send: many files of them are as bad as a large one.
 */
static int check_file(struct scan *s, const struct stat *st)
{
	uint64_t size = (uint64_t)st->st_size, there = (uint64_t)st->st_blocks * 512;
	const struct volume *v = s->v;

	if (!s->limits || !v->max_file_bytes)
		return 0;
	if (size > v->max_file_bytes)
		return error_set(s->err, EFBIG,
				 "the file \"%s\" has %" PRIu64 " bytes, the limit is %" PRIu64
				 " (limits.bytes_per_file); nothing was committed",
				 s->path, size, v->max_file_bytes);
	s->holes += size > there ? size - there : 0;
	if (s->holes > v->max_file_bytes)
		return error_set(s->err, EFBIG,
				 "its files have holes of more than %" PRIu64
				 " bytes in all (limits.bytes_per_file), \"%s\" among them; nothing was committed",
				 v->max_file_bytes, s->path);
	return 0;
}

static int scan_name(struct scan *s, int dir_fd, size_t dir_len, const char *name)
{
	size_t len = strlen(name);
	struct stat st;
	int r = 0;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : tree_error(s->err, errno, "\"%s/%s\" can't be read", s->path, name);
	if (dir_len + len + 1 > MANIFEST_PATH_MAX)
		return error_set(s->err, ENAMETOOLONG, "a path in the tree has over %d bytes (\"%.60s/...\")",
				 MANIFEST_PATH_MAX, s->path);
	if (dir_len > 0)
		s->path[dir_len++] = '/';
	memcpy(s->path + dir_len, name, len + 1);
	if (S_ISREG(st.st_mode)) {
		r = check_file(s, &st);
		return r < 0 ? r : add_entry(s, dir_fd, name, &st, ENTRY_FILE);
	}
	if (S_ISDIR(st.st_mode))
		return add_entry(s, dir_fd, name, &st, ENTRY_DIR);
	if (S_ISLNK(st.st_mode))
		return add_entry(s, dir_fd, name, &st, ENTRY_SYMLINK);
	s->report->files_skipped++;
	report_warning(s->report, "sockets, pipes and devices are not kept (\"%.200s\")", s->path);
	return 0;
}

/* Of the entry that was found before the directory was opened; what it is now is what is listed. */
static int read_xattrs(struct scan *s, int fd, struct entry *e)
{
	struct xattrs_lost lost = {0};
	int r = -ESTALE;

	for (int i = 0; i < 3 && r == -ESTALE; i++)
		r = xattrs_read(fd, &s->m->arena, &e->xattrs, &lost);
	report_lost(s->report, &lost, &s->warned, e->path);
	return r < 0 ? tree_error(s->err, r, "the attributes of the directory \"%s\" can't be read", e->path) : 0;
}

static int scan_directory(struct scan *s, struct entry *dir)
{
	const char *path = dir->path; /* the entry moves when others are added */
	_cleanup_closedir_ DIR *d = NULL;
	_cleanup_close_ int fd = tree_open(s->root_fd, path, O_RDONLY | O_DIRECTORY);
	size_t len = strlen(path);
	struct dirent *de;
	int r = 0;

	if (fd == -EXDEV) {
		report_warning(s->report, "a mount within the volume is not kept (\"%.200s\")", path);
		return 0;
	}
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 0;
	if (fd < 0 || !(d = fdopendir(fd)))
		return tree_error(s->err, fd < 0 ? fd : errno, "the directory \"%s\" can't be read", path);
	fd = -1; /* d has it */
	if (!(dir->flags & ENTRY_CLEAN))
		r = read_xattrs(s, dirfd(d), dir);
	if (r < 0)
		return r;
	memcpy(s->path, path, len + 1);
	for (errno = 0; (de = readdir(d)); errno = 0) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		s->path[len] = '\0';
		r = scan_name(s, dirfd(d), len, de->d_name);
		if (r < 0)
			return r;
	}
	return errno ? tree_error(s->err, errno, "the directory \"%s\" can't be read", path) : 0;
}

/* An empty file or directory that was not in the volume: only mounting made it. */
static bool drop_if_made(struct scan *s, const char *path)
{
	struct entry *e = manifest_find(s->m, path);

	if (!e || (e->type == ENTRY_FILE && e->size > 0) || e->type == ENTRY_SYMLINK || manifest_find(s->base, path))
		return false;
	if (e->type == ENTRY_DIR && manifest_has_children(s->m, path))
		return false;
	*e = s->m->entries[s->m->n - 1];
	s->m->n--;
	manifest_sort(s->m);
	return true;
}

static int drop_mountpoints(struct scan *s)
{
	for (size_t i = 0; i < s->v->n_mountpoints; i++) {
		_cleanup_free_ char *path = strdup(s->v->mountpoints[i]);
		char *slash;

		if (!path)
			return no_memory(s);
		/* And the directories that had to be made for it. */
		while (drop_if_made(s, path) && (slash = strrchr(path, '/')))
			*slash = '\0';
	}
	return 0;
}

static int by_file(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* Names of one file; where the others are not in the volume, it is a file of one name. */
static void note_hardlinks(struct scan *s)
{
	if (s->n_names > 1)
		qsort(s->names, s->n_names, sizeof(*s->names), by_file);
	for (size_t at = 0, end; at < s->n_names; at = end) {
		const struct name *first = &s->names[at];

		for (end = at + 1; end < s->n_names; end++)
			if (s->names[end].dev != first->dev || s->names[end].ino != first->ino)
				break;
		for (size_t i = at; i < end && end - at > 1; i++) {
			struct entry *e = manifest_find(s->m, s->names[i].path);

			if (e && e->type == ENTRY_FILE)
				e->link = first->path;
		}
	}
}

static int check_limits(const struct scan *s)
{
	const struct volume *v = s->v;
	const struct manifest *m = s->m;

	if (!s->limits)
		return 0;
	if (v->max_files && m->files > v->max_files)
		return error_set(s->err, EFBIG,
				 "it has %" PRIu64 " files, the limit is %" PRIu64
				 " (limits.files_per_volume); nothing was committed",
				 m->files, v->max_files);
	if (v->max_bytes && m->bytes > v->max_bytes)
		return error_set(s->err, EFBIG,
				 "it has %" PRIu64 " bytes, the limit is %" PRIu64
				 " (limits.bytes_per_volume); nothing was committed",
				 m->bytes, v->max_bytes);
	return 0;
}

static int scan_all(struct scan *s)
{
	struct stat st;
	int r;

	if (fstat(s->root_fd, &st) < 0)
		return tree_error(s->err, errno, "the tree can't be read");
	s->m->root.path = "";
	set_entry(s, &s->m->root, &st, ENTRY_DIR);
	r = scan_directory(s, &s->m->root);
	/* The list is its own queue of directories: no recursion, one descriptor, however deep the tree is. */
	for (size_t i = 0; i < s->m->n && r == 0; i++)
		if (s->m->entries[i].type == ENTRY_DIR)
			r = scan_directory(s, &s->m->entries[i]);
	if (r < 0)
		return r;
	manifest_sort(s->m);
	r = drop_mountpoints(s);
	note_hardlinks(s);
	return r < 0 ? r : check_limits(s);
}

int scan_tree(const struct volume *v, int root_fd, const struct manifest *base, bool limits, struct manifest *ret,
	      struct transfer_report *report, struct error *err)
{
	_cleanup_(manifest_free) struct manifest m = {0};
	_cleanup_free_ struct scan *s = malloc(sizeof(*s));
	int64_t begin = clock_boottime_ns();
	int r;

	if (!s)
		return error_set(err, ENOMEM, "out of memory");
	*s = (struct scan){.v = v, .root_fd = root_fd, .base = base, .limits = limits, .m = &m, .report = report};
	s->err = err;
	r = ids_load(v->cache.dir_fd, root_fd, &s->ids);
	if (r < 0)
		return tree_error(err, r, "cache: what the tree's owners are can't be read");
	r = index_now(v, &m.time_ns, err);
	if (r == 0)
		r = scan_all(s);
	report->scan_ns += clock_boottime_ns() - begin;
	free(s->names);
	free(s->ids);
	if (r < 0)
		return r;
	*ret = m;
	m = (struct manifest){0};
	return 0;
}
