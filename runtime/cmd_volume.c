/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "runtime/command.h"
#include "runtime/volumes.h"

static const struct arg_option no_options[] = {{NULL}};

/* As git does with its commands: what links the store's libraries is another program. */
static int run_volume(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char **args = arena_calloc(&arena, (size_t)argc + 2, sizeof(*args)), *path;
	int r;

	(void)g;
	if (!args)
		return error_set(err, ENOMEM, "out of memory");
	r = own_program("volrun-volume", &arena, &path, err);
	if (r < 0)
		return r;
	args[0] = "volrun-volume";
	for (int i = 0; i < argc; i++)
		args[i + 1] = argv[i];
	execv(path, (char *const *)args);
	return error_errno(err, errno, "run %s", path);
}

const struct command command_volume = {
    "volume", "COMMAND ...", "look after volumes (`volrun volume --help`)", no_options, 0, run_volume, 1,
};
