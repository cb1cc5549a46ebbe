/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/garbage.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/engine/format.h"
#include "oci/json.h"

#define FORMAT FORMAT_KNOWN
#define KIND "garbage"

struct header {
	uint32_t format;
	const char *kind;
	uint64_t entries;
};

static const struct json_field header_fields[] = {
    JSON_FIELD(struct header, format, "format", JSON_U32, .required = true),
    JSON_FIELD(struct header, kind, "kind", JSON_STR, .required = true),
    JSON_FIELD(struct header, entries, "entries", JSON_U64, .required = true),
    {NULL},
};
static const struct json_table header_table = {"header", sizeof(struct header), header_fields, JSON_STRICT};

struct line {
	const char *name;
};

static const struct json_field line_fields[] = {
    JSON_FIELD(struct line, name, "name", JSON_STR, .required = true),
    {NULL},
};
static const struct json_table line_table = {"entry", sizeof(struct line), line_fields, JSON_STRICT};

int garbage_read(struct stream_in *in, void (*fn)(void *ctx, const char *name), void *ctx, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct header h;
	const char *text;
	size_t len;
	int r = stream_line(in, &text, &len);

	if (r <= 0)
		return error_set(err, EINVAL, "list of garbage: no header");
	r = format_parse(text, len, "list of garbage", &header_table, &a, &h, err);
	if (r == 0 && (h.format != FORMAT || strcmp(h.kind, KIND) != 0))
		r = error_set(err, EINVAL, "list of garbage: format %" PRIu32 " is not known here", h.format);
	while (r == 0 && (r = stream_line(in, &text, &len)) > 0) {
		struct line l;

		arena_free(&a);
		r = json_parse(text, len, "list of garbage", &line_table, &a, &l, err);
		if (r == 0)
			fn(ctx, l.name);
	}
	return r < 0 && !err->code ? error_set(err, r, "list of garbage: it can't be read (error %d)", -r) : r;
}

static void add_line(struct stream_out *out, struct strbuf *text, const struct json_table *table, const void *line)
{
	strbuf_reset(text);
	json_write(text, table, line, 0);
	strbuf_addc(text, '\n');
	if (text->failed && out->failed == 0)
		out->failed = -ENOMEM;
	stream_add(out, text->data, text->failed ? 0 : text->len);
}

void garbage_write_head(struct stream_out *out, struct strbuf *text, uint64_t n)
{
	add_line(out, text, &header_table, &(struct header){.format = FORMAT, .kind = KIND, .entries = n});
}

void garbage_write(struct stream_out *out, struct strbuf *text, const char *name)
{
	add_line(out, text, &line_table, &(struct line){name});
}
