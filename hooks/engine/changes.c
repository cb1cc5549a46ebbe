/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/changes.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/path.h"
#include "hooks/engine/manifest.h"
#include "hooks/engine/xattrs.h"

static const struct json_field note_fields[] = {
    JSON_FIELD(struct conflict_note, id, "id", JSON_STR, .required = true),
    JSON_FIELD(struct conflict_note, epoch, "epoch", JSON_U64, .write_empty = true),
    JSON_FIELD(struct conflict_note, seq, "seq", JSON_U64, .write_empty = true),
    JSON_FIELD(struct conflict_note, why, "why", JSON_STR),
    JSON_FIELD(struct conflict_note, node, "node", JSON_STR),
    JSON_FIELD(struct conflict_note, container, "container", JSON_STR),
    JSON_FIELD(struct conflict_note, since, "since", JSON_STR),
    JSON_FIELD(struct conflict_note, keeper, "keeper", JSON_STR),
    JSON_FIELD(struct conflict_note, unsure, "unsure", JSON_BOOL),
    JSON_FIELD(struct conflict_note, local, "local", JSON_BOOL),
    JSON_FIELD(struct conflict_note, uploaded, "uploaded", JSON_BOOL, .write_empty = true),
    JSON_FIELD(struct conflict_note, files, "files", JSON_U64, .write_empty = true),
    JSON_FIELD(struct conflict_note, bytes, "bytes", JSON_U64, .write_empty = true),
    JSON_FIELD(struct conflict_note, skipped, "skipped", JSON_U64),
    {NULL},
};
const struct json_table conflict_note_table = {"conflict", sizeof(struct conflict_note), note_fields, 0};

static const struct json_field change_fields[] = {
    JSON_FIELD(struct conflict_change, path, "path", JSON_STR),
    JSON_FIELD(struct conflict_change, rawpath, "rawpath", JSON_STR),
    JSON_FIELD(struct conflict_change, change, "change", JSON_STR, .required = true),
    JSON_FIELD(struct conflict_change, type, "type", JSON_STR, .required = true),
    JSON_FIELD(struct conflict_change, target, "target", JSON_STR),
    JSON_FIELD(struct conflict_change, rawtarget, "rawtarget", JSON_STR),
    JSON_FIELD(struct conflict_change, key, "key", JSON_STR),
    JSON_FIELD(struct conflict_change, sha256, "sha256", JSON_STR),
    JSON_FIELD(struct conflict_change, xattrs, "xattrs", JSON_STR),
    JSON_FIELD(struct conflict_change, first, "link", JSON_STR),
    JSON_FIELD(struct conflict_change, mode, "mode", JSON_U32),
    JSON_FIELD(struct conflict_change, uid, "uid", JSON_U32),
    JSON_FIELD(struct conflict_change, gid, "gid", JSON_U32),
    JSON_FIELD(struct conflict_change, mtime, "mtime", JSON_I64),
    JSON_FIELD(struct conflict_change, size, "size", JSON_U64),
    {NULL},
};
const struct json_table conflict_change_table = {"change", sizeof(struct conflict_change), change_fields, 0};

static bool is_one_of(const char *s, const char *const *all)
{
	while (*all && strcmp(s, *all) != 0)
		all++;
	return *all;
}

/* The text, or what the hex stands for; NULL: neither, both, no hex, or too long. */
static const char *bytes_of(const char *text, const char *hex, struct arena *a)
{
	size_t len = hex ? strlen(hex) / 2 : 0;
	char *raw;

	if (!text == !hex)
		return NULL;
	if (text)
		return strlen(text) <= MANIFEST_PATH_MAX ? text : NULL;
	if (len == 0 || len > MANIFEST_PATH_MAX || !(raw = arena_alloc(a, len + 1)) || hex_decode(hex, raw, len) < 0)
		return NULL;
	raw[len] = '\0';
	return strlen(raw) == len ? raw : NULL;
}

static bool is_sha256(const char *s)
{
	return s && strlen(s) == SHA256_HEX_MAX - 1 && strspn(s, "0123456789abcdef") == SHA256_HEX_MAX - 1;
}

static int check(struct conflict_change *c, struct arena *a, struct error *err)
{
	static const char *const changes[] = {"added", "changed", "deleted", NULL};
	static const char *const types[] = {"file", "dir", "symlink", NULL};
	bool deleted = strcmp(c->change, "deleted") == 0;

	if (!is_one_of(c->change, changes) || !is_one_of(c->type, types))
		return error_set(err, EINVAL, "changes.json: a change of no known kind");
	c->name = bytes_of(c->path, c->rawpath, a);
	if (!c->name || !path_is_safe_relative(c->name, strlen(c->name)))
		return error_set(err, EINVAL, "changes.json: a path that can't be one");
	if (c->first && (strlen(c->first) > MANIFEST_PATH_MAX || !path_is_safe_relative(c->first, strlen(c->first))))
		return error_set(err, EINVAL, "changes.json: a path that can't be one");
	if (c->xattrs && !xattrs_valid(c->xattrs))
		return error_set(err, EINVAL, "changes.json: attributes that can't be");
	c->link = bytes_of(c->target, c->rawtarget, a);
	if (!deleted && strcmp(c->type, "symlink") == 0 && (!c->link || !*c->link))
		return error_set(err, EINVAL, "changes.json: a link without a target");
	if (!deleted && strcmp(c->type, "file") == 0 &&
	    (!c->key || !path_is_safe_relative(c->key, strlen(c->key)) || !is_sha256(c->sha256)))
		return error_set(err, EINVAL, "changes.json: a file without a place");
	return 0;
}

int changes_read(struct stream_in *in, struct arena *a, struct conflict_note *ret, changes_fn fn, void *ctx,
		 struct error *err)
{
	const char *line;
	size_t len;
	int r = stream_line(in, &line, &len);

	if (r <= 0)
		return error_set(err, EINVAL, "changes.json: it is damaged");
	r = json_parse(line, len, "changes.json", &conflict_note_table, a, ret, err);
	while (r == 0 && (r = stream_line(in, &line, &len)) > 0) {
		_cleanup_arena_ struct arena one = ARENA_INIT;
		struct conflict_change c = {0};

		r = json_parse(line, len, "changes.json", &conflict_change_table, &one, &c, err);
		if (r == 0)
			r = check(&c, &one, err);
		if (r == 0 && fn)
			r = fn(ctx, &c, err);
	}
	return r < 0 && err->code == 0 ? error_set(err, EINVAL, "changes.json: it is damaged") : r;
}
