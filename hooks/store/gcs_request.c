/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "hooks/store/endpoint.h"
#include "hooks/store/gcs.h"
#include "hooks/store/sign_sigv4.h"
#include "hooks/store/store_impl.h"
#include "oci/json.h"

#define GOOGLE "https://storage.googleapis.com"
/* Of an object, as far as it matters here. */
#define FIELDS "generation,size,updated,crc32c,md5Hash,metadata"

static bool bucket_valid(const char *b)
{
	size_t len = b ? strlen(b) : 0;

	return len >= 3 && len <= 222 && strspn(b, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == len &&
	       !strstr(b, "..") && b[0] != '.';
}

static bool project_valid(const char *p)
{
	return p[0] && strlen(p) <= 100 && strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789-.:") == strlen(p);
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && !strcmp(text + n - m, end);
}

/* The address as text: of the configuration, of the environment, or Google's. */
static int find_address(const struct store_config *config, struct strbuf *out, bool *ret_open)
{
	const char *emulator = config->endpoint ? NULL : secure_getenv("STORAGE_EMULATOR_HOST");

	*ret_open = emulator && emulator[0];
	if (*ret_open)
		strbuf_addf(out, "%s%s", strstr(emulator, "://") ? "" : "http://", emulator);
	else
		strbuf_adds(out, config->endpoint ? config->endpoint : GOOGLE);
	return out->failed ? -ENOMEM : 0;
}

int gcs_endpoint_init(const struct store_config *config, struct gcs_endpoint *ret, struct error *err)
{
	_cleanup_strbuf_ struct strbuf address = STRBUF_INIT;
	char host[ENDPOINT_HOST_MAX], path[ENDPOINT_HOST_MAX];
	struct gcs_endpoint e = {0};
	int r;

	if (!bucket_valid(config->bucket))
		return error_set(err, EINVAL, "store \"%s\": bucket is missing or no bucket's name", config->name);
	r = find_address(config, &address, &e.open);
	if (r == 0 && endpoint_split(strbuf_str(&address), &e.tls, host, path) < 0)
		return error_set(err, EINVAL, "store \"%s\": %s must be http(s)://host[:port]", config->name,
				 e.open ? "STORAGE_EMULATOR_HOST" : "endpoint");
	e.google = r == 0 && ends_with(host, "googleapis.com");
	if (config->user_project && !project_valid(config->user_project))
		return error_set(err, EINVAL, "store \"%s\": user_project is no project's name", config->name);
	e.user_project = config->user_project;
	e.bucket = strdup(config->bucket);
	if (r < 0 || asprintf(&e.origin, "%s://%s", e.tls ? "https" : "http", host) < 0)
		e.origin = NULL;
	if (!e.origin || asprintf(&e.url, "%s%s", e.origin, path) < 0)
		e.url = NULL;
	if (endpoint_prefix(config->prefix, &e.prefix) < 0)
		e.prefix = NULL;
	if (!e.bucket || !e.origin || !e.url || !e.prefix) {
		gcs_endpoint_free(&e);
		return error_set(err, ENOMEM, "store \"%s\": out of memory", config->name);
	}
	*ret = e;
	return 0;
}

void gcs_endpoint_free(struct gcs_endpoint *e)
{
	free(e->bucket);
	free(e->origin);
	free(e->url);
	free(e->prefix);
	memset(e, 0, sizeof(*e));
}

enum store_condition gcs_call_condition(const struct gcs_call *call)
{
	unsigned needed = 0;

	if ((call->kind != GCS_CALL_OP && call->kind != GCS_CALL_BEGIN) || !store_op_changes(call->op))
		return STORE_ANY;
	if (call->op->kind == STORE_DELETE)
		needed = STORE_CAP_DELETE_IF;
	else if (call->op->kind == STORE_COPY)
		needed = STORE_CAP_COPY_IF;
	return (call->caps & needed) == needed ? call->op->condition : STORE_ANY;
}

bool gcs_call_changes(const struct gcs_call *call)
{
	switch (call->kind) {
	case GCS_CALL_OP:
		return store_op_changes(call->op);
	case GCS_CALL_BEGIN:
	case GCS_CALL_CHUNK:
		return true;
	case GCS_CALL_QUERY:
	case GCS_CALL_LIST:
		break;
	}
	return false;
}

const char *gcs_session(const char *location)
{
	const char *host = strstr(location, "://"), *path = host ? strchr(host + 3, '/') : location;

	if (!path || path[0] != '/')
		return "";
	for (const char *p = path; *p; p++)
		if (*p <= 0x20 || *p >= 0x7f || *p == '#')
			return "";
	return path;
}

/* --- URLs --------------------------------------------------------------------------- */

static void add_object(struct strbuf *out, const struct gcs_endpoint *e, const char *key)
{
	strbuf_addf(out, "/b/%s/o/", e->bucket);
	sigv4_encode(out, e->prefix, false);
	sigv4_encode(out, key, false);
}

static void add_query(struct strbuf *url, const char *name, const char *value)
{
	strbuf_addf(url, "%c%s=", strchr(strbuf_str(url), '?') ? '&' : '?', name);
	sigv4_encode(url, value, false);
}

/*
 * A tag that is no generation (the probe's, another store's) must not hold: no object is of generation 1. And 0,
 * which means "absent", is none.
 */
static void add_condition(struct strbuf *url, const struct gcs_call *call)
{
	uint64_t generation;

	switch (gcs_call_condition(call)) {
	case STORE_ANY:
		return;
	case STORE_IF_ABSENT:
		generation = 0;
		break;
	case STORE_IF_TAG:
		if (num_parse_u64(call->op->if_tag, INT64_MAX, &generation) < 0 || generation == 0)
			generation = 1;
		break;
	}
	strbuf_addf(url, "%cifGenerationMatch=%" PRIu64, strchr(strbuf_str(url), '?') ? '&' : '?', generation);
}

/* --- bodies ------------------------------------------------------------------------- */

static void add_metadata(struct strbuf *out, const struct gcs_call *call)
{
	const struct store_op *op = call->op;

	strbuf_adds(out, "{\"contentType\":");
	json_write_string(out, op->content_type ? op->content_type : "application/octet-stream");
	if (call->crc32c)
		strbuf_addf(out, ",\"crc32c\":\"%s\"", call->crc32c);
	if (call->md5)
		strbuf_addf(out, ",\"md5Hash\":\"%s\"", call->md5);
	strbuf_adds(out, ",\"metadata\":{");
	if (op->mark) {
		strbuf_adds(out, "\"volrun\":");
		json_write_string(out, op->mark);
	}
	strbuf_adds(out, "}}");
}

/* Metadata and data in one request: multipart/related (RFC 2387). */
static void frame(struct gcs_request *r, const struct gcs_call *call)
{
	const char *type = call->op->content_type;
	unsigned char raw[16];
	char boundary[2 * sizeof(raw) + 1];

	random_bytes(raw, sizeof(raw));
	hex_encode(raw, sizeof(raw), boundary);
	strbuf_addf(&r->headers, "content-type: multipart/related; boundary=%s\n", boundary);
	strbuf_addf(&r->lead, "--%s\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n", boundary);
	add_metadata(&r->lead, call);
	strbuf_addf(&r->lead, "\r\n--%s\r\ncontent-type: %s\r\n\r\n", boundary,
		    type ? type : "application/octet-stream");
	strbuf_addf(&r->tail, "\r\n--%s--\r\n", boundary);
}

static void document(struct gcs_request *r, const struct gcs_call *call)
{
	strbuf_adds(&r->headers, "content-type: application/json; charset=UTF-8\n");
	add_metadata(&r->lead, call);
}

/* --- calls -------------------------------------------------------------------------- */

static void upload_url(struct gcs_request *r, const struct gcs_endpoint *e, const struct gcs_call *call,
		       const char *type)
{
	r->method = "POST";
	strbuf_addf(&r->url, "%s/upload/storage/v1/b/%s/o?uploadType=%s&name=", e->url, e->bucket, type);
	sigv4_encode(&r->url, e->prefix, false);
	sigv4_encode(&r->url, call->op->key, false);
	add_condition(&r->url, call);
	add_query(&r->url, "fields", FIELDS);
}

static void build_get(struct gcs_request *r, const struct gcs_endpoint *e, const struct gcs_call *call)
{
	const struct store_op *op = call->op;

	r->method = "GET";
	strbuf_addf(&r->url, "%s/storage/v1", e->url);
	add_object(&r->url, e, op->key);
	if (op->kind == STORE_HEAD || call->confirm) {
		add_query(&r->url, "fields", FIELDS);
		return;
	}
	strbuf_adds(&r->url, "?alt=media");
	/* The bytes as they are stored: an object that says it is gzip would be unpacked else. */
	strbuf_adds(&r->headers, "accept-encoding: gzip\n");
	if (op->offset == 0 && op->length == 0)
		return;
	strbuf_addf(&r->headers, "range: bytes=%" PRIu64 "-", op->offset);
	if (op->length > 0)
		strbuf_addf(&r->headers, "%" PRIu64, op->offset + op->length - 1);
	strbuf_addc(&r->headers, '\n');
}

static void build_copy(struct gcs_request *r, const struct gcs_endpoint *e, const struct gcs_call *call)
{
	r->method = "POST";
	strbuf_addf(&r->url, "%s/storage/v1", e->url);
	add_object(&r->url, e, call->op->source);
	strbuf_adds(&r->url, "/rewriteTo");
	add_object(&r->url, e, call->op->key);
	if (call->rewrite_token)
		add_query(&r->url, "rewriteToken", call->rewrite_token);
	add_condition(&r->url, call);
	document(r, call);
}

static void build_op(struct gcs_request *r, const struct gcs_endpoint *e, const struct gcs_call *call)
{
	switch (call->op->kind) {
	case STORE_GET:
	case STORE_HEAD:
		build_get(r, e, call);
		break;
	case STORE_PUT:
		upload_url(r, e, call, "multipart");
		frame(r, call);
		break;
	case STORE_DELETE:
		r->method = "DELETE";
		strbuf_addf(&r->url, "%s/storage/v1", e->url);
		add_object(&r->url, e, call->op->key);
		add_condition(&r->url, call);
		break;
	case STORE_COPY:
		build_copy(r, e, call);
		break;
	}
}

/* A session is asked for at the address that we know, whatever the server calls itself. */
static void build_session(struct gcs_request *r, const struct gcs_endpoint *e, const struct gcs_call *call)
{
	r->method = "PUT";
	strbuf_addf(&r->url, "%s%s", e->origin, call->session);
	strbuf_adds(&r->headers, "content-range: bytes ");
	if (call->kind == GCS_CALL_QUERY)
		strbuf_adds(&r->headers, "*");
	else
		strbuf_addf(&r->headers, "%" PRIu64 "-%" PRIu64, call->offset, call->offset + call->size - 1);
	strbuf_addf(&r->headers, "/%" PRIu64 "\n", call->op->size);
}

static void build_list(struct gcs_request *r, const struct gcs_endpoint *e, const struct gcs_call *call)
{
	r->method = "GET";
	strbuf_addf(&r->url, "%s/storage/v1/b/%s/o", e->url, e->bucket);
	add_query(&r->url, "maxResults", "1000");
	add_query(&r->url, "prefix", call->list_prefix);
	add_query(&r->url, "fields", "items(name,size,generation,updated),nextPageToken");
	if (call->list_token[0])
		add_query(&r->url, "pageToken", call->list_token);
}

int gcs_request_build(const struct gcs_endpoint *e, const struct gcs_call *call, struct gcs_request *ret)
{
	bool failed;

	memset(ret, 0, sizeof(*ret));
	switch (call->kind) {
	case GCS_CALL_OP:
		build_op(ret, e, call);
		break;
	case GCS_CALL_BEGIN:
		upload_url(ret, e, call, "resumable");
		document(ret, call);
		strbuf_addf(&ret->headers, "x-upload-content-length: %" PRIu64 "\n", call->op->size);
		break;
	case GCS_CALL_CHUNK:
	case GCS_CALL_QUERY:
		build_session(ret, e, call);
		break;
	case GCS_CALL_LIST:
		build_list(ret, e, call);
		break;
	}
	if (e->user_project)
		strbuf_addf(&ret->headers, "x-goog-user-project: %s\n", e->user_project);
	if (call->token)
		strbuf_addf(&ret->headers, "authorization: Bearer %s\n", call->token);
	failed = ret->url.failed || ret->headers.failed || ret->lead.failed || ret->tail.failed;
	if (failed)
		gcs_request_free(ret);
	return failed ? -ENOMEM : 0;
}

void gcs_request_free(struct gcs_request *r)
{
	strbuf_free(&r->url);
	/* It holds a token. */
	if (r->headers.data)
		explicit_bzero(r->headers.data, r->headers.cap);
	strbuf_free(&r->headers);
	strbuf_free(&r->lead);
	strbuf_free(&r->tail);
}
