/* SPDX-License-Identifier: Apache-2.0 */
/* While criu keeps a container's processes still: its volumes are committed, and the commits noted. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "hooks/checkpoint_note.h"
#include "hooks/config.h"
#include "hooks/hook.h"
#include "hooks/keeper_socket.h"

static int ask(const char *run_dir, const struct oci_state *state, struct arena *a, struct keeper_outcome *ret,
	       struct error *err)
{
	static const struct keeper_command command = {KEEPER_CHECKPOINT};
	_cleanup_close_ int fd = -1;
	char key[KEEPER_KEY_MAX];
	size_t n = 0;
	int r;

	keeper_key(state->id, state->bundle, key);
	fd = keeper_socket_connect(run_dir, key);
	if (fd < 0)
		return error_set(err, ESRCH,
				 "the keeper of its volumes can't be reached (error %d): volrun volume recover starts "
				 "another one",
				 -fd);
	r = keeper_send(fd, &keeper_command_table, &command, NULL, 0, err);
	if (r == 0)
		r = keeper_receive(fd, &keeper_outcome_table, a, ret, NULL, &n, err);
	if (r == -ENODATA)
		return error_set(err, ESRCH, "the keeper of its volumes ended without an answer");
	return r == 0 && ret->error ? error_set(err, EIO, "%s", ret->error) : r;
}

int hook_checkpoint(const char *config, const struct oci_state *state, const char *file, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct checkpoint_note note = {0};
	struct keeper_outcome o;
	struct config c;
	int r = config_load(config, &a, &c, err);

	if (r == 0)
		r = ask(c.run_dir, state, &a, &o, err);
	if (r < 0)
		return r;
	note.volumes = arena_calloc(&a, o.n_results + 1, sizeof(*note.volumes));
	if (!note.volumes)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < o.n_results; i++) {
		if (o.results[i].checkpoint)
			note.volumes[note.n_volumes++] = *o.results[i].checkpoint;
		else
			fprintf(stderr,
				"warning: volume %s: other containers of its pod write to it: a restore will not know "
				"whether it has moved on\n",
				o.results[i].name);
	}
	return checkpoint_note_write(file, &note, err);
}
