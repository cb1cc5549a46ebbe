/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of create that give the container its volumes. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/create_check.h"
#include "runtime/create_internal.h"
#include "runtime/mount_trees.h"
#include "runtime/volumes.h"

int create_find_volumes(struct create *c, struct error *err)
{
	const char *config = getenv("VOLRUN_CONFIG");

	c->state.has_volumes = volume_declared(&c->spec);
	if (!c->state.has_volumes || !config || !*config)
		return 0;
	return create_absolute_path(config, c->arena, &c->state.volume_config, err);
}

int create_begin_volumes(struct create *c, struct error *err)
{
	return c->state.has_volumes ? volumes_begin(c->state.volume_config, c->checkpoint, c->arena, &c->hook, err) : 0;
}

void create_cancel_volumes(struct create *c)
{
	create_unguard(&c->guard);
	if (c->hook)
		volumes_cancel(c->hook);
	c->hook = NULL;
}

int create_plan_volumes(struct create *c, struct error *err)
{
	struct oci_state state = container_oci_state(&c->state, OCI_CREATING);

	return c->hook ? volumes_plan(c->hook, &state, c->arena, c->volumes, &c->n_volumes, err) : 0;
}

int create_fetch_volumes(struct create *c, struct error *err)
{
	int r;

	if (!c->hook)
		return 0;
	r = create_guard(c, &c->guard, err);
	if (r < 0)
		return r;
	r = volumes_fetch(c->hook, c->arena, c->volumes, c->n_volumes, err);
	c->fetched = r == 0;
	return r < 0 ? create_end_volumes(c, r, err) : 0;
}

int create_end_volumes(struct create *c, int r, struct error *err)
{
	struct volumes_hook *hook = c->hook;
	int ended;

	create_unguard(&c->guard);
	c->hook = NULL;
	ended = hook ? volumes_end(hook, c->notes, err) : 0;
	return ended < 0 ? ended : r;
}

/*
 * What init makes of its own mounts, it may make while the volumes are on their way: if nothing else is said to it in
 * between, and it can take them as they are.
 */
static bool may_follow(const struct create *c)
{
	const struct mount_trees t = {
	    .spec = &c->spec, .bundle = c->state.bundle, .rootfs = c->state.rootfs, .pid = c->state.pid};

	if (!c->hook || !c->n_volumes || geteuid() != 0 || c->state.rootless ||
	    spec_find_namespace(&c->spec, SPEC_NS_USER) || !spec_find_namespace(&c->spec, SPEC_NS_MOUNT))
		return false;
	for (size_t i = 0; i < c->spec.n_mounts; i++)
		if (mount_tree_is_late(&t, i, c->arena))
			return false;
	return true;
}

int create_fetch_volumes_first(struct create *c, struct error *err)
{
	int r;

	if (may_follow(c))
		return 0;
	r = create_fetch_volumes(c, err);
	return r == 0 ? create_end_volumes(c, 0, err) : r;
}

void create_undo_volumes(struct create *c)
{
	struct oci_state state = container_oci_state(&c->state, OCI_STOPPED);
	struct error ignored = ERROR_INIT;

	if (!c->fetched)
		return;
	while (c->n_volumes)
		cleanup_close(&c->volumes[--c->n_volumes].tree_fd);
	/* The keeper lets go of the leases when init is gone: not only after it, in undo_clone. */
	sys_pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
	volumes_release(c->state.volume_config, &state, c->notes, &ignored);
}
