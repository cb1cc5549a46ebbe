/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/path.h"
#include "hooks/engine/xattrs.h"
#include "hooks/store/store.h"
#include "oci/json.h"

struct header {
	uint32_t format;
	const char *kind;
	uint64_t epoch, seq, entries;
	uint32_t mode, uid, gid;
	int64_t mtime;
	const char *xattrs;
	struct head_commit *chain;
	size_t n_chain;
};

static const struct json_field header_fields[] = {
    JSON_FIELD(struct header, format, "format", JSON_U32, .required = true),
    JSON_FIELD(struct header, kind, "kind", JSON_STR, .required = true),
    JSON_FIELD(struct header, epoch, "epoch", JSON_U64, .required = true),
    JSON_FIELD(struct header, seq, "seq", JSON_U64, .required = true),
    JSON_FIELD(struct header, entries, "entries", JSON_U64, .required = true),
    JSON_FIELD(struct header, mode, "mode", JSON_U32, .required = true),
    JSON_FIELD(struct header, uid, "uid", JSON_U32, .required = true),
    JSON_FIELD(struct header, gid, "gid", JSON_U32, .required = true),
    JSON_FIELD(struct header, mtime, "mtime", JSON_I64, .required = true),
    JSON_FIELD(struct header, xattrs, "xattrs", JSON_STR),
    JSON_LIST(struct header, chain, "chain", JSON_ARR_OBJ, .table = &head_commit_table,
	      .max_count = RECORD_CHAIN_MAX - 1),
    {NULL},
};
static const struct json_table header_table = {"record header", sizeof(struct header), header_fields, JSON_STRICT};

struct line {
	const char *path, *rawpath;
	int type;
	uint32_t mode, uid, gid;
	int64_t mtime;
	uint64_t size;
	const char *sha256, *object;
	uint64_t offset;
	const char *target, *rawtarget, *tag;
	const char *link, *rawlink, *xattrs;
	bool sparse;
};

static const char *const type_names[] = {"file", "dir", "symlink", "gone", "gone-dir", "removed", NULL};

static const struct json_field line_fields[] = {
    JSON_FIELD(struct line, path, "path", JSON_STR),
    JSON_FIELD(struct line, rawpath, "rawpath", JSON_STR),
    JSON_FIELD(struct line, type, "type", JSON_ENUM, .names = type_names, .required = true),
    JSON_FIELD(struct line, mode, "mode", JSON_U32),
    JSON_FIELD(struct line, uid, "uid", JSON_U32),
    JSON_FIELD(struct line, gid, "gid", JSON_U32),
    JSON_FIELD(struct line, mtime, "mtime", JSON_I64),
    JSON_FIELD(struct line, size, "size", JSON_U64),
    JSON_FIELD(struct line, sha256, "sha256", JSON_STR),
    JSON_FIELD(struct line, object, "object", JSON_STR),
    JSON_FIELD(struct line, offset, "offset", JSON_U64),
    JSON_FIELD(struct line, target, "target", JSON_STR),
    JSON_FIELD(struct line, rawtarget, "rawtarget", JSON_STR),
    JSON_FIELD(struct line, tag, "tag", JSON_STR),
    JSON_FIELD(struct line, link, "link", JSON_STR),
    JSON_FIELD(struct line, rawlink, "rawlink", JSON_STR),
    JSON_FIELD(struct line, xattrs, "xattrs", JSON_STR),
    JSON_FIELD(struct line, sparse, "sparse", JSON_BOOL),
    {NULL},
};
static const struct json_table line_table = {"record entry", sizeof(struct line), line_fields, JSON_STRICT};

/* A name is a JSON string where it is valid UTF-8, else hex in the buffer. */
static void set_name(const char *s, char *hex, const char **ret_text, const char **ret_raw)
{
	size_t len = strlen(s);

	if (json_utf8_valid(s, len)) {
		*ret_text = s;
		return;
	}
	hex_encode(s, len, hex);
	*ret_raw = hex;
}

/* Buffers for one line. */
struct writer {
	struct strbuf text;
	char names[4 * (MANIFEST_PATH_MAX + 1)];
};

static void write_line(struct writer *w, const struct entry *e)
{
	struct line l = {.type = e->type, .mode = e->mode, .uid = e->uid, .gid = e->gid, .mtime = e->mtime_ns};
	char *second = w->names + 2 * (MANIFEST_PATH_MAX + 1), sha256[SHA256_HEX_MAX];

	set_name(e->path, w->names, &l.path, &l.rawpath);
	l.tag = e->tag;
	l.xattrs = e->xattrs;
	if (e->type == ENTRY_SYMLINK)
		set_name(e->target, second, &l.target, &l.rawtarget);
	if (e->type == ENTRY_FILE) {
		hex_encode(e->sha256, SHA256_LEN, sha256);
		l.sha256 = sha256;
		l.size = e->size;
		l.object = e->object;
		l.offset = e->offset;
		l.sparse = e->flags & ENTRY_SPARSE;
		if (e->link)
			set_name(e->link, second, &l.link, &l.rawlink);
	}
	json_write(&w->text, &line_table, &l, 0);
	strbuf_addc(&w->text, '\n');
}

/* Would both have the same line? */
static bool same_line(struct writer *w, const struct entry *a, const struct entry *b)
{
	size_t len;

	/* What a scan took over as it was; its bytes may have moved to another object since. */
	if ((a->flags & ENTRY_CLEAN) && a->path == b->path && a->object == b->object && a->offset == b->offset &&
	    a->link == b->link)
		return true;
	strbuf_reset(&w->text);
	write_line(w, a);
	len = w->text.len;
	write_line(w, b);
	return !w->text.failed && w->text.len == 2 * len && !memcmp(w->text.data, w->text.data + len, len);
}

/* The lines of a record, in their order. */
struct lines {
	const struct entry **entries;
	size_t n;
	struct entry *removed; /* entries made for it */
	size_t n_removed;
};

static void free_lines(struct lines *l)
{
	free(l->entries);
	free(l->removed);
}

static bool tells_of_plain(const struct entry *e)
{
	return !entry_in_tree(e) || (e->tag && e->type != ENTRY_DIR);
}

/* Is the entry to be told of? old: the one of the same path. */
static bool has_line(struct writer *w, const struct entry *e, const struct entry *old)
{
	if (tells_of_plain(e) || (old && !entry_in_tree(old)))
		return true;
	/* What the last commit has, and a scan took from it. */
	if (!old)
		return !(e->flags & ENTRY_TAKEN);
	return !same_line(w, e, old);
}

static void find_lines(struct writer *w, const struct manifest *m, const struct manifest *last, struct lines *l)
{
	size_t i = 0, k = 0;

	while (i < m->n || (last && k < last->n)) {
		const struct entry *e = i < m->n ? &m->entries[i] : NULL;
		const struct entry *old = last && k < last->n ? &last->entries[k] : NULL;
		int cmp = !old ? -1 : !e ? 1 : strcmp(e->path, old->path);

		if (cmp > 0 && entry_in_tree(old)) {
			l->removed[l->n_removed] = (struct entry){.path = old->path, .type = ENTRY_REMOVED};
			l->entries[l->n++] = &l->removed[l->n_removed++];
		}
		if (cmp <= 0 && (!last || has_line(w, e, cmp == 0 ? old : NULL)))
			l->entries[l->n++] = e;
		i += cmp <= 0;
		k += cmp >= 0;
	}
}

int record_write(struct stream_out *out, const struct manifest *m, const struct manifest *last, struct error *err)
{
	_cleanup_free_ struct writer *w = calloc(1, sizeof(*w));
	_cleanup_(free_lines) struct lines l = {0};
	struct header h = {.format = RECORD_FORMAT,
			   .kind = last ? "delta" : "base",
			   .epoch = m->epoch,
			   .seq = m->seq,
			   .mode = m->root.mode,
			   .uid = m->root.uid,
			   .gid = m->root.gid,
			   .mtime = m->root.mtime_ns,
			   .xattrs = m->root.xattrs};

	l.entries = calloc(m->n + (last ? last->n : 0) + 1, sizeof(*l.entries));
	l.removed = calloc(last ? last->n + 1 : 1, sizeof(*l.removed));
	if (!w || !l.entries || !l.removed)
		return error_set(err, ENOMEM, "out of memory");
	find_lines(w, m, last, &l);
	h.entries = l.n;
	h.chain = last ? last->chain : NULL;
	h.n_chain = last ? last->n_chain : 0;
	strbuf_reset(&w->text);
	json_write(&w->text, &header_table, &h, 0);
	strbuf_addc(&w->text, '\n');
	for (size_t i = 0; i <= l.n; i++) {
		if (w->text.failed && out->failed == 0)
			out->failed = -ENOMEM;
		stream_add(out, w->text.data, w->text.failed ? 0 : w->text.len);
		strbuf_reset(&w->text);
		if (i < l.n)
			write_line(w, l.entries[i]);
	}
	strbuf_free(&w->text);
	return out->failed < 0 ? error_set(err, out->failed, "record: can't be written (error %d)", -out->failed) : 0;
}

/* Takes a name from one of its two forms. NULL: none, both, or not to be. */
static const char *get_name(struct arena *a, const char *text, const char *raw)
{
	size_t len = raw ? strlen(raw) / 2 : text ? strlen(text) : 0;
	char *s;

	if (!text == !raw || len == 0 || len > MANIFEST_PATH_MAX)
		return NULL;
	if (text)
		return arena_strndup(a, text, len);
	s = arena_alloc(a, len + 1);
	if (!s || strlen(raw) != 2 * len || hex_decode(raw, s, len) < 0 || memchr(s, '\0', len))
		return NULL;
	return s;
}

static bool object_ok(const char *s)
{
	size_t len = strlen(s);

	return len < 200 && path_is_safe_relative(s, len) && json_utf8_valid(s, len);
}

static const char *file_fault(struct manifest *m, const struct line *l, struct entry *e)
{
	if (!l->sha256 || strlen(l->sha256) != 2 * SHA256_LEN || hex_decode(l->sha256, e->sha256, SHA256_LEN) < 0)
		return "no sha256";
	if (l->size > INT64_MAX || l->offset > INT64_MAX - l->size)
		return "a range that can't be";
	if ((l->size > 0) != (l->object != NULL) || (l->object && !object_ok(l->object)))
		return "no object with its bytes, or one that can't be";
	e->size = l->size;
	e->offset = l->offset;
	if (l->object && !(e->object = manifest_object(m, l->object)))
		return "out of memory";
	/* That it leads to the same file, manifest_check sees when all are there. */
	if ((l->link || l->rawlink) && !(e->link = get_name(&m->arena, l->link, l->rawlink)))
		return "a hard link that can't be";
	if (l->sparse)
		e->flags |= ENTRY_SPARSE;
	return NULL;
}

/* What is wrong with the line, or NULL. */
static const char *entry_fault(struct manifest *m, const struct line *l, struct entry *e)
{
	e->type = (uint8_t)l->type;
	e->path = get_name(&m->arena, l->path, l->rawpath);
	if (!e->path || !path_is_safe_relative(e->path, strlen(e->path)))
		return "a path that can't be";
	if ((l->mode & ~01777u) != 0)
		return "a mode that can't be";
	e->mode = (uint16_t)l->mode;
	e->uid = l->uid;
	e->gid = l->gid;
	e->mtime_ns = l->mtime;
	if (l->tag && (l->tag[0] == '\0' || strlen(l->tag) >= STORE_TAG_MAX))
		return "a tag that can't be";
	if (l->tag && !(e->tag = arena_strdup(&m->arena, l->tag)))
		return "out of memory";
	if (l->xattrs && ((l->type != ENTRY_FILE && l->type != ENTRY_DIR) || !xattrs_valid(l->xattrs)))
		return "extended attributes that can't be";
	if (l->xattrs && !(e->xattrs = arena_strdup(&m->arena, l->xattrs)))
		return "out of memory";
	if (l->type == ENTRY_SYMLINK && !(e->target = get_name(&m->arena, l->target, l->rawtarget)))
		return "a target that can't be";
	if (l->type != ENTRY_SYMLINK && (l->target || l->rawtarget))
		return "a target without a link";
	if (l->type == ENTRY_FILE)
		return file_fault(m, l, e);
	if (l->object || l->sha256 || l->size || l->offset || l->link || l->rawlink || l->sparse)
		return "bytes without a file";
	return NULL;
}

static int read_chain(struct manifest *m, const struct header *h, struct error *err)
{
	struct manifest last = {.chain = h->chain, .n_chain = h->n_chain};

	for (size_t i = 0; i < h->n_chain; i++) {
		int r = head_check_commit(&h->chain[i], h->epoch, "record: chain", err);

		if (r < 0)
			return r;
		if (h->chain[i].seq >= (i + 1 < h->n_chain ? h->chain[i + 1].seq : h->seq))
			return error_set(err, EINVAL, "record: chain: commits that are not in their order");
	}
	if (h->n_chain == 0)
		return 0;
	last.n_chain--;
	return manifest_chain(m, &last, &h->chain[last.n_chain]) < 0 ? error_set(err, ENOMEM, "out of memory") : 0;
}

static int read_header(struct stream_in *in, struct manifest *m, uint64_t *ret_entries, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *text;
	struct header h;
	size_t len;
	int r = stream_line(in, &text, &len);

	if (r <= 0)
		return error_set(err, EINVAL, "record: no header");
	r = format_parse(text, len, "record: line 1", &header_table, &a, &h, err);
	if (r < 0)
		return r;
	if (h.format != RECORD_FORMAT || (strcmp(h.kind, "base") != 0 && strcmp(h.kind, "delta") != 0))
		return error_set(err, EINVAL, "record: format %" PRIu32 ", kind \"%.40s\" is none that there is",
				 h.format, h.kind);
	if (!strcmp(h.kind, "delta") != (h.n_chain > 0))
		return error_set(err, EINVAL, "record: line 1: a chain without a delta, or a delta without one");
	r = read_chain(m, &h, err);
	if (r < 0)
		return r;
	if (h.entries > MANIFEST_MAX_ENTRIES || (h.mode & ~01777u) != 0)
		return error_set(err, EINVAL, "record: line 1: a number that can't be");
	if (h.xattrs && !xattrs_valid(h.xattrs))
		return error_set(err, EINVAL, "record: line 1: extended attributes that can't be");
	m->epoch = h.epoch;
	m->seq = h.seq;
	m->root = (struct entry){
	    .path = "", .type = ENTRY_DIR, .mode = (uint16_t)h.mode, .uid = h.uid, .gid = h.gid, .mtime_ns = h.mtime};
	if (h.xattrs && !(m->root.xattrs = arena_strdup(&m->arena, h.xattrs)))
		return error_set(err, ENOMEM, "out of memory");
	*ret_entries = h.entries;
	return 0;
}

static int read_entry(const char *text, size_t len, struct manifest *m, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char where[48];
	const char *fault;
	struct entry *e;
	struct line l;
	int r;

	snprintf(where, sizeof(where), "record: line %zu", m->n + 2);
	r = json_parse(text, len, where, &line_table, &a, &l, err);
	if (r < 0)
		return r;
	e = manifest_add(m);
	fault = e ? entry_fault(m, &l, e) : "out of memory";
	if (!fault && e->type == ENTRY_REMOVED && !record_is_delta(m))
		fault = "a removal in a base";
	return fault ? error_set(err, EINVAL, "%s: %s", where, fault) : 0;
}

static int read_all(struct stream_in *in, struct manifest *m, struct error *err)
{
	uint64_t entries = 0;
	const char *text;
	size_t len;
	int r = read_header(in, m, &entries, err);

	while (r == 0 && (r = stream_line(in, &text, &len)) > 0) {
		if (m->n == entries)
			return error_set(err, EINVAL, "record: more entries than its header says");
		r = read_entry(text, len, m, err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return err->code ? r : error_set(err, r, "record: line %zu can't be read (error %d)", m->n + 2, -r);
	if (m->n != entries)
		return error_set(err, EINVAL, "record: it ends after %zu of %" PRIu64 " entries", m->n, entries);
	for (size_t i = 1; i < m->n; i++)
		if (strcmp(m->entries[i - 1].path, m->entries[i].path) >= 0)
			return error_set(err, EINVAL, "record: line %zu is not in its place", i + 2);
	manifest_sort(m);
	r = record_is_delta(m) ? 0 : manifest_check(m, err);
	return r < 0 ? error_wrap(err, "record") : 0;
}

int record_read(struct stream_in *in, struct manifest *ret, struct error *err)
{
	struct manifest m = {0};
	int r;

	err->code = 0;
	r = read_all(in, &m, err);
	if (r < 0) {
		manifest_free(&m);
		return r;
	}
	*ret = m;
	return 0;
}

/* --- deltas ---------------------------------------------------------------------------- */

bool record_is_delta(const struct manifest *m)
{
	return m->n_chain > 0;
}

void record_forget_plain(struct manifest *m)
{
	for (size_t i = 0; i < m->n; i++) {
		struct entry *e = &m->entries[i];

		if (!entry_in_tree(e))
			e->flags |= ENTRY_DROP;
		else if (e->type != ENTRY_DIR)
			e->tag = NULL;
	}
	manifest_drop(m);
}

/* What the delta replaces and removes. What it adds is then at its begin. */
static int replace(struct manifest *m, struct manifest *delta)
{
	size_t n = 0;

	for (size_t i = 0; i < delta->n; i++) {
		struct entry *e = &delta->entries[i], *old = manifest_find(m, e->path);

		if (e->type == ENTRY_REMOVED && !old)
			return -EINVAL;
		if (e->type == ENTRY_REMOVED)
			old->flags |= ENTRY_DROP;
		else if (old)
			*old = *e;
		else
			delta->entries[n++] = *e;
	}
	delta->n = n;
	return 0;
}

int record_apply(struct manifest *m, struct manifest *delta, struct error *err)
{
	record_forget_plain(m);
	if (replace(m, delta) < 0)
		return error_set(err, EINVAL, "record of commit %" PRIu64 ": it doesn't fit the one before",
				 delta->seq);
	manifest_drop(m);
	if (manifest_merge(m, delta->entries, delta->n) < 0)
		return error_set(err, ENOMEM, "out of memory");
	m->root = delta->root;
	m->epoch = delta->epoch;
	m->seq = delta->seq;
	arena_join(&m->arena, &delta->arena);
	manifest_free(delta);
	return 0;
}
