/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/criu.h"
#include "runtime/criu_descriptors.h"
#include "runtime/criu_mounts.h"
#include "runtime/criu_names.h"
#include "runtime/volumes.h"

#define MOUNTINFO_MAX (16u << 20)

static int check(const struct container *c, struct error *err)
{
	if (c->status != OCI_RUNNING && c->status != OCI_PAUSED)
		return error_set(err, EINVAL, "container cannot be checkpointed in %s state",
				 oci_status_names[c->status]);
	if (geteuid() != 0 || c->state.rootless)
		return error_set(err, EPERM, "only root can do that: criu needs it");
	return 0;
}

static int set_parent(const struct checkpoint *o, int images_fd, struct criu_request *r, struct error *err)
{
	struct stat st;

	if (!o->parent_path || !*o->parent_path)
		return 0;
	if (o->parent_path[0] == '/')
		return error_set(err, EINVAL, "--parent-path must be relative to the image path: \"%s\" is not",
				 o->parent_path);
	if (fstatat(images_fd, o->parent_path, &st, 0) < 0)
		return error_errno(err, errno, "--parent-path %s", o->parent_path);
	if (!S_ISDIR(st.st_mode))
		return error_errno(err, ENOTDIR, "--parent-path %s", o->parent_path);
	r->parent_images = o->parent_path;
	r->track_mem = true;
	return 0;
}

/* Of namespaces that config.json gives by path: criu leaves them alone, and restore joins them again. */
static int set_namespaces(const struct spec *spec, pid_t pid, struct criu_request *r, struct arena *arena,
			  struct error *err)
{
	/* The keys are those of runc and crun. */
	static const struct {
		enum spec_ns type;
		const char *file, *key;
	} known[] = {{SPEC_NS_NETWORK, "net", CRIU_NETWORK_KEY}, {SPEC_NS_PID, "pid", CRIU_PID_KEY}};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		const struct spec_namespace *n = spec_find_namespace(spec, known[i].type);
		char path[32];
		const char *text;
		struct stat st;

		if (!n || !n->path)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, known[i].file);
		if (stat(path, &st) < 0)
			return error_errno(err, errno, "look at %s", path);
		text = arena_printf(arena, "%s[%llu]:%s", known[i].file, (unsigned long long)st.st_ino, known[i].key);
		if (criu_list_add(&r->external, arena, text, NULL, -1) < 0)
			return error_set(err, ENOMEM, "out of memory");
	}
	return 0;
}

/* By the freezer nothing slips away while criu looks for the processes. */
static int set_freezer(const struct cgroup *cg, struct criu_request *r, struct arena *arena, struct error *err)
{
	for (size_t i = 0; i < cg->n_hierarchies; i++) {
		const struct cgroup_hierarchy *h = &cg->hierarchies[i];

		if (h->fd < 0 || (cg->mode == CGROUP_V1 && strcmp(h->controllers, "freezer") != 0))
			continue;
		r->freeze_cgroup = arena_printf(arena, "%s%s", h->mount, cg->path);
		return r->freeze_cgroup ? 0 : error_set(err, ENOMEM, "out of memory");
	}
	return 0;
}

/* Volumes, and what came while it ran. For restore, which has to have the volumes before it knows where they go. */
static int set_unnamed_mounts(const char *mountinfo, int images_fd, struct criu_request *r, struct arena *arena,
			      struct error *err)
{
	size_t first = r->mounts.n, n;
	const char **places;
	int e = criu_mounts_unnamed(mountinfo, r, arena, err);

	if (e < 0)
		return e;
	n = r->mounts.n - first;
	places = arena_calloc(arena, n + 1, sizeof(*places));
	if (!places)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		places[i] = r->mounts.items[first + i].key;
	if (n > CRIU_NAMES_MAX)
		return error_set(err, E2BIG, "the container has more than %d mounts that config.json does not know of",
				 CRIU_NAMES_MAX);
	return criu_names_save(images_fd, CRIU_MOUNTS_FILE, places, n, err);
}

static int set_mounts(const struct spec *spec, const struct cgroup *cg, pid_t pid, int images_fd,
		      struct criu_request *r, struct arena *arena, struct error *err)
{
	_cleanup_free_ char *mountinfo = NULL;
	_cleanup_close_ int root = -1;
	char path[32];
	int e;

	if (!spec_find_namespace(spec, SPEC_NS_MOUNT))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	e = read_file_at(AT_FDCWD, path, MOUNTINFO_MAX, &mountinfo, NULL);
	if (e < 0)
		return error_errno(err, e, "read %s", path);
	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(err, errno, "open %s", path);
	e = criu_mounts_dump(spec, cg, root, r, arena, err);
	return e == 0 ? set_unnamed_mounts(mountinfo, images_fd, r, arena, err) : e;
}

static int plan(const struct container *c, const struct spec *spec, struct checkpoint *o, int images_fd,
		struct arena *arena, struct error *err)
{
	struct criu_request *r = &o->criu.request;
	struct cgroup cg = CGROUP_INIT;
	int e = set_parent(o, images_fd, r, err);

	r->type = o->pre_dump ? CRIU_SINGLE_PRE_DUMP : CRIU_DUMP;
	r->track_mem = r->track_mem || o->pre_dump;
	r->log_file = "dump.log";
	r->root = c->state.rootfs;
	r->pid = c->state.pid;
	r->config_file = criu_config_file(spec);
	if (e == 0)
		e = container_cgroup(&c->state, &cg, err);
	if (e == 0)
		e = set_freezer(&cg, r, arena, err);
	if (e == 0)
		e = set_namespaces(spec, c->state.pid, r, arena, err);
	/* A pre-dump is of the memory alone. */
	if (e == 0 && !o->pre_dump)
		e = set_mounts(spec, &cg, c->state.pid, images_fd, r, arena, err);
	if (e == 0 && !o->pre_dump)
		e = criu_descriptors_save(c->state.pid, images_fd, r, arena, err);
	cgroup_close(&cg);
	return e;
}

/* For what criu says on its way. */
struct dump {
	const struct container *container;
	const struct checkpoint *checkpoint;
	struct criu_place place;
	struct arena *arena;
};

static int tell_ready(struct dump *d, struct error *err)
{
	if (d->place.status_fd < 0)
		return 0;
	if (write(d->place.status_fd, "", 1) != 1)
		return error_errno(err, errno, "--status-fd");
	close(TAKE_FD(d->place.status_fd));
	return 0;
}

/* All is saved, and the processes stand still until criu has our answer: then they end, or, after a failure, go on. */
static int commit_volumes(struct dump *d, struct error *err)
{
	const struct container_state *s = &d->container->state;
	struct oci_state state = container_oci_state(s, OCI_RUNNING);
	const char *file;
	int r;

	if (!s->has_volumes || d->checkpoint->pre_dump)
		return 0;
	r = criu_volumes_file(&d->checkpoint->criu, d->arena, &file, err);
	return r == 0 ? volumes_checkpoint(s->volume_config, &state, file, d->checkpoint->notes, err) : r;
}

static int notified(void *arg, const struct criu_response *m, int fd, struct error *err)
{
	(void)fd;
	if (strcmp(m->script, "status-ready") == 0)
		return tell_ready(arg, err);
	return strcmp(m->script, "post-dump") == 0 ? commit_volumes(arg, err) : 0;
}

/* The keeper of volumes freezes, too, and criu would take that for its own. */
static int lock_freezer(const struct container *c)
{
	struct error ignored = ERROR_INIT;
	struct cgroup cg = CGROUP_INIT;
	int fd =
	    c->state.cgroup_path && container_cgroup(&c->state, &cg, &ignored) == 0 ? cgroup_freezer_lock(&cg) : -1;

	cgroup_close(&cg);
	return fd;
}

int container_checkpoint(const struct container *c, struct checkpoint *o, struct arena *arena, struct error *err)
{
	struct dump dump = {.container = c, .checkpoint = o, .place = CRIU_PLACE_INIT, .arena = arena};
	struct criu_start start = {.path = NULL};
	_cleanup_close_ int lock = -1;
	struct criu criu = CRIU_INIT;
	char path[FD_PATH_MAX];
	struct spec spec;
	int r = check(c, err);

	if (r == 0)
		r = criu_find(arena, &start.path, err);
	if (r == 0)
		r = spec_load(fd_path(c->dir_fd, path), arena, &spec, err);
	if (r == 0)
		r = criu_options_apply(&o->criu, true, &dump.place, arena, err);
	if (r == 0)
		r = plan(c, &spec, o, dump.place.images_fd, arena, err);
	start.images = o->criu.image_path;
	start.work = dump.place.log_dir;
	if (r == 0)
		lock = lock_freezer(c);
	if (r == 0)
		r = criu_start(&criu, &start, err);
	if (r == 0)
		r = criu_talk(&criu, &o->criu.request, dump.place.log_dir, notified, &dump, NULL, err);
	criu_end(&criu);
	criu_place_close(&dump.place);
	return r;
}
