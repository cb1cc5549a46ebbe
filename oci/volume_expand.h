/* SPDX-License-Identifier: Apache-2.0 */
/* volume_expand.h - placeholders in the annotations of volumes (see volume.h). Only volume*.c includes it. */
#ifndef VOLRUN_OCI_VOLUME_EXPAND_H
#define VOLRUN_OCI_VOLUME_EXPAND_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"

/* In one field: each may cost a pass over the arguments. */
#define VOLUME_PLACEHOLDERS_MAX 16

struct volume_values {
	const char *workspace;
	const char *args; /* JSON text of dev.volrun.args; NULL: none */
};

/* What replaced the placeholders of the field, in the arena. At most VOLUME_VALUE_MAX bytes. -EINVAL, -ENOMEM. */
int volume_expand(const char *field, const struct volume_values *values, struct arena *arena, const char **ret,
		  struct error *err);

/* No control characters (Unicode's C0, C1 and DEL; tab is fine), valid UTF-8. */
bool volume_text_valid(const char *s);

#endif
