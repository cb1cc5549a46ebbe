/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/symlinks.h"

#include <errno.h>
#include <string.h>

#include "base/path.h"
#include "hooks/engine/plain.h"

static const struct json_field fields[] = {
    JSON_LIST(struct symlinks, links, "links", JSON_MAP_STR, .max_count = SYMLINKS_MAX_COUNT),
    {NULL},
};
static const struct json_table table = {"symlinks", sizeof(struct symlinks), fields, JSON_STRICT};

/* The parser's place within the wrapped text is of no use to a reader of the object. */
int symlinks_parse(const char *text, size_t len, struct arena *arena, struct symlinks *ret, struct error *err)
{
	static const char way_out[] = "correct or remove that object, or set foreign=ignore for the store";
	_cleanup_strbuf_ struct strbuf wrapped = STRBUF_INIT;
	struct error ignored = ERROR_INIT;
	struct symlinks s;
	int r;

	if (len > SYMLINKS_MAX_SIZE)
		return error_set(err, EFBIG, "it has over %u bytes; %s", SYMLINKS_MAX_SIZE, way_out);
	/* Only whole objects have tables. */
	strbuf_adds(&wrapped, "{\"links\":");
	strbuf_add(&wrapped, text, len);
	strbuf_adds(&wrapped, "}");
	if (wrapped.failed)
		return error_set(err, ENOMEM, "out of memory");
	r = json_parse(wrapped.data, wrapped.len, "_symlinks.json", &table, arena, &s, &ignored);
	if (r < 0)
		return error_set(err, -r, "it is no JSON object of paths and what they lead to; %s", way_out);
	for (size_t i = 0; i < s.n_links; i++) {
		const char *path = s.links[i].key, *target = s.links[i].value;
		size_t n = strlen(path);

		if (n > MANIFEST_PATH_MAX || !path_is_safe_relative(path, n))
			return error_set(err, EINVAL, "\"%.200s\" is no path within the volume; %s", path, way_out);
		if (!target || !target[0] || strlen(target) > MANIFEST_PATH_MAX)
			return error_set(err, EINVAL, "\"%.200s\" has a target that can't be; %s", path, way_out);
	}
	*ret = s;
	return 0;
}

bool symlinks_can_hold(const struct entry *e)
{
	return e->type == ENTRY_SYMLINK && strcmp(e->path, PLAIN_SYMLINKS) != 0 &&
	       json_utf8_valid(e->path, strlen(e->path)) && json_utf8_valid(e->target, strlen(e->target));
}

size_t symlinks_write(struct strbuf *out, const struct manifest *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct entry *e = &m->entries[i];

		if (!symlinks_can_hold(e))
			continue;
		strbuf_adds(out, n++ ? ",\n" : "{");
		json_write_string(out, e->path);
		strbuf_adds(out, ":");
		json_write_string(out, e->target);
	}
	if (n > 0)
		strbuf_adds(out, "}\n");
	return n;
}
