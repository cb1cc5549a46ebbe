/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/path.h"
#include "runtime/cgroup_internal.h"

/* Room is left for the mount point and for what is made beneath. */
#define PATH_LEN_MAX (PATH_MAX - 512)

enum cgroup_mode cgroup_detect(void)
{
	struct statfs fs;

	if (statfs(CGROUP_ROOT, &fs) < 0)
		return CGROUP_NONE;
	if (fs.f_type == CGROUP2_SUPER_MAGIC)
		return CGROUP_V2;
	return fs.f_type == TMPFS_MAGIC ? CGROUP_V1 : CGROUP_NONE;
}

const struct cgroup_version *cgroup_version_of(const struct cgroup *cg)
{
	return cg->mode == CGROUP_V2 ? &cgroup_version_v2 : &cgroup_version_v1;
}

/* --- the path ------------------------------------------------------------------ */

/* The parent of our own cgroup on v2: its own one holds us, so its children can't have controllers. */
static int default_parent(struct arena *a, const char **ret)
{
	_cleanup_free_ char *text = NULL;
	char *line, *slash;
	int r;

	*ret = "";
	if (cgroup_detect() != CGROUP_V2)
		return 0;
	r = read_file_at(AT_FDCWD, "/proc/self/cgroup", 64u << 10, &text, NULL);
	if (r < 0)
		return r;
	line = strstr(text, "0::/");
	/* ".." shows a cgroup above the root of our cgroup namespace. */
	if (!line || (line != text && line[-1] != '\n'))
		return 0;
	line += strlen("0::");
	line[strcspn(line, "\n")] = '\0';
	slash = strrchr(line, '/');
	*slash = '\0';
	if (path_has_dotdot(line))
		return 0;
	*ret = arena_strdup(a, line);
	return *ret ? 0 : -ENOMEM;
}

static bool is_systemd_path(const char *path)
{
	const char *first = strchr(path, ':');

	return path[0] != '/' && first && strchr(first + 1, ':');
}

int cgroup_path_for(const char *cgroups_path, const char *id, struct arena *a, const char **ret, struct error *err)
{
	const char *wanted = cgroups_path && cgroups_path[0] ? cgroups_path : id;
	char *path;
	int r;

	if (is_systemd_path(wanted))
		return error_set(err, EINVAL,
				 "cgroupsPath \"%s\" is a systemd slice:prefix:name: it needs --systemd-cgroup",
				 wanted);
	if (wanted[0] == '/') {
		path = path_normalize(a, wanted);
	} else {
		const char *parent, *full;

		r = default_parent(a, &parent);
		if (r < 0)
			return error_errno(err, r, "cannot read /proc/self/cgroup");
		full = arena_printf(a, "/%s", wanted);
		/* Normalized before it is joined: ".." can't leave the parent. */
		full = full ? path_normalize(a, full) : NULL;
		path = full ? arena_printf(a, "%s%s", parent, strcmp(full, "/") == 0 ? "" : full) : NULL;
		if (full && strcmp(full, "/") == 0)
			return error_set(err, EINVAL, "cgroupsPath \"%s\" names no cgroup", wanted);
	}
	if (!path)
		return error_set(err, ENOMEM, "cgroup path: out of memory");
	if (strcmp(path, "/") == 0)
		return error_set(err, EINVAL, "cgroupsPath \"%s\" is the root cgroup", wanted);
	if (strlen(path) > PATH_LEN_MAX)
		return error_set(err, ENAMETOOLONG, "cgroupsPath is longer than %d bytes", PATH_LEN_MAX);
	*ret = path;
	return 0;
}

/* From the state file, too: nothing that could leave the hierarchy. */
static int path_check(const char *path, struct error *err)
{
	if (!path || path[0] != '/' || path[1] == '\0' || strlen(path) > PATH_LEN_MAX ||
	    !path_is_safe_relative(path + 1, strlen(path + 1)))
		return error_set(err, EINVAL, "\"%s\" is no cgroup path (absolute, normal form, not the root)",
				 path ? path : "");
	return 0;
}

/* --- hierarchies ----------------------------------------------------------------- */

int cgroup_add_hierarchy(struct cgroup *cg, const char *mount, const char *controllers, bool unified)
{
	_cleanup_free_ char *m = strdup(mount), *c = strdup(controllers);
	struct cgroup_hierarchy *h;

	if (!m || !c)
		return -ENOMEM;
	/* Mounted over: the later one is seen. */
	for (size_t i = 0; i < cg->n_hierarchies; i++) {
		h = &cg->hierarchies[i];
		if (strcmp(h->mount, mount) == 0) {
			free(h->controllers);
			h->controllers = TAKE_PTR(c);
			return 0;
		}
	}
	h = reallocarray(cg->hierarchies, cg->n_hierarchies + 1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	cg->hierarchies = h;
	h[cg->n_hierarchies++] = (struct cgroup_hierarchy){TAKE_PTR(m), TAKE_PTR(c), unified, -1};
	return 0;
}

bool cgroup_has_controller(const struct cgroup_hierarchy *h, const char *controller)
{
	size_t len = strlen(controller);

	for (const char *p = h->controllers; (p = strstr(p, controller)); p += len) {
		if ((p == h->controllers || p[-1] == ',') && (p[len] == '\0' || p[len] == ','))
			return true;
	}
	return false;
}

const struct cgroup_hierarchy *cgroup_find_controller(const struct cgroup *cg, const char *controller)
{
	for (size_t i = 0; i < cg->n_hierarchies; i++) {
		const struct cgroup_hierarchy *h = &cg->hierarchies[i];

		if (h->fd >= 0 && cgroup_has_controller(h, controller))
			return h;
	}
	return NULL;
}

const struct cgroup_hierarchy *cgroup_find_unified(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n_hierarchies; i++) {
		if (cg->hierarchies[i].unified && cg->hierarchies[i].fd >= 0)
			return &cg->hierarchies[i];
	}
	return NULL;
}

void cgroup_close(struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n_hierarchies; i++) {
		struct cgroup_hierarchy *h = &cg->hierarchies[i];

		if (h->fd >= 0)
			close(h->fd);
		free(h->mount);
		free(h->controllers);
	}
	free(cg->hierarchies);
	*cg = (struct cgroup)CGROUP_INIT;
}

static void set_dir_fd(struct cgroup *cg)
{
	cg->dir_fd = cg->mode == CGROUP_V2 ? cg->hierarchies[0].fd : -1;
}

/* --- create, open ------------------------------------------------------------------ */

static bool not_permitted(int r)
{
	return r == -EACCES || r == -EPERM || r == -EROFS;
}

/* An existing cgroup is taken over only when nobody lives in it. */
static int refuse_used(const struct cgroup_hierarchy *h, const char *path, struct error *err)
{
	struct cgroup_pid_list list = {0};
	int r = cgroup_tree_pids(h->fd, &list);

	free(list.pids);
	if (r < 0)
		return error_errno(err, r, "cannot read the processes of cgroup %s%s", h->mount, path);
	if (list.n)
		return error_set(err, EBUSY, "container's cgroup is not empty: %zu process(es) found in %s%s", list.n,
				 h->mount, path);
	return 0;
}

static int create_in(struct cgroup *cg, struct cgroup_hierarchy *h, const char *path, bool adopt, size_t *ret_made,
		     struct error *err)
{
	int r = cgroup_tree_make(h, path, cgroup_version_of(cg)->level, ret_made);

	/* Read-only: in a container whose cgroups are another's matter. */
	if (r == -EROFS || (r < 0 && cg->rootless && not_permitted(r))) {
		*ret_made = 0;
		return 0;
	}
	if (r < 0)
		return error_errno(err, r, "cannot make cgroup %s%s", h->mount, path);
	/* The last level is new, so it is empty. */
	return *ret_made || adopt ? 0 : refuse_used(h, path, err);
}

static bool any_open(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n_hierarchies; i++) {
		if (cg->hierarchies[i].fd >= 0)
			return true;
	}
	return false;
}

/* In one that somebody left frozen the container would never start. */
static int refuse_frozen(const struct cgroup *cg, const char *path, struct error *err)
{
	bool frozen = false;

	/* A kernel without a freezer has no frozen cgroups. */
	if (cgroup_version_of(cg)->is_frozen(cg, &frozen) == 0 && frozen)
		return error_set(err, EBUSY, "container's cgroup unexpectedly frozen: %s exists, thaw or remove it",
				 path);
	return 0;
}

static int create_all(struct cgroup *cg, const char *path, bool adopt, struct error *err)
{
	_cleanup_free_ size_t *made = calloc(cg->n_hierarchies, sizeof(*made));
	bool existed = false;
	size_t n;
	int r = 0;

	if (!made)
		return error_set(err, ENOMEM, "cgroup: out of memory");
	for (n = 0; r == 0 && n < cg->n_hierarchies; n++) {
		r = create_in(cg, &cg->hierarchies[n], path, adopt, &made[n], err);
		existed |= r == 0 && made[n] == 0;
	}
	if (r == 0 && existed && any_open(cg)) {
		set_dir_fd(cg);
		r = refuse_frozen(cg, path, err);
	}
	while (r < 0 && n-- > 0)
		cgroup_tree_unmake(&cg->hierarchies[n], path, made[n]);
	return r;
}

static int make(struct cgroup *cg, const char *path, bool rootless, bool adopt, struct error *err)
{
	_cleanup_(cgroup_close) struct cgroup c = CGROUP_INIT;
	int r = path_check(path, err);

	if (r < 0)
		return r;
	c.mode = cgroup_detect();
	c.path = path;
	c.rootless = rootless;
	if (c.mode != CGROUP_NONE)
		r = cgroup_version_of(&c)->find(&c, err);
	if (r == 0 && c.n_hierarchies)
		r = create_all(&c, path, adopt, err);
	if (r < 0)
		return r;
	if (!any_open(&c)) {
		if (!rootless && c.n_hierarchies == 0)
			return error_set(err, ENOENT,
					 "no cgroup hierarchy is mounted at " CGROUP_ROOT
					 " (--cgroup-manager=disabled does without)");
		cgroup_close(&c);
		c.rootless = true;
	} else {
		set_dir_fd(&c);
	}
	*cg = c;
	c = (struct cgroup)CGROUP_INIT;
	return 0;
}

int cgroup_create(struct cgroup *cg, const char *path, bool rootless, struct error *err)
{
	return make(cg, path, rootless, false, err);
}

int cgroup_adopt(struct cgroup *cg, enum cgroup_mode mode, const char *path, bool rootless, bool all, struct error *err)
{
	return mode == CGROUP_V2 && !all ? cgroup_open(cg, mode, path, rootless, err)
					 : make(cg, path, rootless, true, err);
}

int cgroup_open(struct cgroup *cg, enum cgroup_mode mode, const char *path, bool rootless, struct error *err)
{
	_cleanup_(cgroup_close) struct cgroup c = CGROUP_INIT;
	int r = 0;

	if (mode != CGROUP_NONE) {
		c.mode = mode;
		c.path = path;
		r = path_check(path, err);
		if (r == 0)
			r = cgroup_version_of(&c)->find(&c, err);
	}
	for (size_t i = 0; r == 0 && i < c.n_hierarchies; i++) {
		r = cgroup_tree_open(&c.hierarchies[i], path);
		if (r < 0)
			error_errno(err, r, "cannot open cgroup %s%s", c.hierarchies[i].mount, path);
	}
	if (r < 0)
		return r;
	c.rootless = rootless;
	if (mode != CGROUP_NONE)
		set_dir_fd(&c);
	*cg = c;
	c = (struct cgroup)CGROUP_INIT;
	return 0;
}

static bool has_one_of(const struct cgroup_hierarchy *h, const char *controllers)
{
	char name[64];
	size_t n;

	for (const char *p = controllers; *p; p += n + (p[n] == ',')) {
		n = strcspn(p, ",");
		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		if (cgroup_has_controller(h, name))
			return true;
	}
	return false;
}

int cgroup_descend(struct cgroup *cg, const char *controllers, const char *sub, struct error *err)
{
	bool any = false, entered = false;
	int r = 0;

	for (size_t i = 0; i < cg->n_hierarchies; i++) {
		struct cgroup_hierarchy *h = &cg->hierarchies[i];
		int fd;

		if (h->fd < 0 || (controllers && !has_one_of(h, controllers)))
			continue;
		any = true;
		if (!sub[strspn(sub, "/")])
			continue;
		fd = openat(h->fd, sub + strspn(sub, "/"), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0) {
			r = error_errno(err, errno, "adding pid to the cgroup %s beneath %s%s", sub, h->mount,
					cg->path);
			/* Who names no controllers means those that have it. */
			if (r != -ENOENT || controllers)
				return r;
			continue;
		}
		close(h->fd);
		h->fd = fd;
		entered = true;
	}
	if (r < 0 && !entered)
		return r;
	set_dir_fd(cg);
	return any ? 0
		   : error_set(err, EINVAL, "--cgroup: unknown controller \"%s\": no hierarchy of the container has it",
			       controllers ? controllers : "");
}

int cgroup_attach(const struct cgroup *cg, pid_t pid, struct error *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	for (size_t i = 0; i < cg->n_hierarchies; i++) {
		const struct cgroup_hierarchy *h = &cg->hierarchies[i];
		int r = h->fd < 0 ? 0 : write_file_at(h->fd, "cgroup.procs", text);

		if (r < 0 && !(cg->rootless && not_permitted(r)))
			return error_errno(err, r, "cannot move process %d into cgroup %s%s", (int)pid, h->mount,
					   cg->path);
	}
	return 0;
}

int cgroup_destroy(const struct cgroup *cg, struct error *err)
{
	int64_t deadline = clock_boottime_ns() + CGROUP_WAIT_NS;

	/* In reverse: a systemd or an admin looks at the unified or the named hierarchy last. */
	for (size_t i = cg->n_hierarchies; i > 0; i--) {
		const struct cgroup_hierarchy *h = &cg->hierarchies[i - 1];
		int r = cgroup_tree_remove(h, cg->path, deadline);

		/* Where nothing can be made, nothing was. */
		if (r < 0 && r != -EROFS && !(cg->rootless && not_permitted(r)))
			return error_errno(err, r, "cannot remove cgroup %s%s", h->mount, cg->path);
	}
	return 0;
}
