/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "runtime/command.h"
#include "runtime/sealed_self.h"
#include "runtime/volumes.h"

static const struct arg_option no_options[] = {{NULL}};

/* As `volrun volume`: what reaches the stores is another program. It is told where volrun is. */
static int run_doctor(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char **args = arena_calloc(&arena, (size_t)argc + 4, sizeof(*args)), *path;
	char self[PATH_MAX];
	size_t n = 0;
	int r;

	(void)g;
	if (!args)
		return error_set(err, ENOMEM, "out of memory");
	r = own_program("volrun-volume", &arena, &path, err);
	if (r < 0)
		return r;
	args[n++] = "volrun";
	args[n++] = "doctor";
	if (self_path(self, sizeof(self)) > 0) {
		args[n] = arena_printf(&arena, "--runtime=%s", self);
		n += args[n] != NULL;
	}
	for (int i = 0; i < argc; i++)
		args[n++] = argv[i];
	execv(path, (char *const *)args);
	return error_errno(err, errno, "run %s", path);
}

const struct command command_doctor = {
    "doctor",	"[--json]", "look for what keeps volumes from working here, and say what to do", no_options, 0,
    run_doctor, 1,
};
