/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/store_s3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hooks/store/s3_exchange.h"

#define PARALLEL 24
#define PARALLEL_MAX 256

void s3_op_end(struct s3_store *s3, struct store_op *op, const struct s3_verdict *v)
{
	store_end(&s3->base, op, v->result, "%s", v->reason);
	/* The caller's own limit, not the store's failure. */
	if (v->result == STORE_FAILED && strstr(v->reason, "has more than"))
		op->err.code = EFBIG;
	/* Nor is the caller's disk. */
	if (v->result == STORE_FAILED && strstr(v->reason, "(no space left)"))
		op->err.code = ENOSPC;
	s3->done(s3->done_ctx, op);
}

static void op_finished(struct s3_exchange *x)
{
	struct store_op *op = (struct store_op *)x->user;
	struct s3_store *s3 = x->s3;
	struct s3_verdict v = x->verdict;

	op->attempts = x->sendings;
	op->sent_ns = x->sent_ns;
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
		op->got_size = x->reply.content_length > 0 ? (uint64_t)x->reply.content_length : 0;
		if (x->reply.content_length < 0)
			v = (struct s3_verdict){.result = STORE_CORRUPT,
						.reason = "the reply does not say how long it is"};
	}
	s3_exchange_free(x);
	s3_op_end(s3, op, &v);
}

static void begin(struct s3_store *s3, struct store_op *op)
{
	static const struct s3_verdict no_memory = {.result = STORE_FAILED, .reason = "out of memory"};
	struct s3_exchange *x;

	if (s3_multipart_wanted(s3, op)) {
		s3_multipart_begin(s3, op);
		return;
	}
	x = s3_exchange_new(s3, S3_CALL_OP, op);
	if (!x) {
		s3_op_end(s3, op, &no_memory);
		return;
	}
	if (op->kind == STORE_PUT) {
		x->http.has_body = true;
		x->http.data = op->data;
		x->http.in_fd = op->in_fd;
		x->http.in_offset = op->in_offset;
		x->http.size = op->size;
	} else if (op->kind == STORE_COPY) {
		x->http.has_body = true; /* of size 0: some servers want a Content-Length */
	} else if (op->kind == STORE_GET) {
		x->max_body = op->max_body;
		x->http.expected = op->length > 0 ? op->length : UINT64_C(5) << 30;
	}
	x->user = op;
	x->finished = op_finished;
	s3_exchange_start(x);
}

static void s3_run(struct store *s, struct store_op *(*next)(void *), void (*done)(void *, struct store_op *),
		   void *ctx, unsigned parallel)
{
	struct s3_store *s3 = (struct s3_store *)s;
	bool more = true;

	s3->done = done;
	s3->done_ctx = ctx;
	do {
		while (more && s3->under_way < parallel) {
			struct store_op *op = next(ctx);

			more = op;
			if (op && store_begin(s, op))
				begin(s3, op);
			else if (op)
				done(ctx, op);
		}
	} while (s3_step(s3) || more);
}

static void s3_close(struct store *s)
{
	struct s3_store *s3 = (struct s3_store *)s;

	http_close(s3->http);
	credentials_free(&s3->credentials);
	s3_endpoint_free(&s3->endpoint);
	free(s3->base.place);
	free(s3);
}

static const struct store_vtable s3_vtable = {"s3", s3_close, s3_run, s3_list};

void store_s3_part_size(struct store *s, uint64_t bytes)
{
	((struct s3_store *)s)->part_size = bytes;
}

static int open_parts(struct s3_store *s3, const struct store_config *config, struct error *err)
{
	struct http_options options = {.ca_file = config->ca_file,
				       .connect_timeout_ms = config->connect_timeout_ms,
				       .low_speed_seconds = config->low_speed_seconds,
				       .connections = s3->base.parallel};
	int r = s3_endpoint_init(config, &s3->endpoint, err);

	if (r == 0)
		r = credentials_load(config, &s3->credentials, err);
	if (r == 0) {
		r = http_open(&options, &s3->http, err);
		if (r < 0)
			error_wrap(err, "store \"%s\"", config->name);
	}
	if (r == 0 && asprintf(&s3->base.place, "bucket %s", config->bucket) < 0) {
		s3->base.place = NULL;
		r = error_set(err, ENOMEM, "store \"%s\": out of memory", config->name);
	}
	return r;
}

int store_s3_open(const struct store_config *config, struct store **ret, struct error *err)
{
	struct s3_store *s3 = calloc(1, sizeof(*s3));
	int r;

	if (!s3)
		return error_set(err, ENOMEM, "store \"%s\": out of memory", config->name);
	s3->base.ops = &s3_vtable;
	s3->base.name = config->name;
	s3->base.caps = STORE_CAP_COPY;
	s3->base.parallel = config->parallel == 0	      ? PARALLEL
			    : config->parallel < PARALLEL_MAX ? config->parallel
							      : PARALLEL_MAX;
	s3->config = config;
	r = open_parts(s3, config, err);
	if (r < 0) {
		s3_close(&s3->base);
		return r;
	}
	*ret = &s3->base;
	return 0;
}
