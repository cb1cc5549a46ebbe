/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts of a running container that config.json does not know of: volumes, and what came with `mounts add`. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "runtime/criu_mounts.h"

#define MOUNTS_MAX 10000

/* A line of mountinfo(5); the strings are in the arena. */
struct line {
	const char *device, *root, *place, *type;
};

/* Space, tab, newline and backslash are three octal digits. */
static char *unescape(struct arena *arena, const char *s, size_t len)
{
	char *copy = arena_strndup(arena, s, len), *to = copy;

	for (const char *p = copy; copy && *p;) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' &&
		    p[3] <= '7') {
			*to++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 4;
		} else {
			*to++ = *p++;
		}
	}
	if (to)
		*to = '\0';
	return copy;
}

/* id parent major:minor root place options [fields...] - type ... */
static bool parse_line(const char *p, size_t len, struct arena *arena, struct line *ret)
{
	const char *end = p + len, *fields[6] = {NULL};
	size_t lens[6] = {0}, n = 0;
	bool after = false;

	while (p < end && n < ARRAY_SIZE(fields)) {
		size_t k = strcspn(p, " \n");

		if (n == 5 && !after)
			after = k == 1 && *p == '-';
		else {
			fields[n] = p;
			lens[n++] = k;
		}
		p += k + 1;
	}
	if (n < ARRAY_SIZE(fields))
		return false;
	*ret = (struct line){.device = arena_strndup(arena, fields[2], lens[2]),
			     .root = unescape(arena, fields[3], lens[3]),
			     .place = unescape(arena, fields[4], lens[4]),
			     .type = arena_strndup(arena, fields[5], lens[5])};
	return ret->device && ret->root && ret->place && ret->type;
}

/* File systems of which criu makes a new one, with the content if there is any. */
static bool can_be_made(const char *type)
{
	static const char *const types[] = {"proc",    "sysfs",	  "tmpfs",   "devtmpfs",    "devpts",
					    "mqueue",  "cgroup",  "cgroup2", "binfmt_misc", "securityfs",
					    "debugfs", "tracefs", "fusectl", "configfs",    "pstore"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(types[i], type) == 0)
			return true;
	return false;
}

static bool is_named(const struct criu_request *r, const char *place)
{
	for (size_t i = 0; i < r->mounts.n; i++)
		if (strcmp(r->mounts.items[i].key, place) == 0)
			return true;
	return false;
}

/* Is l what another mount of the container shows, too, so that criu binds it from there? */
static bool has_source(const struct criu_request *r, const struct line *lines, size_t n, const struct line *l)
{
	for (size_t i = 0; i < n; i++) {
		const struct line *other = &lines[i];

		if (other == l || strcmp(other->device, l->device) != 0 || !path_is_beneath(l->root, other->root))
			continue;
		if (strcmp(other->place, "/") == 0 || is_named(r, other->place) ||
		    (strcmp(other->root, "/") == 0 && can_be_made(other->type)))
			return true;
	}
	return false;
}

int criu_mounts_unnamed(const char *mountinfo, struct criu_request *r, struct arena *arena, struct error *err)
{
	struct line *lines;
	size_t n = 0, room = 0;

	for (const char *p = mountinfo; *p; p++)
		room += *p == '\n';
	if (room > MOUNTS_MAX)
		return error_set(err, E2BIG, "the container has more than %d mounts", MOUNTS_MAX);
	lines = arena_calloc(arena, room + 1, sizeof(*lines));
	if (!lines)
		return error_set(err, ENOMEM, "out of memory");
	for (const char *p = mountinfo; *p && n < room;) {
		size_t len = strcspn(p, "\n");

		n += parse_line(p, len, arena, &lines[n]);
		p += len + (p[len] == '\n');
	}
	for (size_t i = 0; i < n; i++) {
		const struct line *l = &lines[i];

		/* A cgroup namespace's root is not "/" for us; criu knows of that. */
		if (strcmp(l->place, "/") == 0 || is_named(r, l->place) || strncmp(l->type, "cgroup", 6) == 0 ||
		    (strcmp(l->root, "/") == 0 && can_be_made(l->type)) || has_source(r, lines, n, l))
			continue;
		if (criu_list_add(&r->mounts, arena, l->place, l->place, -1) < 0)
			return error_set(err, ENOMEM, "out of memory");
	}
	return 0;
}
