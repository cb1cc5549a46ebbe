/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/store_azure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "hooks/store/azure_store.h"

#define SKEW_SECONDS 240 /* that no server minds */

static struct azure_store *store_of(const struct exchange *x)
{
	return (struct azure_store *)x->store;
}

static struct azure_exchange *of(struct exchange *x)
{
	return (struct azure_exchange *)x;
}

/* --- one attempt -------------------------------------------------------------------- */

struct azure_exchange *azure_exchange_new(struct http_store *s, enum azure_call_kind kind, const struct store_op *op)
{
	struct azure_exchange *x = exchange_new(s, sizeof(*x), op);

	if (!x)
		return NULL;
	x->call.kind = kind;
	x->call.op = op;
	return x;
}

/* What the caller knows of the body, and its MD5, which the server compares with what arrived. Once. */
static int hash_body(struct azure_exchange *x)
{
	const struct http_request *http = &x->x.http;
	bool whole = x->call.kind == AZURE_CALL_OP;
	int r;

	x->call.has_body = http->has_body;
	x->call.size = http->size;
	if (!http->has_body || x->call.md5 || (whole && x->call.op->kind != STORE_PUT))
		return 0;
	r = md5_body(http->size > 0 ? http->data : "", http->in_fd, http->in_offset, http->size,
		     whole ? x->call.op->sha256 : NULL, x->hash);
	x->call.md5 = r == 0 && x->hash[0] ? x->hash : NULL;
	return r;
}

static bool prepare(struct exchange *base)
{
	struct azure_exchange *x = of(base);
	struct azure_store *a = store_of(base);
	const struct credentials *c;
	int r;

	x->call.caps = a->http.base.caps;
	base->changes = azure_call_changes(&x->call);
	base->condition = azure_call_condition(&x->call);
	base->not_before_ns = x->not_before_ns;
	memset(&x->reply, 0, sizeof(x->reply));
	md5_free(x->md5);
	x->md5 = base->get && base->op->offset == 0 && base->op->length == 0 ? md5_new() : NULL;
	r = hash_body(x);
	if (r < 0)
		return exchange_bad_data(base, r);
	c = exchange_credentials(base);
	if (!c)
		return false;
	azure_request_free(&x->request);
	x->signed_at = (int64_t)time(NULL) + a->clock_offset;
	r = azure_request_build(&a->endpoint, c, &x->call, (time_t)x->signed_at, &x->request);
	if (r == -EINVAL) {
		verdict_set(&base->verdict, STORE_REFUSED, false, "the account's key is no base64");
		return false;
	}
	if (r < 0)
		return exchange_bad_data(base, r);
	base->http.method = x->request.method;
	base->http.url = strbuf_str(&x->request.url);
	base->http.headers = strbuf_str(&x->request.headers);
	return true;
}

static void release(struct exchange *base)
{
	azure_request_free(&of(base)->request);
	md5_free(of(base)->md5);
}

/* --- its end ------------------------------------------------------------------------ */

static void header(struct exchange *x, const char *name, const char *value)
{
	azure_reply_header(&x->reply, &of(x)->reply, name, value);
}

static void received(struct exchange *x, const char *data, size_t len)
{
	if (of(x)->md5 && of(x)->reply.md5[0])
		md5_update(of(x)->md5, data, len);
}

/* A Shared Key's signature is good for 15 minutes, by the server's clock: then by that. */
static bool set_clock(struct azure_exchange *x)
{
	const struct reply *r = &x->x.reply;

	if (r->status != 403 || strcmp(r->code, "AuthenticationFailed") != 0 || r->date == 0 ||
	    llabs(r->date - x->signed_at) <= SKEW_SECONDS)
		return false;
	store_of(&x->x)->clock_offset = r->date - (int64_t)time(NULL);
	return true;
}

static void judge(struct exchange *base)
{
	struct azure_exchange *x = of(base);
	char md5[MD5_BASE64_MAX];

	base->reply.object_size = base->reply.content_length;
	/* No word at all is nobody's own page. Of HEAD it says nothing: that never has one. */
	base->reply.genuine |= base->body.len == 0 && !base->changes && strcmp(base->http.method, "HEAD") != 0;
	azure_judge(&x->call, &base->reply, &x->reply, &base->verdict);
	base->verdict.again = set_clock(x);
	if (base->verdict.result != STORE_OK || !x->md5 || !x->reply.md5[0])
		return;
	md5_final(x->md5, md5);
	if (md5[0] && strcmp(md5, x->reply.md5) != 0)
		verdict_set(&base->verdict, STORE_CORRUPT, true, "what arrived does not fit its MD5");
}

/* --- ops and listings --------------------------------------------------------------- */

static void begin(struct http_store *s, struct store_op *op)
{
	struct azure_store *a = (struct azure_store *)s;
	struct azure_exchange *x;

	if (!azure_name_valid(s->prefix, op->key) ||
	    (op->kind == STORE_COPY && !azure_name_valid(s->prefix, op->source))) {
		http_store_fail(s, op, STORE_INVALID, "Azure can't hold this name");
		return;
	}
	if (azure_upload_wanted(a, op)) {
		azure_upload_begin(a, op);
		return;
	}
	if (op->kind == STORE_COPY) {
		azure_copy_begin(s, op);
		return;
	}
	if (op->kind == STORE_DELETE && op->key[strlen(op->key) - 1] == '/') {
		azure_delete_marker_begin(s, op);
		return;
	}
	x = azure_exchange_new(s, AZURE_CALL_OP, op);
	if (!x)
		http_store_fail(s, op, STORE_FAILED, "out of memory");
	else
		exchange_start_op(&x->x, op);
}

static struct exchange *list_page(struct http_store *s, const char *prefix, const char *token)
{
	struct azure_exchange *x = azure_exchange_new(s, AZURE_CALL_LIST, NULL);

	if (!x)
		return NULL;
	x->call.list_prefix = prefix;
	x->call.list_marker = token[0] ? token : NULL;
	return &x->x;
}

static const struct dialect dialect = {.prepare = prepare,
				       .header = header,
				       .received = received,
				       .judge = judge,
				       .release = release,
				       .begin = begin,
				       .list_page = list_page,
				       .list_read = azure_page_read};

/* --- opening ------------------------------------------------------------------------ */

static void azure_close(struct store *s)
{
	struct azure_store *a = (struct azure_store *)s;

	http_store_close(&a->http);
	azure_endpoint_free(&a->endpoint);
	free(a);
}

static const struct store_vtable azure_vtable = {.type = "azure",
						 .close = azure_close,
						 .run = http_store_run,
						 .list = http_store_list,
						 .rest = http_store_rest,
						 .credentials = http_store_credentials};

void store_azure_part_size(struct store *s, uint64_t bytes)
{
	((struct azure_store *)s)->part_size = bytes;
}

static int open_parts(struct azure_store *a, const struct store_config *config, struct error *err)
{
	char *place = NULL;
	int r = azure_endpoint_init(config, &a->endpoint, err);

	if (r == 0)
		r = credentials_open(config, CREDENTIALS_AZURE, &a->http.credentials, err);
	if (r < 0)
		return r;
	a->http.url = a->endpoint.url;
	a->http.prefix = a->endpoint.prefix;
	a->http.base.caps = STORE_CAP_COPY; /* the rest is the probe's to find: emulators differ */
	if (asprintf(&place, "container %s", config->container) < 0)
		place = NULL;
	return http_store_open(&a->http, config, &azure_vtable, &dialect, place, err);
}

int store_azure_open(const struct store_config *config, struct store **ret, struct error *err)
{
	struct azure_store *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return error_set(err, ENOMEM, "store \"%s\": out of memory", config->name);
	r = open_parts(a, config, err);
	if (r < 0) {
		azure_close(&a->http.base);
		return r;
	}
	*ret = &a->http.base;
	return 0;
}
