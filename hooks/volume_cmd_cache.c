/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun volume prefetch`, `prune`: this node's cache. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "hooks/engine/conflict.h"
#include "hooks/engine/evict.h"
#include "hooks/engine/restore.h"
#include "hooks/volume_hold.h"

int volume_cmd_prefetch(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	struct transfer_report report = {0};
	struct volume_progress *bar;
	struct cache_mark mark;
	struct volume v;
	struct head head;
	int r;

	r = volume_cmd_open(c, c->name, true, &v, err);
	if (r < 0)
		return r;
	v.no_foreign = true;
	r = volume_cmd_peek(c, &v, a, &head, err);
	if (r == 0)
		r = cache_lock(&v.cache, 0, -1, err);
	if (r == -ETIMEDOUT)
		r = error_set(err, EBUSY, "volume %s: it is in use on this node", c->name);
	if (r == 0 && cache_read_dirty(&v.cache, &mark) == 0)
		r = error_set(err, EBUSY,
			      "volume %s: an earlier run here was not committed; `volrun volume recover %s` first",
			      c->name, c->name);
	if (r == 0) {
		bar = volume_progress_begin(c->name, &report.bytes_in, head.stats.bytes);
		r = restore_run(&v, &head, NULL, NULL, &report, err);
		volume_progress_end(bar);
		if (r < 0)
			error_wrap(err, "volume %s", c->name);
	}
	/* No keeper follows that would. */
	if (r == 0 && cache_is_unsettled(&v.cache) && (r = cache_settle(v.cache.dir_fd)) < 0)
		error_set(err, r, "volume %s: cache: can't be written to disk (error %d)", c->name, -r);
	if (r == 0 && report.n_warnings)
		fprintf(stderr, "warning: volume %s: %s\n", c->name, report.warning);
	volume_close(&v);
	return r;
}

/* --- prune ------------------------------------------------------------------------------- */

struct pruned {
	const char *store, *workspace, *name;
	uint64_t bytes;
};

static const struct json_field pruned_fields[] = {
    JSON_FIELD(struct pruned, store, "store", JSON_STR),
    JSON_FIELD(struct pruned, workspace, "workspace", JSON_STR),
    JSON_FIELD(struct pruned, name, "name", JSON_STR),
    JSON_FIELD(struct pruned, bytes, "bytes", JSON_U64, .write_empty = true),
    {NULL},
};
static const struct json_table pruned_table = {"pruned", sizeof(struct pruned), pruned_fields, 0};

struct result {
	struct pruned *volumes;
	size_t n_volumes;
	uint64_t bytes, kept;
};
static const struct json_field result_fields[] = {
    JSON_LIST(struct result, volumes, "volumes", JSON_ARR_OBJ, .table = &pruned_table, .write_empty = true),
    JSON_FIELD(struct result, bytes, "bytes", JSON_U64, .write_empty = true),
    JSON_FIELD(struct result, kept, "kept", JSON_U64, .write_empty = true),
    {NULL},
};
static const struct json_table result_table = {"result", sizeof(struct result), result_fields, 0};

#define PRUNE_MAX 10000

struct prune {
	const struct volume_cmd *c;
	struct arena *a;
	int cache_fd;
	struct result result;
};

/* What the directory takes on the disk. */
static uint64_t disk_usage(int dir_fd, const char *name, unsigned depth)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 || depth > 500 ? NULL : fdopendir(fd);
	uint64_t bytes = 0;
	struct dirent *d;
	struct stat st;

	if (!dir)
		return 0;
	TAKE_FD(fd);
	while ((d = readdir(dir))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		bytes += (uint64_t)st.st_blocks * 512;
		if (S_ISDIR(st.st_mode))
			bytes += disk_usage(dirfd(dir), d->d_name, depth + 1);
	}
	return bytes;
}

static int remove_tree(const struct cache_volume *v, const char *name, bool reader)
{
	if (!reader)
		return remove_tree_at(v->dir_fd, name);
	remove_tree_at(v->dir_fd, CACHE_LEAVING);
	if (renameat(v->dir_fd, name, v->dir_fd, CACHE_LEAVING) < 0)
		return -errno;
	return remove_tree_at(v->dir_fd, CACHE_LEAVING);
}

static uint64_t remove_trees(const struct cache_volume *v)
{
	static const char *const files[] = {"clean", "index", "applied", NULL};
	_cleanup_closedir_ DIR *dir = fdopendir(openat(v->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	uint64_t bytes = 0;
	struct dirent *d;

	/* The mark first: what is half removed must not pass for whole. */
	for (size_t i = 0; files[i]; i++)
		unlinkat(v->dir_fd, files[i], 0);
	while (dir && (d = readdir(dir))) {
		bool reader = strncmp(d->d_name, "ro-", 3) == 0;
		uint64_t size;

		if (!reader && strcmp(d->d_name, "rw") != 0 && strcmp(d->d_name, "tmp") != 0)
			continue;
		if (reader && cache_is_read(v->dir_fd, d->d_name))
			continue;
		size = disk_usage(v->dir_fd, d->d_name, 0);
		if (remove_tree(v, d->d_name, reader) == 0)
			bytes += size;
	}
	return bytes;
}

/* A pinned one only by its name. */
static bool may_go(struct prune *p, struct cache_volume *v, int *ret_lock_ro)
{
	struct error ignored = ERROR_INIT;
	struct cache_mark mark;

	return (p->c->name || !cache_is_pinned(v)) && cache_lock(v, 0, -1, &ignored) == 0 &&
	       cache_lock_ro(v, 0, -1, ret_lock_ro, &ignored) == 0 && cache_read_dirty(v, &mark) < 0;
}

static int prune_one(void *ctx, const char *store, const char *workspace, const char *name)
{
	struct prune *p = ctx;
	struct result *r = &p->result;
	struct error ignored = ERROR_INIT;
	_cleanup_close_ int lock_ro = -1;
	struct cache_volume v;
	struct pruned *one;

	if (p->c->name &&
	    (strcmp(p->c->name, name) || strcmp(p->c->workspace, workspace) || strcmp(p->c->store->name, store)))
		return 0;
	if (r->n_volumes == PRUNE_MAX || cache_volume_open(p->cache_fd, store, workspace, name, &v, &ignored) < 0)
		return 0;
	if (may_go(p, &v, &lock_ro)) {
		one = &r->volumes[r->n_volumes++];
		*one = (struct pruned){arena_strdup(p->a, store), arena_strdup(p->a, workspace),
				       arena_strdup(p->a, name), remove_trees(&v)};
		r->bytes += one->bytes;
	} else {
		r->kept++;
	}
	cache_volume_close(&v);
	return 0;
}

int volume_cmd_prune(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	struct prune p = {.c = c, .a = a, .cache_fd = -1};
	int r = cache_open(c->config->cache.path, &p.cache_fd, err);

	if (r < 0)
		return r;
	p.result.volumes = arena_calloc(a, PRUNE_MAX, sizeof(*p.result.volumes));
	if (!p.result.volumes || volume_local_each(c->config, a, prune_one, &p) < 0)
		r = error_set(err, ENOMEM, "out of memory");
	close(p.cache_fd);
	if (r == 0 && c->json)
		return volume_print_json(&result_table, &p.result, err);
	if (r == 0)
		printf("%zu volumes removed from the cache, %" PRIu64 " bytes freed; %" PRIu64
		       " in use, pinned or not committed\n",
		       p.result.n_volumes, p.result.bytes, p.result.kept);
	return r;
}
