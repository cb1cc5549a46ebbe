/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/store/endpoint.h"
#include "hooks/store/s3.h"
#include "hooks/store/sign_sigv4.h"

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define MAX_HEADERS 16

/* A bucket as it may stand in a host name or a path. */
static bool bucket_valid(const char *b)
{
	size_t len = b ? strlen(b) : 0;

	return len >= 3 && len <= 255 &&
	       strspn(b, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == len &&
	       !strstr(b, "..") && b[0] != '.';
}

static bool region_valid(const char *region)
{
	size_t len = strlen(region);

	return len > 0 && len <= 64 &&
	       strspn(region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == len;
}

static const char *region_of(const struct store_config *config)
{
	static const char *const names[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};

	if (config->region && config->region[0])
		return config->region;
	for (size_t i = 0; !config->endpoint && i < ARRAY_SIZE(names); i++) {
		const char *v = secure_getenv(names[i]);

		if (v && v[0])
			return v;
	}
	return "us-east-1";
}

static bool encryption_valid(const struct store_config *config)
{
	const char *how = config->encryption, *key = config->kms_key_id;

	if (!how)
		return !key;
	if (key &&
	    (strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/_+=,.@-") != strlen(key) ||
	     !key[0]))
		return false;
	return !strcmp(how, "AES256") ? !key : !strcmp(how, "aws:kms") || !strcmp(how, "aws:kms:dsse");
}

int s3_endpoint_init(const struct store_config *config, struct s3_endpoint *ret, struct error *err)
{
	const char *region = region_of(config);
	struct s3_endpoint e = {0};
	char host[ENDPOINT_HOST_MAX];
	bool path_style;
	int r = 0;

	if (!bucket_valid(config->bucket))
		return error_set(err, EINVAL, "store \"%s\": bucket is missing or no bucket's name", config->name);
	if (!region_valid(region))
		return error_set(err, EINVAL, "store \"%s\": region is no region's name", config->name);
	if (!encryption_valid(config))
		return error_set(err, EINVAL,
				 "store \"%s\": encryption must be \"AES256\", \"aws:kms\" or "
				 "\"aws:kms:dsse\", with a kms_key_id of the latter two",
				 config->name);
	if (config->endpoint) {
		r = endpoint_split(config->endpoint, &e.tls, host, NULL);
	} else {
		e.tls = true;
		snprintf(host, sizeof(host), "s3.%s.amazonaws.com%s", region, !strncmp(region, "cn-", 3) ? ".cn" : "");
	}
	if (r < 0)
		return error_set(err, EINVAL, "store \"%s\": endpoint must be http(s)://host[:port]", config->name);
	path_style = config->path_style || endpoint_is_address(host) || (e.tls && strchr(config->bucket, '.'));
	if (asprintf(&e.host, "%s%s%s", path_style ? "" : config->bucket, path_style ? "" : ".", host) < 0)
		e.host = NULL;
	if (asprintf(&e.base, "%s%s", path_style ? "/" : "", path_style ? config->bucket : "") < 0)
		e.base = NULL;
	if (!e.host || asprintf(&e.url, "%s://%s", e.tls ? "https" : "http", e.host) < 0)
		e.url = NULL;
	e.encryption = config->encryption;
	e.kms_key_id = config->kms_key_id;
	e.requester_pays = config->requester_pays;
	e.region = strdup(region);
	e.bucket = strdup(config->bucket);
	if (endpoint_prefix(config->prefix, &e.prefix) < 0)
		e.prefix = NULL;
	if (!e.host || !e.base || !e.url || !e.region || !e.bucket || !e.prefix) {
		s3_endpoint_free(&e);
		return error_set(err, ENOMEM, "store \"%s\": out of memory", config->name);
	}
	*ret = e;
	return 0;
}

void s3_endpoint_free(struct s3_endpoint *e)
{
	free(e->bucket);
	free(e->host);
	free(e->base);
	free(e->region);
	free(e->prefix);
	free(e->url);
	memset(e, 0, sizeof(*e));
}

/* "s3.eu-west-1.amazonaws.com" of "s3.us-east-1.amazonaws.com" or "s3.amazonaws.com". NULL: it names none. */
static int host_in_region(const char *host, const char *old, const char *region, char **ret)
{
	char word[80];
	const char *at;

	*ret = NULL;
	if (!strstr(host, ".amazonaws.com") || strstr(host, ".vpce."))
		return 0;
	snprintf(word, sizeof(word), ".%s.", old);
	at = strstr(host, word);
	if (at)
		at++;
	else if ((at = strstr(host, "s3.amazonaws.com")))
		at += 3, old = "";
	else
		return 0;
	return asprintf(ret, "%.*s%s%s%s", (int)(at - host), host, region, old[0] ? "" : ".", at + strlen(old)) < 0
		   ? -ENOMEM
		   : 0;
}

int s3_endpoint_move(struct s3_endpoint *e, const char *region)
{
	_cleanup_free_ char *host = NULL, *url = NULL;
	char *copy;

	if (!region_valid(region))
		return -EINVAL;
	if (host_in_region(e->host, e->region, region, &host) < 0 ||
	    (host && asprintf(&url, "%s://%s", e->tls ? "https" : "http", host) < 0))
		return -ENOMEM;
	copy = strdup(region);
	if (!copy)
		return -ENOMEM;
	free(e->region);
	e->region = copy;
	if (!host)
		return 0;
	free(e->host);
	free(e->url);
	e->host = TAKE_PTR(host);
	e->url = TAKE_PTR(url);
	return 0;
}

enum store_condition s3_call_condition(const struct s3_call *call)
{
	unsigned needed = 0;

	if (call->kind != S3_CALL_OP)
		return STORE_ANY;
	switch (call->op->kind) {
	case STORE_GET:
	case STORE_HEAD:
		return STORE_ANY;
	case STORE_PUT:
		break;
	case STORE_DELETE:
		needed = STORE_CAP_DELETE_IF;
		break;
	case STORE_COPY:
		needed = STORE_CAP_COPY_IF;
		break;
	}
	return (call->caps & needed) == needed ? call->op->condition : STORE_ANY;
}

/* A request under construction: what is signed, before it becomes text. */
struct draft {
	struct sigv4_pair headers[MAX_HEADERS];
	size_t n_headers;
	struct sigv4_pair query[6];
	size_t n_query;
	struct strbuf source, range, tag;
	char part[12];
	const char *method;
};

static void header(struct draft *d, const char *name, const char *value)
{
	d->headers[d->n_headers++] = (struct sigv4_pair){name, value};
}

static void query(struct draft *d, const char *name, const char *value)
{
	d->query[d->n_query++] = (struct sigv4_pair){name, value};
}

/* What an object is made with. */
static void draft_metadata(struct draft *d, const struct s3_endpoint *e, const struct store_op *op)
{
	if (e->encryption)
		header(d, "x-amz-server-side-encryption", e->encryption);
	if (e->encryption && e->kms_key_id)
		header(d, "x-amz-server-side-encryption-aws-kms-key-id", e->kms_key_id);
	header(d, "content-type", op->content_type ? op->content_type : "application/octet-stream");
	if (op->mark)
		header(d, "x-amz-meta-volrun", op->mark);
}

/* The source of a copy: "/bucket/key", encoded. */
static void draft_source(struct draft *d, const struct s3_endpoint *e, const struct store_op *op)
{
	strbuf_addf(&d->source, "/%s/", e->bucket);
	sigv4_encode(&d->source, e->prefix, true);
	sigv4_encode(&d->source, op->source, true);
	header(d, "x-amz-copy-source", strbuf_str(&d->source));
}

static void draft_condition(struct draft *d, const struct s3_call *call)
{
	bool bare = call->quirks & STORE_QUIRK_BARE_TAG;

	switch (s3_call_condition(call)) {
	case STORE_ANY:
		break;
	case STORE_IF_ABSENT:
		header(d, "if-none-match", "*");
		break;
	case STORE_IF_TAG:
		strbuf_addf(&d->tag, bare ? "%s" : "\"%s\"", call->op->if_tag);
		header(d, "if-match", strbuf_str(&d->tag));
		break;
	}
}

static void draft_op(struct draft *d, const struct s3_endpoint *e, const struct s3_call *call)
{
	static const char *const methods[] = {
	    [STORE_GET] = "GET",       [STORE_PUT] = "PUT",  [STORE_HEAD] = "HEAD",
	    [STORE_DELETE] = "DELETE", [STORE_COPY] = "PUT",
	};
	const struct store_op *op = call->op;

	d->method = methods[op->kind];
	if (call->confirm) {
		d->method = "GET";
		header(d, "range", "bytes=0-0");
		return;
	}
	if (op->kind == STORE_GET && (op->offset > 0 || op->length > 0)) {
		strbuf_addf(&d->range, "bytes=%" PRIu64 "-", op->offset);
		if (op->length > 0)
			strbuf_addf(&d->range, "%" PRIu64, op->offset + op->length - 1);
		header(d, "range", strbuf_str(&d->range));
	}
	if (op->kind == STORE_PUT || op->kind == STORE_COPY)
		draft_metadata(d, e, op);
	if (op->kind == STORE_COPY) {
		draft_source(d, e, op);
		header(d, "x-amz-metadata-directive", "REPLACE");
	}
	draft_condition(d, call);
}

static void draft_part(struct draft *d, const struct s3_endpoint *e, const struct s3_call *call)
{
	d->method = "PUT";
	snprintf(d->part, sizeof(d->part), "%u", call->part);
	query(d, "partNumber", d->part);
	query(d, "uploadId", call->upload_id);
	if (call->op->kind == STORE_COPY) {
		draft_source(d, e, call->op);
		strbuf_addf(&d->range, "bytes=%" PRIu64 "-%" PRIu64, call->offset, call->offset + call->size - 1);
		header(d, "x-amz-copy-source-range", strbuf_str(&d->range));
	}
}

static void draft_list(struct draft *d, const struct s3_call *call)
{
	d->method = "GET";
	query(d, "list-type", "2");
	query(d, "encoding-type", "url");
	query(d, "max-keys", "1000");
	query(d, "prefix", call->list_prefix);
	if (call->list_token)
		query(d, "continuation-token", call->list_token);
}

static void draft_uploads(struct draft *d, const struct s3_call *call)
{
	d->method = "GET";
	query(d, "uploads", "");
	query(d, "max-uploads", "1000");
	query(d, "prefix", call->list_prefix);
	if (call->list_token)
		query(d, "key-marker", call->list_token);
	if (call->list_token && call->upload_id)
		query(d, "upload-id-marker", call->upload_id);
}

static void draft_call(struct draft *d, const struct s3_endpoint *e, const struct s3_call *call)
{
	switch (call->kind) {
	case S3_CALL_OP:
		draft_op(d, e, call);
		break;
	case S3_CALL_INITIATE:
		d->method = "POST";
		query(d, "uploads", "");
		draft_metadata(d, e, call->op);
		break;
	case S3_CALL_PART:
		draft_part(d, e, call);
		break;
	case S3_CALL_COMPLETE:
		d->method = "POST";
		query(d, "uploadId", call->upload_id);
		header(d, "content-type", "application/xml");
		break;
	case S3_CALL_ABORT:
		d->method = "DELETE";
		query(d, "uploadId", call->upload_id);
		break;
	case S3_CALL_LIST:
		draft_list(d, call);
		break;
	case S3_CALL_UPLOADS:
		draft_uploads(d, call);
		break;
	}
}

/* The draft as text: path, query, signature, URL. */
static void draft_write(struct draft *d, const struct s3_endpoint *e, const struct s3_credentials *c,
			const struct s3_call *call, time_t now, struct s3_request *ret)
{
	_cleanup_strbuf_ struct strbuf path = STRBUF_INIT, text = STRBUF_INIT, authorization = STRBUF_INIT;
	const char *hash = call->payload_hash ? call->payload_hash : EMPTY_HASH;
	char date[SIGV4_DATE_MAX];
	struct sigv4 s;

	strbuf_adds(&path, e->base);
	if (!s3_call_lists(call) || !e->base[0])
		strbuf_addc(&path, '/');
	if (!s3_call_lists(call)) {
		sigv4_encode(&path, e->prefix, true);
		sigv4_encode(&path, call->op->key, true);
	}
	sigv4_query(&text, d->query, d->n_query);
	sigv4_date(now, date);
	header(d, "host", e->host);
	header(d, "x-amz-date", date);
	header(d, "x-amz-content-sha256", hash);
	if (e->requester_pays)
		header(d, "x-amz-request-payer", "requester");
	if (c->session_token)
		header(d, "x-amz-security-token", c->session_token);
	s = (struct sigv4){.access_key_id = c->access_key_id,
			   .secret_access_key = c->secret_access_key,
			   .region = e->region,
			   .service = "s3",
			   .now = now,
			   .method = d->method,
			   .path = strbuf_str(&path),
			   .query = strbuf_str(&text),
			   .headers = d->headers,
			   .n_headers = d->n_headers,
			   .payload_hash = hash};
	sigv4_authorization(&s, &authorization);
	for (size_t i = 0; i < d->n_headers; i++)
		strbuf_addf(&ret->headers, "%s: %s\n", d->headers[i].name, d->headers[i].value);
	strbuf_addf(&ret->headers, "authorization: %s\n", strbuf_str(&authorization));
	strbuf_addf(&ret->url, "%s%s%s%s", e->url, strbuf_str(&path), text.len > 0 ? "?" : "", strbuf_str(&text));
	if (path.failed || text.failed || authorization.failed)
		ret->url.failed = true;
}

int s3_request_build(const struct s3_endpoint *e, const struct s3_credentials *c, const struct s3_call *call,
		     time_t now, struct s3_request *ret)
{
	struct draft d = {.n_headers = 0};
	bool failed;

	memset(ret, 0, sizeof(*ret));
	draft_call(&d, e, call);
	draft_write(&d, e, c, call, now, ret);
	ret->method = d.method;
	failed = d.source.failed || d.range.failed || d.tag.failed || ret->url.failed || ret->headers.failed;
	strbuf_free(&d.source);
	strbuf_free(&d.range);
	strbuf_free(&d.tag);
	if (failed)
		s3_request_free(ret);
	return failed ? -ENOMEM : 0;
}

void s3_request_free(struct s3_request *r)
{
	strbuf_free(&r->url);
	/* A session's token. */
	if (r->headers.data)
		explicit_bzero(r->headers.data, r->headers.cap);
	strbuf_free(&r->headers);
}

void s3_complete_body(struct strbuf *out, char (*tags)[STORE_TAG_MAX], unsigned n)
{
	strbuf_adds(out, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (unsigned i = 0; i < n; i++) {
		strbuf_addf(out, "<Part><PartNumber>%u</PartNumber><ETag>&quot;", i + 1);
		for (const char *p = tags[i]; *p; p++) {
			if (*p == '<' || *p == '>' || *p == '&')
				strbuf_addf(out, "&#%d;", *p);
			else
				strbuf_addc(out, *p);
		}
		strbuf_adds(out, "&quot;</ETag></Part>");
	}
	strbuf_adds(out, "</CompleteMultipartUpload>");
}
