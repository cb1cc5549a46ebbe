/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id_maps.h - uid_map, gid_map and setgroups of a new user namespace, written by
 * the process that made it (user_namespaces(7)).
 *
 * Who has CAP_SETUID and CAP_SETGID writes any mapping. Anybody else may map only himself, one
 * id, and for the group must give up setgroups(2) in the namespace first; all that goes beyond
 * is done by newuidmap(1) and newgidmap(1), by /etc/subuid and /etc/subgid.
 */
#ifndef VOLRUN_RUNTIME_ID_MAPS_H
#define VOLRUN_RUNTIME_ID_MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "oci/spec.h"

/*
 * Of the user namespace that pid (a child of the caller, not yet made undumpable) is in. The helpers are
 * looked for in $PATH, then where distributions have them. Uses linux.uidMappings and linux.gidMappings.
 */
int id_maps_write(pid_t pid, const struct spec_linux *l, struct error *err);

/* What an id of the container is on the host; false: it isn't mapped. */
bool id_map_to_host(const struct spec_id_mapping *maps, size_t n, uint32_t id, uint32_t *ret);

#endif
