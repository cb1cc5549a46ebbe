/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/engine/ids.h"
#include "hooks/engine/index.h"
#include "hooks/engine/scan_walk.h"
#include "hooks/engine/tree.h"

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

/* --- when all was seen ---------------------------------------------------------------- */

/*
 * What was taken from the base becomes the scan's, without being copied: of a large tree that is nearly all. What is
 * left is the base's.
 */
static int take_over(struct scan *s)
{
	struct manifest *base = s->base, *m = s->m;
	size_t n = 0, n_left = 0, n_found = m->n;
	_cleanup_free_ struct entry *left = NULL, *found = m->entries;

	m->entries = NULL;
	m->n = m->room = 0;
	for (size_t i = 0; i < base->n; i++)
		n_left += !(base->entries[i].flags & ENTRY_TAKEN);
	left = calloc(n_left + 1, sizeof(*left));
	if (!left)
		return scan_no_memory(s->err);
	if (base->n - n_left + n_found > MANIFEST_MAX_ENTRIES)
		return scan_too_many(s->err);
	n_left = 0;
	for (size_t i = 0; i < base->n; i++) {
		struct entry *e = &base->entries[i];

		if (!(e->flags & ENTRY_TAKEN)) {
			left[n_left++] = *e;
			continue;
		}
		e->flags = (uint8_t)((e->flags & ~ENTRY_CHANGED) | ENTRY_CLEAN);
		base->entries[n++] = *e;
	}
	m->entries = base->entries;
	m->n = n;
	m->room = base->room;
	base->entries = TAKE_PTR(left);
	base->n = n_left;
	base->room = n_left + 1;
	return manifest_merge(m, found, n_found) < 0 ? scan_no_memory(s->err) : 0;
}

/* An empty file or directory that was not in the volume: only mounting made it. */
static bool drop_if_made(struct scan *s, const char *path)
{
	struct entry *e = manifest_find(s->m, path);

	if (!e || (e->type == ENTRY_FILE && e->size > 0) || e->type == ENTRY_SYMLINK || (e->flags & ENTRY_CLEAN) ||
	    manifest_find(s->base, path))
		return false;
	if (e->type == ENTRY_DIR && manifest_has_children(s->m, path))
		return false;
	s->m->n--;
	memmove(e, e + 1, (size_t)(s->m->entries + s->m->n - e) * sizeof(*e));
	manifest_count(s->m);
	return true;
}

static int drop_mountpoints(struct scan *s)
{
	for (size_t i = 0; i < s->v->n_mountpoints; i++) {
		_cleanup_free_ char *path = strdup(s->v->mountpoints[i]);
		char *slash;

		if (!path)
			return scan_no_memory(s->err);
		/* And the directories that had to be made for it. */
		while (drop_if_made(s, path) && (slash = strrchr(path, '/')))
			*slash = '\0';
	}
	return 0;
}

static int by_file(const void *a, const void *b)
{
	const struct scan_name *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* Names of one file; where the others are not in the volume, it is a file of one name. */
static void note_hardlinks(struct scan *s)
{
	const struct scan_names *names = &s->names;

	if (names->n > 1)
		qsort(names->all, names->n, sizeof(*names->all), by_file);
	for (size_t at = 0, end; at < names->n; at = end) {
		const struct scan_name *first = &names->all[at];

		for (end = at + 1; end < names->n; end++)
			if (names->all[end].dev != first->dev || names->all[end].ino != first->ino)
				break;
		for (size_t i = at; i < end && end - at > 1; i++) {
			struct entry *e = manifest_find(s->m, names->all[i].path);

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
	int r = index_now(s->v, &s->m->time_ns, s->err);

	/* It may come from a scan itself. */
	for (size_t i = 0; i < s->base->n; i++)
		s->base->entries[i].flags &= (uint8_t)~ENTRY_TAKEN;
	if (r == 0)
		r = scan_walk(s);
	if (r == 0)
		r = take_over(s);
	if (r == 0)
		r = drop_mountpoints(s);
	if (r < 0)
		return r;
	note_hardlinks(s);
	return check_limits(s);
}

int scan_tree(const struct volume *v, int root_fd, struct manifest *base, bool limits, struct manifest *ret,
	      struct transfer_report *report, struct error *err)
{
	_cleanup_(manifest_free) struct manifest m = {0};
	_cleanup_free_ struct ids *ids = NULL;
	struct scan s = {.v = v, .root_fd = root_fd, .base = base, .limits = limits, .m = &m, .report = report};
	int64_t begin = clock_boottime_ns();
	int r;

	s.err = err;
	r = ids_load(v->cache.dir_fd, root_fd, &ids);
	if (r < 0)
		return tree_error(err, r, "cache: what the tree's owners are can't be read");
	s.ids = ids;
	r = scan_all(&s);
	report->scan_ns += clock_boottime_ns() - begin;
	free(s.names.all);
	if (r < 0)
		return r;
	*ret = m;
	m = (struct manifest){0};
	return 0;
}
