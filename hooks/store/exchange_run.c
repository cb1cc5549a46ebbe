/* SPDX-License-Identifier: Apache-2.0 */
/* A store behind HTTP as the engine sees it: ops in, verdicts out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hooks/store/exchange.h"

#define LATER_NS (5 * NSEC_PER_MSEC) /* until somebody who had no op is asked again */

void http_store_end(struct http_store *s, struct store_op *op, const struct verdict *v)
{
	store_end(&s->base, op, v->result, "%s", v->reason);
	/* The caller's own limit, not the store's failure. */
	if (v->result == STORE_FAILED && strstr(v->reason, "has more than"))
		op->err.code = EFBIG;
	/* Nor is the caller's disk. */
	if (v->result == STORE_FAILED && strstr(v->reason, "(no space left)"))
		op->err.code = ENOSPC;
	s->done(s->done_ctx, op);
}

void http_store_fail(struct http_store *s, struct store_op *op, enum store_result result, const char *reason)
{
	struct verdict v = {.result = STORE_OK};

	verdict_set(&v, result, false, reason);
	http_store_end(s, op, &v);
}

void exchange_end_op(struct exchange *x)
{
	struct store_op *op = (struct store_op *)x->user;
	struct http_store *s = x->store;
	struct verdict v = x->verdict;

	op->attempts = x->sendings;
	op->sent_ns = x->sent_ns;
	op->cut = v.result == STORE_CORRUPT && x->http.outcome == HTTP_LOST;
	if (v.result == STORE_OK) {
		strcpy(op->tag, x->reply.tag);
		strcpy(op->got_mark, x->reply.mark);
		op->mtime = x->reply.mtime;
	}
	if (v.result == STORE_OK && op->kind == STORE_GET) {
		op->got_size = x->received;
		if (op->out_fd < 0) {
			strbuf_free(&op->body);
			op->body = x->body;
			x->body = (struct strbuf)STRBUF_INIT;
		}
	}
	if (op->kind == STORE_HEAD && v.result == STORE_OK) {
		op->got_size = x->reply.object_size > 0 ? (uint64_t)x->reply.object_size : 0;
		if (x->reply.object_size < 0)
			v = (struct verdict){.result = STORE_CORRUPT,
					     .reason = "the reply does not say how long it is"};
	}
	exchange_free(x);
	http_store_end(s, op, &v);
}

void exchange_start_op(struct exchange *x, struct store_op *op)
{
	if (op->kind == STORE_PUT) {
		x->http.has_body = true;
		x->http.data = op->data;
		x->http.in_fd = op->in_fd;
		x->http.in_offset = op->in_offset;
		x->http.size = op->size;
	} else if (op->kind == STORE_GET) {
		x->get = true;
		x->max_body = op->max_body;
		x->http.expected = op->length > 0 ? op->length : op->size > 0 ? op->size : UINT64_C(5) << 30;
	}
	x->user = op;
	x->finished = exchange_end_op;
	exchange_start(x);
}

void http_store_rest(struct store *base)
{
	struct http_store *s = (struct http_store *)base;

	if (s->under_way == 0 && !s->ready)
		http_rest(s->http);
}

void http_store_run(struct store *base, struct store_op *(*next)(void *), void (*done)(void *, struct store_op *),
		    void *ctx, unsigned parallel)
{
	struct http_store *s = (struct http_store *)base;
	bool more = true;

	s->done = done;
	s->done_ctx = ctx;
	do {
		s->patience_ns = 0;
		while (more && s->patience_ns == 0 && s->under_way < parallel && http_window_has_room(s)) {
			struct store_op *op = next(ctx);

			more = op;
			if (op == &store_later)
				s->patience_ns = LATER_NS;
			else if (op && store_begin(base, op))
				s->dialect->begin(s, op);
			else if (op)
				done(ctx, op);
		}
	} while (http_store_step(s) || more);
	s->patience_ns = 0;
}

int http_store_open(struct http_store *s, const struct store_config *config, const struct store_vtable *ops,
		    const struct dialect *dialect, char *place, struct error *err)
{
	struct http_options options = {.ca_file = config->ca_file,
				       .connect_timeout_ms = config->connect_timeout_ms,
				       .low_speed_seconds = config->low_speed_seconds,
				       .proxy = config->proxy,
				       .max_bytes_per_second = config->max_bytes_per_second,
				       .http2 = true};
	int r;

	s->base.ops = ops;
	s->base.name = config->name;
	s->base.place = place;
	http_window_open(&s->window, config->parallel, config->max_bytes_per_second);
	s->base.parallel = s->window.most;
	s->config = config;
	s->dialect = dialect;
	if (!place)
		return error_set(err, ENOMEM, "store \"%s\": out of memory", config->name);
	options.connections = s->base.parallel;
	r = http_open(&options, &s->http, err);
	return r < 0 ? error_wrap(err, "store \"%s\"", config->name) : 0;
}

int http_store_credentials(struct store *base, char *ret, size_t size, struct error *err)
{
	struct http_store *s = (struct http_store *)base;

	return s->credentials ? credentials_describe(s->credentials, ret, size, err) : 0;
}

void http_store_close(struct http_store *s)
{
	http_close(s->http);
	credentials_close(s->credentials);
	free(s->base.place);
}
