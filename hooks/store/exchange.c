/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"

#define AGAIN_MAX 3
#define FEW_BYTES 65536			  /* a register, a page: who waits for these, waits for an end */
#define SOCKET_BUFFER (UINT64_C(4) << 20) /* the most that Linux gives one of TCP */
#define GATHERED 131072			  /* bytes for one write: libcurl hands out 16 KiB at a time */

static void say(struct exchange *x, enum store_result result, bool retry, const char *reason)
{
	memset(&x->verdict, 0, sizeof(x->verdict));
	verdict_set(&x->verdict, result, retry, reason);
}

/* --- what http calls ---------------------------------------------------------------- */

/* Curl repeats a request when a kept connection closes without a word. A write with a condition it must not. */
static bool before_send(struct http_request *r)
{
	struct exchange *x = r->user;

	if (r->sendings > 0 && x->condition != STORE_ANY)
		return false;
	if (x->changes && !store_may_send(&x->store->base)) {
		x->cancelled = true;
		return false;
	}
	x->sent_ns = clock_boottime_ns();
	x->sendings++;
	return true;
}

static void on_header(struct http_request *r, const char *name, size_t name_len, const char *value, size_t value_len)
{
	struct exchange *x = r->user;
	char n[32], v[8192];

	x->reply.status = r->status;
	x->reply.chunked |= r->framed;
	if (name_len >= sizeof(n) || value_len >= sizeof(v))
		return;
	memcpy(n, name, name_len);
	n[name_len] = '\0';
	memcpy(v, value, value_len);
	v[value_len] = '\0';
	x->store->dialect->header(x, n, v);
	reply_header(&x->reply, n, v);
}

static bool head_fits(struct exchange *x)
{
	if (x->head_judged)
		return true;
	x->head_judged = true;
	reply_judge_range(x->op, &x->reply, &x->expected, &x->verdict);
	return x->verdict.result == STORE_OK;
}

static void not_written(struct exchange *x, int r)
{
	say(x, STORE_FAILED, false, "");
	snprintf(x->verdict.reason, sizeof(x->verdict.reason), "what was read could not be written (%s)",
		 r == -ENOSPC || r == -EDQUOT ? "no space left" : "input/output error");
}

/* Into the caller's file, behind what was gathered: that must be nothing, or be `data`. */
static bool write_out(struct exchange *x, const char *data, size_t len)
{
	int r = pwrite_all(x->op->out_fd, data, len, x->op->out_offset + (off_t)(x->received - x->n_gathered));

	if (r < 0)
		not_written(x, r);
	return r == 0;
}

static bool write_gathered(struct exchange *x)
{
	if (x->n_gathered > 0 && !write_out(x, x->gathered, x->n_gathered))
		return false;
	x->n_gathered = 0;
	return true;
}

/* A page cache takes much at once for less than a little at a time. judge_answer writes the end. */
static bool gather(struct exchange *x, const char *data, size_t len)
{
	while (len > 0) {
		size_t n = GATHERED - x->n_gathered < len ? GATHERED - x->n_gathered : len;

		memcpy(x->gathered + x->n_gathered, data, n);
		x->n_gathered += n;
		x->received += n;
		data += n;
		len -= n;
		if (x->n_gathered == GATHERED && !write_gathered(x))
			return false;
	}
	return true;
}

static bool sink_file(struct exchange *x, const char *data, size_t len)
{
	if (x->expected >= 0 && x->received + len > (uint64_t)x->expected) {
		say(x, STORE_CORRUPT, true, "the reply is longer than its range");
		return false;
	}
	if (!x->gathered && (uint64_t)x->expected != x->received + len)
		x->gathered = malloc(GATHERED);
	if (x->gathered)
		return gather(x, data, len);
	if (!write_out(x, data, len))
		return false;
	x->received += len;
	return true;
}

static bool sink_memory(struct exchange *x, const char *data, size_t len)
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
	struct exchange *x = r->user;

	if (r->status >= 200 && r->status < 300) {
		if (x->get && !head_fits(x))
			return false;
		if (x->get && x->store->dialect->received)
			x->store->dialect->received(x, data, len);
		return x->get && x->op->out_fd >= 0 ? sink_file(x, data, len) : sink_memory(x, data, len);
	}
	/* An error's text; the beginning is enough. */
	if (x->body.len < REPLY_ERROR_MAX)
		strbuf_add(&x->body, data, len < REPLY_ERROR_MAX - x->body.len ? len : REPLY_ERROR_MAX - x->body.len);
	return true;
}

/* --- one attempt -------------------------------------------------------------------- */

void *exchange_new(struct http_store *s, size_t size, const struct store_op *op)
{
	struct exchange *x = calloc(1, size);

	if (!x)
		return NULL;
	x->store = s;
	x->op = op;
	x->http.in_fd = -1;
	x->http.before_send = before_send;
	x->http.header = on_header;
	x->http.sink = sink;
	x->http.user = x;
	x->max_body = REPLY_ERROR_MAX;
	s->under_way++;
	return x;
}

void exchange_free(struct exchange *x)
{
	x->store->under_way--;
	x->store->heavy -= x->heavy;
	if (x->store->dialect->release)
		x->store->dialect->release(x);
	strbuf_free(&x->body);
	free(x->gathered);
	free(x);
}

bool exchange_bad_data(struct exchange *x, int r)
{
	if (r == -EBADMSG)
		say(x, STORE_CORRUPT, false, "the data is not what was announced (length or sha256)");
	else
		say(x, STORE_FAILED, false, r == -ENOMEM ? "out of memory" : "the data can't be read");
	return false;
}

const struct credentials *exchange_credentials(struct exchange *x)
{
	const struct credentials *c;
	struct error err = ERROR_INIT;
	int r = credentials_get(x->store->credentials, &c, &err);

	if (r < 0) {
		say(x, r == -EHOSTUNREACH ? STORE_UNREACHABLE : STORE_REFUSED, false, err.msg);
		return NULL;
	}
	x->generation = c->generation;
	return c;
}

/* Nothing is under way for it any more: http_store_step tells. */
static void end_without_request(struct exchange *x)
{
	/* An attempt that may have been heard is not undone by a later one that was not sent. */
	if (x->ambiguous)
		x->verdict.result = STORE_UNKNOWN;
	x->next = x->store->ready;
	x->store->ready = x;
}

static void start(struct exchange *x, int64_t delay_ns)
{
	int64_t at = delay_ns > 0 ? clock_boottime_ns() + delay_ns : 0;

	reply_init(&x->reply);
	strbuf_reset(&x->body);
	x->received = 0;
	x->n_gathered = 0;
	x->expected = -1;
	x->head_judged = false;
	x->not_before_ns = 0;
	x->attempts++;
	say(x, STORE_OK, false, "");
	if (x->store->dialect->prepare(x)) {
		if (x->not_before_ns > at)
			at = x->not_before_ns;
		if (http_start(x->store->http, &x->http, at) == 0)
			return;
		say(x, STORE_FAILED, false, "out of memory");
	}
	end_without_request(x);
}

void exchange_start(struct exchange *x)
{
	x->began_ns = clock_boottime_ns();
	x->heavy = http_window_is_heavy(&x->http);
	x->store->heavy += x->heavy;
	start(x, 0);
}

/* --- its end ------------------------------------------------------------------------ */

static void judge_answer(struct exchange *x)
{
	x->reply.status = x->http.status;
	say(x, STORE_OK, false, "");
	x->store->dialect->judge(x);
	if (!x->get || x->verdict.result != STORE_OK || !head_fits(x) || !write_gathered(x))
		return;
	if (x->expected >= 0 && x->received != (uint64_t)x->expected)
		say(x, STORE_CORRUPT, true, "the reply is shorter than its range");
}

static void judge_lost(struct exchange *x)
{
	/* Of the object's bytes, or of the words with which it says that there are none there. */
	bool cut = x->get && ((x->http.status >= 200 && x->http.status < 300) || x->http.status == 416);

	if (x->changes)
		say(x, STORE_UNKNOWN, x->condition == STORE_ANY, "");
	else
		say(x, cut ? STORE_CORRUPT : STORE_UNREACHABLE, true, "");
	x->verdict.ambiguous = x->changes;
	snprintf(x->verdict.reason, sizeof(x->verdict.reason), "%s: %s at %s",
		 x->changes ? "object store did not confirm the write"
		 : cut	    ? "object store cut its reply"
			    : "object store unreachable",
		 x->http.reason, x->store->url);
}

static void judge(struct exchange *x)
{
	switch (x->http.outcome) {
	case HTTP_ANSWERED:
		judge_answer(x);
		break;
	case HTTP_UNSENT:
		say(x, STORE_UNREACHABLE, !x->http.hopeless, "");
		snprintf(x->verdict.reason, sizeof(x->verdict.reason), "object store unreachable: %s at %s",
			 x->http.reason, x->store->url);
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
		if (x->changes)
			say(x, STORE_UNKNOWN, false, "object store answered with more than belongs to such a request");
		x->verdict.ambiguous = x->changes;
		break;
	}
}

/* Other credentials may be there by now. Once per exchange. */
static bool refresh(struct exchange *x)
{
	if (!x->verdict.refresh || x->refreshed)
		return false;
	x->refreshed = true;
	return x->store->credentials && credentials_refused(x->store->credentials, x->generation);
}

bool exchange_moved(const struct exchange *x)
{
	return x->received > FEW_BYTES || x->http.sent > SOCKET_BUFFER;
}

/*
 * The budget of repetitions is of time that is lost. While many bytes came, or more went than a socket's buffer holds,
 * it was not: a slow connection that breaks after a minute is no reason to give up.
 */
static void count_lost_time(struct exchange *x)
{
	if (exchange_moved(x))
		x->began_ns += clock_boottime_ns() - x->sent_ns;
}

static void attempt_ended(struct exchange *x)
{
	int64_t delay = -1;

	judge(x);
	http_window_learn(x->store, x);
	x->ambiguous |= x->verdict.ambiguous;
	count_lost_time(x);
	if (x->verdict.again && x->agains++ < AGAIN_MAX)
		delay = 0;
	else if (refresh(x))
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

bool http_store_step(struct http_store *s)
{
	struct exchange *x = s->ready;
	struct http_request *r;

	if (x) {
		s->ready = x->next;
		x->finished(x);
		return true;
	}
	r = http_wait(s->http, s->patience_ns);
	if (r)
		attempt_ended(r->user);
	return r || s->under_way > 0;
}
