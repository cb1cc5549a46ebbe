/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - the administrator's configuration (volumes.md §2):
 * /usr/share/volrun/config.json, /etc/volrun/config.json,
 * /etc/volrun/conf.d/NAME.json in the order of names; later ones win, section by section
 * and store by store. Unknown keys are refused. With none: one store
 * "default" of type filesystem below /var/lib/volrun/store.
 * VOLRUN_CONFIG or --config=FILE replaces the list by one file.
 */
#ifndef VOLRUN_HOOKS_CONFIG_H
#define VOLRUN_HOOKS_CONFIG_H

#include "hooks/store/store.h"
#include "oci/json.h"

enum identity_engine { IDENTITY_UNSET, IDENTITY_LOCAL, IDENTITY_CONTAINERD_CRI, IDENTITY_CRIO };

struct config {
	struct store_config *stores;
	size_t n_stores;
	const char *default_store;
	struct {
		int engine;	       /* enum identity_engine */
		const char *workspace; /* used where nothing else names one; "default" */
	} identity;
	struct {
		const char **admins; /* "u/<user>", "g/<group>" */
		size_t n_admins;
	} access;
	struct {
		const char *path;
		uint64_t max_bytes; /* 10 GiB */
	} cache;
	struct {
		const char *ttl, *renew, *poll; /* durations: "60s" */
		const char *delete_wait;	/* how long delete waits for the keeper: "4s" */
		const char *prepare_timeout;	/* without a create: "5m" */
	} lease;
	struct {
		uint64_t volumes_per_workspace, bytes_per_volume, files_per_volume, bytes_per_file; /* 0: none */
	} limits;
	const char **mount_prefixes; /* NULL: built in; NULL-terminated */
	size_t n_mount_prefixes;
	const char *node_name; /* NULL: the host's name */
	const char *run_dir;   /* keepers' sockets: /run/volrun */
};

/* path NULL: $VOLRUN_CONFIG, else the list. */
int config_load(const char *path, struct arena *arena, struct config *ret, struct error *err);
/* name NULL: the default store. NULL when there is none. */
const struct store_config *config_store(const struct config *c, const char *name);

#endif
