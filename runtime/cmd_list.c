/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "runtime/command.h"
#include "runtime/state_dir.h"

struct options {
	const char *format;
	bool quiet;
};

static const struct arg_option list_options[] = {
    {"format", 'f', ARG_STR, offsetof(struct options, format), "FORMAT", "table (default) or json"},
    {"quiet", 'q', ARG_BOOL, offsetof(struct options, quiet), NULL, "only the ids"},
    {NULL},
};

enum { COLUMNS = 6 };

struct row {
	const char *cells[COLUMNS];
	struct oci_state state;
};

static int compare_rows(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->state.id, ((const struct row *)b)->state.id);
}

/* All that can be read; one that is being made or removed just now is left out. */
static int collect(const struct globals *g, struct arena *arena, struct row **ret, size_t *ret_n, struct error *err)
{
	const char *root = g->root;
	_cleanup_closedir_ DIR *dir = opendir(root);
	size_t n = 0, room = 16;
	struct row *rows = arena_calloc(arena, room, sizeof(*rows));
	struct dirent *e;

	/* The usual one is made with the first container; as runc. */
	if (!dir && (errno != ENOENT || g->root_given))
		return error_errno(err, errno, "open the state directory %s", root);
	while (dir && rows && (e = readdir(dir))) {
		_cleanup_container_ struct container c = CONTAINER_INIT;
		struct error skip = ERROR_INIT;

		if (e->d_name[0] == '.' || container_look(root, e->d_name, arena, &c, &skip) < 0)
			continue;
		if (n == room) {
			struct row *more = arena_calloc(arena, room * 2, sizeof(*rows));

			if (more)
				memcpy(more, rows, n * sizeof(*rows));
			rows = more;
			room *= 2;
		}
		if (rows)
			rows[n++].state = container_oci_state(&c.state, (enum oci_status)c.status);
	}
	if (!rows)
		return error_set(err, ENOMEM, "out of memory");
	qsort(rows, n, sizeof(*rows), compare_rows);
	*ret = rows;
	*ret_n = n;
	return 0;
}

/* runc prints null for an empty list; so do we, callers decode both. */
static void print_json(const struct row *rows, size_t n)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < n; i++) {
		strbuf_addc(&text, i ? ',' : '[');
		json_write(&text, &oci_state_table, &rows[i].state, 0);
	}
	strbuf_adds(&text, n ? "]" : "null");
	puts(strbuf_str(&text));
}

static int print_table(struct row *rows, size_t n, struct arena *arena, struct error *err)
{
	static const char *const heads[COLUMNS] = {"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"};
	/* As Go's tabwriter does it for runc: at least 12 wide, 3 between. */
	int width[COLUMNS] = {12, 12, 12, 12, 12, 0};

	for (size_t i = 0; i < n; i++) {
		const struct oci_state *s = &rows[i].state;
		const char *cells[COLUMNS] = {s->id,	 arena_printf(arena, "%d", s->pid), oci_status_names[s->status],
					      s->bundle, s->created ? s->created : "",	    s->owner};

		memcpy(rows[i].cells, cells, sizeof(cells));
		for (int k = 0; k < COLUMNS; k++) {
			if (!cells[k])
				return error_set(err, ENOMEM, "out of memory");
			if (k < COLUMNS - 1 && (int)strlen(cells[k]) + 3 > width[k])
				width[k] = (int)strlen(cells[k]) + 3;
		}
	}
	for (int k = 0; k < COLUMNS; k++)
		printf("%-*s%s", width[k], heads[k], k == COLUMNS - 1 ? "\n" : "");
	for (size_t i = 0; i < n; i++)
		for (int k = 0; k < COLUMNS; k++)
			printf("%-*s%s", width[k], rows[i].cells[k], k == COLUMNS - 1 ? "\n" : "");
	return 0;
}

static int run_list(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct options o = {.format = "table"};
	struct row *rows = NULL;
	struct arg_list args;
	size_t n = 0;
	int r = command_parse(&command_list, argc, argv, 0, 0, &o, &arena, &args, err);

	if (r <= 0)
		return r;
	if (strcmp(o.format, "table") != 0 && strcmp(o.format, "json") != 0)
		return error_set(err, EINVAL, "--format: \"%s\" is neither table nor json", o.format);
	r = collect(g, &arena, &rows, &n, err);
	if (r < 0)
		return r;
	if (o.quiet)
		for (size_t i = 0; i < n; i++)
			puts(rows[i].state.id);
	else if (strcmp(o.format, "json") == 0)
		print_json(rows, n);
	else
		r = print_table(rows, n, &arena, err);
	return r;
}

const struct command command_list = {
    "list", "[options]", "list the containers", list_options, 0, run_list, 1,
};
