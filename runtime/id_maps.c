/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/id_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/spawn.h"
#include "base/strbuf.h"
#include "base/sys.h"

#define HELPER_TIMEOUT_NS (60LL * 1000 * 1000 * 1000) /* they may ask a directory service (nss) */
#define HELPER_PATH "/usr/bin:/bin:/usr/local/bin:/run/wrappers/bin"

struct id_map {
	const char *file, *helper, *table; /* "uid_map", "newuidmap", "/etc/subuid" */
	const struct spec_id_mapping *maps;
	size_t n;
	uint32_t own; /* the caller's effective id */
};

static bool is_own_id_alone(const struct id_map *m)
{
	return m->n == 1 && m->maps[0].size == 1 && m->maps[0].host_id == m->own;
}

static int write_proc(pid_t pid, const char *file, const char *text)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	return write_file_at(AT_FDCWD, path, text);
}

static int write_directly(pid_t pid, const struct id_map *m)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < m->n; i++)
		strbuf_addf(&text, "%u %u %u\n", m->maps[i].container_id, m->maps[i].host_id, m->maps[i].size);
	return text.failed ? -ENOMEM : write_proc(pid, m->file, strbuf_str(&text));
}

/* Only absolute elements: an empty or relative one would find programs in the working directory. */
static bool find_in(const char *search, const char *name, char path[PATH_MAX])
{
	while (search && *search) {
		size_t len = strcspn(search, ":");

		if (search[0] == '/' && snprintf(path, PATH_MAX, "%.*s/%s", (int)len, search, name) < PATH_MAX &&
		    access(path, X_OK) == 0)
			return true;
		search += len + (search[len] == ':');
	}
	return false;
}

static const char **helper_arguments(pid_t pid, const struct id_map *m, struct arena *arena)
{
	const char **argv = arena_calloc(arena, 3 * m->n + 3, sizeof(*argv));
	size_t n = 0;

	if (!argv)
		return NULL;
	argv[n++] = m->helper;
	argv[n++] = arena_printf(arena, "%d", pid);
	for (size_t i = 0; i < m->n; i++) {
		argv[n++] = arena_printf(arena, "%u", m->maps[i].container_id);
		argv[n++] = arena_printf(arena, "%u", m->maps[i].host_id);
		argv[n++] = arena_printf(arena, "%u", m->maps[i].size);
	}
	for (size_t i = 0; i < n; i++)
		if (!argv[i])
			return NULL;
	return argv;
}

static int run_helper(pid_t pid, const struct id_map *m, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	static const char *const no_env[] = {NULL};
	char path[PATH_MAX], said[256] = "";
	struct spawn s = {.path = path,
			  .envp = no_env,
			  .stderr_buf = said,
			  .stderr_size = sizeof(said),
			  .timeout_ns = HELPER_TIMEOUT_NS};
	int r;

	if (!find_in(getenv("PATH"), m->helper, path) && !find_in(HELPER_PATH, m->helper, path))
		return error_set(err, EPERM,
				 "write the container's %s: only one's own id may be mapped without %s "
				 "(install it: package uidmap or shadow-utils)",
				 m->file, m->helper);
	s.argv = helper_arguments(pid, m, &arena);
	if (!s.argv)
		return error_set(err, ENOMEM, "out of memory");
	r = spawn_run(&s, err);
	if (r <= 0)
		return r;
	said[strcspn(said, "\n")] = '\0';
	return error_set(err, EPERM, "write the container's %s: %s (are these ids in %s for the user?)", m->file,
			 *said ? said : m->helper, m->table);
}

static int map(pid_t pid, const struct id_map *m, struct error *err)
{
	int r = write_directly(pid, m);

	if (r == -EPERM && !is_own_id_alone(m))
		return run_helper(pid, m, err);
	return r < 0 ? error_errno(err, r, "write the container's %s", m->file) : 0;
}

int id_maps_write(pid_t pid, const struct spec_linux *l, struct error *err)
{
	const struct id_map uids = {.file = "uid_map",
				    .helper = "newuidmap",
				    .table = "/etc/subuid",
				    .maps = l->uid_mappings,
				    .n = l->n_uid_mappings,
				    .own = geteuid()};
	const struct id_map gids = {.file = "gid_map",
				    .helper = "newgidmap",
				    .table = "/etc/subgid",
				    .maps = l->gid_mappings,
				    .n = l->n_gid_mappings,
				    .own = getegid()};
	int r = map(pid, &uids, err);

	if (r < 0)
		return r;
	/* Linux 3.19: else a process could leave a group whose members have fewer rights. */
	if (uids.own != 0 && is_own_id_alone(&gids)) {
		r = write_proc(pid, "setgroups", "deny");
		if (r < 0)
			return error_errno(err, r, "deny setgroups in the user namespace");
	}
	return map(pid, &gids, err);
}

bool id_map_to_host(const struct spec_id_mapping *maps, size_t n, uint32_t id, uint32_t *ret)
{
	for (size_t i = 0; i < n; i++)
		if (id >= maps[i].container_id && id - maps[i].container_id < maps[i].size) {
			*ret = maps[i].host_id + (id - maps[i].container_id);
			return true;
		}
	return false;
}
