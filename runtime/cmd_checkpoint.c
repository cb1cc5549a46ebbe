/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "runtime/checkpoint.h"
#include "runtime/command.h"
#include "runtime/delete.h"

static const struct arg_option checkpoint_options[] = {
    CRIU_OPTIONS(struct checkpoint, criu),
    CRIU_FLAG(struct checkpoint, criu, "leave-running", leave_running, "the container runs on"),
    {"pre-dump", 0, ARG_BOOL, offsetof(struct checkpoint, pre_dump), NULL, "the memory alone; the container runs on"},
    {"parent-path", 0, ARG_STR, offsetof(struct checkpoint, parent_path), "DIR",
     "an earlier pre-dump, relative to the image path"},
    {NULL},
};

/* The container has ended: as with runc and crun it does not exist any more. */
static void delete_stopped(const struct globals *g, struct container *c)
{
	_cleanup_strbuf_ struct strbuf notes = STRBUF_INIT;
	struct error err = ERROR_INIT;

	c->status = OCI_STOPPED;
	if (container_delete(g->root, c, true, &notes, &err) < 0)
		log_warning("delete %s: %s", c->state.id, err.msg);
	command_log_notes(&notes, NOTES_OF_USER);
}

static int run_checkpoint(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_container_ struct container c = CONTAINER_INIT;
	_cleanup_strbuf_ struct strbuf notes = STRBUF_INIT;
	struct checkpoint o = {.criu = CRIU_OPTIONS_INIT, .notes = &notes};
	struct arg_list args;
	int r = command_parse(&command_checkpoint, argc, argv, 1, 1, &o, &arena, &args, err);

	if (r <= 0)
		return r;
	r = container_open(g->root, args.items[0], &arena, &c, err);
	if (r == 0)
		r = container_checkpoint(&c, &o, &arena, err);
	command_log_notes(&notes, NOTES_OF_USER);
	if (r < 0)
		return error_wrap(err, "checkpoint %s", args.items[0]);
	if (!o.criu.request.leave_running && !o.pre_dump)
		delete_stopped(g, &c);
	return 0;
}

const struct command command_checkpoint = {
    "checkpoint",
    "[options] ID",
    "save a running container in files, and end it",
    checkpoint_options,
    0,
    run_checkpoint,
    1,
};
