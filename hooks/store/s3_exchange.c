/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/s3_exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "hooks/store/s3_xml.h"

static bool changes(const struct s3_exchange *x)
{
	return x->call.kind != S3_CALL_LIST && (x->call.kind != S3_CALL_OP || store_op_changes(x->call.op));
}

static bool is_get(const struct s3_exchange *x)
{
	return x->call.kind == S3_CALL_OP && x->call.op->kind == STORE_GET;
}

static void say(struct s3_exchange *x, enum store_result result, bool retry, const char *reason)
{
	x->verdict = (struct s3_verdict){.result = result, .retry = retry};
	snprintf(x->verdict.reason, sizeof(x->verdict.reason), "%s", reason);
}

/* --- what http calls ---------------------------------------------------------------- */

/* Curl repeats a request when a kept connection closes without a word. A write with a condition it must not. */
static bool before_send(struct http_request *r)
{
	struct s3_exchange *x = r->user;

	if (r->sendings > 0 && s3_call_condition(&x->call) != STORE_ANY)
		return false;
	if (changes(x) && !store_may_send(&x->s3->base)) {
		x->cancelled = true;
		return false;
	}
	x->sent_ns = clock_boottime_ns();
	x->sendings++;
	return true;
}

static void on_header(struct http_request *r, const char *name, size_t name_len, const char *value, size_t value_len)
{
	struct s3_exchange *x = r->user;

	x->reply.status = r->status;
	s3_reply_header(&x->reply, name, name_len, value, value_len);
}

static bool head_fits(struct s3_exchange *x)
{
	if (x->head_judged)
		return true;
	x->head_judged = true;
	s3_judge_range(x->call.op, &x->reply, &x->expected, &x->verdict);
	return x->verdict.result == STORE_OK;
}

/* Into the caller's file: what was received so far is what was written. */
static bool sink_file(struct s3_exchange *x, const char *data, size_t len)
{
	const struct store_op *op = x->call.op;
	int r;

	if (x->expected >= 0 && x->received + len > (uint64_t)x->expected) {
		say(x, STORE_CORRUPT, true, "the reply is longer than its range");
		return false;
	}
	r = pwrite_all(op->out_fd, data, len, op->out_offset + (off_t)x->received);
	if (r < 0) {
		say(x, STORE_FAILED, false, "");
		snprintf(x->verdict.reason, sizeof(x->verdict.reason), "what was read could not be written (%s)",
			 r == -ENOSPC || r == -EDQUOT ? "no space left" : "input/output error");
		return false;
	}
	x->received += len;
	return true;
}

static bool sink_memory(struct s3_exchange *x, const char *data, size_t len)
{
	if (len > x->max_body - x->body.len) {
		say(x, STORE_FAILED, false, "");
		snprintf(x->verdict.reason, sizeof(x->verdict.reason), "the object has more than %zu bytes",
			 x->max_body);
		return false;
	}
	strbuf_add(&x->body, data, len);
	if (x->body.failed) {
		say(x, STORE_FAILED, false, "out of memory");
		return false;
	}
	x->received += len;
	return true;
}

static bool sink(struct http_request *r, const char *data, size_t len)
{
	struct s3_exchange *x = r->user;

	if (r->status >= 200 && r->status < 300) {
		if (is_get(x) && !head_fits(x))
			return false;
		return is_get(x) && x->call.op->out_fd >= 0 ? sink_file(x, data, len) : sink_memory(x, data, len);
	}
	/* An error's text; the beginning is enough. */
	if (x->body.len < S3_ERROR_BODY_MAX)
		strbuf_add(&x->body, data,
			   len < S3_ERROR_BODY_MAX - x->body.len ? len : S3_ERROR_BODY_MAX - x->body.len);
	return true;
}

/* --- one attempt -------------------------------------------------------------------- */

struct s3_exchange *s3_exchange_new(struct s3_store *s3, enum s3_call_kind kind, const struct store_op *op)
{
	struct s3_exchange *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->s3 = s3;
	x->call.kind = kind;
	x->call.op = op;
	x->http.in_fd = -1;
	x->http.before_send = before_send;
	x->http.header = on_header;
	x->http.sink = sink;
	x->http.user = x;
	x->max_body = S3_ERROR_BODY_MAX;
	s3->under_way++;
	return x;
}

void s3_exchange_free(struct s3_exchange *x)
{
	x->s3->under_way--;
	s3_request_free(&x->request);
	strbuf_free(&x->body);
	free(x);
}

/*
 * The hash of the body, which the server checks. Over TLS a file whose hash nobody
 * knows goes unsigned (TLS guards it); without TLS it is read once before.
 */
static int hash_body(struct s3_exchange *x)
{
	const struct store_op *op = x->call.op;
	uint64_t len;
	int r;

	if (!x->http.has_body || x->call.payload_hash)
		return 0;
	x->call.payload_hash = x->hash;
	if (x->http.data || x->http.size == 0) {
		sha256_hex(x->http.data ? x->http.data : "", (size_t)x->http.size, x->hash);
		/* What the caller knows is what must arrive. */
		if (x->call.kind == S3_CALL_OP && op->sha256 && strcmp(op->sha256, x->hash) != 0)
			return -EBADMSG;
	} else if (x->call.kind == S3_CALL_OP && op->sha256) {
		x->call.payload_hash = op->sha256;
	} else if (x->s3->endpoint.tls) {
		x->call.payload_hash = S3_UNSIGNED;
	} else {
		r = sha256_fd(x->http.in_fd, x->http.in_offset, x->http.size, x->hash, &len);
		return r < 0 ? r : len == x->http.size ? 0 : -EBADMSG;
	}
	return 0;
}

static int begin_attempt(struct s3_exchange *x, int64_t delay_ns)
{
	struct s3_store *s3 = x->s3;
	struct s3_credentials c = {s3->credentials.access_key_id, s3->credentials.secret_access_key,
				   s3->credentials.session_token};
	int r;

	x->call.quirks = s3->base.quirks;
	x->call.caps = s3->base.caps;
	r = hash_body(x);
	if (r < 0)
		return r;
	s3_request_free(&x->request);
	r = s3_request_build(&s3->endpoint, &c, &x->call, time(NULL), &x->request);
	if (r < 0)
		return r;
	s3_reply_init(&x->reply);
	strbuf_reset(&x->body);
	x->received = 0;
	x->expected = -1;
	x->head_judged = false;
	x->attempts++;
	x->http.method = x->request.method;
	x->http.url = strbuf_str(&x->request.url);
	x->http.headers = strbuf_str(&x->request.headers);
	return http_start(s3->http, &x->http, delay_ns > 0 ? clock_boottime_ns() + delay_ns : 0);
}

static void start(struct s3_exchange *x, int64_t delay_ns)
{
	int r = begin_attempt(x, delay_ns);

	if (r == 0)
		return;
	if (r == -EBADMSG)
		say(x, STORE_CORRUPT, false, "the data is not what was announced (length or sha256)");
	else
		say(x, STORE_FAILED, false, r == -ENOMEM ? "out of memory" : "the data can't be read");
	x->next = x->s3->ready;
	x->s3->ready = x;
}

void s3_exchange_start(struct s3_exchange *x)
{
	x->began_ns = clock_boottime_ns();
	start(x, 0);
}

/* --- its end ------------------------------------------------------------------------ */

/* Answers that say 200 and then tell an error, or nothing that was asked for. */
static void judge_document(struct s3_exchange *x)
{
	bool document = (x->call.kind == S3_CALL_OP && x->call.op->kind == STORE_COPY) ||
			(x->call.kind == S3_CALL_PART && x->call.op->kind == STORE_COPY) ||
			x->call.kind == S3_CALL_COMPLETE;
	_cleanup_strbuf_ struct strbuf etag = STRBUF_INIT;

	if (!document || x->verdict.result != STORE_OK)
		return;
	if (s3_xml_find(strbuf_str(&x->body), x->body.len, NULL, "ETag", &etag) < 0) {
		say(x, STORE_UNKNOWN, true, "object store answered without a result");
		x->verdict.ambiguous = true;
		return;
	}
	s3_tag(strbuf_str(&etag), etag.len, x->reply.tag);
}

static void judge_answer(struct s3_exchange *x)
{
	x->reply.status = x->http.status;
	if (!is_get(x) || x->http.status >= 300)
		s3_reply_error(&x->reply, strbuf_str(&x->body), x->body.len);
	s3_judge(&x->call, &x->reply, &x->verdict);
	judge_document(x);
	if (!is_get(x) || x->verdict.result != STORE_OK || !head_fits(x))
		return;
	if (x->expected >= 0 && x->received != (uint64_t)x->expected)
		say(x, STORE_CORRUPT, true, "the reply is shorter than its range");
}

static void judge_lost(struct s3_exchange *x)
{
	bool cut = is_get(x) && x->http.status >= 200 && x->http.status < 300;

	if (changes(x))
		say(x, STORE_UNKNOWN, s3_call_condition(&x->call) == STORE_ANY, "");
	else
		say(x, cut ? STORE_CORRUPT : STORE_UNREACHABLE, true, "");
	x->verdict.ambiguous = changes(x);
	snprintf(x->verdict.reason, sizeof(x->verdict.reason), "%s: %s at %s",
		 changes(x) ? "object store did not confirm the write"
		 : cut	    ? "object store cut its reply"
			    : "object store unreachable",
		 x->http.reason, x->s3->endpoint.url);
}

static void judge(struct s3_exchange *x)
{
	switch (x->http.outcome) {
	case HTTP_ANSWERED:
		judge_answer(x);
		break;
	case HTTP_UNSENT:
		say(x, STORE_UNREACHABLE, !x->http.hopeless, "");
		snprintf(x->verdict.reason, sizeof(x->verdict.reason), "object store unreachable: %s at %s",
			 x->http.reason, x->s3->endpoint.url);
		break;
	case HTTP_STOPPED:
		if (!x->cancelled) {
			judge_lost(x);
			break;
		}
		say(x, STORE_CANCELLED, false, "the lease is no longer valid");
		x->verdict.ambiguous = x->http.sendings > 0;
		break;
	case HTTP_LOST:
		judge_lost(x);
		break;
	case HTTP_SOURCE:
		say(x, STORE_CORRUPT, false, "the data to be sent is shorter than announced");
		break;
	case HTTP_SINK: /* the sink said why */
		if (changes(x))
			say(x, STORE_UNKNOWN, false, "object store answered with more than belongs to such a request");
		x->verdict.ambiguous = changes(x);
		break;
	}
}

/* Another key may lie in the configured file by now. Once per exchange. */
static bool refresh(struct s3_exchange *x)
{
	struct error ignored = ERROR_INIT;
	struct credentials c;
	bool changed;

	if (!x->verdict.refresh || x->refreshed)
		return false;
	x->refreshed = true;
	if (credentials_load(x->s3->config, &c, &ignored) < 0)
		return false;
	changed = !credentials_equal(&c, &x->s3->credentials);
	credentials_free(&x->s3->credentials);
	x->s3->credentials = c;
	return changed;
}

static void attempt_ended(struct s3_exchange *x)
{
	int64_t delay = -1;

	judge(x);
	x->ambiguous |= x->verdict.ambiguous;
	if (refresh(x))
		delay = 0;
	else if (x->verdict.retry)
		delay = http_retry_delay_ns(x->attempts + 1, x->reply.retry_after, clock_boottime_ns() - x->began_ns);
	if (delay >= 0) {
		start(x, delay);
		return;
	}
	/* An attempt that may have been heard is not undone by a later one that was not. */
	if (x->ambiguous && x->verdict.result != STORE_OK)
		x->verdict.result = STORE_UNKNOWN;
	x->finished(x);
}

bool s3_step(struct s3_store *s3)
{
	struct s3_exchange *x = s3->ready;
	struct http_request *r;

	if (x) {
		s3->ready = x->next;
		x->finished(x);
		return true;
	}
	r = http_wait(s3->http);
	if (r)
		attempt_ended(r->user);
	return r;
}
