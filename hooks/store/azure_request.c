/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/store/azure.h"
#include "hooks/store/sign.h"
#include "hooks/store/sign_sigv4.h"
#include "hooks/store/store_impl.h"

#define VERSION "2021-12-02"
#define MAX_HEADERS 12
#define MAX_QUERY 6

struct pair {
	const char *name, *value;
};

/* A request under construction. */
struct draft {
	struct pair headers[MAX_HEADERS]; /* names in lower case */
	size_t n_headers;
	struct pair query[MAX_QUERY];
	size_t n_query;
	struct strbuf source, range, tag;
	char length[24], date[40];
	const char *method;
};

static void header(struct draft *d, const char *name, const char *value)
{
	d->headers[d->n_headers++] = (struct pair){name, value};
}

static void query(struct draft *d, const char *name, const char *value)
{
	d->query[d->n_query++] = (struct pair){name, value};
}

bool azure_call_changes(const struct azure_call *call)
{
	if (call->kind == AZURE_CALL_LIST || call->kind == AZURE_CALL_POLL)
		return false;
	return call->kind != AZURE_CALL_OP || store_op_changes(call->op);
}

enum store_condition azure_call_condition(const struct azure_call *call)
{
	bool carries =
	    call->kind == AZURE_CALL_LIST_BLOCKS || (call->kind == AZURE_CALL_OP && store_op_changes(call->op));

	unsigned needed = carries && call->op->kind == STORE_DELETE ? STORE_CAP_DELETE_IF
			  : carries && call->op->kind == STORE_COPY ? STORE_CAP_COPY_IF
								    : 0;

	if (!carries)
		return STORE_ANY;
	if (call->if_tag)
		return STORE_IF_TAG;
	return (call->caps & needed) == needed ? call->op->condition : STORE_ANY;
}

static bool is_marker(const char *key)
{
	return key[strlen(key) - 1] == '/';
}

static void draft_metadata(struct draft *d, const struct store_op *op)
{
	if (op->mark)
		header(d, "x-ms-meta-volrun", op->mark);
	if (is_marker(op->key)) {
		header(d, "x-ms-meta-hdi_isfolder", "true");
		header(d, "x-ms-meta-volrundir", "1");
	}
}

static void draft_condition(struct draft *d, const struct azure_call *call)
{
	switch (azure_call_condition(call)) {
	case STORE_ANY:
		break;
	case STORE_IF_ABSENT:
		header(d, "if-none-match", "*");
		break;
	case STORE_IF_TAG:
		strbuf_addf(&d->tag, "\"%s\"", call->if_tag ? call->if_tag : call->op->if_tag);
		header(d, "if-match", strbuf_str(&d->tag));
		break;
	}
}

static void add_path(struct strbuf *out, const struct azure_endpoint *e, const char *key)
{
	strbuf_addf(out, "%s/", e->base);
	sigv4_encode(out, e->container, false);
	if (!key)
		return;
	strbuf_addc(out, '/');
	sigv4_encode(out, e->prefix, true);
	sigv4_encode(out, key, true);
}

/* The source's URL; a shared access signature authorizes for it alone, too. */
static void draft_source(struct draft *d, const struct azure_endpoint *e, const struct credentials *c,
			 const struct store_op *op)
{
	strbuf_adds(&d->source, e->url);
	add_path(&d->source, e, op->source);
	if (c->kind == CREDENTIALS_SAS)
		strbuf_addf(&d->source, "?%s", c->token);
	header(d, "x-ms-copy-source", strbuf_str(&d->source));
}

static void draft_op(struct draft *d, const struct azure_endpoint *e, const struct credentials *c,
		     const struct azure_call *call)
{
	static const char *const methods[] = {
	    [STORE_GET] = "GET",       [STORE_PUT] = "PUT",  [STORE_HEAD] = "HEAD",
	    [STORE_DELETE] = "DELETE", [STORE_COPY] = "PUT",
	};
	const struct store_op *op = call->op;

	d->method = methods[op->kind];
	if (op->kind == STORE_GET && (op->offset > 0 || op->length > 0)) {
		strbuf_addf(&d->range, "bytes=%" PRIu64 "-", op->offset);
		if (op->length > 0)
			strbuf_addf(&d->range, "%" PRIu64, op->offset + op->length - 1);
		header(d, "x-ms-range", strbuf_str(&d->range));
	}
	if (op->kind == STORE_PUT) {
		header(d, "x-ms-blob-type", "BlockBlob");
		header(d, "content-type", op->content_type ? op->content_type : "application/octet-stream");
	}
	if (op->kind == STORE_COPY)
		draft_source(d, e, c, op);
	if (op->kind == STORE_PUT || op->kind == STORE_COPY)
		draft_metadata(d, op);
	if (op->kind == STORE_DELETE)
		header(d, "x-ms-delete-snapshots", "include");
	draft_condition(d, call);
}

static void draft_call(struct draft *d, const struct azure_endpoint *e, const struct credentials *c,
		       const struct azure_call *call)
{
	switch (call->kind) {
	case AZURE_CALL_OP:
		draft_op(d, e, c, call);
		break;
	case AZURE_CALL_POLL:
		d->method = "HEAD";
		break;
	case AZURE_CALL_BLOCK:
		d->method = "PUT";
		query(d, "blockid", call->block);
		query(d, "comp", "block");
		break;
	case AZURE_CALL_LIST_BLOCKS:
		d->method = "PUT";
		query(d, "comp", "blocklist");
		header(d, "content-type", "application/xml");
		header(d, "x-ms-blob-content-type",
		       call->op->content_type ? call->op->content_type : "application/octet-stream");
		draft_metadata(d, call->op);
		draft_condition(d, call);
		break;
	case AZURE_CALL_LIST:
		d->method = "GET";
		query(d, "comp", "list");
		query(d, "include", "metadata");
		if (call->list_marker)
			query(d, "marker", call->list_marker);
		query(d, "maxresults", "1000");
		query(d, "prefix", call->list_prefix);
		query(d, "restype", "container");
		break;
	}
}

/* --- signing -------------------------------------------------------------------------- */

static const char *value_of(const struct draft *d, const char *name)
{
	for (size_t i = 0; i < d->n_headers; i++)
		if (!strcmp(d->headers[i].name, name))
			return d->headers[i].value;
	return "";
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->name, ((const struct pair *)b)->name);
}

/* "Authorize with Shared Key": what both sides sign. The names of the query are drafted in order. */
static void string_to_sign(struct draft *d, const struct azure_endpoint *e, const char *path, struct strbuf *out)
{
	static const char *const standard[] = {
	    "content-encoding",	 "content-language", NULL /* length */, "content-md5",	       "content-type", "date",
	    "if-modified-since", "if-match",	     "if-none-match",	"if-unmodified-since", "range"};

	strbuf_addf(out, "%s\n", d->method);
	for (size_t i = 0; i < ARRAY_SIZE(standard); i++)
		strbuf_addf(out, "%s\n", standard[i] ? value_of(d, standard[i]) : d->length);
	qsort(d->headers, d->n_headers, sizeof(d->headers[0]), by_name);
	for (size_t i = 0; i < d->n_headers; i++)
		if (!strncmp(d->headers[i].name, "x-ms-", 5))
			strbuf_addf(out, "%s:%s\n", d->headers[i].name, d->headers[i].value);
	strbuf_addf(out, "/%s%s", e->account, path);
	for (size_t i = 0; i < d->n_query; i++)
		strbuf_addf(out, "\n%s:%s", d->query[i].name, d->query[i].value);
}

static int sign(struct draft *d, const struct azure_endpoint *e, const struct credentials *c, const char *path,
		struct strbuf *headers)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT, key = STRBUF_INIT, signature = STRBUF_INIT;
	unsigned char mac[SHA256_LEN];
	int r;

	if (c->kind == CREDENTIALS_BEARER)
		strbuf_addf(headers, "authorization: Bearer %s\n", c->token);
	if (c->kind != CREDENTIALS_SHARED_KEY)
		return 0;
	r = base64_decode(&key, c->secret);
	if (r < 0)
		return r;
	string_to_sign(d, e, path, &text);
	hmac_sha256(key.data, key.len, strbuf_str(&text), text.len, mac);
	explicit_bzero(key.data, key.len);
	base64_encode(&signature, mac, sizeof(mac));
	strbuf_addf(headers, "authorization: SharedKey %s:%s\n", e->account, strbuf_str(&signature));
	return text.failed || signature.failed ? -ENOMEM : 0;
}

/* "Sat, 21 Nov 2026 01:26:55 GMT", in English whatever the locale. */
static void http_date(time_t now, char ret[40])
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = {0};

	gmtime_r(&now, &tm);
	snprintf(ret, 40, "%.3s, %02d %.3s %d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday, tm.tm_mday,
		 months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static int draft_write(struct draft *d, const struct azure_endpoint *e, const struct credentials *c,
		       const struct azure_call *call, struct azure_request *ret)
{
	_cleanup_strbuf_ struct strbuf path = STRBUF_INIT;
	int r;

	add_path(&path, e, call->kind == AZURE_CALL_LIST ? NULL : call->op->key);
	r = sign(d, e, c, strbuf_str(&path), &ret->headers);
	for (size_t i = 0; i < d->n_headers; i++)
		strbuf_addf(&ret->headers, "%s: %s\n", d->headers[i].name, d->headers[i].value);
	strbuf_addf(&ret->url, "%s%s", e->url, strbuf_str(&path));
	for (size_t i = 0; i < d->n_query; i++) {
		strbuf_addf(&ret->url, "%c%s=", i == 0 ? '?' : '&', d->query[i].name);
		sigv4_encode(&ret->url, d->query[i].value, false);
	}
	if (c->kind == CREDENTIALS_SAS)
		strbuf_addf(&ret->url, "%c%s", d->n_query == 0 ? '?' : '&', c->token);
	return path.failed ? -ENOMEM : r;
}

int azure_request_build(const struct azure_endpoint *e, const struct credentials *c, const struct azure_call *call,
			time_t now, struct azure_request *ret)
{
	struct draft d = {.n_headers = 0};
	bool failed;
	int r;

	memset(ret, 0, sizeof(*ret));
	draft_call(&d, e, c, call);
	http_date(now, d.date);
	header(&d, "x-ms-date", d.date);
	header(&d, "x-ms-version", VERSION);
	if (call->md5)
		header(&d, "content-md5", call->md5);
	if (call->has_body && call->size > 0)
		snprintf(d.length, sizeof(d.length), "%" PRIu64, call->size);
	r = draft_write(&d, e, c, call, ret);
	ret->method = d.method;
	failed = d.source.failed || d.range.failed || d.tag.failed || ret->url.failed || ret->headers.failed;
	strbuf_free(&d.source);
	strbuf_free(&d.range);
	strbuf_free(&d.tag);
	if (failed || r < 0)
		azure_request_free(ret);
	return failed ? -ENOMEM : r;
}

void azure_request_free(struct azure_request *r)
{
	strbuf_free(&r->url);
	/* A token, or an account's signature. */
	if (r->headers.data)
		explicit_bzero(r->headers.data, r->headers.cap);
	strbuf_free(&r->headers);
}

void azure_block_id(const char *upload, unsigned number, char ret[AZURE_BLOCK_MAX])
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	char name[32];

	snprintf(name, sizeof(name), "%.16s-%06u", upload, number);
	base64_encode(&text, name, strlen(name));
	snprintf(ret, AZURE_BLOCK_MAX, "%s", strbuf_str(&text));
}

void azure_block_list(struct strbuf *out, const char *upload, unsigned n)
{
	char id[AZURE_BLOCK_MAX];

	strbuf_adds(out, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
	for (unsigned i = 0; i < n; i++) {
		azure_block_id(upload, i, id);
		strbuf_addf(out, "<Latest>%s</Latest>", id);
	}
	strbuf_adds(out, "</BlockList>");
}
