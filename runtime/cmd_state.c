/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "runtime/command.h"
#include "runtime/state_dir.h"

static const struct arg_option no_options[] = {{NULL}};

static int run_state(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_container_ struct container c = CONTAINER_INIT;
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	struct oci_state state;
	struct arg_list args;
	int r = command_parse(&command_state, argc, argv, 1, 1, NULL, &arena, &args, err);

	if (r <= 0)
		return r;
	r = container_look(g->root, args.items[0], &arena, &c, err);
	if (r < 0)
		return r;
	/* Callers know but four states (podman fails with "unrecognized status"); runc, too, tells of it when it is
	 * made. */
	if (c.status == OCI_CREATING)
		return error_set(err, ENOENT, "container does not exist: its creation is not finished");
	state = container_oci_state(&c.state, (enum oci_status)c.status);
	json_write(&text, &oci_state_table, &state, 2);
	puts(strbuf_str(&text));
	return 0;
}

const struct command command_state = {
    "state", "ID", "print a container's state as JSON", no_options, 0, run_state, 1,
};
