/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access.h - who may use a volume (volumes.md §7): the object `meta` beside the
 * register holds owner and permissions. It is written by whoever uses the
 * volume first, and by sharing; always conditionally.
 */
#ifndef VOLRUN_HOOKS_ACCESS_H
#define VOLRUN_HOOKS_ACCESS_H

#include <stdbool.h>

#include "hooks/engine/volume.h"
#include "oci/json.h"

#define ACCESS_META_MAX 65536

/* On whose behalf. user NULL: the caller names none (whoever may use the workspace). Names without "u/", "g/". */
struct access_identity {
	const char *user;
	const char *const *groups;
	size_t n_groups;
	const char *const *admins; /* "u/<user>", "g/<group>"; from the configuration */
	size_t n_admins;
	bool administrator; /* who works with `volrun volume` on a node: everything is allowed */
};

struct access_meta {
	uint32_t format;	       /* 0: not written, as in those before there was one; see format.h */
	const char *owner;	       /* "u/<user>"; NULL: none */
	struct json_pair *permissions; /* "u/<user>", "g/<group>" -> "ro", "rw" */
	size_t n_permissions;
	const char *created; /* RFC 3339 */
	const char *removed; /* RFC 3339: the volume was removed then; whoever uses it next makes it anew */
};

extern const struct json_table access_meta_table;

/*
 * May it be used so (v->ro or rw)? A volume that is not there yet gets its
 * `meta` on first rw use. -EPERM "volume access refused: ..."; -EIO the store's error;
 * -EINVAL: meta can't be read, -ENOTSUP: a newer version's; -ENOENT: ro of a volume that is not there.
 */
int access_check(struct volume *v, const struct access_identity *id, struct error *err);

/* Reads `meta`. -ENOENT when absent. */
int access_read(struct volume *v, struct arena *a, struct access_meta *ret, struct error *err);

/*
 * Gives `subject` ("u/<user>", "g/<group>") a permission ("ro", "rw"), or takes it away (NULL). Conditionally: two
 * at once both count. -ENOENT: no volume, or nothing to take away; -E2BIG.
 */
int access_share(struct volume *v, const char *subject, const char *permission, struct error *err);
/* Makes `meta` say that the volume was removed: nobody's. It is never deleted: a late DELETE would hit the next one. */
int access_remove(struct volume *v, struct error *err);

/* The rule alone, without a store: 0 or -EPERM. */
int access_decide(const struct access_meta *m, const struct access_identity *id, bool ro, struct error *err);

#endif
