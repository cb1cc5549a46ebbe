/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `volrun volume mount NAME DIRECTORY` and `unmount DIRECTORY`: a volume on this machine, for a sandbox that has no
 * hooks (gVisor, Kata) or for a person. A keeper holds it as it does a container's; its "container" is
 * "mount DIRECTORY".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/sys.h"
#include "hooks/confine.h"
#include "hooks/engine/tree_mounts.h"
#include "hooks/hook.h"
#include "hooks/keeper_note.h"
#include "hooks/keeper_proto.h"
#include "hooks/keeper_scope.h"
#include "hooks/keeper_socket.h"
#include "hooks/keeper_spawn.h"
#include "hooks/volume_cmd.h"

/* Where it is to be, or is. */
struct place {
	char path[PATH_MAX];
	const char *id;
	char key[KEEPER_KEY_MAX];
	int fd;
};

static int find_place(const char *path, struct arena *a, struct place *ret, struct error *err)
{
	ret->fd = realpath(path, ret->path) ? open(ret->path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (ret->fd < 0)
		return error_set(err, errno, "%s is no directory that can be opened (error %d)", path, errno);
	ret->id = arena_printf(a, "mount %s", ret->path);
	if (!ret->id)
		return error_set(err, ENOMEM, "out of memory");
	keeper_key(ret->id, "", ret->key);
	return 0;
}

/* --- mount ------------------------------------------------------------------------------ */

static int receive_tree(int keeper, struct arena *a, struct keeper_answer *ret, int *ret_fd, struct error *err)
{
	size_t n = 1;
	int fd = -1, r = keeper_receive(keeper, &keeper_answer_table, a, ret, &fd, &n, err);

	if (r == -ENODATA)
		return error_set(err, EIO, "the keeper ended without an answer");
	if (r == 0 && ret->error)
		return error_set(err, EIO, "%s", ret->error);
	if (r == 0 && n != 1)
		return error_set(err, EPROTO, "the keeper sent no tree");
	*ret_fd = fd;
	return r;
}

static int put(int tree_fd, bool ro, const struct place *p, struct error *err)
{
	_cleanup_right_ struct right right = right_raise(CAP_SYS_ADMIN);
	_cleanup_close_ int mount = -1;
	int r = hook_mount_tree(tree_fd, ro, -1, &mount, err);

	if (r == 0 && sys_move_mount(mount, "", p->fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_set(err, errno, "can't mount on %s (error %d)", p->path, errno);
	return r;
}

static int hold(const struct keeper_request *request, const struct place *p, struct arena *a,
		struct keeper_answer *answer, struct error *err)
{
	static const struct keeper_answer done;
	_cleanup_close_ int keeper = -1, self = sys_pidfd_open(request->pid, 0), tree = -1;
	pid_t pid;
	int r = keeper_start(request->config, &pid, &keeper, err);

	if (r == 0)
		r = keeper_send(keeper, &keeper_request_table, request, &self, 1, err);
	if (r == 0)
		r = receive_tree(keeper, a, answer, &tree, err);
	if (r == 0)
		r = put(tree, request->volumes->ro, p, err);
	if (r == 0)
		r = keeper_send(keeper, &keeper_answer_table, &done, NULL, 0, err);
	if (r == 0)
		keeper_scope_start(pid, request->id);
	return r;
}

static int parse_mode(const struct volume_cmd *c, bool *ret_ro, struct error *err)
{
	const char *mode = c->n_args > 2 ? c->args[2] : "rw";

	*ret_ro = strcmp(mode, "ro") == 0;
	return *ret_ro || strcmp(mode, "rw") == 0
		   ? 0
		   : error_set(err, EINVAL, "mount: \"%.40s\" is neither ro nor rw", mode);
}

int volume_cmd_mount(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	struct keeper_request_volume v = {.name = c->name, .store = c->store->name, .wait_ns = c->wait_ns};
	struct place p = {.fd = -1};
	struct keeper_answer answer;
	_cleanup_close_ int dir = -1, other = -1;
	struct stat st;
	int r = parse_mode(c, &v.ro, err);

	if (r == 0)
		r = find_place(c->args[1], a, &p, err);
	if (r < 0)
		return r;
	dir = p.fd;
	other = keeper_socket_connect(c->config->run_dir, p.key);
	if (other >= 0)
		return error_set(err, EBUSY, "a volume is mounted on %s already, or still being committed", p.path);
	if (fstat(dir, &st) < 0)
		return error_set(err, errno, "%s can't be looked at (error %d)", p.path, errno);
	v.destination = p.path;
	v.owner_uid = st.st_uid;
	v.owner_gid = st.st_gid;
	r = hold(&(struct keeper_request){.id = p.id,
					  .bundle = "",
					  .pid = getpid(),
					  .config = c->config_path,
					  .workspace = c->workspace,
					  .volumes = &v,
					  .n_volumes = 1,
					  .administrator = true,
					  .by_mounts = true,
					  .directory = p.path},
		 &p, a, &answer, err);
	for (size_t i = 0; r == 0 && i < answer.n_warnings; i++)
		fprintf(stderr, "warning: %s\n", answer.warnings[i]);
	return r;
}

/* --- unmount ---------------------------------------------------------------------------- */

struct search {
	const struct volume_cmd *c;
	struct arena *a;
	const char *container;
	struct stat mounted;
	bool is_its, is_any;		      /* what is mounted is the tree of that volume; of any volume here */
	const char *store, *workspace, *name; /* found; name NULL: no */
};

/* By any name: one that was set aside is still mounted. */
static bool has_tree(int dir_fd, const struct stat *tree)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;
	struct stat st;

	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.' && fstatat(dir_fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_dev == tree->st_dev && st.st_ino == tree->st_ino)
			return true;
	return false;
}

static int look_at_volume(void *ctx, const char *store, const char *workspace, const char *name)
{
	struct search *s = ctx;
	const char *path = arena_printf(s->a, "%s/%s/%s/%s", s->c->config->cache.path, store, workspace, name);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct keeper_note note;
	bool has = fd >= 0 && has_tree(fd, &s->mounted);

	s->is_any |= has;
	/* The dead keeper's, too. */
	if (s->name || fd < 0 || keeper_note_read_at(fd, "keeper", s->a, &note) < 0 ||
	    strcmp(note.container, s->container) != 0)
		return 0;
	s->is_its = has;
	s->store = arena_strdup(s->a, store);
	s->workspace = arena_strdup(s->a, workspace);
	s->name = arena_strdup(s->a, name);
	return 0;
}

/* What was mounted on top of a volume is not to go in its place. A reader has no note: any volume's tree may be its. */
static int check_top(const struct place *p, const struct search *s, struct error *err)
{
	struct statx st;

	if (statx(p->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &st) < 0 ||
	    !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT) || (s->name ? s->is_its : s->is_any))
		return 0;
	return error_set(err, EBUSY,
			 "something else than the volume is mounted on %s, on top of it or in its place; unmount that "
			 "first (umount %s)",
			 p->path, p->path);
}

static int take_away(const struct volume_cmd *c, const struct place *p, bool held, struct error *err)
{
	_cleanup_right_ struct right right = right_raise(CAP_SYS_ADMIN);
	bool mine = tree_is_mounted_here(p->fd);

	if (mine && !c->force && tree_is_mounted_elsewhere(p->fd, p->path))
		return error_set(
		    err, EBUSY,
		    "%s is in use by a container or sandbox, which has it mounted; end that first (--force "
		    "unmounts it here, and it is committed when that has ended)",
		    p->path);
	close(p->fd); /* it is in the mount itself */
	if (umount2(p->path, UMOUNT_NOFOLLOW) == 0 || (errno == EINVAL && held))
		return 0;
	if (errno == EBUSY)
		return error_set(err, EBUSY,
				 "%s is in use: a process has a file or directory in it open, or is in it (fuser -vm "
				 "tells which)",
				 p->path);
	return error_set(err, errno, "%s can't be unmounted (error %d)", p->path, errno);
}

/* The keeper has its log when it ends; what it says of a failure is in the cache, too. */
static int wait_commit(const struct volume_cmd *c, const struct place *p, const struct search *s, struct error *err)
{
	int64_t wait = c->has_wait ? c->wait_ns : INT64_MAX / 2;
	_cleanup_free_ char *log = NULL;
	struct volume_local l;
	char *line, *rest;
	int r = keeper_socket_wait(c->config->run_dir, p->id, "", wait, false, &log);

	for (line = log ? strtok_r(log, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
		fprintf(stderr, "warning: %s\n", line);
	if (r == -ETIMEDOUT)
		return error_set(
		    err, EBUSY,
		    "%s is unmounted, and not committed yet: that goes on in the background, or comes when "
		    "nobody else has it mounted any more",
		    p->path);
	if (s->name && volume_local_read(c->config, s->store, s->workspace, s->name, s->a, &l) == 0 && l.last_error)
		return error_set(err, EIO, "volume %s: %s", s->name, l.last_error);
	return 0;
}

int volume_cmd_unmount(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	struct search s = {.c = c, .a = a};
	_cleanup_close_ int keeper = -1;
	struct volume_cmd of = *c;
	struct place p = {.fd = -1};
	int r = find_place(c->args[0], a, &p, err);

	if (r < 0)
		return r;
	s.container = p.id;
	if (fstat(p.fd, &s.mounted) < 0)
		return error_set(err, errno, "%s can't be looked at (error %d)", p.path, errno);
	keeper = keeper_socket_connect(c->config->run_dir, p.key);
	if (volume_local_each(c->config, a, look_at_volume, &s) < 0)
		return error_set(err, ENOMEM, "out of memory");
	if (keeper < 0 && !s.name)
		return error_set(
		    err, EINVAL,
		    "no volume is mounted on %s, or it is committed already (what is left of it: umount %s)", p.path,
		    p.path);
	r = check_top(&p, &s, err);
	if (r == 0)
		r = take_away(c, &p, keeper >= 0, err);
	if (r < 0 || keeper >= 0)
		return r < 0 ? r : wait_commit(c, &p, &s, err);
	/* The keeper has died: what it held is recovered as after any other. */
	of.store = config_store(c->config, s.store);
	of.workspace = s.workspace;
	of.name = s.name;
	return of.store ? volume_cmd_recover(&of, a, err)
			: error_set(err, EINVAL, "the configuration has no store \"%s\"", s.store);
}
