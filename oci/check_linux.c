/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of config-linux.md, but for resources and sysctl. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "oci/check.h"

static int check_namespaces(const struct spec *spec, struct error *err)
{
	const struct spec_linux *l = spec->linux_;
	bool seen[SPEC_NS_COUNT] = {false};

	for (size_t i = 0; i < l->n_namespaces; i++) {
		const struct spec_namespace *ns = &l->namespaces[i];
		char place[64];

		if (seen[ns->type])
			return error_set(err, EINVAL, "$.linux.namespaces[%zu].type: %s stands there twice", i,
					 spec_ns_names[ns->type]);
		seen[ns->type] = true;
		snprintf(place, sizeof(place), "$.linux.namespaces[%zu].path", i);
		if (ns->path && check_absolute(place, ns->path, err) < 0)
			return -EINVAL;
	}
	return 0;
}

/* --- id mappings --------------------------------------------------------------- */

static bool ranges_overlap(uint32_t a, uint32_t b, uint64_t a_size, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

/* user_namespaces(7): what the kernel would refuse with a bare EINVAL. */
static int check_mapping_list(const char *name, const struct spec_id_mapping *maps, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct spec_id_mapping *m = &maps[i];

		if (m->size == 0)
			return error_set(err, EINVAL, "$.linux.%s[%zu].size: must be greater than 0", name, i);
		if ((uint64_t)m->container_id + m->size > UINT32_MAX || (uint64_t)m->host_id + m->size > UINT32_MAX)
			return error_set(err, EINVAL, "$.linux.%s[%zu]: ends beyond the last id", name, i);
		for (size_t k = 0; k < i; k++)
			if (ranges_overlap(m->container_id, maps[k].container_id, m->size, maps[k].size) ||
			    ranges_overlap(m->host_id, maps[k].host_id, m->size, maps[k].size))
				return error_set(err, EINVAL, "$.linux.%s[%zu]: overlaps with [%zu]", name, i, k);
	}
	return 0;
}

static int check_mappings(const struct spec *spec, struct error *err)
{
	const struct spec_linux *l = spec->linux_;
	const struct spec_namespace *user = spec_find_namespace(spec, SPEC_NS_USER);
	int r;

	if (!user && (l->n_uid_mappings || l->n_gid_mappings))
		return error_set(err, EINVAL, "$.linux.%s: needs a user namespace",
				 l->n_uid_mappings ? "uidMappings" : "gidMappings");
	r = check_mapping_list("uidMappings", l->uid_mappings, l->n_uid_mappings, err);
	return r < 0 ? r : check_mapping_list("gidMappings", l->gid_mappings, l->n_gid_mappings, err);
}

static int check_time_offsets(const struct spec *spec, struct error *err)
{
	static const char *const clocks[] = {"monotonic", "boottime", NULL};
	const struct spec_linux *l = spec->linux_;
	const struct spec_namespace *ns = spec_find_namespace(spec, SPEC_NS_TIME);

	if (l->n_time_offsets && !ns)
		return error_set(err, EINVAL, "$.linux.timeOffsets: needs a time namespace");
	if (l->n_time_offsets && ns->path)
		return error_set(err, EINVAL, "$.linux.timeOffsets: only for a new time namespace, this one is joined");
	for (size_t i = 0; i < l->n_time_offsets; i++) {
		const struct spec_time_offset *t = &l->time_offsets[i];

		if (!check_one_of(t->clock, clocks))
			return error_set(err, EINVAL, "$.linux.timeOffsets: unknown clock \"%s\"", t->clock);
		if (t->nanosecs > 999999999)
			return error_set(err, EINVAL, "$.linux.timeOffsets.%s.nanosecs: more than 999999999", t->clock);
	}
	return 0;
}

/* --- devices ------------------------------------------------------------------- */

static int check_device(size_t i, const struct spec_device *d, struct error *err)
{
	static const char *const types[] = {"c", "b", "u", "p", NULL};
	char place[64];

	snprintf(place, sizeof(place), "$.linux.devices[%zu].path", i);
	if (check_absolute(place, d->path, err) < 0)
		return -EINVAL;
	if (!check_one_of(d->type, types))
		return error_set(err, EINVAL, "$.linux.devices[%zu].type: \"%s\" is none of c, b, u, p", i, d->type);
	/* dev_t in the kernel: 12 bits and 20 bits. */
	if (d->type[0] != 'p' && (d->major < 0 || d->major > 0xFFF || d->minor < 0 || d->minor > 0xFFFFF))
		return error_set(err, EINVAL, "$.linux.devices[%zu]: no device has the number %lld:%lld", i,
				 (long long)d->major, (long long)d->minor);
	return 0;
}

static int check_devices(const struct spec *spec, struct error *err)
{
	for (size_t i = 0; i < spec->linux_->n_devices; i++) {
		int r = check_device(i, &spec->linux_->devices[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

bool check_net_device_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < 16 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       strcspn(name, "/: \t\n\v\f\r") == len;
}

static int check_net_devices(const struct spec *spec, struct error *err)
{
	const struct spec_linux *l = spec->linux_;

	if (l->n_net_devices && !check_has_namespace(spec, SPEC_NS_NETWORK))
		return error_set(err, EINVAL, "$.linux.netDevices: needs a network namespace");
	for (size_t i = 0; i < l->n_net_devices; i++) {
		const struct spec_net_device *d = &l->net_devices[i];

		if (!check_net_device_name(d->host_name))
			return error_set(err, EINVAL, "$.linux.netDevices: \"%s\" is no name of a device",
					 d->host_name);
		if (d->name && !check_net_device_name(d->name))
			return error_set(err, EINVAL, "$.linux.netDevices.%s.name: \"%s\" is no name of a device",
					 d->host_name, d->name);
	}
	return 0;
}

/* --- file system ---------------------------------------------------------------- */

/* The spec wants absolute paths; as with runc and crun, others count from the container's root. */
static int check_path_list(const struct spec *spec, const char *name, size_t n, struct error *err)
{
	if (n > 0 && !check_has_namespace(spec, SPEC_NS_MOUNT))
		return error_set(err, EINVAL, "$.linux.%s: needs a mount namespace", name);
	return 0;
}

static int check_paths(const struct spec *spec, struct error *err)
{
	static const char *const propagations[] = {"shared",   "rshared",    "slave",	    "rslave", "private",
						   "rprivate", "unbindable", "runbindable", NULL};
	const struct spec_linux *l = spec->linux_;
	int r = check_path_list(spec, "maskedPaths", l->n_masked_paths, err);

	if (r == 0)
		r = check_path_list(spec, "readonlyPaths", l->n_readonly_paths, err);
	if (r < 0)
		return r;
	if (l->rootfs_propagation && !check_one_of(l->rootfs_propagation, propagations))
		return error_set(err, EINVAL, "$.linux.rootfsPropagation: unknown propagation \"%s\"",
				 l->rootfs_propagation);
	if (l->cgroups_path && strlen(l->cgroups_path) >= 4096)
		return error_set(err, EINVAL, "$.linux.cgroupsPath: longer than 4095 bytes");
	return 0;
}

/* --- the rest ------------------------------------------------------------------- */

/* How many nodes a list names; 0: it is no list of nodes. */
static size_t count_nodes(const char *list)
{
	unsigned long set[1024 / (8 * sizeof(unsigned long))];
	size_t n = 0;

	if (num_parse_list(list, 1024, set) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(set); i++)
		n += (size_t)__builtin_popcountl(set[i]);
	return n;
}

/* set_mempolicy(2); the rules are runc's, for which an empty list of nodes is none, too. */
static int check_memory_policy(const struct spec *spec, struct error *err)
{
	static const char *const no_nodes[] = {"MPOL_DEFAULT", "MPOL_LOCAL", NULL};
	static const char *const with_nodes[] = {"MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE",
						 "MPOL_PREFERRED_MANY", NULL};
	static const char *const flags[] = {"MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES",
					    NULL};
	const struct spec_memory_policy *m = spec->linux_->memory_policy;
	bool nodes = m && m->nodes && *m->nodes;

	if (!m)
		return 0;
	if (!m->mode)
		return error_set(err, EINVAL, "$.linux.memoryPolicy.mode: invalid memory policy mode: missing");
	if (!check_one_of(m->mode, no_nodes) && !check_one_of(m->mode, with_nodes) &&
	    strcmp(m->mode, "MPOL_PREFERRED") != 0)
		return error_set(err, EINVAL, "$.linux.memoryPolicy.mode: invalid memory policy mode \"%s\"", m->mode);
	if (!nodes && check_one_of(m->mode, with_nodes))
		return error_set(err, EINVAL, "$.linux.memoryPolicy.nodes: missing (%s needs one)", m->mode);
	if (nodes && !check_number_list(m->nodes))
		return error_set(
		    err, EINVAL,
		    "$.linux.memoryPolicy.nodes: invalid memory policy nodes \"%s\": no list of numbers (0-3,7)",
		    m->nodes);
	if (nodes && check_one_of(m->mode, no_nodes))
		return error_set(
		    err, EINVAL,
		    "$.linux.memoryPolicy.nodes: invalid memory policy: this mode requires 0 nodes but got %zu (%s takes none)",
		    count_nodes(m->nodes), m->mode);
	for (size_t i = 0; i < m->n_flags; i++)
		if (!check_one_of(m->flags[i], flags))
			return error_set(err, EINVAL,
					 "$.linux.memoryPolicy.flags[%zu]: invalid memory policy flag \"%s\"", i,
					 m->flags[i]);
	return 0;
}

static int check_others(const struct spec *spec, struct error *err)
{
	static const char *const domains[] = {"LINUX", "LINUX32", NULL}, *const dots[] = {".", "..", NULL};
	const struct spec_linux *l = spec->linux_;
	const char *clos = l->intel_rdt ? l->intel_rdt->clos_id : NULL;

	if (l->personality && !check_one_of(l->personality->domain, domains))
		return error_set(err, EINVAL, "$.linux.personality.domain: unknown domain \"%s\"",
				 l->personality->domain);
	if (l->personality && l->personality->n_flags)
		return error_set(err, EINVAL,
				 "$.linux.personality.flags: no flag is supported (runtime-spec knows none)");
	/* It becomes the name of a directory in resctrl; "/" alone is its root. */
	if (clos && (check_one_of(clos, dots) || (strchr(clos, '/') && strcmp(clos, "/") != 0)))
		return error_set(err, EINVAL, "$.linux.intelRdt.closID: \"%s\" is no name of a group", clos);
	return l->resources ? check_resources(l->resources, err) : 0;
}

int check_linux(const struct spec *spec, struct error *err)
{
	static int (*const checks[])(const struct spec *, struct error *) = {
	    check_namespaces, check_mappings, check_time_offsets,  check_devices, check_net_devices,
	    check_paths,      check_sysctl,   check_memory_policy, check_others,
	};

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		int r = checks[i](spec, err);

		if (r < 0)
			return r;
	}
	return 0;
}
