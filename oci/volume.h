/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume.h - the annotations that declare volumes, as text and rules. No
 * store, no configuration file: what a caller may ask for, checked. Both the
 * runtime (which wants errors early) and volrun-hook use it.
 *
 *     dev.volrun.volume[.<suffix>] = <name> <mount_path> [ro|rw] [option=value ...]
 */
#ifndef VOLRUN_OCI_VOLUME_H
#define VOLRUN_OCI_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "oci/spec.h"

#define VOLUME_KEY "dev.volrun.volume"
#define VOLUME_MAX 10
#define VOLUME_NAME_MAX 255

struct volume_request {
	const char *annotation; /* the key, for messages */
	const char *name;	/* placeholders expanded */
	const char *mount_path; /* absolute, normal form, inside the container */
	bool ro;
	const char *store;     /* NULL: the config's default */
	const char *container; /* option container=; NULL: any */
	int64_t wait_ns;       /* -1: not given */
	int64_t sync_ns;       /* 0: not given */
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
	const char *const *mount_prefixes; /* NULL-terminated; NULL: the built-in list */
	const char *container_name;	   /* of the pod's container, NULL outside a pod */
};

/* Does the spec carry any annotation that declares a volume? Cheap; no checks. */
bool volume_declared(const struct spec *spec);

/*
 * Reads all declarations. The error is one line that names the annotation and
 * the reason:  annotation dev.volrun.volume.a: mount path "/etc" is not under an allowed prefix (...)
 * Volumes with container= of another name are left out. -EINVAL.
 */
int volume_parse(const struct spec *spec, const struct volume_context *ctx, struct arena *arena, struct volume_set *ret,
		 struct error *err);

/* The name rule, for workspaces too: 2-255, [A-Za-z0-9._-], alphanumeric ends, no "..". */
bool volume_name_valid(const char *name);

/* "/tmp", "/mnt", "/opt", "/home", "/data", "/workspace", "/root", NULL */
extern const char *const volume_default_prefixes[];

#endif
