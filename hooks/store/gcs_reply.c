/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/num.h"
#include "hooks/store/gcs.h"
#include "hooks/store/store_impl.h"
#include "oci/json.h"

/* --- documents ---------------------------------------------------------------------- */

/* 64-bit numbers are strings in Google's JSON. Of the metadata, which may be anybody's, only ours is looked at. */
struct resource {
	const char *name, *generation, *size, *updated, *crc32c, *md5;
	struct {
		const char *volrun;
	} metadata;
};

static const struct json_field metadata_fields[] = {{.name = "volrun", .offset = 0, .kind = JSON_STR}, {NULL}};
static const struct json_table metadata_table = {"metadata", sizeof(const char *), metadata_fields, 0};
static const struct json_field resource_fields[] = {
    JSON_FIELD(struct resource, name, "name", JSON_STR),
    JSON_FIELD(struct resource, generation, "generation", JSON_STR),
    JSON_FIELD(struct resource, size, "size", JSON_STR),
    JSON_FIELD(struct resource, updated, "updated", JSON_STR),
    JSON_FIELD(struct resource, crc32c, "crc32c", JSON_STR),
    JSON_FIELD(struct resource, md5, "md5Hash", JSON_STR),
    JSON_FIELD(struct resource, metadata, "metadata", JSON_OBJ, .table = &metadata_table),
    {NULL},
};
static const struct json_table resource_table = {"object", sizeof(struct resource), resource_fields, 0};

struct rewrite {
	bool done;
	const char *token;
	struct resource resource;
};
static const struct json_field rewrite_fields[] = {
    JSON_FIELD(struct rewrite, done, "done", JSON_BOOL),
    JSON_FIELD(struct rewrite, token, "rewriteToken", JSON_STR),
    JSON_FIELD(struct rewrite, resource, "resource", JSON_OBJ, .table = &resource_table),
    {NULL},
};
static const struct json_table rewrite_table = {"rewrite", sizeof(struct rewrite), rewrite_fields, 0};

struct page {
	struct resource *items;
	size_t n_items;
	const char *token;
};
static const struct json_field page_fields[] = {
    JSON_LIST(struct page, items, "items", JSON_ARR_OBJ, .table = &resource_table),
    JSON_FIELD(struct page, token, "nextPageToken", JSON_STR),
    {NULL},
};
static const struct json_table page_table = {"listing", sizeof(struct page), page_fields, 0};

struct reason {
	const char *reason;
};
static const struct json_field reason_fields[] = {JSON_FIELD(struct reason, reason, "reason", JSON_STR), {NULL}};
static const struct json_table reason_table = {"reason", sizeof(struct reason), reason_fields, 0};
struct failure {
	const char *message;
	struct reason *errors;
	size_t n_errors;
};
static const struct json_field failure_fields[] = {
    JSON_FIELD(struct failure, message, "message", JSON_STR),
    JSON_LIST(struct failure, errors, "errors", JSON_ARR_OBJ, .table = &reason_table),
    {NULL},
};
static const struct json_table failure_table = {"error", sizeof(struct failure), failure_fields, 0};
struct failure_document {
	struct failure error;
};
static const struct json_field document_fields[] = {
    JSON_FIELD(struct failure_document, error, "error", JSON_OBJ, .table = &failure_table),
    {NULL},
};
static const struct json_table document_table = {"answer", sizeof(struct failure_document), document_fields, 0};

/* "2026-11-21T01:26:55.123Z". 0 when it can't be read: a time only advises. */
static int64_t read_time(const char *text)
{
	struct tm tm = {0};

	return text && strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? (int64_t)timegm(&tm) : 0;
}

/* A generation, as a tag; "" when it is none. */
static void read_tag(const char *text, char ret[STORE_TAG_MAX])
{
	uint64_t generation;

	ret[0] = '\0';
	if (text && num_parse_u64(text, INT64_MAX, &generation) == 0 && generation > 0)
		snprintf(ret, STORE_TAG_MAX, "%s", text);
}

/* Servers that write their JSON from messages of protocol buffers (Google's own testbench) leave out what is 0. */
static int read_size(const struct resource *o, uint64_t *ret)
{
	if (o->size)
		return num_parse_u64(o->size, INT64_MAX, ret);
	*ret = 0;
	return o->generation ? 0 : -EINVAL;
}

static void read_resource(const struct resource *o, struct gcs_object *ret)
{
	const char *mark = o->metadata.volrun;
	uint64_t size;

	read_tag(o->generation, ret->tag);
	if (read_size(o, &size) == 0)
		ret->size = (int64_t)size;
	ret->mtime = read_time(o->updated);
	if (o->crc32c && strlen(o->crc32c) < sizeof(ret->crc32c))
		strcpy(ret->crc32c, o->crc32c);
	if (o->md5 && strlen(o->md5) < sizeof(ret->md5))
		strcpy(ret->md5, o->md5);
	if (mark && store_mark_valid(mark))
		strcpy(ret->mark, mark);
}

int gcs_object_read(const char *json, size_t len, bool rewrite, struct gcs_object *ret)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error ignored = ERROR_INIT;
	struct rewrite w = {0};
	int r = rewrite ? json_parse(json, len, "answer", &rewrite_table, &arena, &w, &ignored)
			: json_parse(json, len, "answer", &resource_table, &arena, &w.resource, &ignored);

	memset(ret, 0, sizeof(*ret));
	ret->size = -1;
	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	read_resource(&w.resource, ret);
	ret->done = w.done;
	if (rewrite && !w.done) {
		if (!w.token || !w.token[0])
			return -EINVAL;
		strbuf_adds(&ret->token, w.token);
		return ret->token.failed ? -ENOMEM : 0;
	}
	return ret->tag[0] ? 0 : -EINVAL;
}

/* --- listings ----------------------------------------------------------------------- */

/*
 * A NUL within a name can't be in a path; "//////" can't either, and is no obstacle to reading the other names.
 * NULL: out of memory.
 */
static char *without_nul(const char *json, size_t len)
{
	char *copy = malloc(len + 1);

	if (!copy)
		return NULL;
	memcpy(copy, json, len);
	copy[len] = '\0';
	for (char *p = copy; p + 6 <= copy + len; p++) {
		if (*p != '\\')
			continue;
		if (!memcmp(p, "\\u0000", 6))
			memset(p, '/', 6);
		else
			p++;
	}
	return copy;
}

int gcs_page_read(const char *json, size_t len, const char *prefix, size_t cut, store_list_fn fn, void *ctx,
		  struct strbuf *token, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_free_ char *copy = NULL;
	struct page page;
	uint64_t size;
	int r;

	if (memmem(json, len, "\\u0000", 6)) {
		json = copy = without_nul(json, len);
		if (!copy)
			return error_set(err, ENOMEM, "out of memory");
	}
	r = json_parse(json, len, "listing", &page_table, &arena, &page, err);
	if (r < 0)
		return r == -ENOMEM ? r : error_set(err, EINVAL, "the listing is cut or no listing");
	for (size_t i = 0; i < page.n_items; i++)
		if (!page.items[i].name || read_size(&page.items[i], &size) < 0)
			return error_set(err, EINVAL, "an entry without key or size");
	for (size_t i = 0; i < page.n_items; i++) {
		const struct resource *o = &page.items[i];
		struct store_list_item item = {.mtime = read_time(o->updated)};
		char tag[STORE_TAG_MAX];

		if (strncmp(o->name, prefix, strlen(prefix)) != 0)
			return error_set(err, EINVAL, "a key that was not asked for");
		read_size(o, &item.size);
		read_tag(o->generation, tag);
		item.key = o->name + cut;
		item.tag = tag;
		r = fn(ctx, &item, err);
		if (r < 0)
			return r;
	}
	if (page.token)
		strbuf_adds(token, page.token);
	return 0;
}

#define BUCKET "The specified bucket"

/* --- headers and errors ------------------------------------------------------------- */

void gcs_reply_header(struct reply *r, const char *name, const char *value)
{
	if (!strcasecmp(name, "x-goog-generation"))
		read_tag(value, r->tag);
	else if (!strcasecmp(name, "x-goog-meta-volrun"))
		strcpy(r->mark, store_mark_valid(value) ? value : "");
	else if (!strcasecmp(name, "x-guploader-uploadid"))
		r->genuine = true;
}

void gcs_hash_header(const char *value, char ret_crc32c[12])
{
	const char *p = strstr(value, "crc32c=");
	size_t n = p ? strcspn(p + 7, ", ") : 0;

	ret_crc32c[0] = '\0';
	if (n == 0 || n >= 12)
		return;
	memcpy(ret_crc32c, p + 7, n);
	ret_crc32c[n] = '\0';
}

void gcs_reply_error(struct reply *r, const char *body, size_t len, char message[200])
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error ignored = ERROR_INIT;
	struct failure_document d;

	r->code[0] = message[0] = '\0';
	if (json_parse(body, len, "answer", &document_table, &arena, &d, &ignored) < 0) {
		/* Where bytes are asked for, the words come bare. */
		snprintf(message, 200, "%.*s", (int)(len < 199 ? len : 199), body);
		r->genuine |= !strncmp(message, "No such object", 14) || !strncmp(message, BUCKET, strlen(BUCKET));
		return;
	}
	r->genuine |= d.error.message || r->code[0];
	if (d.error.n_errors > 0 && d.error.errors[0].reason)
		reply_set_code(r, d.error.errors[0].reason);
	if (d.error.message)
		snprintf(message, 200, "%s", d.error.message);
}

static void judge_absent(const struct gcs_call *call, const char *message, struct verdict *v)
{
	const struct store_op *op = call->op;

	if (call->kind == GCS_CALL_LIST || !strncmp(message, BUCKET, strlen(BUCKET)))
		verdict_set(v, STORE_FAILED, false, "the bucket was not found");
	else if (call->kind == GCS_CALL_CHUNK || call->kind == GCS_CALL_QUERY)
		verdict_set(v, STORE_FAILED, false, "the object store forgot the upload");
	else if (op->kind == STORE_DELETE && gcs_call_condition(call) != STORE_IF_TAG)
		verdict_set(v, STORE_OK, false, "no such object");
	else if (gcs_call_condition(call) == STORE_IF_TAG)
		verdict_set(v, STORE_FALSE, false, "the object is not what the condition expects");
	else if (op->kind == STORE_PUT)
		verdict_set(v, STORE_FAILED, false, "the bucket was not found");
	else
		verdict_set(v, STORE_ABSENT, false, "no such object");
}

static bool is_rate(const char *code)
{
	return !strcmp(code, "rateLimitExceeded") || !strcmp(code, "userRateLimitExceeded");
}

void gcs_judge(const struct gcs_call *call, const struct reply *r, const char *message, struct verdict *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (r->status == 404 && call->kind == GCS_CALL_OP && !r->genuine)
		verdict_not_genuine(ret);
	else if (r->status == 404 || r->status == 410)
		judge_absent(call, message, ret);
	else if (r->status == 403 && is_rate(r->code))
		verdict_set(ret, STORE_THROTTLED, true, "object store asks to slow down");
	else if (r->status == 400 && strstr(message, "doesn't match calculated"))
		verdict_set(ret, STORE_CORRUPT, false, "the data changed while it was sent");
	else
		verdict_from_status(ret, r->status);
	ret->refresh = r->status == 401;
	/* A condition that nobody set: some say so of a checksum that does not fit. */
	if (ret->result == STORE_FALSE && call->kind != GCS_CALL_CHUNK && gcs_call_condition(call) == STORE_ANY)
		verdict_set(ret, gcs_call_changes(call) ? STORE_CORRUPT : STORE_FAILED, false,
			    gcs_call_changes(call) ? "the data changed while it was sent"
						   : "object store refused the request");
	if (ret->result == STORE_OK)
		return;
	verdict_add_status(ret, r);
	if (gcs_call_changes(call))
		verdict_settle(ret, gcs_call_condition(call));
}
