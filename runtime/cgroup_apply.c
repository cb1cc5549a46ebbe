/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_apply.c - runs the plan of limits; device rules. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "runtime/cgroup_internal.h"

static const struct cgroup_hierarchy *hierarchy_for(const struct cgroup *cg, const char *controller)
{
	return cg->mode == CGROUP_V2 ? cgroup_find_unified(cg) : cgroup_find_controller(cg, controller);
}

static int write_one(const struct cgroup *cg, const struct cgroup_write *w)
{
	const struct cgroup_hierarchy *h = hierarchy_for(cg, w->controller);

	return h ? write_file_at(h->fd, w->file, w->value) : -ENOENT;
}

/* Where the controller is there, a file that is not there is one that the kernel does not know. */
static bool has_controller(int fd, const char *name)
{
	_cleanup_free_ char *text = NULL;
	char *rest;

	if (cgroup_read(fd, "cgroup.controllers", &text) < 0)
		return false;
	rest = text;
	for (const char *word; (word = strsep(&rest, " \n"));) {
		if (strcmp(word, name) == 0)
			return true;
	}
	return false;
}

static int write_failed(const struct cgroup *cg, const struct cgroup_write *w, int r, struct error *err)
{
	const struct cgroup_hierarchy *h = hierarchy_for(cg, w->controller);

	if (!h)
		return error_set(
		    err, EINVAL,
		    "%s: the requested cgroup controller `%s` is not available (not mounted in " CGROUP_ROOT ")",
		    w->resource, w->controller);
	/*
	 * Without the words of ENOENT: podman and docker would blame the command, and end with 127. A file that the
	 * configuration names itself (`unified`) is the exception: callers know that one by these words.
	 */
	if (r == -ENOENT && !(strcmp(w->resource, w->file) == 0 && has_controller(h->fd, w->controller)))
		return error_set(err, EINVAL,
				 "%s: the requested cgroup controller `%s` is not available (controller `%s` is not "
				 "available under %s%s: it has no %s)",
				 w->resource, w->controller, w->controller, h->mount, cg->path, w->file);
	return error_errno(err, r, "%s: cannot write \"%s\" to %s%s/%s", w->resource, w->value, h->mount, cg->path,
			   w->file);
}

static int run_plan(const struct cgroup *cg, const struct cgroup_plan *plan, struct arena *a, struct error *err)
{
	bool *again = arena_calloc(a, plan->n + 1, sizeof(*again));

	if (!again)
		return error_set(err, ENOMEM, "cgroup limits: out of memory");
	for (size_t i = 0; i < plan->n; i++) {
		const struct cgroup_write *w = &plan->writes[i];
		int r = write_one(cg, w);

		if (r == 0 && (w->flags & CGROUP_WRITE_ELSE_NEXT))
			i++;
		else if (r == -ENOENT && (w->flags & (CGROUP_WRITE_OPTIONAL | CGROUP_WRITE_ELSE_NEXT)))
			continue;
		else if ((r == -EINVAL || r == -EBUSY) && (w->flags & CGROUP_WRITE_RETRY))
			again[i] = true;
		else if (r < 0)
			return write_failed(cg, w, r, err);
	}
	for (size_t i = 0; i < plan->n; i++) {
		int r = again[i] ? write_one(cg, &plan->writes[i]) : 0;

		if (r < 0)
			return write_failed(cg, &plan->writes[i], r, err);
	}
	return 0;
}

static int check_usage(const struct cgroup *cg, int64_t limit, struct error *err)
{
	const struct cgroup_hierarchy *h = hierarchy_for(cg, "memory");
	_cleanup_free_ char *text = NULL;
	uint64_t used;
	int r;

	if (!h || limit < 0)
		return 0;
	r = cgroup_read(h->fd, cgroup_version_of(cg)->memory_usage_file, &text);
	if (r == -ENOENT) /* then the write of the limit says it */
		return 0;
	if (r == 0) {
		text[strcspn(text, "\n")] = '\0';
		r = num_parse_u64(text, INT64_MAX, &used);
	}
	if (r < 0)
		return error_errno(err, r, "cannot read the memory usage of cgroup %s%s", h->mount, cg->path);
	if ((int64_t)used > limit)
		return error_set(err, EBUSY,
				 "memory limit %" PRId64 " refused: the container uses %" PRIu64
				 " bytes (memory.checkBeforeUpdate)",
				 limit, used);
	return 0;
}

/* Without a cgroup only what nobody asked for can be left out. */
static int apply_nothing(const struct cgroup *cg, const struct cgroup_plan *plan, struct error *err)
{
	if (!cg->rootless)
		return 0;
	for (size_t i = 0; i < plan->n; i++) {
		if (!(plan->writes[i].flags & CGROUP_WRITE_OPTIONAL))
			return error_set(err, EINVAL, "%s asked but this user may not make a cgroup",
					 plan->writes[i].resource);
	}
	return 0;
}

int cgroup_apply(const struct cgroup *cg, const struct spec_resources *resources, bool update, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct cgroup_version *version = cgroup_version_of(cg);
	struct cgroup_plan plan = {0};
	struct device_rules rules;
	int r;

	r = (cg->mode == CGROUP_NONE ? cgroup_plan_v2 : version->plan)(resources, &a, &plan, err);
	if (r < 0)
		return r;
	if (cg->mode == CGROUP_NONE)
		return apply_nothing(cg, &plan, err);
	r = check_usage(cg, plan.memory_must_fit, err);
	if (r == 0)
		r = run_plan(cg, &plan, &a, err);
	if (r < 0 || (update && (!resources || resources->n_devices == 0)))
		return r;
	r = device_rules_make(resources, &a, &rules, err);
	return r < 0 ? r : version->devices(cg, &rules, update, &a, err);
}
