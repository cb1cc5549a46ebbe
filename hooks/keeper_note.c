/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_note.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "hooks/engine/keeper_name.h"
#include "hooks/engine/tree_mounts.h"

#define NOTE_MAX_SIZE (KEEPER_MESSAGE_MAX + 8192)

static const struct json_field note_fields[] = {
    JSON_FIELD(struct keeper_note, pid, "pid", JSON_I32, .required = true),
    JSON_FIELD(struct keeper_note, container, "container", JSON_STR, .required = true),
    JSON_FIELD(struct keeper_note, socket, "socket", JSON_STR),
    JSON_FIELD(struct keeper_note, keeper, "keeper", JSON_STR),
    JSON_FIELD(struct keeper_note, boot_id, "boot_id", JSON_STR, .required = true),
    JSON_FIELD(struct keeper_note, init, "init", JSON_STR),
    JSON_FIELD(struct keeper_note, cgroup, "cgroup", JSON_STR),
    JSON_FIELD(struct keeper_note, cgroup_id, "cgroup_id", JSON_U64),
    JSON_FIELD(struct keeper_note, cgroup_v2, "cgroup_v2", JSON_BOOL),
    JSON_FIELD(struct keeper_note, joinable, "joinable", JSON_BOOL),
    JSON_FIELD(struct keeper_note, resting, "resting", JSON_U64),
    JSON_FIELD(struct keeper_note, sync_commit, "sync_commit", JSON_U64),
    JSON_FIELD(struct keeper_note, sync_frozen_us, "sync_frozen_us", JSON_U64),
    JSON_FIELD(struct keeper_note, sync_copied_bytes, "sync_copied_bytes", JSON_U64),
    JSON_FIELD(struct keeper_note, sync_reflinked_bytes, "sync_reflinked_bytes", JSON_U64),
    JSON_FIELD(struct keeper_note, sync_error, "sync_error", JSON_STR),
    JSON_FIELD(struct keeper_note, request, "request", JSON_OBJ, .table = &keeper_request_table, .required = true),
    {NULL},
};
static const struct json_table note_table = {"note", sizeof(struct keeper_note), note_fields, 0};

void keeper_note_write(const struct cache_volume *cache, struct keeper_note *n, const struct container_cgroup *c)
{
	keeper_note_write_at(cache->dir_fd, "keeper", n, c);
}

int keeper_note_write_at(int dir_fd, const char *name, struct keeper_note *n, const struct container_cgroup *c)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	char link[FD_PATH_MAX], path[PATH_MAX], boot_id[CACHE_CLEAN_BOOT_ID_MAX];
	ssize_t len = c->fd >= 0 ? readlink(fd_path(c->fd, link), path, sizeof(path) - 1) : -1;
	struct stat st;
	int r = cache_boot_id(boot_id);

	if (len > 0 && fstat(c->fd, &st) == 0) {
		path[len] = '\0';
		n->cgroup = path;
		n->cgroup_id = st.st_ino;
		n->cgroup_v2 = c->v2;
	}
	if (r == 0) {
		n->boot_id = boot_id;
		json_write(&text, &note_table, n, 0);
		strbuf_addc(&text, '\n');
		r = text.failed ? -ENOMEM : write_file_atomic_at(dir_fd, name, text.data, text.len, 0600, false);
	}
	n->cgroup = n->boot_id = NULL; /* they were this function's */
	return r;
}

int keeper_note_read(const struct cache_volume *cache, struct arena *a, struct keeper_note *ret)
{
	return keeper_note_read_at(cache->dir_fd, "keeper", a, ret);
}

int keeper_note_read_at(int dir_fd, const char *name, struct arena *a, struct keeper_note *ret)
{
	_cleanup_free_ char *text = NULL;
	char boot_id[CACHE_CLEAN_BOOT_ID_MAX];
	struct error ignored = ERROR_INIT;
	size_t len;

	if (read_file_at(dir_fd, name, NOTE_MAX_SIZE, &text, &len) < 0 ||
	    json_parse(text, len, name, &note_table, a, ret, &ignored) < 0 || ret->request.n_volumes != 1)
		return -ENOENT;
	if (cache_boot_id(boot_id) < 0 || strcmp(boot_id, ret->boot_id) != 0)
		return -ENOENT;
	return 0;
}

int keeper_note_cgroup(const struct keeper_note *n, struct container_cgroup *ret)
{
	_cleanup_close_ int fd = n->cgroup ? open(n->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino != n->cgroup_id)
		return -ENOENT;
	*ret = (struct container_cgroup){.fd = TAKE_FD(fd), .v2 = n->cgroup_v2};
	return 0;
}

bool keeper_note_lives(const struct keeper_note *n, int tree_fd)
{
	struct container_cgroup c = {.fd = -1};
	bool lives = keeper_alive(n->init);

	if (!lives && n->cgroup && keeper_note_cgroup(n, &c) == 0)
		lives = !container_cgroup_empty(&c);
	else if (!lives && !n->cgroup && tree_fd >= 0)
		lives = tree_is_mounted_elsewhere(tree_fd, n->request.directory) ||
			(n->request.by_mounts && tree_is_mounted_here(tree_fd));
	container_cgroup_close(&c);
	return lives;
}

int keeper_note_open_init(const struct keeper_note *n)
{
	_cleanup_close_ int fd = sys_pidfd_open(n->request.pid, 0);

	return fd >= 0 && keeper_alive(n->init) ? TAKE_FD(fd) : -1;
}
