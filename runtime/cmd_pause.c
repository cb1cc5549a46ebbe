/* SPDX-License-Identifier: Apache-2.0 */
/* pause and resume: the cgroup's freezer. */
#include <errno.h>

#include "base/cleanup.h"
#include "runtime/command.h"
#include "runtime/state_dir.h"

static const struct arg_option no_options[] = {{NULL}};

static int set_frozen(const struct container *c, bool freeze, struct error *err)
{
	_cleanup_close_ int lock = -1;
	struct cgroup cg = CGROUP_INIT;
	int r;

	if (freeze && c->status != OCI_RUNNING && c->status != OCI_CREATED)
		return error_set(err, EBUSY, "container not running: it is %s", oci_status_names[c->status]);
	if (!freeze && c->status != OCI_PAUSED)
		return error_set(err, EBUSY, "container not paused: it is %s", oci_status_names[c->status]);
	if (!c->state.cgroup_path)
		return error_set(err, ENOTSUP, "the container has no cgroup");
	r = container_cgroup(&c->state, &cg, err);
	if (r == 0)
		lock = cgroup_freezer_lock(&cg);
	if (r == 0)
		r = cgroup_freeze(&cg, freeze, err);
	cgroup_close(&cg);
	return r;
}

static int run_freezer(const struct command *command, const struct globals *g, int argc, char **argv, bool freeze,
		       struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_container_ struct container c = CONTAINER_INIT;
	struct arg_list args;
	int r = command_parse(command, argc, argv, 1, 1, NULL, &arena, &args, err);

	if (r <= 0)
		return r;
	r = container_open(g->root, args.items[0], &arena, &c, err);
	return r == 0 ? set_frozen(&c, freeze, err) : r;
}

static int run_pause(const struct globals *g, int argc, char **argv, struct error *err)
{
	return run_freezer(&command_pause, g, argc, argv, true, err);
}

static int run_resume(const struct globals *g, int argc, char **argv, struct error *err)
{
	return run_freezer(&command_resume, g, argc, argv, false, err);
}

const struct command command_pause = {
    "pause", "ID", "freeze all processes of a container", no_options, 0, run_pause, 1,
};
const struct command command_resume = {
    "resume", "ID", "thaw a paused container", no_options, 0, run_resume, 1,
};
