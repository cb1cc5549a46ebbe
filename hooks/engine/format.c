/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/format.h"

#include <errno.h>
#include <inttypes.h>

#include "base/cleanup.h"

struct format {
	uint64_t format;
};

static const struct json_field format_fields[] = {
    JSON_FIELD(struct format, format, "format", JSON_U64),
    {NULL},
};
/* Not strict: it is there for what nobody knows yet. */
static const struct json_table format_table = {"format", sizeof(struct format), format_fields, 0};

int format_parse(const char *text, size_t len, const char *source, const struct json_table *table, struct arena *arena,
		 void *out, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct error ignored = ERROR_INIT;
	struct format f;

	if (json_parse(text, len, source, &format_table, &a, &f, &ignored) == 0 && f.format > FORMAT_KNOWN)
		return error_set(err, ENOTSUP,
				 "%s: format %" PRIu64 " is of a newer volrun, this one knows formats up to %d: "
				 "upgrade volrun on this node",
				 source, f.format, FORMAT_KNOWN);
	return json_parse(text, len, source, table, arena, out, err);
}
