/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "runtime/command.h"
#include "runtime/delete.h"

struct options {
	bool force, regex;
};

static const struct arg_option delete_options[] = {
    {"force", 'f', ARG_BOOL, offsetof(struct options, force), NULL,
     "kill it if it runs; one that does not exist is no error"},
    {"regex", 'r', ARG_BOOL, offsetof(struct options, regex), NULL, "ID is a regular expression: all that match it"},
    {NULL},
};

/*
 * A directory without a readable state: its creator was killed before it had
 * made anything else, or is just about to. Its lock tells which. Returns 1 when there is a container by now.
 */
static int remove_remains(const char *root, const char *id, struct error *err)
{
	_cleanup_container_ struct container c = CONTAINER_INIT, made = CONTAINER_INIT;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error none = ERROR_INIT;
	struct stat st;
	int r = state_dir_open(root, id, &c.dir_fd, err);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = state_dir_lock(c.dir_fd, err);
	if (r < 0)
		return r;
	if (fstat(c.dir_fd, &st) == 0 && st.st_nlink == 0)
		return 0;
	r = container_open(root, id, &arena, &made, &none);
	return r == -ENOENT || r == -EINVAL ? state_dir_remove(root, id, err) : 1;
}

static int delete_one(const struct globals *g, const char *id, bool force, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_container_ struct container c = CONTAINER_INIT;
	_cleanup_strbuf_ struct strbuf notes = STRBUF_INIT;
	int r = oci_id_check(id, err);

	if (r < 0)
		return r;
	r = container_open(g->root, id, &arena, &c, err);
	/* Not when it could not be read this time: then what runs would be forgotten. */
	if (force && (r == -ENOENT || r == -EINVAL)) {
		r = remove_remains(g->root, id, err);
		if (r <= 0)
			return r;
		r = container_open(g->root, id, &arena, &c, err);
	}
	if (r < 0)
		return r;
	r = container_delete(g->root, &c, force, &notes, err);
	command_log_notes(&notes, NOTES_OF_USER);
	return r;
}

/* All are tried; the first failure is told. */
static int delete_matching(const struct globals *g, const char *pattern, bool force, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char **ids;
	size_t n;
	int r = container_ids_matching(g->root, pattern, &arena, &ids, &n, err), first = r;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct error e = ERROR_INIT;

		if (delete_one(g, ids[i], force, &e) < 0 && first == 0) {
			*err = e;
			first = error_wrap(err, "delete %s", ids[i]);
		}
	}
	return first;
}

static int run_delete(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct options o = {.force = false};
	struct arg_list args;
	int r = command_parse(&command_delete, argc, argv, 1, 1, &o, &arena, &args, err);

	if (r <= 0)
		return r;
	return o.regex ? delete_matching(g, args.items[0], o.force, err) : delete_one(g, args.items[0], o.force, err);
}

const struct command command_delete = {
    "delete", "[options] ID", "remove a container that has stopped", delete_options, 0, run_delete, 1,
};
