/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd.h - the container's cgroup as a transient unit of systemd, when the caller
 * asks for it (--systemd-cgroup): a scope with the container's init in it, whose
 * delegated cgroup (Delegate=yes) is then ours as any other.
 *
 * volrun is linked statically and speaks no D-Bus: a program of its own, volrun-systemd, does
 * it by libsystemd. What it is to do is decided here, purely, and goes to its stdin as JSON:
 *
 *     {"unit":"p-n.scope","properties":[{"name":"MemoryMax","type":"t","values":["1048576"]}]}
 *
 * type is a D-Bus signature: b, i, u, x, t, d, s, or a list of these (as, au), or ay as hexadecimal digits.
 */
#ifndef VOLRUN_RUNTIME_SYSTEMD_H
#define VOLRUN_RUNTIME_SYSTEMD_H

#include "oci/spec.h"
#include "runtime/cgroup.h"

struct systemd_property {
	const char *name, *type;
	const char **values;
	size_t n_values;
};

struct systemd_unit {
	const char *unit; /* "p-n.scope" */
	struct systemd_property *properties;
	size_t n_properties;
};

extern const struct json_table systemd_unit_table;

/* linux.cgroupsPath of a container under systemd: "slice:prefix:name", or "slice:name" as crun takes it. */
struct systemd_place {
	const char *slice; /* "system.slice" */
	const char *unit;  /* "p-n.scope", or "n.slice" when the name is that of a slice */
};

/*
 * cgroups_path NULL or "": "system.slice" (rootless: "user.slice"), "volrun-<id>.scope". -EINVAL: not of that form,
 * or a name that no unit can have.
 */
int systemd_place_parse(const char *cgroups_path, const char *id, bool rootless, struct arena *arena,
			struct systemd_place *ret, struct error *err);

/*
 * A unit with the limits of `resources` (NULL: none) as properties of cgroup v1 or v2; for the start also its slice,
 * the pid, accounting and delegation, and what annotations "org.systemd.property.<Name>" ask for. -EINVAL: an
 * annotation whose value is no GVariant text of a type that can be told (strings, numbers, booleans, lists of strings).
 */
int systemd_plan_start(const struct spec *spec, const struct systemd_place *place, const char *id, pid_t pid,
		       enum cgroup_mode mode, struct arena *arena, struct systemd_unit *ret, struct error *err);
int systemd_plan_update(const char *unit, const struct spec_resources *resources, enum cgroup_mode mode,
			struct arena *arena, struct systemd_unit *ret, struct error *err);

/* Run volrun-systemd; rootless: the user's own systemd. -ENOTSUP: it is not installed, or systemd does not run. */
int systemd_start(const struct systemd_unit *u, bool rootless, struct error *err);
int systemd_set(const struct systemd_unit *u, bool rootless, struct error *err);
/* Stops it with what is left in it, and forgets its failure. One that is gone is no error. */
int systemd_stop(const char *unit, bool rootless, struct error *err);

/* Where the unit has put the process: its path in the hierarchy that systemd uses. In the arena. */
int systemd_cgroup_of(pid_t pid, enum cgroup_mode mode, struct arena *arena, const char **ret, struct error *err);

#endif
