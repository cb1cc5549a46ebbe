/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "hooks/store/azure.h"
#include "hooks/store/s3_xml.h"
#include "hooks/store/store_impl.h"

void azure_reply_header(struct reply *r, struct azure_reply *a, const char *name, const char *value)
{
	if (!strcasecmp(name, "etag"))
		s3_tag(value, strlen(value), r->tag);
	else if (!strcasecmp(name, "x-ms-meta-volrun"))
		snprintf(r->mark, sizeof(r->mark), "%s", store_mark_valid(value) ? value : "");
	else if (!strcasecmp(name, "x-ms-error-code"))
		reply_set_code(r, value);
	else if (!strcasecmp(name, "x-ms-request-id"))
		r->genuine = true;
	else if (!strcasecmp(name, "x-ms-meta-hdi_isfolder"))
		a->is_directory = !strcasecmp(value, "true");
	else if (!strcasecmp(name, "x-ms-copy-id"))
		snprintf(a->copy_id, sizeof(a->copy_id), "%.*s", (int)sizeof(a->copy_id) - 1, value);
	else if (!strcasecmp(name, "x-ms-copy-status"))
		a->copy = !strcasecmp(value, "success")	  ? AZURE_COPY_DONE
			  : !strcasecmp(value, "pending") ? AZURE_COPY_PENDING
							  : AZURE_COPY_FAILED;
	else if (!strcasecmp(name, "content-md5"))
		snprintf(a->md5, sizeof(a->md5), "%.*s", (int)sizeof(a->md5) - 1, value);
}

/* What the codes mean that need more than the status to be understood. */
static const struct {
	const char *code;
	enum store_result result;
	bool retry, refresh;
	const char *reason;
} codes[] = {
    {"ContainerNotFound", STORE_FAILED, false, false, "the container was not found"},
    {"ContainerDisabled", STORE_FAILED, false, false, "the container is disabled"},
    {"ContainerBeingDeleted", STORE_FAILED, false, false, "the container is being deleted"},
    {"BlobAlreadyExists", STORE_FALSE, false, false, "the object is not what the condition expects"},
    {"ConditionNotMet", STORE_FALSE, false, false, "the object is not what the condition expects"},
    {"TargetConditionNotMet", STORE_FALSE, false, false, "the object is not what the condition expects"},
    {"AuthenticationFailed", STORE_REFUSED, false, true,
     "object store rejected the credentials (or this machine's clock is wrong)"},
    {"InvalidAuthenticationInfo", STORE_REFUSED, false, true,
     "object store rejected the credentials: they have expired or can't be read"},
    {"NoAuthenticationInformation", STORE_REFUSED, false, true, "object store rejected the credentials: it saw none"},
    {"LeaseIdMissing", STORE_FAILED, false, false, "another client holds an Azure lease on the object"},
    {"LeaseLost", STORE_FAILED, false, false, "another client holds an Azure lease on the object"},
    {"BlobImmutableDueToPolicy", STORE_REFUSED, false, false, "the container's policy keeps the object as it is"},
    {"BlobArchived", STORE_FAILED, false, false, "the object is in the archive tier"},
    {"BlobBeingRehydrated", STORE_FAILED, false, false, "the object is in the archive tier"},
    {"BlobOverwritten", STORE_CORRUPT, true, false, "the object changed while it was read"},
    {"InvalidBlobType", STORE_FAILED, false, false, "the object is no block blob"},
    {"DirectoryIsNotEmpty", STORE_OK, false, false, ""},
    {"InvalidBlockList", STORE_FAILED, false, false, "another client wrote the object meanwhile"},
    {"Md5Mismatch", STORE_CORRUPT, true, false, "the data changed while it was sent"},
    {"ServerBusy", STORE_THROTTLED, true, false, "object store asks to slow down"},
    {"InvalidResourceName", STORE_INVALID, false, false, "this key can't be stored"},
    {"InvalidUri", STORE_INVALID, false, false, "this key can't be stored"},
    {"OutOfRangeInput", STORE_INVALID, false, false, "the key is too long"},
    {"RequestBodyTooLarge", STORE_INVALID, false, false, "the object is too large"},
};

static void judge_absent(const struct azure_call *call, struct verdict *v)
{
	if (call->kind == AZURE_CALL_LIST)
		verdict_set(v, STORE_FAILED, false, "the container was not found");
	else if (call->op->kind == STORE_DELETE)
		verdict_set(v, azure_call_condition(call) == STORE_IF_TAG ? STORE_FALSE : STORE_OK, false,
			    "no such object");
	else if (call->op->kind == STORE_PUT)
		verdict_set(v, azure_call_condition(call) == STORE_IF_TAG ? STORE_FALSE : STORE_FAILED, false,
			    "object store did not find the container");
	else
		verdict_set(v, STORE_ABSENT, false, "no such object");
}

/* A directory has no bytes under a file's name, nor a file those of a marker. */
static bool is_other_kind(const struct azure_call *call, const struct azure_reply *a)
{
	const char *key = call->kind == AZURE_CALL_OP ? call->op->key : NULL;

	if (!key || (call->op->kind != STORE_GET && call->op->kind != STORE_HEAD))
		return false;
	return a->is_directory && key[strlen(key) - 1] != '/';
}

void azure_judge(const struct azure_call *call, const struct reply *r, const struct azure_reply *a, struct verdict *ret)
{
	if (r->status == 404 && !r->genuine && !r->code[0])
		verdict_not_genuine(ret);
	else if (r->status == 404)
		judge_absent(call, ret);
	else if (r->status >= 300 && r->status < 400 && r->status != 304)
		verdict_set(ret, STORE_FAILED, false, "the object store is at another address");
	else
		verdict_from_status(ret, r->status);
	for (size_t i = 0; i < ARRAY_SIZE(codes) && r->status >= 300; i++)
		if (!strcmp(codes[i].code, r->code)) {
			verdict_set(ret, codes[i].result, codes[i].retry, codes[i].reason);
			ret->refresh = codes[i].refresh;
		}
	if (r->status == 401)
		ret->refresh = true;
	if (ret->result == STORE_OK && is_other_kind(call, a))
		verdict_set(ret, STORE_ABSENT, false, "no such object (it is a directory)");
	if (ret->result == STORE_OK)
		return;
	verdict_add_status(ret, r);
	if (azure_call_changes(call))
		verdict_settle(ret, azure_call_condition(call));
}
