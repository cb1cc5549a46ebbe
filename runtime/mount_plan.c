/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/mount_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/sys.h"
#include "oci/volume.h"
#include "runtime/mount_late.h"

static enum mount_kind kind_of(const char *type, const struct mount_options *o)
{
	static const struct {
		const char *type;
		enum mount_kind kind;
	} kinds[] = {
	    {"bind", MOUNT_BIND},   {"proc", MOUNT_PROC},     {"sysfs", MOUNT_SYSFS},
	    {"tmpfs", MOUNT_TMPFS}, {"devpts", MOUNT_DEVPTS}, {"cgroup", MOUNT_CGROUP},
	};

	/* "bind,remount": the flags of the mount that is there; the source is not looked at. */
	if (o->remount)
		return MOUNT_REMOUNT;
	if (o->bind)
		return MOUNT_BIND;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(type, kinds[i].type) == 0)
			return kinds[i].kind;
	return MOUNT_OTHER;
}

const char *mount_destination(const char *rootfs_path, const char *destination, struct arena *arena)
{
	/* A relative one counts from the root, as it always did in runc. */
	const char *absolute = arena_printf(arena, "/%s", destination), *path;

	path = absolute ? path_normalize(arena, absolute) : NULL;
	if (path && rootfs_path && strcmp(rootfs_path, "/") != 0 && path_is_beneath(path, rootfs_path))
		path += strlen(rootfs_path);
	return path && !*path ? "/" : path;
}

/* Read-only at once would forbid what still has to be put in: mount points, devices. */
static void postpone_readonly(struct mount_op *op)
{
	bool filled_later =
	    op->kind == MOUNT_TMPFS || (op->kind == MOUNT_OTHER && strcmp(op->destination, "/dev") == 0);

	if (!filled_later)
		return;
	op->late_readonly = (op->options.attr_set | op->options.rec_set) & MOUNT_ATTR_RDONLY;
	op->options.attr_set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	op->options.rec_set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
}

static int check_op(const struct mount_op *op, const struct spec_mount *m, struct error *err)
{
	if (op->kind == MOUNT_OTHER && !*op->type)
		return error_set(err, EINVAL, "no type, and neither bind nor rbind among the options");
	if (op->kind == MOUNT_BIND && !m->source)
		return error_set(err, EINVAL, "a bind mount needs a source");
	if (op->tree_fd < 0 && !op->late && (op->options.idmap || m->n_uid_mappings || m->n_gid_mappings))
		return error_set(err, EINVAL, "ids can be mapped only for a bind mount%s",
				 op->kind == MOUNT_BIND ? ", by the runtime's parent process" : "");
	return 0;
}

static int plan_mount(const struct rootfs *r, size_t i, struct mount_op *op, struct error *err)
{
	const struct spec_mount *m = &r->spec->mounts[i];
	int ret;

	if (!m->destination || !*m->destination)
		return error_set(err, EINVAL, "mounts[%zu]: no destination", i);
	op->index = (int)i;
	op->type = m->type ? m->type : "";
	op->source = m->source ? m->source : op->type;
	op->tree_fd = r->mount_tree_fds ? r->mount_tree_fds[i] : -1;
	op->destination = mount_destination(r->rootfs_path, m->destination, r->arena);
	if (!op->destination)
		return error_set(err, ENOMEM, "out of memory");
	ret = mount_options_parse(m->options, m->n_options, r->arena, &op->options, err);
	if (ret == 0) {
		op->kind = kind_of(op->type, &op->options);
		postpone_readonly(op);
		if (op->kind == MOUNT_BIND && op->tree_fd < 0 && !r->live)
			op->late = mount_late_source(r->spec, r->rootfs_path, r->bundle, i, r->arena);
		ret = check_op(op, m, err);
	}
	if (ret < 0)
		return error_wrap(err, "mount \"%s\" on \"%s\"", op->source, op->destination);
	return 0;
}

struct place {
	const struct rootfs_volume *volume;
	size_t before; /* the mount of that number */
};

static int by_destination(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return strcmp(x->volume->destination, y->volume->destination);
}

/* Of the volumes, by path: which of two comes first must not depend on how they arrived. NULL: out of memory. */
static const struct place *find_places(const struct rootfs *r, const struct mount_op *mounts)
{
	const char **destinations = arena_calloc(r->arena, r->spec->n_mounts + 1, sizeof(*destinations));
	struct place *places = arena_calloc(r->arena, r->n_volumes + 1, sizeof(*places));

	if (!destinations || !places)
		return NULL;
	for (size_t i = 0; i < r->spec->n_mounts; i++)
		destinations[i] = mounts[i].kind == MOUNT_REMOUNT ? NULL : mounts[i].destination;
	for (size_t v = 0; v < r->n_volumes; v++) {
		places[v].volume = &r->volumes[v];
		places[v].before = volume_place(destinations, r->spec->n_mounts, r->volumes[v].destination);
	}
	qsort(places, r->n_volumes, sizeof(*places), by_destination);
	return places;
}

static struct mount_op volume_op(const struct rootfs_volume *v)
{
	return (struct mount_op){.kind = MOUNT_VOLUME,
				 .type = "bind",
				 .source = "volume",
				 .destination = v->destination,
				 .tree_fd = -1,
				 .volume = v};
}

int mount_plan_make(const struct rootfs *r, struct mount_plan *ret, struct error *err)
{
	size_t n = r->spec->n_mounts;
	struct mount_plan plan = {.setup_dev = true};
	struct mount_op *mounts = arena_calloc(r->arena, n + 1, sizeof(*mounts));
	const struct place *places;
	int e = 0;

	plan.ops = arena_calloc(r->arena, n + r->n_volumes + 1, sizeof(*plan.ops));
	if (!plan.ops || !mounts)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n && e == 0; i++)
		e = plan_mount(r, i, &mounts[i], err);
	if (e < 0)
		return e;
	places = find_places(r, mounts);
	if (!places)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i <= n; i++) {
		for (size_t v = 0; v < r->n_volumes; v++)
			if (places[v].before == i)
				plan.ops[plan.n++] = volume_op(places[v].volume);
		if (i == n)
			break;
		if (mounts[i].kind == MOUNT_BIND && strcmp(mounts[i].destination, "/dev") == 0)
			plan.setup_dev = false;
		plan.ops[plan.n++] = mounts[i];
	}
	*ret = plan;
	return 0;
}

int mount_place_check(const char *canonical, bool is_procfs, struct error *err)
{
	static const char *const emulated[] = {
	    "/proc/cpuinfo",
	    "/proc/diskstats",
	    "/proc/meminfo",
	    "/proc/stat",
	    "/proc/swaps",
	    "/proc/uptime",
	    "/proc/loadavg",
	    "/proc/slabinfo",
	    "/proc/sys/kernel/ns_last_pid",
	    "/proc/sys/crypto/fips_enabled",
	};

	if (strcmp(canonical, "/") == 0)
		return error_set(err, EINVAL, "the destination is the container's root itself");
	if (!path_is_beneath(canonical, "/proc"))
		return 0;
	if (strcmp(canonical, "/proc") == 0)
		return is_procfs ? 0
				 : error_set(err, EINVAL, "only a file system of type proc can be mounted on /proc");
	for (size_t i = 0; i < ARRAY_SIZE(emulated); i++)
		if (strcmp(canonical, emulated[i]) == 0)
			return 0;
	return error_set(err, EINVAL, "the destination is inside /proc");
}
