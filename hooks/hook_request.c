/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the keeper: the volumes that a config.json declares. */
#include <errno.h>
#include <string.h>

#include "base/path.h"
#include "hooks/config.h"
#include "hooks/hook.h"
#include "hooks/identity.h"
#include "hooks/pod_note.h"
#include "oci/volume.h"

static bool is_remount(const struct spec_mount *m)
{
	for (size_t i = 0; i < m->n_options; i++)
		if (strcmp(m->options[i], "remount") == 0)
			return true;
	return false;
}

const char **hook_destinations(const struct spec *spec, struct arena *a)
{
	const char **all = arena_calloc(a, spec->n_mounts + 1, sizeof(*all));

	for (size_t i = 0; all && i < spec->n_mounts; i++) {
		if (is_remount(&spec->mounts[i]))
			continue;
		all[i] = path_normalize(a, spec->mounts[i].destination);
		if (!all[i])
			return NULL;
	}
	return all;
}

/*
 * Bundle mounts beneath the volume: the runtime makes their mount points in its tree. Not of those that come before it:
 * a later mount of the bundle hides them.
 */
static int add_mountpoints(const struct spec *spec, struct arena *a, struct keeper_request_volume *v, struct error *err)
{
	const char **destinations = hook_destinations(spec, a);
	size_t len = strlen(v->destination);

	v->mountpoints = arena_calloc(a, spec->n_mounts + 1, sizeof(*v->mountpoints));
	if (!v->mountpoints || !destinations)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = volume_place(destinations, spec->n_mounts, v->destination); i < spec->n_mounts; i++)
		if (destinations[i] && path_is_beneath(destinations[i], v->destination))
			v->mountpoints[v->n_mountpoints++] = destinations[i] + len + 1;
	return 0;
}

static int add_volume(const struct config *config, const struct spec *spec, const struct identity *id,
		      const struct volume_request *q, struct arena *a, struct keeper_request_volume *v,
		      struct error *err)
{
	const struct store_config *store = config_store(config, q->store);

	if (!store)
		return error_set(err, EINVAL, "annotation %s: the configuration has no store \"%s\"", q->annotation,
				 q->store);
	*v = (struct keeper_request_volume){.name = q->name,
					    .destination = q->mount_path,
					    .store = store->name,
					    .ro = q->ro,
					    .wait_ns = q->wait_ns >= 0 ? q->wait_ns : id->wait_ns,
					    .sync_ns = q->sync_ns};
	if (q->has_owner) {
		v->owner_uid = q->owner_uid;
		v->owner_gid = q->owner_gid;
	} else if (spec->process) {
		v->owner_uid = spec->process->user.uid;
		v->owner_gid = spec->process->user.gid;
	}
	return add_mountpoints(spec, a, v, err);
}

/* The set's volumes, as the identity may have them. */
static int add_volumes(const struct config *config, const struct spec *spec, const struct identity *id, struct arena *a,
		       struct keeper_request *q, struct error *err)
{
	struct volume_set set;
	int r;

	r = volume_parse(spec,
			 &(struct volume_context){.workspace = id->workspace,
						  .mount_prefixes = (const char *const *)config->mount_prefixes,
						  .container_name = id->container_name},
			 a, &set, err);
	if (r < 0)
		return r;
	q->volumes = arena_calloc(a, set.n_volumes, sizeof(*q->volumes));
	if (!q->volumes && set.n_volumes)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < set.n_volumes && r == 0; i++)
		r = add_volume(config, spec, id, &set.volumes[i], a, &q->volumes[i], err);
	q->n_volumes = set.n_volumes;
	return r;
}

int hook_fill_request(const struct spec *spec, struct arena *a, struct keeper_request *q, struct error *err)
{
	struct error ignored = ERROR_INIT;
	struct config config;
	struct identity id;
	int r;

	r = config_load(q->config, a, &config, err);
	if (r == 0)
		r = identity_resolve(&config, spec, identity_kubelet_host(), a, &id, err);
	if (r < 0)
		return r;
	/* Who can't be noted has a lease that ends with its last container. */
	if (id.sandbox && !q->by_mounts)
		pod_note(config.run_dir, id.pod ? id.pod : q->id, q->pid, &ignored);
	if (id.sandbox)
		return 0;
	q->workspace = id.workspace;
	q->user = id.user;
	q->groups = id.groups;
	q->n_groups = id.n_groups;
	/* Who shares a tree is followed by his init, or his cgroup. */
	q->pod = q->by_mounts ? NULL : id.pod;
	return add_volumes(&config, spec, &id, a, q, err);
}
