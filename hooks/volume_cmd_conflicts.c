/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun volume conflicts ls|show|restore|drop`: what was set aside, on this node and in the store. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/copy.h"
#include "hooks/engine/conflict.h"
#include "hooks/engine/keeper_name.h"
#include "hooks/engine/tree.h"
#include "hooks/volume_conflict.h"
#include "hooks/volume_hold.h"
#include "oci/volume.h"

#define LS_MAX 10000
#define ERROR_NOTE_MAX 4096

struct conflict_view {
	const char *store, *workspace, *volume;
	struct conflict_note note;
	const char *path; /* on this node */
	bool in_store;
};

static const struct json_field view_fields[] = {
    JSON_FIELD(struct conflict_view, store, "store", JSON_STR),
    JSON_FIELD(struct conflict_view, workspace, "workspace", JSON_STR),
    JSON_FIELD(struct conflict_view, volume, "volume", JSON_STR),
    JSON_FIELD(struct conflict_view, note, "conflict", JSON_OBJ, .table = &conflict_note_table),
    JSON_FIELD(struct conflict_view, path, "path", JSON_STR),
    JSON_FIELD(struct conflict_view, in_store, "in_store", JSON_BOOL, .write_empty = true),
    {NULL},
};
static const struct json_table view_table = {"conflict", sizeof(struct conflict_view), view_fields, 0};

struct list {
	const struct volume_cmd *c;
	struct arena *a;
	struct conflict_view *conflicts;
	size_t n_conflicts;
	const char *store, *workspace, *volume; /* of the volume that is looked at */
	size_t first;				/* of its conflicts */
	size_t prefix_len;
};
static const struct json_field list_fields[] = {
    JSON_LIST(struct list, conflicts, "conflicts", JSON_ARR_OBJ, .table = &view_table, .write_empty = true),
    {NULL},
};
static const struct json_table list_table = {"list", sizeof(struct list), list_fields, 0};

static struct conflict_view *add(struct list *l, const char *id)
{
	struct conflict_view *v;

	for (size_t i = l->first; i < l->n_conflicts; i++)
		if (strcmp(l->conflicts[i].note.id, id) == 0)
			return &l->conflicts[i];
	if (l->n_conflicts == LS_MAX)
		return NULL;
	v = &l->conflicts[l->n_conflicts++];
	*v = (struct conflict_view){.store = l->store, .workspace = l->workspace, .volume = l->volume};
	v->note.id = id;
	v->note.epoch = strtoull(id, NULL, 10);
	return v;
}

static int add_local(void *ctx, const struct conflict_note *note)
{
	struct list *l = ctx;
	struct conflict_view *v = add(l, arena_strdup(l->a, note->id));

	if (!v)
		return 0;
	v->note = *note;
	v->note.id = arena_strdup(l->a, note->id);
	v->note.why = note->why ? arena_strdup(l->a, note->why) : NULL;
	v->note.node = note->node ? arena_strdup(l->a, note->node) : NULL;
	v->note.container = note->container ? arena_strdup(l->a, note->container) : NULL;
	v->note.since = note->since ? arena_strdup(l->a, note->since) : NULL;
	v->note.keeper = NULL;
	v->in_store = note->uploaded;
	v->path = arena_printf(l->a, "%s/%s/%s/%s/conflict-%s", l->c->config->cache.path, l->store, l->workspace,
			       l->volume, note->id);
	return 0;
}

static int look_local(void *ctx, const char *store, const char *workspace, const char *name)
{
	struct list *l = ctx;
	const char *path = arena_printf(l->a, "%s/%s/%s/%s", l->c->config->cache.path, store, workspace, name);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct cache_volume v = {.dir_fd = fd, .lock_fd = -1};

	if (fd < 0 || (l->c->n_args > 1 && (strcmp(l->c->args[1], name) || strcmp(l->c->workspace, workspace) ||
					    strcmp(l->c->store->name, store))))
		return 0;
	l->store = arena_strdup(l->a, store);
	l->workspace = arena_strdup(l->a, workspace);
	l->volume = arena_strdup(l->a, name);
	l->first = l->n_conflicts;
	return conflict_each_local(&v, add_local, l);
}

static int add_stored(void *ctx, const struct store_list_item *item, struct error *err)
{
	struct list *l = ctx;
	const char *id = item->key + l->prefix_len, *slash = strchr(id, '/');
	struct conflict_view *v;

	if (!slash || strcmp(slash, "/changes.json") != 0)
		return 0;
	id = arena_strndup(l->a, id, (size_t)(slash - id));
	if (!id)
		return error_set(err, ENOMEM, "out of memory");
	v = conflict_id_valid(id) ? add(l, id) : NULL;
	if (v)
		v->in_store = true;
	return 0;
}

static int look_in_store(struct list *l, struct error *err)
{
	const struct volume_cmd *c = l->c;
	struct volume v;
	const char *prefix;
	int r;

	r = volume_cmd_open(c, c->args[1], true, &v, err);
	if (r < 0)
		return r;
	l->store = c->store->name;
	l->workspace = c->workspace;
	l->volume = c->args[1];
	l->first = 0;
	prefix = volume_key_meta(l->a, &v, "conflicts/");
	l->prefix_len = prefix ? strlen(prefix) : 0;
	r = prefix ? store_list(v.store, prefix, add_stored, l, err) : error_set(err, ENOMEM, "out of memory");
	volume_close(&v);
	return r;
}

static int ls(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	struct list l = {.c = c, .a = a, .conflicts = arena_calloc(a, LS_MAX, sizeof(*l.conflicts))};
	int r;

	if (!l.conflicts || volume_local_each(c->config, a, look_local, &l) < 0)
		return error_set(err, ENOMEM, "out of memory");
	r = c->n_args > 1 ? look_in_store(&l, err) : 0;
	if (r < 0)
		return r;
	if (c->json)
		return volume_print_json(&list_table, &l, err);
	printf("%-24s %-8s %-6s %-5s %-16s %-30s %s\n", "VOLUME", "CONFLICT", "STORE", "NODE", "CONTAINER", "SINCE",
	       "WHY");
	for (size_t i = 0; i < l.n_conflicts; i++) {
		const struct conflict_view *v = &l.conflicts[i];

		printf("%-24s %-8s %-6s %-5s %-16s %-30s %s\n", v->volume, v->note.id, v->in_store ? "yes" : "no",
		       v->path ? "yes" : "no", volume_text(a, v->note.container), volume_text(a, v->note.since),
		       volume_text(a, v->note.why));
	}
	return 0;
}

/* --- show, restore, drop: NAME ID -------------------------------------------------------- */

static int show_change(void *ctx, const struct conflict_change *ch, struct error *err)
{
	const struct volume_cmd *c = ctx;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_strbuf_ struct strbuf line = STRBUF_INIT;

	(void)err;
	if (c->json) {
		json_write(&line, &conflict_change_table, ch, 0);
		puts(strbuf_str(&line));
	} else {
		printf("%-8s %-8s %12" PRIu64 " %s%s\n", ch->change, ch->type, ch->size,
		       ch->path ? volume_text(&a, ch->path) : "hex ", ch->path ? "" : ch->rawpath);
	}
	return 0;
}

static int show(const struct volume_cmd *c, struct volume *v, const char *id, struct arena *a, struct error *err)
{
	_cleanup_strbuf_ struct strbuf line = STRBUF_INIT;
	struct conflict_note note;
	bool local = conflict_read_local(&v->cache, id, a, &note) == 0;
	int r;

	r = volume_conflict_read(v, id, a, &note, show_change, (void *)c, err);
	if (r == -ENOENT && local) {
		r = 0;
		json_write(&line, &conflict_note_table, &note, 0);
		if (c->json)
			puts(strbuf_str(&line));
		else
			printf("not in the store yet (%s)\n", volume_text(a, note.why));
	}
	if (r == 0 && local && !c->json)
		printf("whole tree: %s/%s/%s/%s/conflict-%s\n", c->config->cache.path, c->store->name, c->workspace,
		       v->name, id);
	return r;
}

static int refuse_living(struct volume *v, const char *id, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct conflict_note note;

	if (conflict_read_local(&v->cache, id, &a, &note) == 0 && keeper_alive(note.keeper))
		return error_set(err, EBUSY, "conflict %s: its container still runs", id);
	return 0;
}

/* The trouble that it came of was seen to. Later trouble, which doesn't name it, was not. */
static void forget_error(const struct volume *v, const char *id)
{
	_cleanup_free_ char *text = NULL;
	char name[80];
	const char *p;

	snprintf(name, sizeof(name), "/conflict-%s", id);
	if (read_file_at(v->cache.dir_fd, "last-error", ERROR_NOTE_MAX, &text, NULL) < 0)
		return;
	p = strstr(text, name);
	if (p && !strspn(p + strlen(name), "-0123456789"))
		cache_note_error(&v->cache, NULL);
}

static void drop_local(const struct volume *v, const char *id, bool tree)
{
	static const char *const suffixes[] = {".index", ".json"};
	char name[80];

	snprintf(name, sizeof(name), "conflict-%s", id);
	if (tree)
		remove_tree_at(v->cache.dir_fd, name);
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		snprintf(name, sizeof(name), "conflict-%s%s", id, suffixes[i]);
		unlinkat(v->cache.dir_fd, name, 0);
	}
	forget_error(v, id);
}

static int drop(struct volume *v, const char *id, struct arena *a, struct error *err)
{
	struct conflict_note note;
	bool local = conflict_read_local(&v->cache, id, a, &note) == 0;
	size_t n = 0;
	int r;

	r = volume_conflict_delete(v, id, &n, err);
	if (r == 0 && !local && n == 0)
		return error_set(err, ENOENT, "volume %s: there is no conflict %s", v->name, id);
	if (r == 0)
		drop_local(v, id, true);
	return r;
}

/* The tree becomes the volume's next commit, in the place of the last one. */
static int make_current(const struct volume_cmd *c, const char *id, struct error *err)
{
	struct volume_hold w;
	char name[80];
	struct cache_volume *cache;
	int r;

	snprintf(name, sizeof(name), "conflict-%s", id);
	r = volume_hold_open(&w, c, "volrun volume conflicts restore", NULL, NULL, c->args[1], err);
	if (r == 0)
		r = hold_take_leases(&w.hold, err);
	if (r == 0) {
		cache = &w.hv->v.cache;
		/* The tree that it replaces is in the store. Half of it is nobody's work: not dirty yet. */
		unlinkat(cache->dir_fd, "clean", 0);
		if (remove_tree_at(cache->dir_fd, "rw") < 0)
			r = error_set(err, EIO, "cache: the tree can't be removed");
		unlinkat(cache->dir_fd, "index", 0);
		/* Before there is a tree: from its first moment on it is recovered after a kill. */
		if (r == 0)
			r = cache_mark_dirty(cache, lease_epoch(w.hv->lease), w.hv->begin_seq, err);
		if (r == 0 && renameat(cache->dir_fd, name, cache->dir_fd, "rw") < 0)
			r = error_set(err, errno, "volume %s: conflict %s is not on this node; give a directory",
				      c->args[1], id);
		if (r == 0)
			w.hv->dirty = true;
		else
			unlinkat(cache->dir_fd, "dirty", 0);
	}
	if (r == 0)
		r = volume_hold_finish(&w, err);
	if (r == 0)
		drop_local(&w.hv->v, id, false);
	volume_hold_close(&w);
	return r;
}

static int restore(struct volume *v, const char *id, const char *dir, struct arena *a, struct error *err)
{
	struct copy_report report = {.owners = true};
	struct conflict_note note;
	char name[80];
	int r;

	if (mkdir(dir, 0755) < 0)
		return error_set(err, errno, "%.500s: %s", dir,
				 errno == EEXIST ? "it is there already; name a new directory" : "can't be made");
	if (conflict_read_local(&v->cache, id, a, &note) < 0)
		r = volume_conflict_fetch(v, id, dir, err);
	else {
		snprintf(name, sizeof(name), "conflict-%s", id);
		r = copy_tree(v->cache.dir_fd, name, AT_FDCWD, dir, &report, err);
	}
	if (r < 0)
		rmdir(dir); /* when it is empty */
	return r;
}

int volume_cmd_conflicts(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	const char *what = c->args[0], *name = c->n_args > 1 ? c->args[1] : NULL;
	const char *id = c->n_args > 2 ? c->args[2] : NULL, *dir = c->n_args > 3 ? c->args[3] : NULL;
	struct volume v;
	int r;

	if (name && !volume_name_valid(name))
		return error_set(err, EINVAL, "volume \"%.300s\" is not a valid name", name);
	if (strcmp(what, "ls") == 0 && !id)
		return ls(c, a, err);
	if ((strcmp(what, "show") && strcmp(what, "restore") && strcmp(what, "drop")) || !id ||
	    (dir && strcmp(what, "restore") != 0))
		return error_set(
		    err, EINVAL,
		    "conflicts: one of ls [NAME], show NAME ID, restore NAME ID [DIRECTORY], drop NAME ID");
	if (!conflict_id_valid(id))
		return error_set(err, EINVAL, "conflicts: \"%.100s\" is not the number of one", id);
	r = volume_cmd_open(c, name, true, &v, err);
	if (r < 0)
		return r;
	if (strcmp(what, "show") == 0)
		r = show(c, &v, id, a, err);
	else
		r = refuse_living(&v, id, err);
	if (r == 0 && strcmp(what, "drop") == 0)
		r = drop(&v, id, a, err);
	else if (r == 0 && dir)
		r = restore(&v, id, dir, a, err);
	volume_close(&v);
	return r == 0 && strcmp(what, "restore") == 0 && !dir ? make_current(c, id, err) : r;
}
