/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "hooks/store/s3.h"
#include "hooks/store/s3_xml.h"
#include "hooks/store/store_impl.h"

void s3_reply_header(struct reply *r, const char *name, const char *value)
{
	if (!strcasecmp(name, "etag"))
		s3_tag(value, strlen(value), r->tag);
	else if (!strcasecmp(name, "x-amz-meta-volrun"))
		strcpy(r->mark, store_mark_valid(value) ? value : "");
	else if (!strcasecmp(name, "x-amz-bucket-region"))
		snprintf(r->region, sizeof(r->region), "%.*s", (int)sizeof(r->region) - 1, value);
	else if (!strcasecmp(name, "x-amz-request-id"))
		r->genuine = true;
}

bool s3_reply_error(struct reply *r, const char *body, size_t len)
{
	_cleanup_strbuf_ struct strbuf code = STRBUF_INIT, region = STRBUF_INIT;

	r->code[0] = '\0';
	if (s3_xml_find(body, len, "Error", "Code", &code) < 0)
		return false;
	reply_set_code(r, strbuf_str(&code));
	if (!r->region[0] && s3_xml_find(body, len, "Error", "Region", &region) == 0)
		snprintf(r->region, sizeof(r->region), "%.*s", (int)sizeof(r->region) - 1, strbuf_str(&region));
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
    {"InvalidTokenId", STORE_REFUSED, false, true, "object store rejected the credentials"}, /* MinIO */
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

bool s3_call_changes(const struct s3_call *call)
{
	return !s3_call_lists(call) && (call->kind != S3_CALL_OP || store_op_changes(call->op));
}

static void judge_absent(const struct s3_call *call, struct verdict *v)
{
	if (s3_call_lists(call))
		verdict_set(v, STORE_FAILED, false, "the bucket was not found");
	else if (call->op->kind == STORE_DELETE || call->kind == S3_CALL_ABORT)
		verdict_set(v, s3_call_condition(call) == STORE_IF_TAG ? STORE_FALSE : STORE_OK, false,
			    "no such object");
	else if (s3_call_condition(call) == STORE_IF_TAG)
		verdict_set(v, STORE_FALSE, false, "the object is not what the condition expects");
	else if (call->op->kind == STORE_PUT)
		verdict_set(v, STORE_FAILED, false, "object store did not find the bucket or the upload");
	else
		verdict_set(v, STORE_ABSENT, false, "no such object");
}

static bool is_head(const struct s3_call *call)
{
	return call->kind == S3_CALL_OP && call->op->kind == STORE_HEAD;
}

void s3_judge(const struct s3_call *call, const struct reply *r, struct verdict *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (r->status == 404 && !s3_call_lists(call) && !r->genuine && !r->code[0])
		verdict_not_genuine(ret);
	else if (r->status == 404)
		judge_absent(call, ret);
	else if (r->status == 301 || r->status == 307 || r->status == 308)
		verdict_set(ret, STORE_FAILED, false, "the bucket is in another region");
	else
		verdict_from_status(ret, r->status);
	/* An <Error> under status 200: CopyObject and CompleteMultipartUpload answer before they are done. */
	if (ret->result == STORE_OK && r->status < 300 && r->code[0])
		verdict_set(ret, STORE_UNREACHABLE, true, "object store failed");
	for (size_t i = 0; i < ARRAY_SIZE(codes) && r->code[0]; i++)
		if (!strcmp(codes[i].code, r->code)) {
			verdict_set(ret, codes[i].result, codes[i].retry, codes[i].reason);
			ret->refresh = codes[i].refresh;
		}
	/* It is gone: perhaps by an abort whose answer was lost. */
	if (call->kind == S3_CALL_ABORT && !strcmp(r->code, "NoSuchUpload"))
		verdict_set(ret, STORE_OK, false, "");
	/* An answer to HEAD has no words: it may be any of those that ask for other credentials. */
	if (r->status == 401 || ((r->status == 400 || r->status == 403) && is_head(call) && !r->code[0]))
		ret->refresh = true;
	if (ret->result == STORE_OK)
		return;
	verdict_add_status(ret, r);
	if (s3_call_changes(call))
		verdict_settle(ret, s3_call_condition(call));
}
