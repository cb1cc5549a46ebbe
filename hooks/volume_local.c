/* SPDX-License-Identifier: Apache-2.0 */
/* What this node's cache knows; `volrun volume status`. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "hooks/engine/cache.h"
#include "hooks/engine/conflict.h"
#include "hooks/engine/evict.h"
#include "hooks/volume_cmd.h"

#define NOTE_MAX 4096
#define KEEPER_NOTE_MAX (256 * 1024)
#define KEPT_MAX 100
#define STATUS_MAX 10000

static const struct json_field local_fields[] = {
    JSON_FIELD(struct volume_local, store, "store", JSON_STR),
    JSON_FIELD(struct volume_local, workspace, "workspace", JSON_STR),
    JSON_FIELD(struct volume_local, name, "name", JSON_STR),
    JSON_FIELD(struct volume_local, state, "state", JSON_STR),
    JSON_FIELD(struct volume_local, pid, "pid", JSON_U32),
    JSON_FIELD(struct volume_local, container, "container", JSON_STR),
    JSON_FIELD(struct volume_local, socket, "socket", JSON_STR),
    JSON_FIELD(struct volume_local, resting, "resting", JSON_U64),
    JSON_FIELD(struct volume_local, sync_commit, "sync_commit", JSON_U64),
    JSON_FIELD(struct volume_local, sync_frozen_us, "sync_frozen_us", JSON_U64),
    JSON_FIELD(struct volume_local, sync_copied_bytes, "sync_copied_bytes", JSON_U64),
    JSON_FIELD(struct volume_local, sync_reflinked_bytes, "sync_reflinked_bytes", JSON_U64),
    JSON_FIELD(struct volume_local, sync_error, "sync_error", JSON_STR),
    JSON_FIELD(struct volume_local, last_error, "last_error", JSON_STR),
    JSON_FIELD(struct volume_local, pinned, "pinned", JSON_BOOL),
    JSON_LIST(struct volume_local, kept, "kept", JSON_ARR_STR),
    {NULL},
};
const struct json_table volume_local_table = {"volume", sizeof(struct volume_local), local_fields, 0};

const char *volume_text(struct arena *a, const char *s)
{
	char *copy = s && *s ? arena_strdup(a, s) : NULL;

	if (copy)
		error_make_plain(copy);
	return copy ? copy : "-";
}

/* Is the lock taken? A shared lock tries without getting in the way of other readers. */
static bool is_locked(int dir_fd)
{
	_cleanup_close_ int fd = openat(dir_fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static void read_notes(int dir_fd, struct arena *a, struct volume_local *l)
{
	_cleanup_free_ char *text = NULL, *keeper = NULL;
	struct error ignored = ERROR_INIT;
	struct volume_local k;
	size_t len;

	if (read_file_at(dir_fd, "last-error", NOTE_MAX, &text, NULL) == 0)
		l->last_error = volume_text(a, text);
	if (strcmp(l->state, "in use") != 0 || read_file_at(dir_fd, "keeper", KEEPER_NOTE_MAX, &keeper, &len) < 0)
		return;
	if (json_parse(keeper, len, "keeper", &volume_local_table, a, &k, &ignored) < 0)
		return;
	l->pid = k.pid;
	l->container = k.container;
	l->socket = k.socket;
	l->resting = k.resting;
	l->sync_commit = k.sync_commit;
	l->sync_frozen_us = k.sync_frozen_us;
	l->sync_copied_bytes = k.sync_copied_bytes;
	l->sync_reflinked_bytes = k.sync_reflinked_bytes;
	l->sync_error = k.sync_error ? volume_text(a, k.sync_error) : NULL;
}

static void look_at_trees(int dir_fd, struct arena *a, struct volume_local *l)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *d;
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	l->kept = arena_calloc(a, KEPT_MAX + 1, sizeof(*l->kept));
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	while (dir && l->kept && l->n_kept < KEPT_MAX && (d = readdir(dir))) {
		l->noted |= !strcmp(d->d_name, "keeper");
		l->has_tree |= !strcmp(d->d_name, "rw") || !strncmp(d->d_name, "ro-", 3);
		if (strncmp(d->d_name, "conflict-", strlen("conflict-")) == 0 &&
		    conflict_id_valid(d->d_name + strlen("conflict-")))
			l->kept[l->n_kept++] = volume_text(a, d->d_name);
	}
}

int volume_local_read(const struct config *config, const char *store, const char *workspace, const char *name,
		      struct arena *a, struct volume_local *ret)
{
	const char *path = arena_printf(a, "%s/%s/%s/%s", config->cache.path, store, workspace, name);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct cache_volume c = {.dir_fd = fd, .lock_fd = -1};
	struct cache_mark mark;

	if (fd < 0)
		return -ENOENT;
	*ret = (struct volume_local){
	    .store = arena_strdup(a, store), .workspace = arena_strdup(a, workspace), .name = arena_strdup(a, name)};
	ret->state = is_locked(fd) ? "in use" : cache_read_dirty(&c, &mark) == 0 ? "dirty" : "clean";
	ret->pinned = cache_is_pinned(&c);
	read_notes(fd, a, ret);
	look_at_trees(fd, a, ret);
	return 0;
}

/* --- status --------------------------------------------------------------------------- */

struct status {
	struct volume_local *volumes;
	size_t n_volumes;
};

static const struct json_field status_fields[] = {
    JSON_LIST(struct status, volumes, "volumes", JSON_ARR_OBJ, .table = &volume_local_table, .write_empty = true),
    {NULL},
};
static const struct json_table status_table = {"status", sizeof(struct status), status_fields, 0};

/* Directories of `path`, sorted; each to fn. */
static int each_dir(const char *path, int (*fn)(const char *name, void *ctx), void *ctx)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, NULL, alphasort), i, r = 0;

	for (i = 0; i < n; i++) {
		if (r == 0 && names[i]->d_name[0] != '.' && names[i]->d_type == DT_DIR)
			r = fn(names[i]->d_name, ctx);
		free(names[i]);
	}
	free(names);
	return r;
}

struct walk {
	const struct config *config;
	struct arena *a;
	const char *store, *workspace;
	volume_local_fn fn;
	void *ctx;
};

static int walk_volume(const char *name, void *ctx)
{
	struct walk *w = ctx;

	return w->fn(w->ctx, w->store, w->workspace, name);
}

static int walk_workspace(const char *name, void *ctx)
{
	struct walk w = *(struct walk *)ctx;
	const char *path = arena_printf(w.a, "%s/%s/%s", w.config->cache.path, w.store, name);

	w.workspace = name;
	return path ? each_dir(path, walk_volume, &w) : -ENOMEM;
}

static int walk_store(const char *name, void *ctx)
{
	struct walk w = *(struct walk *)ctx;
	const char *path = arena_printf(w.a, "%s/%s", w.config->cache.path, name);

	w.store = name;
	return path ? each_dir(path, walk_workspace, &w) : -ENOMEM;
}

int volume_local_each(const struct config *config, struct arena *a, volume_local_fn fn, void *ctx)
{
	struct walk w = {.config = config, .a = a, .fn = fn, .ctx = ctx};

	return each_dir(config->cache.path, walk_store, &w);
}

struct adding {
	const struct config *config;
	struct arena *a;
	struct status *status;
};

static int add_volume(void *ctx, const char *store, const char *workspace, const char *name)
{
	struct adding *x = ctx;
	struct status *s = x->status;
	struct volume_local *l = &s->volumes[s->n_volumes];

	if (s->n_volumes == STATUS_MAX || volume_local_read(x->config, store, workspace, name, x->a, l) < 0)
		return 0;
	/* Somebody has looked at it from here, or it was evicted. */
	if (l->has_tree || l->n_kept > 0 || l->pinned || l->last_error || strcmp(l->state, "clean") != 0)
		s->n_volumes++;
	return 0;
}

static void print_table(const struct status *s)
{
	size_t i, j;

	printf("%-12s %-16s %-24s %-7s %-8s %-24s %s\n", "STORE", "WORKSPACE", "NAME", "STATE", "KEEPER", "CONTAINER",
	       "NOTE");
	for (i = 0; i < s->n_volumes; i++) {
		const struct volume_local *v = &s->volumes[i];
		char pid[16] = "-";

		if (v->pid)
			snprintf(pid, sizeof(pid), "%u", v->pid);
		printf("%-12s %-16s %-24s %-7s %-8s %-24s", v->store, v->workspace, v->name, v->state, pid,
		       v->container ? v->container : "-");
		for (j = 0; j < v->n_kept; j++)
			printf(" kept:%s", v->kept[j]);
		if (v->pinned)
			fputs(" pinned", stdout);
		if (v->sync_commit)
			printf(" synced:%" PRIu64 " frozen:%" PRIu64 ".%03" PRIu64 "ms", v->sync_commit,
			       v->sync_frozen_us / 1000, v->sync_frozen_us % 1000);
		if (v->sync_error)
			printf(" not synced: %s;", v->sync_error);
		printf(" %s\n", v->last_error ? v->last_error : "");
	}
}

int volume_print_json(const struct json_table *table, const void *obj, struct error *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

	json_write(&out, table, obj, 2);
	if (out.failed)
		return error_set(err, ENOMEM, "out of memory");
	puts(strbuf_str(&out));
	return 0;
}

int volume_cmd_status(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	struct status s = {.volumes = arena_calloc(a, STATUS_MAX, sizeof(*s.volumes))};
	struct adding x = {c->config, a, &s};

	if (!s.volumes || volume_local_each(c->config, a, add_volume, &x) < 0)
		return error_set(err, ENOMEM, "out of memory");
	if (c->json)
		return volume_print_json(&status_table, &s, err);
	print_table(&s);
	return 0;
}
