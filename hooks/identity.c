/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/identity.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "oci/volume.h"

/* Under the callers' own limits (volumes.md §8): kubelet gives a create 2 minutes, podman and CRI-O 240 s. */
#define WAIT_POD_NS (100 * NSEC_PER_SEC)
#define WAIT_PODMAN_NS (200 * NSEC_PER_SEC)
#define GROUPS_MAX 64
#define NAME_MAX_LEN 255

/* Where an engine says what: key of the workspace, of the container's name, of its type. */
struct engine_keys {
	const char *name, *workspace, *container_name, *container_type, *pod;
	int64_t wait_ns;
};
static const struct engine_keys containerd_keys = {"containerd-cri",
						   "io.kubernetes.cri.sandbox-namespace",
						   "io.kubernetes.cri.container-name",
						   "io.kubernetes.cri.container-type",
						   "io.kubernetes.cri.sandbox-id",
						   WAIT_POD_NS};
static const struct engine_keys crio_keys = {"cri-o",
					     "io.kubernetes.pod.namespace",
					     "io.kubernetes.container.name",
					     "io.kubernetes.cri-o.ContainerType",
					     "io.kubernetes.cri-o.SandboxID",
					     WAIT_PODMAN_NS};

static bool is_sandbox(const struct spec *spec, const struct engine_keys *keys)
{
	const char *type = spec_annotation(spec, keys->container_type);

	return type && strcmp(type, "sandbox") == 0;
}

static int resolve_cri(const struct spec *spec, const struct engine_keys *keys, struct identity *id, struct error *err)
{
	id->sandbox = is_sandbox(spec, keys);
	id->workspace = spec_annotation(spec, keys->workspace);
	id->container_name = spec_annotation(spec, keys->container_name);
	id->pod = spec_annotation(spec, keys->pod);
	id->wait_ns = keys->wait_ns;
	if (!id->workspace && !id->sandbox)
		return error_set(
		    err, EINVAL,
		    "identity.engine is %s, but this container has no annotation %s: it was not started by "
		    "that engine",
		    keys->name, keys->workspace);
	return 0;
}

static bool is_person(const char *s, size_t len)
{
	return len > 0 && len <= NAME_MAX_LEN &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+-") >= len;
}

static int parse_groups(const char *text, struct arena *a, struct identity *id, struct error *err)
{
	id->groups = arena_calloc(a, GROUPS_MAX, sizeof(*id->groups));
	if (!id->groups)
		return error_set(err, ENOMEM, "out of memory");
	while (text) {
		size_t len = strcspn(text, ",");

		if (!is_person(text, len) || id->n_groups == GROUPS_MAX)
			return error_set(err, EINVAL,
					 "annotation dev.volrun.groups: must be at most %d names of [A-Za-z0-9._@+-], "
					 "separated by commas",
					 GROUPS_MAX);
		id->groups[id->n_groups] = arena_strndup(a, text, len);
		if (!id->groups[id->n_groups++])
			return error_set(err, ENOMEM, "out of memory");
		text = text[len] ? text + len + 1 : NULL;
	}
	return 0;
}

/* podman and CRI-O mark what they start; neither mark is a secret, it only sets how long to wait. */
static int64_t local_wait_ns(const struct spec *spec)
{
	static const char prefix[] = "io.podman.annotations.";
	size_t i;

	if (spec_annotation(spec, containerd_keys.container_type))
		return WAIT_POD_NS;
	if (spec_annotation(spec, "io.container.manager") || spec_annotation(spec, crio_keys.container_type))
		return WAIT_PODMAN_NS;
	for (i = 0; i < spec->n_annotations; i++)
		if (strncmp(spec->annotations[i].key, prefix, strlen(prefix)) == 0)
			return WAIT_PODMAN_NS;
	return INT64_MAX;
}

static int resolve_local(const struct spec *spec, struct arena *a, struct identity *id, struct error *err)
{
	const char *groups = spec_annotation(spec, "dev.volrun.groups");

	id->sandbox = is_sandbox(spec, &containerd_keys) || is_sandbox(spec, &crio_keys);
	id->workspace = spec_annotation(spec, "dev.volrun.workspace");
	id->user = spec_annotation(spec, "dev.volrun.user");
	id->container_name = spec_annotation(spec, containerd_keys.container_name);
	if (!id->container_name)
		id->container_name = spec_annotation(spec, crio_keys.container_name);
	id->pod = spec_annotation(spec, containerd_keys.pod);
	if (!id->pod)
		id->pod = spec_annotation(spec, crio_keys.pod);
	id->wait_ns = local_wait_ns(spec);
	if (id->user && !is_person(id->user, strlen(id->user)))
		return error_set(err, EINVAL, "annotation dev.volrun.user: must be a name of [A-Za-z0-9._@+-]");
	return groups ? parse_groups(groups, a, id, err) : 0;
}

int identity_resolve(const struct config *c, const struct spec *spec, bool kubelet, struct arena *arena,
		     struct identity *ret, struct error *err)
{
	struct identity id = {0};
	int r;

	switch (c->identity.engine) {
	case IDENTITY_CONTAINERD_CRI:
		r = resolve_cri(spec, &containerd_keys, &id, err);
		break;
	case IDENTITY_CRIO:
		r = resolve_cri(spec, &crio_keys, &id, err);
		break;
	case IDENTITY_UNSET:
		if (kubelet)
			return error_set(
			    err, EINVAL,
			    "volume access refused: a kubelet runs on this host and the configuration does not "
			    "say whom to believe; set identity.engine to containerd-cri, cri-o or local");
		/* fallthrough */
	default:
		r = resolve_local(spec, arena, &id, err);
	}
	if (r < 0)
		return r;
	if (!id.workspace)
		id.workspace = c->identity.workspace;
	if (!volume_name_valid(id.workspace))
		return error_set(
		    err, EINVAL,
		    "workspace \"%s\" is not valid: 2 to 255 of [A-Za-z0-9._-], a letter or digit at both ends",
		    id.workspace);
	*ret = id;
	return 0;
}

bool identity_kubelet_host(void)
{
	return access("/var/lib/kubelet/pods", F_OK) == 0 || access("/var/lib/kubelet/config.yaml", F_OK) == 0;
}
