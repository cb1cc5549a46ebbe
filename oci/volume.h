/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume.h - the annotations that declare volumes, as text and rules. No
 * store, no configuration file: what a caller may ask for, checked. Both the
 * runtime (which wants errors early) and volrun-hook use it.
 *
 *     dev.volrun.volume[.<suffix>] = <name> <mount_path> [ro|rw] [option=value ...]
 *
 * suffix: [A-Za-z0-9_-]{1,40}. The value is at most VOLUME_VALUE_MAX bytes of
 * UTF-8 without control characters; its fields are separated by spaces or tabs.
 * Each option stands at most once:
 *
 *     store=<name>       a store of the configuration
 *     container=<name>   in a pod: only this container; elsewhere without effect
 *     wait=<duration>    how long to wait for the lease; 0: not at all
 *     sync=<duration>    commit during the run too; 1s or more
 *     delete=wait        delete waits for the sync-back, as long as its caller allows
 *     owner=<uid>:<gid>  of files that carry no owner
 *
 * Placeholders stand in <name> and <mount_path>: $workspace, $args[key] and
 * $args[key.nested.key]; the latter look into the JSON object in the annotation
 * dev.volrun.args. They are expanded in each field *after* the value was split,
 * once and not again within what came out, and what they stand for may be neither
 * empty nor hold white space or control characters: so they can't bring in further
 * fields. The rules for names and paths are applied to the result. Any other "$" is an
 * error.
 *
 * An absolute <mount_path> lies in or under an allowed prefix; a relative one is
 * beneath process.cwd, wherever that is. Both end up in normal form, hold no "..",
 * and are neither "/" nor in /proc, /sys or /dev, where the runtime itself writes.
 */
#ifndef VOLRUN_OCI_VOLUME_H
#define VOLRUN_OCI_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "oci/spec.h"

#define VOLUME_KEY "dev.volrun.volume"
#define VOLUME_ARGS_KEY "dev.volrun.args"
/* "ID TOKEN" of the keeper that has the volumes already: a precreate hook put them into the mounts. */
#define VOLUME_PREPARED_KEY "dev.volrun.prepared"
#define VOLUME_MAX 10
#define VOLUME_NAME_MAX 255
#define VOLUME_VALUE_MAX 4096
#define VOLUME_ARGS_MAX 65536
/* Declarations altogether: those for other containers of a pod don't count for VOLUME_MAX. */
#define VOLUME_DECLARED_MAX 100

struct volume_request {
	const char *annotation; /* the key, for messages */
	const char *name;	/* placeholders expanded */
	const char *mount_path; /* absolute, normal form, inside the container */
	bool ro;
	const char *store;     /* NULL: the config's default */
	const char *container; /* option container=; NULL: any */
	int64_t wait_ns;       /* -1: not given */
	int64_t sync_ns;       /* 0: not given */
	bool delete_waits;
	bool has_owner;
	uint32_t owner_uid, owner_gid; /* process.user when not given */
};

struct volume_set {
	const char *workspace;		/* what $workspace stands for; checked */
	struct volume_request *volumes; /* sorted by mount_path */
	size_t n_volumes;
};

/* What the rules need besides the spec. */
struct volume_context {
	const char *workspace;		   /* the identity's, or NULL: "default" */
	const char *const *mount_prefixes; /* NULL-terminated; NULL: the built-in list; empty: no absolute path */
	const char *container_name;	   /* of the pod's container, NULL outside a pod */
};

/* Does the spec carry any annotation that declares a volume, and nobody has prepared them? Cheap; no checks. */
bool volume_declared(const struct spec *spec);
/* The value of VOLUME_PREPARED_KEY, unchecked, or NULL. */
const char *volume_prepared(const struct spec *spec);

/*
 * Reads all declarations. The error is one line that names the annotation and
 * the reason:  annotation dev.volrun.volume.a: mount path "/etc" is not under an allowed prefix (...)
 * Volumes with container= of another name are checked one by one, then left out.
 * A name stands twice when the stores are the same, or when one of the two leaves
 * the store to the configuration. -EINVAL, -ENOMEM.
 */
int volume_parse(const struct spec *spec, const struct volume_context *ctx, struct arena *arena, struct volume_set *ret,
		 struct error *err);

/*
 * Where a volume on `path` comes among the bundle's mounts (destinations in normal form; NULL: it changes one that is
 * there, "remount"): the number of those before it. After each that would hide it, which is one at the same path or
 * above; then before the first that lies beneath it.
 */
size_t volume_place(const char *const *destinations, size_t n, const char *path);

/* The name rule, for workspaces too: 2-255, [A-Za-z0-9._-], alphanumeric ends, no "..". */
bool volume_name_valid(const char *name);

/* "/tmp", "/mnt", "/opt", "/home", "/data", "/workspace", "/root", NULL */
extern const char *const volume_default_prefixes[];

#endif
