/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/reply.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/num.h"

void reply_init(struct reply *r)
{
	memset(r, 0, sizeof(*r));
	r->content_length = r->retry_after = r->object_size = -1;
}

/* "bytes 3-6/10" */
static void read_content_range(struct reply *r, const char *value)
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

void reply_header(struct reply *r, const char *name, const char *value)
{
	uint64_t number;

	if (!strcasecmp(name, "content-length"))
		r->content_length = num_parse_u64(value, INT64_MAX, &number) == 0 ? (int64_t)number : -1;
	else if (!strcasecmp(name, "transfer-encoding"))
		r->chunked |= !strcasecmp(value, "chunked");
	else if (!strcasecmp(name, "content-range"))
		read_content_range(r, value);
	else if (!strcasecmp(name, "last-modified"))
		r->mtime = read_http_date(value);
	else if (!strcasecmp(name, "date"))
		r->date = read_http_date(value);
	else if (!strcasecmp(name, "retry-after"))
		r->retry_after = num_parse_u64(value, 86400, &number) == 0 ? (int64_t)number : -1;
}

void reply_set_code(struct reply *r, const char *code)
{
	r->code[0] = '\0';
	for (const char *p = code; *p && strlen(r->code) + 1 < sizeof(r->code); p++)
		if (((*p | 32) >= 'a' && (*p | 32) <= 'z') || (*p >= '0' && *p <= '9'))
			strncat(r->code, p, 1);
}

void verdict_set(struct verdict *v, enum store_result result, bool retry, const char *reason)
{
	v->result = result;
	v->retry = retry;
	snprintf(v->reason, sizeof(v->reason), "%s", reason);
}

void verdict_from_status(struct verdict *v, int status)
{
	if (status >= 200 && status < 300)
		verdict_set(v, STORE_OK, false, "");
	else if (status == 412 || status == 304)
		verdict_set(v, STORE_FALSE, false, "the object is not what the condition expects");
	else if (status == 401 || status == 403)
		verdict_set(v, STORE_REFUSED, false, "object store rejected the credentials");
	else if (status == 416)
		verdict_set(v, STORE_CORRUPT, false, "the object is shorter than the range asked for");
	else if (status == 429 || status == 503)
		verdict_set(v, STORE_THROTTLED, true, "object store asks to slow down");
	else if (status == 501 || status == 405 || status == 411 || status == 413 || status == 414)
		verdict_set(v, STORE_INVALID, false, "the object store can't do this");
	else if (status == 408 || status == 409 || status >= 500)
		verdict_set(v, STORE_UNREACHABLE, true, "object store failed");
	else
		verdict_set(v, STORE_FAILED, false, "object store refused the request");
}

void verdict_add_status(struct verdict *v, const struct reply *r)
{
	size_t n = strlen(v->reason);
	bool region = r->region[0] && strstr(v->reason, "another region");

	snprintf(v->reason + n, sizeof(v->reason) - n, "%s%s (%d%s%s)", region ? ": " : "", region ? r->region : "",
		 r->status, r->code[0] ? " " : "", r->code);
}

void verdict_not_genuine(struct verdict *v)
{
	verdict_set(v, STORE_UNREACHABLE, true,
		    "object store unreachable: who answers is none (is the endpoint right, or a proxy on the way?)");
}

/*
 * Of a write with a condition nothing but success, a false condition and a
 * plain refusal is believed: Ceph answers 500 to who lost a race, AWS
 * 409 to who ran into another, and any proxy its own 5xx to a write that was done.
 */
void verdict_settle(struct verdict *v, enum store_condition condition)
{
	v->ambiguous = v->result == STORE_UNREACHABLE || (v->result == STORE_THROTTLED && condition != STORE_ANY);
	if (v->ambiguous)
		v->result = STORE_UNKNOWN;
	if (condition != STORE_ANY)
		v->retry = false;
}

void reply_judge_range(const struct store_op *op, const struct reply *r, int64_t *ret_length, struct verdict *ret)
{
	bool asked = op->offset > 0 || op->length > 0;
	uint64_t last;

	memset(ret, 0, sizeof(*ret));
	*ret_length = r->content_length;
	if (!asked && r->status == 200) {
		if (r->content_length < 0 && !r->chunked)
			verdict_set(ret, STORE_CORRUPT, true, "the reply does not say how long it is");
		return;
	}
	if (!asked || r->status != 206) {
		verdict_set(ret, STORE_FAILED, false, "the object store does not answer with the range asked for");
		return;
	}
	if (!r->has_range || r->range_first != op->offset) {
		verdict_set(ret, STORE_CORRUPT, true, "the reply is another range than was asked for");
		return;
	}
	last = op->length > 0 ? op->offset + op->length - 1 : r->range_total - 1;
	if (r->range_last != last) {
		verdict_set(ret, STORE_CORRUPT, r->range_last > last || last < r->range_total,
			    "the object is shorter than the range asked for");
		return;
	}
	*ret_length = (int64_t)(r->range_last - r->range_first + 1);
	if (r->content_length >= 0 && r->content_length != *ret_length)
		verdict_set(ret, STORE_CORRUPT, true, "the reply is longer or shorter than its range");
}
