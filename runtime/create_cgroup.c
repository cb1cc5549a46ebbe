/* SPDX-License-Identifier: Apache-2.0 */
/* create's steps about the cgroup: where it is, made by ourselves or by systemd, its limits; and Intel RDT's group. */
#include <string.h>

#include "base/cleanup.h"
#include "runtime/create_internal.h"
#include "runtime/id_maps.h"

#define SUBGROUP "run.oci.systemd.subgroup"
#define DELEGATE "run.oci.delegate-cgroup"

int create_plan_cgroup(struct create *c, struct error *err)
{
	const struct globals *g = c->request->globals;
	const char *path = c->spec.linux_->cgroups_path;
	const char *manager = g->cgroup_manager ? g->cgroup_manager : "cgroupfs";

	if (strcmp(manager, "disabled") == 0)
		return 0;
	c->state.cgroup_mode = (int32_t)cgroup_detect();
	if (g->systemd_cgroup || strcmp(manager, "systemd") == 0) {
		/* Where the cgroup is shows when the scope is made, with init in it. */
		int r = systemd_place_parse(path, c->request->id, g->is_rootless, c->arena, &c->place, err);

		c->state.systemd_scope = r == 0 ? c->place.unit : NULL;
		return r;
	}
	return cgroup_path_for(path, c->request->id, c->arena, &c->state.cgroup_path, err);
}

int create_plan_rdt(struct create *c, struct error *err)
{
	const struct spec_intel_rdt *rdt = c->spec.linux_->intel_rdt;
	int r;

	if (!rdt)
		return 0;
	r = intel_rdt_find(c->arena, &c->rdt_mount, err);
	return r == 0 ? intel_rdt_plan(c->rdt_mount, rdt, c->request->id, &c->state.rdt, err) : r;
}

int create_join_rdt(struct create *c, struct error *err)
{
	const struct spec_intel_rdt *rdt = c->spec.linux_->intel_rdt;

	return rdt ? intel_rdt_join(c->rdt_mount, rdt, &c->state.rdt, c->request->id, c->state.pid, c->arena, err) : 0;
}

int create_make_cgroup(struct create *c, struct error *err)
{
	int r;

	if (!c->state.cgroup_path)
		return 0;
	r = cgroup_create(&c->cgroup, c->state.cgroup_path, c->state.rootless, err);
	/* What delete goes by is what was made, not what was seen before. */
	if (r == 0)
		c->state.cgroup_mode = (int32_t)c->cgroup.mode;
	return r;
}

void create_undo_cgroup(struct create *c)
{
	struct error ignored = ERROR_INIT;

	if (c->state.cgroup_path)
		cgroup_kill(&c->cgroup, &ignored);
	if (c->state.systemd_scope)
		systemd_stop(c->state.systemd_scope, c->state.rootless, &ignored);
	if (c->rdt_mount)
		intel_rdt_remove(c->rdt_mount, &c->state.rdt, c->request->id, &ignored);
	if (c->state.cgroup_path)
		cgroup_destroy(&c->cgroup, &ignored);
}

/* Does it ask for a controller that systemd leaves to others? */
static bool needs_all_controllers(const struct spec_resources *r)
{
	if (!r)
		return false;
	for (size_t i = 0; i < r->n_unified; i++) {
		const char *file = r->unified[i].key;

		if (strncmp(file, "hugetlb.", 8) == 0 || strncmp(file, "rdma.", 5) == 0 ||
		    strncmp(file, "misc.", 5) == 0)
			return true;
	}
	return r->n_hugepage_limits || r->n_rdma;
}

/* As crun has it, but none unless asked for, as with runc: the scope's properties are for it, the limits in it. */
static int enter_subgroup(struct create *c, struct error *err)
{
	const char *sub = spec_annotation(&c->spec, SUBGROUP);
	enum cgroup_mode mode = (enum cgroup_mode)c->state.cgroup_mode;
	_cleanup_close_ int fd = -1;
	const char *path;
	int r;

	if (!sub || !*sub || mode != CGROUP_V2)
		return 0;
	r = cgroup_make_child(&c->cgroup, sub, c->state.pid, &fd, err);
	if (r < 0)
		return error_wrap(err, "annotation \"" SUBGROUP "\"");
	path = arena_printf(c->arena, "%s/%s", c->state.cgroup_path, sub);
	if (!path)
		return error_set(err, ENOMEM, "out of memory");
	c->state.cgroup_path = path;
	cgroup_close(&c->cgroup);
	return cgroup_open(&c->cgroup, mode, path, c->state.rootless, err);
}

bool create_delegates(const struct create *c)
{
	return spec_annotation(&c->spec, DELEGATE);
}

int create_delegate_cgroup(struct create *c, struct error *err)
{
	const struct spec_linux *l = c->spec.linux_;
	const char *sub = spec_annotation(&c->spec, DELEGATE);
	_cleanup_close_ int fd = -1;
	uid_t uid = 0;
	gid_t gid = 0;
	int r;

	if (!sub)
		return 0;
	r = cgroup_make_child(&c->cgroup, sub, c->state.pid, &fd, err);
	/* Of a joined user namespace the mappings are not known. */
	if (r == 0 && l->n_uid_mappings && id_map_to_host(l->uid_mappings, l->n_uid_mappings, 0, &uid) &&
	    id_map_to_host(l->gid_mappings, l->n_gid_mappings, 0, &gid))
		r = cgroup_give_child(&c->cgroup, fd, uid, gid, err);
	return r < 0 ? error_wrap(err, "annotation \"" DELEGATE "\"") : 0;
}

int create_make_scope(struct create *c, struct error *err)
{
	bool all = needs_all_controllers(c->spec.linux_->resources);
	enum cgroup_mode mode = (enum cgroup_mode)c->state.cgroup_mode;
	struct systemd_unit unit;
	int r = systemd_plan_start(&c->spec, &c->place, c->request->id, c->state.pid, mode, c->arena, &unit, err);

	if (r == 0)
		r = systemd_start(&unit, c->state.rootless, err);
	if (r == 0)
		r = systemd_cgroup_of(c->state.pid, mode, c->arena, &c->state.cgroup_path, err);
	if (r == 0)
		r = cgroup_adopt(&c->cgroup, mode, c->state.cgroup_path, c->state.rootless, all, err);
	return r == 0 ? enter_subgroup(c, err) : r;
}

/*
 * Called on both sides of HS_GO. v2: while init makes its mounts. v1: before, as between the rule that
 * denies all devices and those that allow some, its mknod would fail.
 */
int create_limit_cgroup(struct create *c, struct error *err)
{
	bool early = c->cgroup.mode == CGROUP_V1;
	uid_t owner;
	int r;

	if (!c->state.cgroup_path || c->limited || (!early && !c->released))
		return 0;
	c->limited = true;
	r = cgroup_apply(&c->cgroup, c->spec.linux_->resources, false, err);
	if (r == 0 && cgroup_owner(&c->spec, c->ns.new_cgroup, &owner))
		r = cgroup_give(&c->cgroup, owner, err);
	return r;
}
