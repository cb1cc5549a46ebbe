/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - the administrator's configuration (volumes.md §2):
 * /usr/share/volrun/config.json, /etc/volrun/config.json,
 * /etc/volrun/conf.d/NAME.json in the order of names; later ones win, section by section
 * and store by store: a section (or store) that a later file has replaces the
 * earlier one whole. Unknown keys are refused. With none: one store
 * "default" of type filesystem below /var/lib/volrun/store.
 * VOLRUN_CONFIG or --config=FILE replaces the list by one file.
 *
 * Rootless (not root, or root of a user namespace only): the user's
 * $XDG_CONFIG_HOME/volrun/ in place of /etc/volrun, store and cache below
 * $XDG_DATA_HOME and $XDG_CACHE_HOME, sockets below $XDG_RUNTIME_DIR.
 */
#ifndef VOLRUN_HOOKS_CONFIG_H
#define VOLRUN_HOOKS_CONFIG_H

#include "hooks/store/store.h"
#include "oci/json.h"

enum identity_engine { IDENTITY_UNSET, IDENTITY_LOCAL, IDENTITY_CONTAINERD_CRI, IDENTITY_CRIO };

struct config_identity {
	int engine;	       /* enum identity_engine; "local", "containerd-cri", "cri-o" */
	const char *workspace; /* used where nothing else names one; "default" */
};

struct config_access {
	const char **admins; /* "u/<user>", "g/<group>" */
	size_t n_admins;
};

struct config_cache {
	const char *path;
	uint64_t max_bytes; /* 10 GiB */
};

struct config_lease {
	const char *ttl, *renew, *poll; /* durations: "60s", a sixth of ttl, "5s" */
	const char *delete_wait;	/* how long delete waits for the keeper: "4s" */
	const char *delete_mode;     /* "delete": "wait": as long as the caller of delete allows; NULL: delete_wait */
	const char *prepare_timeout; /* without a create: "5m" */
	const char *pod_timeout;     /* a pod's, without a container: "10m" */
	const char *mount_timeout;   /* a precreate hook's, without a mount: "2m" */
};

/* Of a file without limits.bytes_per_file: as long as an hour may be, where a processor has no instructions to hash by.
 */
#define CONFIG_FILE_BYTES (UINT64_C(1) << 40)
struct config_limits {
	uint64_t volumes_per_workspace, bytes_per_volume, files_per_volume; /* 0: none */
	uint64_t bytes_per_file; /* and of all holes of a volume; 0: CONFIG_FILE_BYTES */
};

/* Commits while a container runs (volumes.md §5). */
struct config_sync {
	const char *max_frozen;	  /* a duration: the longest that a container may be frozen for one; "5s" */
	uint64_t *max_copy_bytes; /* that may be copied meanwhile where there are no reflinks; NULL: 256 MiB */
};

struct config {
	struct store_config *stores;
	size_t n_stores;
	const char *default_store;
	struct config_identity identity;
	struct config_access access;
	struct config_cache cache;
	struct config_lease lease;
	struct config_limits limits;
	struct config_sync sync;
	const char **mount_prefixes; /* NULL: built in; NULL-terminated */
	size_t n_mount_prefixes;
	const char *node_name; /* NULL: the host's name */
	const char *run_dir;   /* keepers' sockets: /run/volrun-volumes */
	/* After a power cut, what becomes of a tree that was not committed: "conflicts", "commit". */
	const char *recover; /* NULL: "conflicts" */
	struct config_metrics {
		const char *path; /* directory of node_exporter's textfile collector; NULL: none */
	} metrics;
};

/* path NULL: $VOLRUN_CONFIG, else the list. */
int config_load(const char *path, struct arena *arena, struct config *ret, struct error *err);
/* For who goes on in another directory, or lets others (keeper_spawn.h): a relative path, of $VOLRUN_CONFIG too, as an
 * absolute one; else path. */
const char *config_absolute(const char *path, struct arena *arena);
/*
 * The list itself: files in this order (absent ones are skipped), then
 * dir/NAME.json by name. Defaults fill what none of them says. A file with a secret in
 * clear must be the caller's own and readable by nobody else.
 */
int config_load_list(const char *const *files, size_t n_files, const char *dir, struct arena *arena, struct config *ret,
		     struct error *err);

/* name NULL: the default store. NULL when there is none. */
const struct store_config *config_store(const struct config *c, const char *name);

/* One of the durations above (checked by config_load), in nanoseconds; fallback when it is not set. */
int64_t config_duration(const char *text, int64_t fallback);

/* Do the credentials of a store come from a program that has to be run? */
bool config_runs_programs(const struct config *c);

#endif
