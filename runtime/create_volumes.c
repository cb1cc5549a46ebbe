/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of create that give the container its volumes. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/sys.h"
#include "runtime/create_check.h"
#include "runtime/create_internal.h"
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
	return c->state.has_volumes ? volumes_begin(c->state.volume_config, c->arena, &c->hook, err) : 0;
}

void create_cancel_volumes(struct create *c)
{
	if (c->hook)
		volumes_cancel(c->hook);
	c->hook = NULL;
}

int create_fetch_volumes(struct create *c, struct error *err)
{
	struct oci_state state = container_oci_state(&c->state, OCI_CREATING);
	struct volumes_hook *hook = c->hook;

	c->hook = NULL;
	return hook ? volumes_fetch(hook, &state, c->arena, c->volumes, &c->n_volumes, c->notes, err) : 0;
}

void create_undo_volumes(struct create *c)
{
	struct oci_state state = container_oci_state(&c->state, OCI_STOPPED);
	struct error ignored = ERROR_INIT;

	if (!c->state.has_volumes)
		return;
	while (c->n_volumes)
		close(c->volumes[--c->n_volumes].tree_fd);
	/* The keeper lets go of the leases when init is gone: not only after it, in undo_clone. */
	sys_pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
	volumes_release(c->state.volume_config, &state, c->notes, &ignored);
}
