/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h - on whose behalf a container asks for volumes (volumes.md §1).
 * Annotations are untrusted: which keys are believed depends on
 * `identity.engine` of the configuration alone.
 *
 *   local           dev.volrun.workspace, .user, .groups ("a,b"): the caller is root's equal
 *   containerd-cri  workspace: io.kubernetes.cri.sandbox-namespace
 *   cri-o           workspace: io.kubernetes.pod.namespace
 *
 * The CRI engines write these keys after they copied the pod's own annotations.
 */
#ifndef VOLRUN_HOOKS_IDENTITY_H
#define VOLRUN_HOOKS_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "hooks/config.h"
#include "oci/spec.h"

struct identity {
	bool sandbox;	       /* a pod's "pause" container: takes no volume */
	const char *workspace; /* NULL: none named; the caller uses the configuration's */
	const char *user;      /* NULL: none */
	const char **groups;
	size_t n_groups;
	const char *pod;	    /* the sandbox's id; NULL outside of a pod */
	const char *container_name; /* in a pod; NULL outside */
	int64_t wait_ns;	    /* how long to wait for a lease by default; INT64_MAX: no limit */
};

/*
 * kubelet: does one run on this host (identity_kubelet_host)? Then an engine
 * must be set: with "local" rules a tenant's annotations would name any
 * workspace. -EINVAL, one line.
 */
int identity_resolve(const struct config *c, const struct spec *spec, bool kubelet, struct arena *arena,
		     struct identity *ret, struct error *err);

/* A kubelet keeps /var/lib/kubelet/pods, or its kubeadm configuration, there. One or two access(2). */
bool identity_kubelet_host(void);

#endif
