/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/config.h"
#include "hooks/hook.h"
#include "hooks/keeper_socket.h"

/* Under what the callers of delete allow (volumes.md §8). */
#define DELETE_WAIT_NS (4 * NSEC_PER_SEC)

int hook_poststop(const char *config, const struct oci_state *state, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_free_ char *log = NULL;
	struct config c;
	char *line, *rest;
	int r;

	r = config_load(config, &arena, &c, err);
	if (r < 0)
		return r;
	r = keeper_socket_wait(c.run_dir, state->id, state->bundle,
			       config_duration(c.lease.delete_wait, DELETE_WAIT_NS), &log);
	for (line = log ? strtok_r(log, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
		fprintf(stderr, "warning: %s\n", line);
	if (r == -ETIMEDOUT)
		fprintf(stderr, "warning: the volumes of %s are still being synced back\n", state->id);
	return 0;
}
