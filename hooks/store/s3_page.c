/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "hooks/store/s3_xml.h"

/* What stands beside the keys, wherever it stands. */
struct page_head {
	bool url, truncated, has_truncated;
	struct s3_xml_event token;
};

static bool is_text(const struct s3_xml_event *e, const char *text)
{
	return e->text_len == strlen(text) && !memcmp(e->text, text, e->text_len);
}

/* Through the whole document: nothing is reported of one that was cut. */
static int read_head(const char *xml, size_t len, struct page_head *ret)
{
	struct s3_xml_event e;
	struct s3_xml x;
	int r;

	s3_xml_init(&x, xml, len);
	while ((r = s3_xml_next(&x, &e)) > 0) {
		if (e.depth == 1 && !s3_xml_is(&e, "ListBucketResult"))
			return -EINVAL;
		if (e.depth != 2 || e.kind != S3_XML_CLOSE)
			continue;
		if (s3_xml_is(&e, "EncodingType")) {
			ret->url = is_text(&e, "url");
		} else if (s3_xml_is(&e, "NextContinuationToken")) {
			ret->token = e;
		} else if (s3_xml_is(&e, "IsTruncated")) {
			ret->truncated = is_text(&e, "true");
			if (!ret->truncated && !is_text(&e, "false"))
				return -EINVAL;
			ret->has_truncated = true;
		}
	}
	return r == 0 && !ret->has_truncated ? -EINVAL : r;
}

/* encoding-type=url: '+' is a space (AWS writes it so), %XX a byte. In place. -EINVAL; *ret_nul: it holds one. */
static int url_decode(struct strbuf *b, bool *ret_nul)
{
	char *out = b->data;

	for (const char *p = b->data; p < b->data + b->len; p++) {
		if (*p == '+') {
			*out++ = ' ';
		} else if (*p != '%') {
			*out++ = *p;
		} else {
			char hex[3] = {0}, c;

			if (b->data + b->len - p < 3)
				return -EINVAL;
			memcpy(hex, p + 1, 2);
			if (hex_decode(hex, &c, 1) < 0)
				return -EINVAL;
			*ret_nul |= c == '\0';
			*out++ = c;
			p += 2;
		}
	}
	*out = '\0';
	b->len = (size_t)(out - b->data);
	return 0;
}

void s3_tag(const char *etag, size_t len, char ret[STORE_TAG_MAX])
{
	ret[0] = '\0';
	if (len >= 2 && etag[0] == '"' && etag[len - 1] == '"') {
		etag++;
		len -= 2;
	}
	if (len >= STORE_TAG_MAX)
		return;
	for (size_t i = 0; i < len; i++)
		if (etag[i] <= 0x20 || etag[i] >= 0x7f || etag[i] == '"')
			return;
	memcpy(ret, etag, len);
	ret[len] = '\0';
}

/* "2026-11-21T01:26:55.123Z". 0 when it can't be read: a time only advises. */
static int64_t read_time(const struct s3_xml_event *e)
{
	struct tm tm = {0};
	char text[32];

	if (e->text_len >= sizeof(text))
		return 0;
	memcpy(text, e->text, e->text_len);
	text[e->text_len] = '\0';
	if (!strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
		return 0;
	return (int64_t)timegm(&tm);
}

/* One <Contents>. */
struct entry {
	struct strbuf key, text;
	char tag[STORE_TAG_MAX];
	struct store_list_item item;
	bool has_key, has_size, nul;
};

static int read_field(struct entry *n, const struct s3_xml_event *e, bool url)
{
	int r = 0;

	if (s3_xml_is(e, "Key")) {
		n->has_key = true;
		strbuf_add(&n->key, "", 0);
		r = s3_xml_text(e->text, e->text_len, &n->key);
		if (r == 0 && url)
			r = url_decode(&n->key, &n->nul);
	} else if (s3_xml_is(e, "Size")) {
		strbuf_reset(&n->text);
		strbuf_add(&n->text, e->text, e->text_len);
		n->has_size = num_parse_u64(strbuf_str(&n->text), INT64_MAX, &n->item.size) == 0;
	} else if (s3_xml_is(e, "ETag")) {
		strbuf_reset(&n->text);
		r = s3_xml_text(e->text, e->text_len, &n->text);
		s3_tag(strbuf_str(&n->text), n->text.len, n->tag);
	} else if (s3_xml_is(e, "LastModified")) {
		n->item.mtime = read_time(e);
	}
	return n->text.failed || n->key.failed ? -ENOMEM : r;
}

static int report(struct entry *n, const char *prefix, size_t cut, store_list_fn fn, void *ctx, struct error *err)
{
	int r = 0;

	if (!n->has_key || !n->has_size)
		return error_set(err, EINVAL, "an entry without key or size");
	if (!n->nul) {
		if (strncmp(n->key.data, prefix, strlen(prefix)) != 0)
			return error_set(err, EINVAL, "a key that was not asked for");
		n->item.key = n->key.data + cut;
		n->item.tag = n->tag;
		r = fn(ctx, &n->item, err);
	}
	strbuf_reset(&n->key);
	n->tag[0] = '\0';
	n->has_key = n->has_size = n->nul = false;
	n->item = (struct store_list_item){0};
	return r < 0 ? r : 0;
}

static int read_entries(const char *xml, size_t len, const char *prefix, size_t cut, bool url, store_list_fn fn,
			void *ctx, size_t *ret_keys, struct error *err)
{
	struct entry n = {.key = STRBUF_INIT, .text = STRBUF_INIT};
	struct s3_xml_event e;
	struct s3_xml x;
	bool inside = false;
	int r = 0;

	s3_xml_init(&x, xml, len);
	while (r >= 0 && s3_xml_next(&x, &e) > 0) {
		if (e.depth == 2) {
			inside = e.kind == S3_XML_OPEN && s3_xml_is(&e, "Contents");
			if (e.kind == S3_XML_CLOSE && s3_xml_is(&e, "Contents")) {
				++*ret_keys;
				r = report(&n, prefix, cut, fn, ctx, err);
			}
		} else if (e.depth == 3 && inside && e.kind == S3_XML_CLOSE) {
			r = read_field(&n, &e, url);
			if (r < 0)
				error_set(err, r, "an entry that can't be read");
		}
	}
	strbuf_free(&n.key);
	strbuf_free(&n.text);
	return r;
}

int s3_page_read(const char *xml, size_t len, const char *prefix, size_t cut, store_list_fn fn, void *ctx,
		 struct s3_page *ret, struct error *err)
{
	struct page_head head = {0};
	int r = read_head(xml, len, &head);

	memset(ret, 0, sizeof(*ret));
	if (r < 0)
		return error_set(err, EINVAL, "the listing is cut or no listing");
	ret->truncated = head.truncated;
	if (head.truncated) {
		if (!head.token.name || head.token.text_len == 0)
			return error_set(err, EINVAL, "the listing goes on, but does not say where");
		r = s3_xml_text(head.token.text, head.token.text_len, &ret->token);
		if (r < 0)
			return error_set(err, EINVAL, "the listing's token can't be read");
	}
	return read_entries(xml, len, prefix, cut, head.url, fn, ctx, &ret->keys, err);
}
