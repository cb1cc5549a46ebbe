/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/store_s3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "hooks/store/s3_store.h"
#include "hooks/store/s3_xml.h"

#define WORK_BYTES (UINT64_C(16) << 20) /* of a copy, each second */
#define WORK_SECONDS_MAX 600

static struct s3_store *store_of(const struct exchange *x)
{
	return (struct s3_store *)x->store;
}

/* --- one attempt -------------------------------------------------------------------- */

struct s3_exchange *s3_exchange_new(struct http_store *s, enum s3_call_kind kind, const struct store_op *op)
{
	struct s3_exchange *x = exchange_new(s, sizeof(*x), op);

	if (!x)
		return NULL;
	x->call.kind = kind;
	x->call.op = op;
	return x;
}

uint32_t s3_work_seconds(uint64_t bytes)
{
	uint64_t seconds = bytes / WORK_BYTES;

	return seconds < WORK_SECONDS_MAX ? (uint32_t)seconds : WORK_SECONDS_MAX;
}

/*
 * The hash of the body, which the server checks. Over TLS a file whose hash nobody
 * knows goes unsigned (TLS guards it); without TLS it is read once before.
 */
static int hash_body(struct s3_exchange *x)
{
	const struct http_request *http = &x->x.http;
	const struct store_op *op = x->call.op;
	uint64_t len;
	int r;

	if (!http->has_body || x->call.payload_hash)
		return 0;
	x->call.payload_hash = x->hash;
	if (http->data || http->size == 0) {
		sha256_hex(http->data ? http->data : "", (size_t)http->size, x->hash);
		/* What the caller knows is what must arrive. */
		if (x->call.kind == S3_CALL_OP && op->sha256 && strcmp(op->sha256, x->hash) != 0)
			return -EBADMSG;
	} else if (x->call.kind == S3_CALL_OP && op->sha256) {
		x->call.payload_hash = op->sha256;
	} else if (store_of(&x->x)->endpoint.tls) {
		x->call.payload_hash = S3_UNSIGNED;
	} else {
		r = sha256_fd(http->in_fd, http->in_offset, http->size, x->hash, &len);
		return r < 0 ? r : len == http->size ? 0 : -EBADMSG;
	}
	return 0;
}

static bool prepare(struct exchange *base)
{
	struct s3_exchange *x = (struct s3_exchange *)base;
	struct s3_store *s3 = store_of(base);
	const struct credentials *keys;
	struct s3_credentials c;
	int r;

	x->call.quirks = s3->http.base.quirks;
	x->call.caps = s3->http.base.caps;
	base->changes = s3_call_changes(&x->call);
	base->condition = s3_call_condition(&x->call);
	r = hash_body(x);
	if (r < 0)
		return exchange_bad_data(base, r);
	keys = exchange_credentials(base);
	if (!keys)
		return false;
	c = (struct s3_credentials){keys->id, keys->secret, keys->token};
	s3_request_free(&x->request);
	snprintf(x->region, sizeof(x->region), "%s", s3->endpoint.region);
	x->signed_at = (int64_t)time(NULL) + s3->clock_offset;
	r = s3_request_build(&s3->endpoint, &c, &x->call, (time_t)x->signed_at, &x->request);
	if (r < 0)
		return exchange_bad_data(base, r);
	base->http.method = x->request.method;
	base->http.url = strbuf_str(&x->request.url);
	base->http.headers = strbuf_str(&x->request.headers);
	return true;
}

static void release(struct exchange *base)
{
	s3_request_free(&((struct s3_exchange *)base)->request);
}

/* --- its end ------------------------------------------------------------------------ */

static void header(struct exchange *x, const char *name, const char *value)
{
	s3_reply_header(&x->reply, name, value);
}

/* Answers that say 200 and then tell an error, or nothing that was asked for: of a copy in a document. */
static bool find_tag(struct exchange *base)
{
	const struct s3_call *call = &((struct s3_exchange *)base)->call;
	_cleanup_strbuf_ struct strbuf etag = STRBUF_INIT;

	if (call->kind == S3_CALL_OP && call->op->kind == STORE_PUT)
		return base->reply.tag[0];
	if (call->kind != S3_CALL_COMPLETE &&
	    (call->op->kind != STORE_COPY || (call->kind != S3_CALL_OP && call->kind != S3_CALL_PART)))
		return true;
	if (s3_xml_find(strbuf_str(&base->body), base->body.len, NULL, "ETag", &etag) < 0)
		return false;
	s3_tag(strbuf_str(&etag), etag.len, base->reply.tag);
	return true;
}

static void judge(struct exchange *x)
{
	if (!x->get || x->http.status >= 300)
		s3_reply_error(&x->reply, strbuf_str(&x->body), x->body.len);
	x->reply.genuine |= s3_says_nothing(x);
	x->reply.object_size = x->reply.content_length;
	s3_judge(&((struct s3_exchange *)x)->call, &x->reply, &x->verdict);
	s3_mend((struct s3_exchange *)x);
	if (x->verdict.result != STORE_OK || !x->changes || find_tag(x))
		return;
	verdict_set(&x->verdict, STORE_UNKNOWN, x->condition == STORE_ANY, "object store answered without a result");
	x->verdict.ambiguous = true;
}

/* --- ops and listings --------------------------------------------------------------- */

static void begin(struct http_store *s, struct store_op *op)
{
	struct s3_store *s3 = (struct s3_store *)s;
	struct s3_exchange *x;

	if (s3_upload_wanted(s3, op)) {
		s3_upload_begin(s3, op);
		return;
	}
	x = s3_exchange_new(s, S3_CALL_OP, op);
	if (!x) {
		http_store_fail(s, op, STORE_FAILED, "out of memory");
		return;
	}
	if (op->kind == STORE_COPY) {
		x->x.http.has_body = true; /* of size 0: some servers want a Content-Length */
		x->x.http.work_seconds = s3_work_seconds(op->size);
	}
	exchange_start_op(&x->x, op);
}

static struct exchange *list_page(struct http_store *s, const char *prefix, const char *token)
{
	struct s3_exchange *x = s3_exchange_new(s, S3_CALL_LIST, NULL);

	if (!x)
		return NULL;
	x->call.list_prefix = prefix;
	x->call.list_token = token[0] ? token : NULL;
	return &x->x;
}

static int list_read(const char *body, size_t len, const char *prefix, size_t cut, store_list_fn fn, void *ctx,
		     struct strbuf *token, struct error *err)
{
	struct s3_page page = {0};
	int r = s3_page_read(body, len, prefix, cut, fn, ctx, &page, err);

	if (r == 0 && page.truncated)
		strbuf_adds(token, strbuf_str(&page.token));
	strbuf_free(&page.token);
	return r;
}

static const struct dialect dialect = {.prepare = prepare,
				       .header = header,
				       .judge = judge,
				       .release = release,
				       .begin = begin,
				       .list_page = list_page,
				       .list_read = list_read};

/* --- opening ------------------------------------------------------------------------ */

static void s3_close(struct store *s)
{
	struct s3_store *s3 = (struct s3_store *)s;

	http_store_close(&s3->http);
	s3_endpoint_free(&s3->endpoint);
	free(s3);
}

static const struct store_vtable s3_vtable = {.type = "s3",
					      .close = s3_close,
					      .run = http_store_run,
					      .list = http_store_list,
					      .rest = http_store_rest,
					      .give_up = s3_give_up_uploads,
					      .credentials = http_store_credentials};

void store_s3_part_size(struct store *s, uint64_t bytes)
{
	struct s3_store *s3 = (struct s3_store *)s;

	s3->part_size = bytes;
	s3_upload_sizes(s3);
}

static int open_parts(struct s3_store *s3, const struct store_config *config, struct error *err)
{
	char *place = NULL;
	int r = s3_endpoint_init(config, &s3->endpoint, err);

	if (r == 0)
		r = credentials_open(config, CREDENTIALS_S3, &s3->http.credentials, err);
	if (r < 0)
		return r;
	s3->http.url = s3->endpoint.url;
	s3->http.prefix = s3->endpoint.prefix;
	s3->http.base.caps = STORE_CAP_COPY;
	s3_upload_sizes(s3);
	if (asprintf(&place, "bucket %s", config->bucket) < 0)
		place = NULL;
	return http_store_open(&s3->http, config, &s3_vtable, &dialect, place, err);
}

int store_s3_open(const struct store_config *config, struct store **ret, struct error *err)
{
	struct s3_store *s3 = calloc(1, sizeof(*s3));
	int r;

	if (!s3)
		return error_set(err, ENOMEM, "store \"%s\": out of memory", config->name);
	r = open_parts(s3, config, err);
	if (r < 0) {
		s3_close(&s3->http.base);
		return r;
	}
	*ret = &s3->http.base;
	return 0;
}
