/* SPDX-License-Identifier: Apache-2.0 */
/* The node's side: trees set aside and the notes beside them. */
#include "hooks/engine/conflict.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"

#define PREFIX "conflict-"
#define NOTE_MAX_SIZE 16384
#define ID_MAX 48

bool conflict_id_valid(const char *id)
{
	size_t n = strspn(id, "0123456789"), m;

	if (n == 0 || strlen(id) >= ID_MAX)
		return false;
	if (!id[n])
		return true;
	m = strspn(id + n + 1, "0123456789");
	return id[n] == '-' && m > 0 && !id[n + 1 + m];
}

static int write_note(const struct volume *v, const struct conflict_note *note, struct error *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	char name[ID_MAX + 16];
	int r;

	json_write(&text, &conflict_note_table, note, 0);
	strbuf_addc(&text, '\n');
	snprintf(name, sizeof(name), PREFIX "%s.json", note->id);
	r = text.failed ? -ENOMEM : write_file_atomic_at(v->cache.dir_fd, name, text.data, text.len, 0600, true);
	return r < 0 ? error_set(err, r, "cache: can't write %s (error %d)", name, -r) : 0;
}

int conflict_set_aside(struct volume *v, const struct conflict_note *note, struct arena *a, const char **ret_id,
		       struct error *err)
{
	struct conflict_note n = *note;
	char since[CLOCK_RFC3339_MAX];
	const char *name;
	int r;

	r = cache_set_aside(&v->cache, note->epoch, a, &name, err);
	if (r < 0)
		return r;
	*ret_id = NULL;
	if (!name)
		return 0;
	n.id = name + strlen(PREFIX);
	n.since = clock_rfc3339(NULL, since);
	/* The tree counts, not what is told of it: a note that can't be written is no failure. */
	write_note(v, &n, err);
	*ret_id = n.id;
	return 0;
}

int conflict_read_local(const struct cache_volume *c, const char *id, struct arena *a, struct conflict_note *ret)
{
	_cleanup_free_ char *text = NULL;
	struct error ignored = ERROR_INIT;
	struct conflict_note n = {0};
	char name[ID_MAX + 16];
	struct stat st;
	size_t len;

	if (!conflict_id_valid(id))
		return -ENOENT;
	snprintf(name, sizeof(name), PREFIX "%s", id);
	if (fstatat(c->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return -ENOENT;
	strcat(name, ".json");
	if (read_file_at(c->dir_fd, name, NOTE_MAX_SIZE, &text, &len) < 0 ||
	    json_parse(text, len, name, &conflict_note_table, a, &n, &ignored) < 0)
		n = (struct conflict_note){.epoch = strtoull(id, NULL, 10)};
	n.id = arena_strdup(a, id);
	*ret = n;
	return n.id ? 0 : -ENOMEM;
}

void conflict_settled(const struct volume *v, const char *id)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct error ignored = ERROR_INIT;
	struct conflict_note n;

	if (conflict_read_local(&v->cache, id, &a, &n) == 0 && n.keeper) {
		n.keeper = NULL;
		write_note(v, &n, &ignored);
	}
}

static int is_tree(const struct dirent *d)
{
	return strncmp(d->d_name, PREFIX, strlen(PREFIX)) == 0 && conflict_id_valid(d->d_name + strlen(PREFIX));
}

int conflict_each_local(const struct cache_volume *c, int (*fn)(void *ctx, const struct conflict_note *note), void *ctx)
{
	struct dirent **names = NULL;
	int n = scandirat(c->dir_fd, ".", &names, is_tree, versionsort), r = 0;

	for (int i = 0; i < n; i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct conflict_note note;

		if (r == 0 && conflict_read_local(c, names[i]->d_name + strlen(PREFIX), &a, &note) == 0)
			r = fn(ctx, &note);
		free(names[i]);
	}
	free(names);
	return r;
}

/* --- uploading all ------------------------------------------------------------------ */

struct all {
	struct volume *v;
	struct error *err;
	int failed;
};

static int upload_one(void *ctx, const struct conflict_note *note)
{
	struct error ignored = ERROR_INIT;
	struct all *all = ctx;
	int r = conflict_upload(all->v, note->id, all->failed ? &ignored : all->err);

	if (all->failed == 0)
		all->failed = r;
	return 0;
}

int conflict_upload_all(struct volume *v, struct error *err)
{
	struct all all = {.v = v, .err = err};

	conflict_each_local(&v->cache, upload_one, &all);
	return all.failed;
}
