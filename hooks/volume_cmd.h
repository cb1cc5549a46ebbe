/* SPDX-License-Identifier: Apache-2.0 */
/* volume_cmd.h - the commands of `volrun volume`. They read, they change nothing. */
#ifndef VOLRUN_HOOKS_VOLUME_CMD_H
#define VOLRUN_HOOKS_VOLUME_CMD_H

#include <stdbool.h>

#include "hooks/config.h"

struct volume_cmd {
	const struct config *config;
	const struct store_config *store;
	const char *workspace;
	const char *name; /* inspect */
	bool json, check;
};

/* They print to stdout. */
int volume_cmd_ls(const struct volume_cmd *c, struct arena *a, struct error *err);
/* inspect --check: reads the whole volume in the store; -EBADMSG: it has problems, which were printed. */
int volume_cmd_check(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_inspect(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_status(const struct volume_cmd *c, struct arena *a, struct error *err);

/* What this node's cache knows of a volume. */
struct volume_local {
	const char *store, *workspace, *name;
	const char *state; /* "clean", "dirty", "in use" */
	uint32_t pid;	   /* of the keeper; 0: none */
	const char *container;
	const char *last_error;
	const char **kept; /* trees that were set aside: "conflict-3" */
	size_t n_kept;
};
extern const struct json_table volume_local_table;

/* Nothing is made. -ENOENT: this node never had it. */
int volume_local_read(const struct config *config, const char *store, const char *workspace, const char *name,
		      struct arena *a, struct volume_local *ret);

/* Control characters out, for a terminal; NULL: "-". In the arena. */
const char *volume_text(struct arena *a, const char *s);

#endif
