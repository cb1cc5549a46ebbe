/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_idmap.h - which ids a mount is to have, by its mappings and its options "idmap" and
 * "ridmap" (runtime-spec 1.3.0, config.md "Mounts"; the value as crun(1) has it). Pure.
 */
#ifndef VOLRUN_RUNTIME_MOUNT_IDMAP_H
#define VOLRUN_RUNTIME_MOUNT_IDMAP_H

#include "base/arena.h"
#include "base/error.h"
#include "oci/spec.h"

struct mount_idmap {
	bool wanted;
	bool recursive;		   /* "ridmap": also what is mounted beneath the source */
	bool own;		   /* the mappings below; else those of the container's user namespace */
	struct spec_linux mapping; /* uid_mappings and gid_mappings alone */
};

/*
 * l: the container's, for mappings relative to its user namespace ("@"). The mount's uidMappings and gidMappings
 * win over the value of an option: "idmap=uids=FS-HOST-SIZE#...;gids=...". in_userns: the container has a user
 * namespace, else an option without any mapping is refused.
 */
int mount_idmap_parse(const struct spec_mount *m, const struct spec_linux *l, bool in_userns, struct arena *arena,
		      struct mount_idmap *ret, struct error *err);

#endif
