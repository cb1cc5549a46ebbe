/* SPDX-License-Identifier: Apache-2.0 */
/* What the store knows: `volrun volume ls` and `inspect`. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/engine/access.h"
#include "hooks/engine/lease.h"
#include "hooks/volume_cmd.h"
#include "oci/volume.h"

#define LS_MAX 100000

/* One volume, both as the store and as this node see it. */
struct view {
	const char *name;
	struct head *head;	    /* NULL: no register, or it can't be read: */
	const char *error;	    /* why */
	struct access_meta *meta;   /* inspect; NULL: none */
	struct volume_local *local; /* NULL: never on this node */
};

static const struct json_field view_fields[] = {
    JSON_FIELD(struct view, name, "name", JSON_STR),
    JSON_FIELD(struct view, head, "register", JSON_OBJ_PTR, .table = &head_table),
    JSON_FIELD(struct view, error, "error", JSON_STR),
    JSON_FIELD(struct view, meta, "meta", JSON_OBJ_PTR, .table = &access_meta_table),
    JSON_FIELD(struct view, local, "node", JSON_OBJ_PTR, .table = &volume_local_table),
    {NULL},
};
static const struct json_table view_table = {"volume", sizeof(struct view), view_fields, 0};

struct list {
	struct view *volumes;
	size_t n_volumes, cap;
	struct arena *a;
	size_t prefix_len;
};

static const struct json_field list_fields[] = {
    JSON_LIST(struct list, volumes, "volumes", JSON_ARR_OBJ, .table = &view_table, .write_empty = true),
    {NULL},
};
static const struct json_table list_table = {"list", sizeof(struct list), list_fields, 0};

static void cleanup_store(struct store **s)
{
	store_close(*s);
}

static int read_view(const struct volume_cmd *c, struct store *store, const char *name, struct arena *a,
		     struct view *ret, struct error *err)
{
	struct volume v = {.workspace = c->workspace, .name = name, .store = store, .config = c->store};
	struct volume_local local;
	struct error why = ERROR_INIT;
	struct head head;
	int r;

	*ret = (struct view){.name = name};
	r = lease_peek(&v, a, &head, NULL, &why);
	if (r == 0 && (ret->head = arena_alloc(a, sizeof(head))))
		*ret->head = head;
	else
		ret->error = volume_text(a, why.msg);
	if (volume_local_read(c->config, c->store->name, c->workspace, name, a, &local) == 0 &&
	    (ret->local = arena_alloc(a, sizeof(local))))
		*ret->local = local;
	return r == -EIO ? error_set(err, EIO, "%s", why.msg) : r;
}

/* --- ls ---------------------------------------------------------------------------------- */

/* Keys of registers: volumes/<workspace>/.volrun/<name>/head. */
static int add_key(void *ctx, const struct store_list_item *item, struct error *err)
{
	struct list *l = ctx;
	const char *name = item->key + l->prefix_len, *slash = strchr(name, '/');
	struct view *more;

	if (!slash || strcmp(slash, "/head") != 0)
		return 0;
	if (l->n_volumes == LS_MAX)
		return error_set(err, E2BIG, "more than %d volumes", LS_MAX);
	if (l->n_volumes == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;

		more = realloc(l->volumes, cap * sizeof(*more));
		if (!more)
			return error_set(err, ENOMEM, "out of memory");
		l->volumes = more;
		l->cap = cap;
	}
	name = arena_strndup(l->a, name, (size_t)(slash - name));
	if (!name)
		return error_set(err, ENOMEM, "out of memory");
	if (volume_name_valid(name))
		l->volumes[l->n_volumes++] = (struct view){.name = name};
	return 0;
}

static void print_row(struct arena *a, const struct view *v)
{
	const struct head *h = v->head;
	size_t i;

	printf("%-24s %-6s ", v->name, !h ? "?" : h->state == HEAD_HELD ? "held" : "free");
	printf("%-16s %-24s ", volume_text(a, h && h->state == HEAD_HELD ? h->holder.node_name : NULL),
	       volume_text(a, h && h->state == HEAD_HELD ? h->holder.container : NULL));
	if (h)
		printf("%8" PRIu64 " %8" PRIu64 " %12" PRIu64, h->commit.seq, h->stats.files, h->stats.bytes);
	else
		printf("%8s %8s %12s", "-", "-", "-");
	for (i = 0; v->local && i < v->local->n_kept; i++)
		printf(" kept:%s", v->local->kept[i]);
	if (v->error)
		printf(" %s", v->error);
	else if (v->local && v->local->last_error)
		printf(" %s", v->local->last_error);
	putchar('\n');
}

static int print_list(const struct volume_cmd *c, const struct list *l, struct error *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	size_t i;

	if (!c->json) {
		printf("%-24s %-6s %-16s %-24s %8s %8s %12s %s\n", "NAME", "LEASE", "NODE", "CONTAINER", "COMMIT",
		       "FILES", "BYTES", "NOTE");
		for (i = 0; i < l->n_volumes; i++)
			print_row(l->a, &l->volumes[i]);
		return 0;
	}
	json_write(&out, &list_table, l, 2);
	if (out.failed)
		return error_set(err, ENOMEM, "out of memory");
	puts(strbuf_str(&out));
	return 0;
}

static void forget_removed(struct list *l)
{
	size_t i, n = 0;

	for (i = 0; i < l->n_volumes; i++)
		if (!l->volumes[i].head || !l->volumes[i].head->removed)
			l->volumes[n++] = l->volumes[i];
	l->n_volumes = n;
}

int volume_cmd_ls(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	const char *prefix = arena_printf(a, "volumes/%s/.volrun/", c->workspace);
	_cleanup_(cleanup_store) struct store *store = NULL;
	struct list l = {.a = a};
	size_t i;
	int r;

	if (!prefix)
		return error_set(err, ENOMEM, "out of memory");
	l.prefix_len = strlen(prefix);
	r = store_open(c->store, &store, err);
	if (r == 0)
		r = store_list(store, prefix, add_key, &l, err);
	for (i = 0; r == 0 && i < l.n_volumes; i++) {
		/* One register that can't be read is shown as such; a store that can't be reached ends it. */
		r = read_view(c, store, l.volumes[i].name, a, &l.volumes[i], err);
		if (r == -EINVAL || r == -ENOENT)
			r = 0;
	}
	forget_removed(&l);
	if (r == 0)
		r = print_list(c, &l, err);
	free(l.volumes);
	return r;
}

/* --- inspect ------------------------------------------------------------------------------- */

int volume_cmd_inspect(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	_cleanup_(cleanup_store) struct store *store = NULL;
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	struct error ignored = ERROR_INIT;
	struct access_meta meta;
	struct volume v;
	struct view view;
	int r;

	if (c->check)
		return volume_cmd_check(c, a, err);
	r = store_open(c->store, &store, err);
	if (r < 0)
		return r;
	r = read_view(c, store, c->name, a, &view, err);
	if (r == -EIO)
		return r;
	if (r == -ENOENT && !view.local)
		return error_set(err, ENOENT, "volume %s: not in store %s, workspace %s", c->name, c->store->name,
				 c->workspace);
	v = (struct volume){.workspace = c->workspace, .name = c->name, .store = store, .config = c->store};
	if (access_read(&v, a, &meta, &ignored) == 0)
		view.meta = &meta;
	json_write(&out, &view_table, &view, 2);
	if (out.failed)
		return error_set(err, ENOMEM, "out of memory");
	puts(strbuf_str(&out));
	return 0;
}
