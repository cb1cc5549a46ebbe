/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/mount_live.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/sys.h"
#include "base/target.h"
#include "runtime/handshake.h"
#include "runtime/mount_plan.h"
#include "runtime/mount_trees.h"
#include "runtime/namespaces.h"
#include "runtime/process.h"

struct live {
	const struct container *container;
	const struct spec *spec;
	struct arena *arena;
	int *trees; /* per mount, -1: none */
	struct cgroup cgroup;
};

/* --- in the container ------------------------------------------------------------- */

static int add_here(struct live *l, int root_fd, struct error *err)
{
	struct rootfs r = {
	    .spec = l->spec,
	    .rootfs_path = "/",
	    .in_userns = l->container->state.rootless || spec_find_namespace(l->spec, SPEC_NS_USER),
	    .cgroup = &l->cgroup,
	    .mount_tree_fds = l->trees,
	    .console_fd = -1,
	    .arena = l->arena,
	    .root_fd = root_fd,
	};

	umask(0);
	return rootfs_add_mounts(&r, err);
}

static int unmount(int root_fd, char *normal, struct arena *arena, struct error *err)
{
	_cleanup_close_ int dir = -1;
	char *name = strrchr(normal, '/');
	struct target t = {.path = name == normal ? "/" : normal, .make = TARGET_EXISTING};
	const char *canonical = NULL;
	int r;

	*name++ = '\0';
	r = target_open(root_fd, &t, arena, &dir, &canonical);
	/* The container's links must not lead to what masks and locks its /proc and /sys. */
	if (r >= 0 && strcmp(canonical, t.path) != 0 &&
	    (path_is_beneath(canonical, "/proc") || path_is_beneath(canonical, "/sys")))
		return error_set(err, ELOOP, "a symbolic link of the container leads to \"%s\"", canonical);
	if (r >= 0 && (fchdir(dir) < 0 || umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW) < 0))
		r = -errno;
	if (r == -EINVAL || r == -ENOENT)
		return error_set(err, -r, "it is not a mount point");
	return r < 0 ? error_errno(err, r, "unmount") : 0;
}

static int remove_one(struct live *l, int root_fd, const char *destination, struct error *err)
{
	const char *path = arena_printf(l->arena, "/%s", destination);
	char *normal = path ? path_normalize(l->arena, path) : NULL;
	int r;

	if (!normal)
		return error_set(err, ENOMEM, "out of memory");
	r = mount_place_check(normal, true, err);
	if (r == 0)
		r = unmount(root_fd, normal, l->arena, err);
	return r < 0 ? error_wrap(err, "mount on \"%s\"", destination) : 0;
}

static int remove_here(struct live *l, int root_fd, struct error *err)
{
	int r = 0;

	for (size_t i = l->spec->n_mounts; i > 0 && r == 0; i--)
		r = remove_one(l, root_fd, l->spec->mounts[i - 1].destination, err);
	return r;
}

static int work(struct live *l, int (*what)(struct live *, int, struct error *), int sock, struct error *err)
{
	_cleanup_close_ int root_fd = -1;
	struct handshake_message m;
	int r = handshake_expect(sock, HS_GO, &m, err);

	if (r == 0)
		r = process_hide(err);
	if (r == 0 && spec_find_namespace(l->spec, SPEC_NS_USER))
		r = process_become_root(l->spec, err);
	if (r < 0)
		return r;
	root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return error_errno(err, errno, "open the container's root");
	return what(l, root_fd, err);
}

/* The sources, and the end of the socket. */
static int *needed_fds(struct live *l, int sock, size_t *ret_n)
{
	size_t n = l->trees ? l->spec->n_mounts : 0;
	int *fds = arena_calloc(l->arena, n + 1, sizeof(*fds));

	if (!fds)
		return NULL;
	if (n)
		memcpy(fds, l->trees, n * sizeof(*fds));
	fds[n] = sock;
	*ret_n = n + 1;
	return fds;
}

/* --- outside ---------------------------------------------------------------------- */

static int run_inside(struct live *l, int (*what)(struct live *, int, struct error *), struct error *err)
{
	_cleanup_close_ int init = -1, pidfd = -1, sock = -1;
	struct handshake_message m;
	struct namespaces ns;
	int pair[2], fd, r = container_pidfd(&l->container->state, &init, err);
	pid_t pid = 0;

	if (r == 0)
		r = handshake_pair(pair, err);
	if (r < 0)
		return r;
	namespaces_plan_exec(l->spec, init, &ns);
	ns.close_from = 3;
	ns.keep_fds = needed_fds(l, pair[1], &ns.n_keep_fds);
	r = ns.keep_fds ? namespaces_clone(&ns, l->spec, -1, &pid, &pidfd, err)
			: error_set(err, ENOMEM, "out of memory");
	if (r == 0) {
		if (!ns.join_early)
			close(pair[0]);
		r = work(l, what, pair[1], err);
		if (r < 0)
			handshake_send_error(pair[1], err);
		else
			handshake_send(pair[1], HS_READY, 0, NULL, -1, err);
		_exit(r < 0);
	}
	close(pair[1]);
	sock = pair[0];
	if (r < 0)
		return r;
	r = handshake_send(sock, HS_GO, pid, NULL, -1, err);
	if (r == 0)
		r = handshake_recv(sock, &m, &fd, err);
	if (r == 0)
		r = error_set(err, ECHILD, "the process that joined the container ended early");
	waitpid(pid, NULL, 0);
	return r < 0 ? r : 0;
}

static int clone_sources(struct live *l, struct error *err)
{
	const struct mount_trees t = {
	    .spec = l->spec, .bundle = l->container->state.bundle, .all = true, .pid = l->container->state.pid};
	size_t n = l->spec->n_mounts;
	int r = 0;

	l->trees = arena_calloc(l->arena, n + 1, sizeof(*l->trees));
	if (!l->trees)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		l->trees[i] = -1;
	for (size_t i = 0; i < n && r == 0; i++)
		r = mount_tree_make(&t, i, l->arena, &l->trees[i], err);
	return r;
}

int mount_live_add(const struct container *c, const struct spec *spec, struct arena *arena, struct error *err)
{
	struct live l = {.container = c, .spec = spec, .arena = arena, .cgroup = CGROUP_INIT};
	int r = clone_sources(&l, err);

	if (r == 0)
		r = container_cgroup(&c->state, &l.cgroup, err);
	if (r == 0)
		r = run_inside(&l, add_here, err);
	cgroup_close(&l.cgroup);
	for (size_t i = 0; l.trees && i < spec->n_mounts; i++)
		cleanup_close(&l.trees[i]);
	return r;
}

int mount_live_remove(const struct container *c, const struct spec *spec, struct arena *arena, struct error *err)
{
	struct live l = {.container = c, .spec = spec, .arena = arena, .cgroup = CGROUP_INIT};

	return run_inside(&l, remove_here, err);
}
