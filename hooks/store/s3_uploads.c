/* SPDX-License-Identifier: Apache-2.0 */
/* Multipart uploads that were begun and never completed: their parts are paid for until somebody gives them up. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "hooks/store/s3_store.h"
#include "hooks/store/s3_xml.h"

#define PAGE_MAX (8u << 20)
#define PAGES_MAX 100

/* --- requests ------------------------------------------------------------------------- */

struct answer {
	struct verdict verdict;
	struct strbuf body;
};

static void answered(struct exchange *x)
{
	struct answer *a = x->user;

	a->verdict = x->verdict;
	a->body = x->body;
	x->body = (struct strbuf)STRBUF_INIT;
	exchange_free(x);
}

/* To its verdict; nothing else is under way. */
static void ask(struct http_store *s, struct s3_exchange *x, struct answer *ret)
{
	memset(ret, 0, sizeof(*ret));
	x->x.max_body = PAGE_MAX;
	x->x.user = ret;
	x->x.finished = answered;
	exchange_start(&x->x);
	while (http_store_step(s))
		;
}

static int give_up(struct http_store *s, const char *key, const char *id, struct error *err)
{
	struct s3_exchange *x;
	struct store_op op;
	struct answer a;

	store_op_init(&op, STORE_PUT, key);
	x = s3_exchange_new(s, S3_CALL_ABORT, &op);
	if (!x)
		return error_set(err, ENOMEM, "out of memory");
	x->call.upload_id = id;
	ask(s, x, &a);
	strbuf_free(&a.body);
	return a.verdict.result == STORE_OK
		   ? 0
		   : error_set(err, store_result_errno(a.verdict.result), "%s", a.verdict.reason);
}

/* --- a page ------------------------------------------------------------------------------ */

struct page {
	const char *prefix; /* whole, with that of the configuration */
	size_t cut;	    /* the length of that one */
	store_upload_fn fn;
	void *ctx;
	struct http_store *s;
	uint64_t given_up;
	/* The upload that is being read, and where the next page begins. */
	struct strbuf key, id, next_key, next_id;
	int64_t began;
	bool truncated;
};

static int64_t read_time(const struct s3_xml_event *e)
{
	struct tm tm = {0};
	char text[32];

	if (e->text_len >= sizeof(text))
		return INT64_MAX;
	memcpy(text, e->text, e->text_len);
	text[e->text_len] = '\0';
	/* What can't be read is never old. */
	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? (int64_t)timegm(&tm) : INT64_MAX;
}

static int text(const struct s3_xml_event *e, struct strbuf *out)
{
	strbuf_reset(out);
	return s3_xml_text(e->text, e->text_len, out);
}

static int read_field(struct page *p, const struct s3_xml_event *e)
{
	if (e->depth == 2 && s3_xml_is(e, "NextKeyMarker"))
		return text(e, &p->next_key);
	if (e->depth == 2 && s3_xml_is(e, "NextUploadIdMarker"))
		return text(e, &p->next_id);
	if (e->depth == 2 && s3_xml_is(e, "IsTruncated"))
		p->truncated = e->text_len == 4 && !memcmp(e->text, "true", 4);
	if (e->depth != 3)
		return 0;
	if (s3_xml_is(e, "Key"))
		return text(e, &p->key);
	if (s3_xml_is(e, "UploadId"))
		return text(e, &p->id);
	if (s3_xml_is(e, "Initiated"))
		p->began = read_time(e);
	return 0;
}

/* The end of an <Upload>. What was not asked for, or is no key of ours, is nobody's business here. */
static int consider(struct page *p, struct error *err)
{
	const char *key = strbuf_str(&p->key);
	int r = 0;

	if (p->id.len > 0 && strlen(key) == p->key.len && strlen(strbuf_str(&p->id)) == p->id.len &&
	    !strncmp(key, p->prefix, strlen(p->prefix)) && store_key_valid(key + p->cut) &&
	    p->fn(p->ctx, key + p->cut, p->began)) {
		r = give_up(p->s, key + p->cut, strbuf_str(&p->id), err);
		p->given_up += r == 0;
	}
	strbuf_reset(&p->key);
	strbuf_reset(&p->id);
	p->began = INT64_MAX;
	return r;
}

static int read_page(struct page *p, const char *xml, size_t len, struct error *err)
{
	struct s3_xml_event e;
	struct s3_xml x;
	int r;

	p->truncated = false;
	p->began = INT64_MAX;
	s3_xml_init(&x, xml, len);
	while ((r = s3_xml_next(&x, &e)) > 0) {
		if (e.depth == 1 && !s3_xml_is(&e, "ListMultipartUploadsResult"))
			return error_set(err, EINVAL, "the listing of uploads is none");
		if (e.kind != S3_XML_CLOSE)
			continue;
		r = e.depth == 2 && s3_xml_is(&e, "Upload") ? consider(p, err) : read_field(p, &e);
		if (r < 0)
			break;
	}
	return r < 0 && err->code == 0 ? error_set(err, EINVAL, "the listing of uploads can't be read") : r;
}

/* --- all --------------------------------------------------------------------------------- */

static int next_page(struct page *p, struct strbuf *key, struct strbuf *id, struct error *err)
{
	struct s3_exchange *x = s3_exchange_new(p->s, S3_CALL_UPLOADS, NULL);
	struct answer a;
	int r;

	if (!x)
		return error_set(err, ENOMEM, "out of memory");
	x->call.list_prefix = p->prefix;
	x->call.list_token = key->len > 0 ? strbuf_str(key) : NULL;
	x->call.upload_id = id->len > 0 ? strbuf_str(id) : NULL;
	strbuf_reset(&p->next_key);
	strbuf_reset(&p->next_id);
	ask(p->s, x, &a);
	r = a.verdict.result == STORE_OK ? read_page(p, strbuf_str(&a.body), a.body.len, err)
					 : error_set(err, store_result_errno(a.verdict.result), "%s", a.verdict.reason);
	strbuf_free(&a.body);
	strbuf_reset(key);
	strbuf_reset(id);
	strbuf_adds(key, strbuf_str(&p->next_key));
	strbuf_adds(id, strbuf_str(&p->next_id));
	return r;
}

int s3_give_up_uploads(struct store *base, const char *prefix, store_upload_fn fn, void *ctx, uint64_t *ret_n,
		       struct error *err)
{
	_cleanup_strbuf_ struct strbuf full = STRBUF_INIT, key = STRBUF_INIT, id = STRBUF_INIT;
	struct http_store *s = (struct http_store *)base;
	struct page p = {.cut = strlen(s->prefix), .fn = fn, .ctx = ctx, .s = s};
	unsigned pages = 0;
	int r;

	strbuf_addf(&full, "%s%s", s->prefix, prefix);
	if (full.failed)
		return error_set(err, ENOMEM, "out of memory");
	p.prefix = strbuf_str(&full);
	do
		r = next_page(&p, &key, &id, err);
	while (r == 0 && p.truncated && key.len > 0 && ++pages < PAGES_MAX);
	strbuf_free(&p.key);
	strbuf_free(&p.id);
	strbuf_free(&p.next_key);
	strbuf_free(&p.next_id);
	*ret_n = p.given_up;
	return r;
}
