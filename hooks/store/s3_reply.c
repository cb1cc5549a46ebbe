/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "hooks/store/s3.h"
#include "hooks/store/s3_xml.h"
#include "hooks/store/store_impl.h"

void s3_reply_init(struct s3_reply *r)
{
	memset(r, 0, sizeof(*r));
	r->content_length = r->retry_after = -1;
}

/* "bytes 3-6/10" */
static void read_content_range(struct s3_reply *r, const char *value)
{
	char first[24], last[24], total[24];

	r->has_range = sscanf(value, "bytes %20[0-9]-%20[0-9]/%20[0-9]", first, last, total) == 3 &&
		       num_parse_u64(first, INT64_MAX, &r->range_first) == 0 &&
		       num_parse_u64(last, INT64_MAX, &r->range_last) == 0 &&
		       num_parse_u64(total, INT64_MAX, &r->range_total) == 0 && r->range_first <= r->range_last &&
		       r->range_last < r->range_total;
}

/* "Sat, 21 Nov 2026 01:26:55 GMT" */
static int64_t read_http_date(const char *value)
{
	struct tm tm = {0};

	return strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm) ? (int64_t)timegm(&tm) : 0;
}

void s3_reply_header(struct s3_reply *r, const char *name, size_t name_len, const char *value, size_t value_len)
{
	char n[32], v[256];
	uint64_t number;

	if (name_len >= sizeof(n) || value_len >= sizeof(v))
		return;
	memcpy(n, name, name_len);
	n[name_len] = '\0';
	memcpy(v, value, value_len);
	v[value_len] = '\0';
	if (!strcasecmp(n, "etag"))
		s3_tag(v, strlen(v), r->tag);
	else if (!strcasecmp(n, "x-amz-meta-volrun"))
		strcpy(r->mark, store_mark_valid(v) ? v : "");
	else if (!strcasecmp(n, "content-length"))
		r->content_length = num_parse_u64(v, INT64_MAX, &number) == 0 ? (int64_t)number : -1;
	else if (!strcasecmp(n, "transfer-encoding"))
		r->chunked = !strcasecmp(v, "chunked");
	else if (!strcasecmp(n, "content-range"))
		read_content_range(r, v);
	else if (!strcasecmp(n, "last-modified"))
		r->mtime = read_http_date(v);
	else if (!strcasecmp(n, "retry-after"))
		r->retry_after = num_parse_u64(v, 86400, &number) == 0 ? (int64_t)number : -1;
	else if (!strcasecmp(n, "x-amz-bucket-region"))
		snprintf(r->region, sizeof(r->region), "%.*s", (int)sizeof(r->region) - 1, v);
}

bool s3_reply_error(struct s3_reply *r, const char *body, size_t len)
{
	_cleanup_strbuf_ struct strbuf code = STRBUF_INIT;

	r->code[0] = '\0';
	if (s3_xml_find(body, len, "Error", "Code", &code) < 0)
		return false;
	for (const char *p = strbuf_str(&code); *p && strlen(r->code) + 1 < sizeof(r->code); p++)
		if (((*p | 32) >= 'a' && (*p | 32) <= 'z') || (*p >= '0' && *p <= '9'))
			strncat(r->code, p, 1);
	return true;
}

/* What the codes mean that need more than the status to be understood. */
static const struct {
	const char *code;
	enum store_result result;
	bool retry, refresh;
	const char *reason;
} codes[] = {
    {"NoSuchBucket", STORE_FAILED, false, false, "the bucket was not found"},
    {"NoSuchUpload", STORE_FAILED, false, false, "the upload was given up by another client"},
    {"RequestTimeTooSkewed", STORE_REFUSED, false, false,
     "object store rejected the credentials: this machine's clock is wrong"},
    {"ExpiredToken", STORE_REFUSED, false, true, "object store rejected the credentials: they have expired"},
    {"TokenRefreshRequired", STORE_REFUSED, false, true, "object store rejected the credentials: they have expired"},
    {"InvalidAccessKeyId", STORE_REFUSED, false, true, "object store rejected the credentials"},
    {"SignatureDoesNotMatch", STORE_REFUSED, false, true, "object store rejected the credentials"},
    {"InvalidToken", STORE_REFUSED, false, true, "object store rejected the credentials"},
    {"BadDigest", STORE_CORRUPT, false, false, "the data changed while it was sent"},
    {"XAmzContentSHA256Mismatch", STORE_CORRUPT, false, false, "the data sent does not fit its sha256"},
    {"IncompleteBody", STORE_CORRUPT, true, false, "the data arrived incomplete"},
    {"RequestTimeout", STORE_UNREACHABLE, true, false, "the object store waited too long for the data"},
    {"SlowDown", STORE_THROTTLED, true, false, "object store asks to slow down"},
    {"KeyTooLongError", STORE_INVALID, false, false, "the key is too long"},
    {"InvalidObjectName", STORE_INVALID, false, false, "this key can't be stored"},
    {"EntityTooLarge", STORE_INVALID, false, false, "the object is too large"},
    {"NotImplemented", STORE_INVALID, false, false, "the object store can't do this"},
    {"PermanentRedirect", STORE_FAILED, false, false, "the bucket is in another region"},
    {"AuthorizationHeaderMalformed", STORE_FAILED, false, false, "the bucket is in another region"},
};

static void verdict(struct s3_verdict *v, enum store_result result, bool retry, const char *reason)
{
	v->result = result;
	v->retry = retry;
	snprintf(v->reason, sizeof(v->reason), "%s", reason);
}

static bool changes(const struct s3_call *call)
{
	return call->kind != S3_CALL_LIST && (call->kind != S3_CALL_OP || store_op_changes(call->op));
}

static void judge_absent(const struct s3_call *call, struct s3_verdict *v)
{
	if (call->kind == S3_CALL_LIST)
		verdict(v, STORE_FAILED, false, "the bucket was not found");
	else if (call->op->kind == STORE_DELETE || call->kind == S3_CALL_ABORT)
		verdict(v, s3_call_condition(call) == STORE_IF_TAG ? STORE_FALSE : STORE_OK, false, "no such object");
	else if (s3_call_condition(call) == STORE_IF_TAG)
		verdict(v, STORE_FALSE, false, "the object is not what the condition expects");
	else if (call->op->kind == STORE_PUT)
		verdict(v, STORE_FAILED, false, "object store did not find the bucket or the upload");
	else
		verdict(v, STORE_ABSENT, false, "no such object");
}

static void judge_status(const struct s3_call *call, const struct s3_reply *r, struct s3_verdict *v)
{
	if (r->status >= 200 && r->status < 300)
		verdict(v, STORE_OK, false, "");
	else if (r->status == 404)
		judge_absent(call, v);
	else if (r->status == 412 || r->status == 304)
		verdict(v, STORE_FALSE, false, "the object is not what the condition expects");
	else if (r->status == 401 || r->status == 403)
		verdict(v, STORE_REFUSED, false, "object store rejected the credentials");
	else if (r->status == 416)
		verdict(v, STORE_CORRUPT, false, "the object is shorter than the range asked for");
	else if (r->status == 429 || r->status == 503)
		verdict(v, STORE_THROTTLED, true, "object store asks to slow down");
	else if (r->status == 408 || r->status == 409 || r->status >= 500)
		verdict(v, STORE_UNREACHABLE, true, "object store failed");
	else if (r->status == 301 || r->status == 307 || r->status == 308)
		verdict(v, STORE_FAILED, false, "the bucket is in another region");
	else if (r->status == 405 || r->status == 411 || r->status == 413 || r->status == 414)
		verdict(v, STORE_INVALID, false, "the object store can't do this");
	else
		verdict(v, STORE_FAILED, false, "object store refused the request");
	if (r->status == 501)
		verdict(v, STORE_INVALID, false, "the object store can't do this");
}

/* "reason (403 AccessDenied)" */
static void add_status(const struct s3_reply *r, struct s3_verdict *v)
{
	size_t n = strlen(v->reason);
	bool region = r->region[0] && strstr(v->reason, "another region");

	snprintf(v->reason + n, sizeof(v->reason) - n, "%s%s (%d%s%s)", region ? ": " : "", region ? r->region : "",
		 r->status, r->code[0] ? " " : "", r->code);
}

void s3_judge(const struct s3_call *call, const struct s3_reply *r, struct s3_verdict *ret)
{
	enum store_condition condition = s3_call_condition(call);

	memset(ret, 0, sizeof(*ret));
	judge_status(call, r, ret);
	/* An <Error> under status 200: CopyObject and CompleteMultipartUpload answer before they are done. */
	if (ret->result == STORE_OK && r->status < 300 && r->code[0])
		verdict(ret, STORE_UNREACHABLE, true, "object store failed");
	for (size_t i = 0; i < ARRAY_SIZE(codes) && r->code[0]; i++)
		if (!strcmp(codes[i].code, r->code)) {
			verdict(ret, codes[i].result, codes[i].retry, codes[i].reason);
			ret->refresh = codes[i].refresh;
		}
	if (ret->result == STORE_OK)
		return;
	add_status(r, ret);
	if (!changes(call))
		return;
	ret->ambiguous = ret->result == STORE_UNREACHABLE || (ret->result == STORE_THROTTLED && condition != STORE_ANY);
	/*
	 * Of a write with a condition nothing but success, a false condition and a
	 * plain refusal is believed: Ceph answers 500 to who lost a race, AWS
	 * 409 to who ran into another, and any proxy its own 5xx to a write that was done.
	 */
	if (ret->ambiguous)
		ret->result = STORE_UNKNOWN;
	if (condition != STORE_ANY)
		ret->retry = false;
}

void s3_judge_range(const struct store_op *op, const struct s3_reply *r, int64_t *ret_length, struct s3_verdict *ret)
{
	bool asked = op->offset > 0 || op->length > 0;
	uint64_t last;

	memset(ret, 0, sizeof(*ret));
	*ret_length = r->content_length;
	if (!asked && r->status == 200) {
		if (r->content_length < 0 && !r->chunked)
			verdict(ret, STORE_CORRUPT, true, "the reply does not say how long it is");
		return;
	}
	if (!asked || r->status != 206) {
		verdict(ret, STORE_FAILED, false, "the object store does not answer with the range asked for");
		return;
	}
	if (!r->has_range || r->range_first != op->offset) {
		verdict(ret, STORE_CORRUPT, true, "the reply is another range than was asked for");
		return;
	}
	last = op->length > 0 ? op->offset + op->length - 1 : r->range_total - 1;
	if (r->range_last != last) {
		verdict(ret, STORE_CORRUPT, r->range_last > last || last < r->range_total,
			"the object is shorter than the range asked for");
		return;
	}
	*ret_length = (int64_t)(r->range_last - r->range_first + 1);
	if (r->content_length >= 0 && r->content_length != *ret_length)
		verdict(ret, STORE_CORRUPT, true, "the reply is longer or shorter than its range");
}
