/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/command.h"
#include "runtime/mount_live.h"
#include "runtime/sealed_self.h"

static const struct arg_option no_options[] = {{NULL}};

static int change_mounts(const struct globals *g, const char *id, const char *file, bool add, struct arena *arena,
			 struct error *err)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	char path[FD_PATH_MAX];
	struct spec spec;
	int r = container_open(g->root, id, arena, &c, err);

	if (r < 0)
		return r;
	if (c.status != OCI_CREATED && c.status != OCI_RUNNING && c.status != OCI_PAUSED)
		return error_set(err, ESRCH, "container not running: no such process");
	r = spec_load(fd_path(c.dir_fd, path), arena, &spec, err);
	if (r < 0)
		return r;
	if (!spec_find_namespace(&spec, SPEC_NS_MOUNT))
		return error_set(err, ENOTSUP, "the container has no mount namespace of its own");
	if (self_is_exposed(&spec))
		self_seal();
	r = spec_load_mounts(file, arena, &spec.mounts, &spec.n_mounts, err);
	if (r < 0)
		return r;
	return add ? mount_live_add(&c, &spec, arena, err) : mount_live_remove(&c, &spec, arena, err);
}

static int run_mounts(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct arg_list args;
	int r = command_parse(&command_mounts, argc, argv, 3, 3, NULL, &arena, &args, err);

	if (r <= 0)
		return r;
	if (strcmp(args.items[0], "add") != 0 && strcmp(args.items[0], "remove") != 0)
		return error_set(err, EINVAL, "Incorrect Usage: volrun mounts: \"%s\" is neither add nor remove",
				 args.items[0]);
	return change_mounts(g, args.items[1], args.items[2], strcmp(args.items[0], "add") == 0, &arena, err);
}

const struct command command_mounts = {
    "mounts",
    "add|remove ID FILE",
    "add the mounts in a JSON file to a running container, or take them away",
    no_options,
    0,
    run_mounts,
    1,
};
