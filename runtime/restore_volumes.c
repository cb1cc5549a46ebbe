/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "runtime/criu_mounts.h"
#include "runtime/criu_names.h"
#include "runtime/mount_fs.h"
#include "runtime/restore_internal.h"
#include "runtime/volumes.h"

/* A mount that came by `mounts add` may be in config.json now. */
static bool is_known(const struct criu_request *q, const char *place)
{
	for (size_t i = 0; i < q->mounts.n; i++)
		if (strcmp(q->mounts.items[i].key, place) == 0)
			return true;
	return false;
}

/* The directory that stands for places[i], beside that of the root file system. NULL: out of memory. */
static const char *source_of(struct restore *r, size_t i)
{
	return arena_printf(r->create.arena, "%.*svolume-%zu", (int)(strlen(r->root) - strlen(RESTORE_ROOT)), r->root,
			    i);
}

int restore_volumes_plan(struct restore *r, struct error *err)
{
	struct criu_request *q = &r->request->criu.request;
	struct create *c = &r->create;
	int e;

	if (!c->state.has_volumes)
		return 0;
	e = criu_names_load(r->place.images_fd, CRIU_MOUNTS_FILE, c->arena, &r->places, &r->n_places, err);
	for (size_t i = 0; e == 0 && i < r->n_places; i++) {
		const char *source = source_of(r, i);

		if (is_known(q, r->places[i]))
			r->places[i] = "";
		else if (!source || criu_list_add(&q->mounts, c->arena, r->places[i], source, -1) < 0)
			e = error_set(err, ENOMEM, "out of memory");
		else if (mkdir(source, 0700) < 0)
			e = error_errno(err, errno, "make a place for a volume");
	}
	return e;
}

/* In init's mount namespace, which is a copy of criu's still. */
static int attach(const struct restore *r, const char *source, int tree_fd)
{
	_cleanup_close_ int ns = -1, place = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", r->init);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNS) < 0)
		return -errno;
	place = open(source, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return place < 0 ? -errno : mount_attach(tree_fd, place);
}

/* By a process of its own: the runtime never leaves its own mount namespace. */
static int attach_there(struct restore *r, size_t i, int tree_fd, struct error *err)
{
	const char *source = source_of(r, i);
	int status = 0;
	pid_t pid;

	if (!source)
		return error_set(err, ENOMEM, "out of memory");
	pid = fork();
	if (pid == 0)
		_exit(-attach(r, source, tree_fd));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	/* The words of the error are a volume's: without those that callers match. */
	return error_set(err, EIO, "volume on \"%s\": it can't be mounted for criu (error %d)", r->places[i],
			 pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EAGAIN);
}

static int mount_volume(struct restore *r, const struct rootfs_volume *v, int root_fd, struct error *err)
{
	const char *place = criu_mount_place(root_fd, v->destination, r->create.arena);

	for (size_t i = 0; place && i < r->n_places; i++) {
		if (strcmp(r->places[i], v->destination) != 0 && strcmp(r->places[i], place) != 0)
			continue;
		r->places[i] = "";
		return attach_there(r, i, v->tree_fd, err);
	}
	return error_set(err, EINVAL, "volume on \"%s\": the checkpoint had none there", v->destination);
}

int restore_volumes_mount(struct restore *r, struct error *err)
{
	struct create *c = &r->create;
	_cleanup_close_ int root = -1;
	int e;

	if (!c->state.has_volumes)
		return 0;
	r->has_leases = true;
	root = open(c->state.rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	e = criu_volumes_file(&r->request->criu, c->arena, &c->checkpoint, err);
	if (e == 0)
		e = create_begin_volumes(c, err);
	if (e == 0)
		e = create_plan_volumes(c, err);
	if (e == 0)
		e = create_fetch_volumes(c, err);
	if (e == 0)
		e = create_end_volumes(c, 0, err);
	for (size_t i = 0; e == 0 && i < c->n_volumes; i++)
		e = mount_volume(r, &c->volumes[i], root, err);
	for (size_t i = 0; e == 0 && i < r->n_places; i++)
		if (*r->places[i])
			e = error_set(err, EINVAL,
				      "the checkpoint had a mount on \"%s\", which is no volume of config.json",
				      r->places[i]);
	while (c->n_volumes)
		close(c->volumes[--c->n_volumes].tree_fd);
	return e;
}

void restore_volumes_clean(struct restore *r)
{
	for (size_t i = 0; i < r->n_places; i++) {
		const char *source = source_of(r, i);

		if (source)
			rmdir(source);
	}
}

void restore_volumes_undo(struct restore *r)
{
	struct create *c = &r->create;
	struct oci_state state = container_oci_state(&c->state, OCI_STOPPED);
	struct error ignored = ERROR_INIT;

	if (r->has_leases)
		volumes_release(c->state.volume_config, &state, c->notes, &ignored);
}
