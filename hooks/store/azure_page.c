/* SPDX-License-Identifier: Apache-2.0 */
/* One page of List Blobs: <EnumerationResults> <Blobs> <Blob> ... and <NextMarker>. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "hooks/store/azure.h"
#include "hooks/store/s3_xml.h"

static bool is_text(const struct s3_xml_event *e, const char *text)
{
	return e->text_len == strlen(text) && !memcmp(e->text, text, e->text_len);
}

/* Through the whole document: nothing is reported of one that was cut. */
static int read_head(const char *xml, size_t len, struct strbuf *marker)
{
	struct s3_xml_event e, next = {0};
	bool blobs = false;
	struct s3_xml x;
	int r;

	s3_xml_init(&x, xml, len);
	while ((r = s3_xml_next(&x, &e)) > 0) {
		if (e.depth == 1 && !s3_xml_is(&e, "EnumerationResults"))
			return -EINVAL;
		if (e.depth != 2 || e.kind != S3_XML_CLOSE)
			continue;
		if (s3_xml_is(&e, "NextMarker"))
			next = e;
		blobs |= s3_xml_is(&e, "Blobs");
	}
	if (r < 0 || !blobs)
		return -EINVAL;
	return next.text_len > 0 ? s3_xml_text(next.text, next.text_len, marker) : 0;
}

/* One <Blob>. */
struct entry {
	struct strbuf key, text;
	char tag[STORE_TAG_MAX];
	struct store_list_item item;
	bool has_key, has_size, directory, folder, ours;
	bool properties, metadata; /* within which of them it is */
};

static int64_t read_time(const char *text)
{
	struct tm tm = {0};

	return strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) ? (int64_t)timegm(&tm) : 0;
}

static int read_field(struct entry *n, const struct s3_xml_event *e)
{
	int r = 0;

	if (e->depth == 4 && s3_xml_is(e, "Name")) {
		n->has_key = true;
		strbuf_add(&n->key, "", 0);
		r = s3_xml_text(e->text, e->text_len, &n->key);
		return n->key.failed ? -ENOMEM : r;
	}
	if (e->depth != 5 || !e->text)
		return 0;
	strbuf_reset(&n->text);
	r = s3_xml_text(e->text, e->text_len, &n->text);
	if (n->properties && s3_xml_is(e, "Content-Length"))
		n->has_size = num_parse_u64(strbuf_str(&n->text), INT64_MAX, &n->item.size) == 0;
	else if (n->properties && s3_xml_is(e, "Etag"))
		s3_tag(strbuf_str(&n->text), n->text.len, n->tag);
	else if (n->properties && s3_xml_is(e, "Last-Modified"))
		n->item.mtime = read_time(strbuf_str(&n->text));
	else if (n->properties && s3_xml_is(e, "ResourceType"))
		n->directory = is_text(e, "directory");
	else if (n->metadata && s3_xml_is(e, "hdi_isfolder"))
		n->folder = is_text(e, "true");
	else if (n->metadata && s3_xml_is(e, "volrundir"))
		n->ours = true;
	return n->text.failed ? -ENOMEM : r;
}

static void entry_reset(struct entry *n)
{
	strbuf_reset(&n->key);
	n->tag[0] = '\0';
	n->has_key = n->has_size = n->directory = n->folder = n->ours = false;
	n->item = (struct store_list_item){0};
}

/*
 * The namespace's own directories are nobody's wish. A folder's blob without a '/' in an account without a namespace
 * could not be read under a marker's key.
 */
static int report(struct entry *n, const char *prefix, size_t cut, store_list_fn fn, void *ctx, struct error *err)
{
	bool folder = n->directory || n->folder;

	if (!n->has_key || (!n->has_size && !folder))
		return error_set(err, EINVAL, "an entry without name or size");
	if (n->directory ? !n->ours : folder && n->key.data[n->key.len ? n->key.len - 1 : 0] != '/')
		return 0;
	if (folder && n->key.len > 0 && n->key.data[n->key.len - 1] != '/')
		strbuf_addc(&n->key, '/');
	if (n->key.failed)
		return error_set(err, ENOMEM, "out of memory");
	if (strncmp(n->key.data, prefix, strlen(prefix)) != 0)
		return error_set(err, EINVAL, "a name that was not asked for");
	n->item.key = n->key.data + cut;
	n->item.tag = n->tag;
	return fn(ctx, &n->item, err);
}

static int read_entries(const char *xml, size_t len, const char *prefix, size_t cut, store_list_fn fn, void *ctx,
			struct error *err)
{
	struct entry n = {.key = STRBUF_INIT, .text = STRBUF_INIT};
	struct s3_xml_event e;
	struct s3_xml x;
	bool inside = false;
	int r = 0;

	s3_xml_init(&x, xml, len);
	while (r >= 0 && s3_xml_next(&x, &e) > 0) {
		if (e.depth == 3) {
			inside = e.kind == S3_XML_OPEN && s3_xml_is(&e, "Blob");
			if (e.kind == S3_XML_CLOSE && s3_xml_is(&e, "Blob")) {
				r = report(&n, prefix, cut, fn, ctx, err);
				entry_reset(&n);
			}
		} else if (e.depth == 4 && e.kind == S3_XML_OPEN) {
			/* Metadata is anybody's, and may be called as a property is. */
			n.properties = s3_xml_is(&e, "Properties");
			n.metadata = s3_xml_is(&e, "Metadata");
		} else if (e.depth > 3 && inside && e.kind == S3_XML_CLOSE) {
			r = read_field(&n, &e);
			if (r < 0)
				error_set(err, r, "an entry that can't be read");
		}
	}
	strbuf_free(&n.key);
	strbuf_free(&n.text);
	return r < 0 ? r : 0;
}

int azure_page_read(const char *xml, size_t len, const char *prefix, size_t cut, store_list_fn fn, void *ctx,
		    struct strbuf *marker, struct error *err)
{
	/* Azure begins with a byte order mark. */
	if (len >= 3 && !memcmp(xml, "\xef\xbb\xbf", 3)) {
		xml += 3;
		len -= 3;
	}
	if (read_head(xml, len, marker) < 0)
		return error_set(err, EINVAL, "the listing is cut or no listing");
	return read_entries(xml, len, prefix, cut, fn, ctx, err);
}
