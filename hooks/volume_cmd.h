/* SPDX-License-Identifier: Apache-2.0 */
/* volume_cmd.h - the commands of `volrun volume`. They print to stdout; warnings and progress to stderr. */
#ifndef VOLRUN_HOOKS_VOLUME_CMD_H
#define VOLRUN_HOOKS_VOLUME_CMD_H

#include <stdbool.h>

#include "hooks/config.h"

struct volume_cmd {
	const struct config *config;
	const char *config_path; /* NULL: the standard list */
	const struct store_config *store;
	const char *workspace;
	char **args; /* after the command's name; NULL-terminated */
	int n_args;
	const char *name; /* the first one, of commands on one volume: a valid name; else NULL */
	bool json, check, force;
	const char *owner; /* create */
	int64_t wait_ns;   /* --wait; default 0 */
	bool has_wait;
};

typedef int (*volume_cmd_fn)(const struct volume_cmd *c, struct arena *a, struct error *err);

int volume_cmd_ls(const struct volume_cmd *c, struct arena *a, struct error *err);
/* inspect --check: reads the whole volume in the store; -EBADMSG: it has problems, which were printed. */
int volume_cmd_check(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_inspect(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_status(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_pin(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_unpin(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_sync(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_create(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_rm(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_files(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_cp(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_share(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_unshare(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_lease(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_break_lease(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_prefetch(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_prune(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_recover(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_check_store(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_mount(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_unmount(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_drain(const struct volume_cmd *c, struct arena *a, struct error *err);
int volume_cmd_conflicts(const struct volume_cmd *c, struct arena *a, struct error *err);

/* The commands, in the order of the help; the last one's name is NULL. */
struct volume_command {
	const char *name, *args; /* args: for the help, "NAME [PATH]" */
	int min_args, max_args;	 /* max_args -1: any number */
	bool named;		 /* the first argument is a volume's name */
	const char *options;	 /* of its own: "force wait" */
	const char *help;
	volume_cmd_fn run;
	bool mounts; /* makes a mount, or takes it away */
};
extern const struct volume_command volume_commands[];

/* A completion script for "bash", "zsh" or "fish", of this table. -EINVAL. */
int volume_completion(const char *shell, struct error *err);

/* What this node's cache knows of a volume. */
struct volume_local {
	const char *store, *workspace, *name;
	const char *state; /* "clean", "dirty", "in use" */
	uint32_t pid;	   /* of the keeper; 0: none */
	const char *container;
	const char *socket; /* of the keeper, below run_dir without its ".sock" */
	/* The last commit during the run, what it took, and why a later one failed (NULL: none did). */
	uint64_t sync_commit, sync_frozen_us, sync_copied_bytes, sync_reflinked_bytes;
	const char *sync_error;
	uint64_t resting; /* not 0: in use by a pod that has no container now: all is committed */
	bool pinned;
	bool has_tree; /* else only its place is there */
	bool noted;    /* a keeper left its note: it is at work, or died */
	const char *last_error;
	const char **kept; /* trees that were set aside: "conflict-3" */
	size_t n_kept;
};
extern const struct json_table volume_local_table;

/* Nothing is made. -ENOENT: this node never had it. */
int volume_local_read(const struct config *config, const char *store, const char *workspace, const char *name,
		      struct arena *a, struct volume_local *ret);

/* Each volume of this node's cache, sorted; a negative errno ends it. The strings live as long as the call. */
typedef int (*volume_local_fn)(void *ctx, const char *store, const char *workspace, const char *name);
int volume_local_each(const struct config *config, struct arena *a, volume_local_fn fn, void *ctx);

/* Control characters out, for a terminal; NULL: "-". In the arena. */
const char *volume_text(struct arena *a, const char *s);

/* Prints the object as JSON. -ENOMEM. */
int volume_print_json(const struct json_table *table, const void *obj, struct error *err);

#endif
