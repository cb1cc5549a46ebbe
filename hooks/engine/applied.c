/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/applied.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/path.h"
#include "hooks/engine/format.h"
#include "hooks/engine/manifest.h"
#include "hooks/store/store.h"
#include "oci/json.h"

#define FORMAT FORMAT_KNOWN
/* Most lines are shorter. */
#define LINE_USUAL 512

struct header {
	uint32_t format;
	const char *kind;
	uint64_t epoch, seq;
	const char *record;
	struct applied_link *chain;
	size_t n_chain;
};

static const struct json_field link_fields[] = {
    JSON_FIELD(struct applied_link, seq, "seq", JSON_U64, .required = true),
    JSON_FIELD(struct applied_link, length, "length", JSON_U64, .required = true),
    {NULL},
};
static const struct json_table link_table = {"link", sizeof(struct applied_link), link_fields, JSON_STRICT};

static const struct json_field header_fields[] = {
    JSON_FIELD(struct header, format, "format", JSON_U32, .required = true),
    JSON_FIELD(struct header, kind, "kind", JSON_STR, .required = true),
    JSON_FIELD(struct header, epoch, "epoch", JSON_U64, .required = true),
    JSON_FIELD(struct header, seq, "seq", JSON_U64, .required = true),
    JSON_FIELD(struct header, record, "record", JSON_STR, .required = true),
    JSON_LIST(struct header, chain, "chain", JSON_ARR_OBJ, .table = &link_table, .max_count = APPLIED_CHAIN_MAX - 1),
    {NULL},
};
static const struct json_table header_table = {"header", sizeof(struct header), header_fields, JSON_STRICT};

struct line {
	const char *path, *tag, *sha256;
	uint64_t seq, *end;
};

static const struct json_field line_fields[] = {
    JSON_FIELD(struct line, path, "path", JSON_STR),	 JSON_FIELD(struct line, tag, "tag", JSON_STR),
    JSON_FIELD(struct line, sha256, "sha256", JSON_STR), JSON_FIELD(struct line, seq, "seq", JSON_U64),
    JSON_FIELD(struct line, end, "end", JSON_OPT_U64),	 {NULL},
};
static const struct json_table line_table = {"entry", sizeof(struct line), line_fields, JSON_STRICT};

static void add_json(struct stream_out *out, const struct json_table *table, const void *obj)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

	strbuf_reserve(&text, LINE_USUAL);
	json_write(&text, table, obj, 0);
	strbuf_addc(&text, '\n');
	if (text.failed && out->failed == 0)
		out->failed = -ENOMEM;
	stream_add(out, text.data, text.failed ? 0 : text.len);
}

void applied_write_header(struct stream_out *out, const struct applied_head *head)
{
	struct header h = {.format = FORMAT,
			   .kind = head->n_chain > 0 ? "delta" : "applied",
			   .epoch = head->epoch,
			   .seq = head->seq,
			   .record = head->record_sha256,
			   .chain = (struct applied_link *)head->chain,
			   .n_chain = head->n_chain};

	add_json(out, &header_table, &h);
}

void applied_write_entry(struct stream_out *out, const struct applied_entry *e)
{
	char sha256[SHA256_HEX_MAX];
	struct line l = {.path = e->path, .tag = e->tag};

	if (e->tag) {
		hex_encode(e->sha256, SHA256_LEN, sha256);
		l.sha256 = sha256;
		l.seq = e->seq;
	}
	add_json(out, &line_table, &l);
}

void applied_write_end(struct stream_out *out, uint64_t entries)
{
	struct line l = {.end = &entries};

	add_json(out, &line_table, &l);
}

void applied_close(struct applied_in *a)
{
	stream_in_close(&a->in);
	arena_free(&a->line);
	free(a->last);
	a->last = NULL;
}

static int read_header(struct applied_in *a, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *text;
	struct header h;
	size_t len;
	int r = stream_line(&a->in, &text, &len);

	if (r <= 0)
		return error_set(err, EINVAL, "applied table: no header");
	r = format_parse(text, len, "applied table: line 1", &header_table, &arena, &h, err);
	if (r < 0)
		return r;
	if (h.format != FORMAT || strcmp(h.kind, h.n_chain > 0 ? "delta" : "applied") != 0 ||
	    strlen(h.record) >= sizeof(a->head.record_sha256))
		return error_set(err, EINVAL, "applied table: format %" PRIu32 " is not known here", h.format);
	a->head = (struct applied_head){.epoch = h.epoch, .seq = h.seq, .n_chain = h.n_chain};
	strcpy(a->head.record_sha256, h.record);
	for (size_t i = 0; i < h.n_chain; i++) {
		if (h.chain[i].seq >= (i + 1 < h.n_chain ? h.chain[i + 1].seq : h.seq))
			return error_set(err, EINVAL, "applied table: line 1: a chain that is not in its order");
		a->head.chain[i] = h.chain[i];
	}
	return 0;
}

int applied_open(struct applied_in *a, struct stream_in in, struct error *err)
{
	int r;

	*a = (struct applied_in){.in = in};
	a->last = calloc(1, MANIFEST_PATH_MAX + 1);
	r = a->last ? read_header(a, err) : error_set(err, ENOMEM, "out of memory");
	if (r < 0)
		applied_close(a);
	return r;
}

int applied_next(struct applied_in *a, struct applied_entry *ret, struct error *err)
{
	const char *text;
	struct line l;
	size_t len;
	char where[64];
	int r = stream_line(&a->in, &text, &len);

	snprintf(where, sizeof(where), "applied table: line %" PRIu64, a->n + 2);
	if (r <= 0)
		return error_set(err, EINVAL, "%s: it ends in the middle", where);
	arena_free(&a->line);
	r = json_parse(text, len, where, &line_table, &a->line, &l, err);
	if (r < 0)
		return r;
	if (l.end) {
		if (*l.end != a->n || l.path || stream_line(&a->in, &text, &len) != 0)
			return error_set(err, EINVAL, "%s: an end that is none", where);
		return 0;
	}
	if (!l.path || !path_is_safe_relative(l.path, strlen(l.path)) || strlen(l.path) > MANIFEST_PATH_MAX ||
	    strcmp(a->last, l.path) >= 0)
		return error_set(err, EINVAL, "%s: a path that can't be, or not in its place", where);
	if (l.seq > a->head.seq)
		return error_set(err, EINVAL, "%s: of a commit that was not there yet", where);
	if (a->n == MANIFEST_MAX_ENTRIES)
		return error_set(err, EFBIG, "%s: too many entries", where);
	strcpy(a->last, l.path);
	a->n++;
	*ret = (struct applied_entry){.path = l.path, .tag = l.tag, .seq = l.seq ? l.seq : a->head.seq};
	if (a->head.n_chain > 0 && !l.tag && !l.sha256 && !l.seq)
		return 1;
	if (!l.tag || !l.tag[0] || strlen(l.tag) >= STORE_TAG_MAX || !l.sha256 || strlen(l.sha256) != 2 * SHA256_LEN ||
	    hex_decode(l.sha256, ret->sha256, SHA256_LEN) < 0)
		return error_set(err, EINVAL, "%s: a tag or hash that can't be", where);
	return 1;
}

void applied_free(struct applied *a)
{
	free(a->entries);
	arena_free(&a->arena);
	*a = (struct applied){0};
}

int applied_add(struct applied *a, const struct applied_entry *e)
{
	if (a->n == a->room) {
		size_t n = a->room ? a->room * 2 : 64;
		struct applied_entry *entries = reallocarray(a->entries, n, sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		a->entries = entries;
		a->room = n;
	}
	a->entries[a->n] = *e;
	a->entries[a->n].path = arena_strdup(&a->arena, e->path);
	a->entries[a->n].tag = e->tag ? arena_strdup(&a->arena, e->tag) : NULL;
	return a->entries[a->n].path && (!e->tag || a->entries[a->n].tag) ? (a->n++, 0) : -ENOMEM;
}

/* All lines of a table, a whole one or a delta. */
static int read_lines(struct stream_in stream, struct applied *ret, struct error *err)
{
	_cleanup_(applied_free) struct applied a = {0};
	_cleanup_(applied_close) struct applied_in in = {.in = {.fd = -1}};
	struct applied_entry e;
	int r;

	r = applied_open(&in, stream, err);
	while (r >= 0 && (r = applied_next(&in, &e, err)) > 0)
		if (applied_add(&a, &e) < 0)
			return error_set(err, ENOMEM, "out of memory");
	if (r < 0)
		return r;
	a.head = in.head;
	*ret = a;
	a = (struct applied){0};
	return 0;
}

int applied_read(struct stream_in stream, struct applied *ret, struct error *err)
{
	struct applied a;
	int r = read_lines(stream, &a, err);

	if (r == 0 && a.head.n_chain > 0) {
		applied_free(&a);
		return error_set(err, EINVAL, "applied table: a delta where a whole one should be");
	}
	if (r == 0)
		*ret = a;
	return r;
}

int applied_apply(struct applied *a, struct stream_in stream, struct error *err)
{
	_cleanup_(applied_free) struct applied delta = {0};
	struct applied_entry *entries;
	size_t i = 0, k = 0, n = 0;
	int r = read_lines(stream, &delta, err);

	if (r < 0)
		return r;
	if (delta.head.n_chain == 0 || delta.head.chain[delta.head.n_chain - 1].seq != a->head.seq)
		return error_set(err, EINVAL, "applied table: it doesn't fit the one before");
	entries = calloc(a->n + delta.n + 1, sizeof(*entries));
	if (!entries)
		return error_set(err, ENOMEM, "out of memory");
	while (i < a->n || k < delta.n) {
		int cmp = k == delta.n ? -1 : i == a->n ? 1 : strcmp(a->entries[i].path, delta.entries[k].path);

		if (cmp < 0)
			entries[n++] = a->entries[i];
		else if (delta.entries[k].tag)
			entries[n++] = delta.entries[k];
		i += cmp <= 0;
		k += cmp >= 0;
	}
	free(a->entries);
	a->entries = entries;
	a->room = a->n + delta.n + 1;
	a->n = n;
	a->head = delta.head;
	arena_join(&a->arena, &delta.arena);
	return 0;
}

size_t applied_find(const struct applied *a, const char *path)
{
	size_t lo = 0, hi = a->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int cmp = strcmp(a->entries[mid].path, path);

		if (cmp == 0)
			return mid;
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return SIZE_MAX;
}
