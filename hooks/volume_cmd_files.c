/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun volume files`, `cp`. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/path.h"
#include "hooks/copy.h"
#include "hooks/engine/restore.h"
#include "hooks/engine/tree.h"
#include "hooks/volume_hold.h"
#include "oci/volume.h"

struct file_view {
	const char *path, *type, *target, *modified, *sha256;
	uint32_t mode, uid, gid;
	uint64_t size;
};

static const struct json_field file_fields[] = {
    JSON_FIELD(struct file_view, path, "path", JSON_STR),
    JSON_FIELD(struct file_view, type, "type", JSON_STR),
    JSON_FIELD(struct file_view, target, "target", JSON_STR),
    JSON_FIELD(struct file_view, mode, "mode", JSON_U32, .write_empty = true),
    JSON_FIELD(struct file_view, uid, "uid", JSON_U32, .write_empty = true),
    JSON_FIELD(struct file_view, gid, "gid", JSON_U32, .write_empty = true),
    JSON_FIELD(struct file_view, size, "size", JSON_U64, .write_empty = true),
    JSON_FIELD(struct file_view, modified, "modified", JSON_STR),
    JSON_FIELD(struct file_view, sha256, "sha256", JSON_STR),
    {NULL},
};
static const struct json_table file_table = {"file", sizeof(struct file_view), file_fields, 0};

/* One line each, also as JSON: a volume may have a million. */
static void print_entry(const struct volume_cmd *c, const struct entry *e)
{
	static const char *const types[] = {[ENTRY_FILE] = "file", [ENTRY_DIR] = "dir", [ENTRY_SYMLINK] = "symlink"};
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_strbuf_ struct strbuf line = STRBUF_INIT;
	struct timespec ts = entry_timespec(e->mtime_ns);
	char time[CLOCK_RFC3339_MAX], sha256[SHA256_HEX_MAX];
	const char *target = e->type == ENTRY_SYMLINK ? e->target : NULL;
	struct file_view v = {e->path, types[e->type], target, clock_rfc3339(&ts, time), NULL, e->mode,
			      e->uid,  e->gid,	       e->size};

	if (e->type == ENTRY_FILE) {
		hex_encode(e->sha256, SHA256_LEN, sha256);
		v.sha256 = sha256;
	}
	if (c->json) {
		json_write(&line, &file_table, &v, 0);
		puts(strbuf_str(&line));
		return;
	}
	strcpy(strchr(time, '.'), "Z");
	printf("%c%04o %5u %5u %12" PRIu64 " %s %s%s%s\n",
	       e->type == ENTRY_DIR	  ? 'd'
	       : e->type == ENTRY_SYMLINK ? 'l'
					  : '-',
	       e->mode, e->uid, e->gid, e->size, time, volume_text(&a, e->path), target ? " -> " : "",
	       target ? volume_text(&a, target) : "");
}

int volume_cmd_files(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	_cleanup_(manifest_free) struct manifest m = {0};
	const char *below = c->n_args > 1 ? c->args[1] : "";
	size_t len, shown = 0;
	struct volume v;
	struct head head;
	int r;

	while (*below == '/')
		below++;
	len = strlen(below);
	while (len > 0 && below[len - 1] == '/')
		len--;
	r = volume_cmd_open(c, c->name, true, &v, err);
	if (r < 0)
		return r;
	r = volume_cmd_peek(c, &v, a, &head, err);
	if (r == 0) {
		r = restore_manifest(&v, &head.commit, &m, err);
		if (r < 0)
			error_wrap(err, "volume %s", c->name);
	}
	volume_close(&v);
	for (size_t i = 0; r == 0 && i < m.n; i++) {
		const char *p = m.entries[i].path;

		if (!entry_in_tree(&m.entries[i]) || strncmp(p, below, len) != 0 || (len && p[len] && p[len] != '/'))
			continue;
		print_entry(c, &m.entries[i]);
		shown++;
	}
	if (r == 0 && len && !shown)
		return error_set(err, ENOENT, "volume %s: nothing is at \"%s\"", c->name, below);
	return r;
}

/* --- cp --------------------------------------------------------------------------------- */

/* One side: "NAME:PATH", or a path of this machine. */
struct place {
	const char *volume; /* NULL: of this machine */
	const char *path;   /* in a volume: without slashes at its ends; "" is all of it */
	struct volume_hold w;
	bool opened;
	struct volume v; /* a source's */
	int lock, dir_fd;
};

static int parse_place(const char *text, struct arena *a, struct place *ret, struct error *err)
{
	const char *colon = strchr(text, ':'), *slash = strchr(text, '/');
	char *path;
	size_t len;

	*ret = (struct place){.path = text, .lock = -1, .dir_fd = -1};
	if (!text[0])
		return error_set(err, EINVAL, "cp: an empty path");
	if (!colon || (slash && slash < colon))
		return 0;
	ret->volume = arena_strndup(a, text, (size_t)(colon - text));
	path = arena_strdup(a, colon + 1);
	if (!ret->volume || !path)
		return error_set(err, ENOMEM, "out of memory");
	if (!volume_name_valid(ret->volume))
		return error_set(err, EINVAL,
				 "cp: volume \"%.300s\" is not a valid name; a path of this machine that has a colon "
				 "begins with ./",
				 ret->volume);
	path += strspn(path, "/");
	len = strlen(path);
	while (len > 0 && path[len - 1] == '/')
		path[--len] = '\0';
	if (path_has_dotdot(path))
		return error_set(err, EINVAL, "cp: \"%.300s\" leads out of its volume", text);
	ret->path = path;
	return 0;
}

static void close_place(struct place *p)
{
	cleanup_close(&p->dir_fd);
	cleanup_close(&p->lock);
	if (p->opened && p->v.store)
		volume_close(&p->v);
	else if (p->opened)
		volume_hold_close(&p->w);
}

/* The last commit, as a reader gets it: no lease. */
static int open_source(const struct volume_cmd *c, struct place *p, struct arena *a, struct error *err)
{
	struct transfer_report report = {0};
	struct volume_progress *bar;
	const char *name = NULL;
	struct head head;
	int r;

	r = volume_cmd_open(c, p->volume, true, &p->v, err);
	if (r < 0)
		return r;
	p->opened = true;
	r = cache_lock_ro(&p->v.cache, INT64_MAX, -1, &p->lock, err);
	if (r == 0)
		r = volume_cmd_peek(c, &p->v, a, &head, err);
	if (r < 0)
		return r;
	bar = volume_progress_begin(p->volume, &report.bytes_in, head.stats.bytes);
	r = restore_read_only(&p->v, &head, a, &name, &report, err);
	volume_progress_end(bar);
	if (r < 0)
		return error_wrap(err, "volume %s", p->volume);
	p->dir_fd = tree_open(p->v.cache.dir_fd, name, O_RDONLY | O_DIRECTORY);
	return p->dir_fd < 0 ? tree_error(err, p->dir_fd, "cache: the tree %s can't be opened", name) : 0;
}

static int open_target(const struct volume_cmd *c, struct place *p, struct error *err)
{
	int r = volume_hold_open(&p->w, c, "volrun volume cp", NULL, NULL, p->volume, err);

	p->opened = true;
	if (r == 0)
		r = hold_take(&p->w.hold, err);
	if (r < 0)
		return r;
	/* Half a copy is nobody's work: after a kill the next start makes the tree what the commit says. */
	unlinkat(p->w.hv->v.cache.dir_fd, "dirty", 0);
	p->dir_fd = dup(p->w.hv->tree_fd);
	return 0;
}

static int finish_target(struct place *p, struct error *err)
{
	struct hold_volume *hv = p->w.hv;
	int r = cache_mark_dirty(&hv->v.cache, lease_epoch(hv->lease), hv->begin_seq, err);

	if (r == 0)
		return volume_hold_finish(&p->w, err);
	volume_hold_discard(&p->w);
	return r;
}

/* Opens the directory that the last name of the path is in. In a volume no link is followed. */
static int open_parent(const struct place *p, int *ret_fd, const char **ret_name, struct arena *a, struct error *err)
{
	const char *slash = strrchr(p->path, '/');
	const char *parent = slash ? arena_strndup(a, p->path, (size_t)(slash - p->path)) : "";

	*ret_name = slash ? slash + 1 : p->path;
	if (!parent)
		return error_set(err, ENOMEM, "out of memory");
	if (p->volume)
		*ret_fd = tree_open(p->dir_fd, parent, O_RDONLY | O_DIRECTORY);
	else
		*ret_fd = open(slash ? (*parent ? parent : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd >= 0)
		return 0;
	return tree_error(err, p->volume ? *ret_fd : errno, "%s%s%s: its directory can't be opened",
			  p->volume ? p->volume : "", p->volume ? ":" : "", p->path);
}

/* As with cp -a: into a directory that is there, else as that name. A whole volume goes into the directory itself. */
static int copy(struct place *from, struct place *to, struct copy_report *report, struct arena *a, struct error *err)
{
	_cleanup_close_ int from_dir = -1, to_dir = -1, into = -1;
	const char *from_name, *to_name;
	struct stat st;
	int r;

	r = open_parent(from, &from_dir, &from_name, a, err);
	if (r == 0)
		r = open_parent(to, &to_dir, &to_name, a, err);
	if (r < 0)
		return r;
	if (to->volume && !to_name[0])
		into = dup(to_dir);
	else
		into = openat(to_dir, to_name[0] ? to_name : ".",
			      O_RDONLY | O_DIRECTORY | O_CLOEXEC | (to->volume ? O_NOFOLLOW : 0));
	if (from_name[0] && strcmp(from_name, ".") != 0 && strcmp(from_name, "..") != 0)
		return copy_tree(from_dir, from_name, into >= 0 ? into : to_dir, into >= 0 ? from_name : to_name,
				 report, err);
	if (fstat(from_dir, &st) < 0)
		return tree_error(err, errno, "it can't be copied");
	return copy_tree(from_dir, from_name[0] ? from_name : "", into >= 0 ? into : to_dir, into >= 0 ? "." : to_name,
			 report, err);
}

int volume_cmd_cp(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	struct copy_report report = {.owners = true};
	struct volume_progress *bar = NULL;
	struct place from, to;
	int r;

	r = parse_place(c->args[0], a, &from, err);
	if (r == 0)
		r = parse_place(c->args[1], a, &to, err);
	if (r < 0)
		return r;
	if (!from.volume && !to.volume)
		return error_set(err, EINVAL, "cp: neither side is a volume (NAME:PATH)");
	if (from.volume)
		r = open_source(c, &from, a, err);
	if (r == 0 && to.volume)
		r = open_target(c, &to, err);
	if (r == 0) {
		bar = volume_progress_begin("copy", &report.bytes, 0);
		r = copy(&from, &to, &report, a, err);
		volume_progress_end(bar);
	}
	if (r == 0 && to.volume)
		r = finish_target(&to, err);
	else if (to.opened)
		volume_hold_discard(&to.w);
	if (r == 0 && report.skipped)
		fprintf(stderr, "warning: %" PRIu64 " sockets, pipes and devices were left out\n", report.skipped);
	close_place(&to);
	close_place(&from);
	return r;
}
