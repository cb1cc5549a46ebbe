/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resumable uploads: begin, then the bytes in large pieces, one after another.
 * After each piece that got no answer the server is asked how much it has, and
 * the upload goes on from there: also the last piece, whose answer alone says that the object is there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hooks/store/gcs_store.h"

#define BEGINNINGS 2 /* a session that is forgotten is begun anew, once */

struct resumable {
	struct gcs_store *g;
	struct store_op *op;
	struct strbuf session;
	char crc32c[12], md5[28];
	uint64_t offset;	/* what has arrived */
	unsigned failures;	/* in a row */
	unsigned beginnings;	/* sessions */
	int64_t progress_ns;	/* when something last arrived, or much was last sent */
	bool perhaps_done;	/* the last byte was sent, and no answer told what came of it */
	struct verdict failure; /* the last one */
};

static void end(struct resumable *u, const struct verdict *v)
{
	struct http_store *s = &u->g->http;
	struct store_op *op = u->op;
	struct verdict copy = *v;

	if (copy.result != STORE_OK && copy.result != STORE_FALSE && u->perhaps_done)
		copy.result = STORE_UNKNOWN;
	else if (copy.result == STORE_UNKNOWN) /* without its last byte it is no object */
		copy.result = STORE_UNREACHABLE;
	strbuf_free(&u->session);
	free(u);
	http_store_end(s, op, &copy);
}

static void fail(struct resumable *u, enum store_result result, const char *reason)
{
	struct verdict v = {.result = STORE_OK};

	verdict_set(&v, result, false, reason);
	end(u, &v);
}

static void stored(struct resumable *u, const struct gcs_exchange *x)
{
	static const struct verdict ok = {.result = STORE_OK};

	strcpy(u->op->tag, x->x.reply.tag);
	u->perhaps_done = false;
	end(u, &ok);
}

static struct gcs_exchange *step(struct resumable *u, enum gcs_call_kind kind, void (*finished)(struct exchange *))
{
	struct gcs_exchange *x = gcs_exchange_new(&u->g->http, kind, u->op);

	if (!x) {
		fail(u, STORE_FAILED, "out of memory");
		return NULL;
	}
	x->call.session = strbuf_str(&u->session);
	x->call.crc32c = u->crc32c;
	x->call.md5 = u->md5[0] ? u->md5 : NULL;
	x->x.http.has_body = true;
	x->x.user = u;
	x->x.finished = finished;
	return x;
}

static void send_piece(struct resumable *u);
static void start_session(struct resumable *u);
static void ask(struct resumable *u, int64_t retry_after);

/* So much is there: on with what is not. */
static void arrived(struct resumable *u, uint64_t bytes)
{
	/* All of it, and still no object: it is asked again. More than there is, or less than it had: nonsense. */
	if (bytes > u->op->size || bytes < u->offset) {
		fail(u, STORE_FAILED, "object store lost what it had of the upload");
		return;
	}
	u->perhaps_done = bytes == u->op->size;
	if (bytes > u->offset) {
		u->offset = bytes;
		u->failures = 0;
		u->progress_ns = clock_boottime_ns();
	} else {
		u->failures++;
	}
	if (bytes == u->op->size || u->failures > 0)
		ask(u, -1);
	else
		send_piece(u);
}

/* Common to pieces and questions. Frees the exchange. */
static void answered(struct exchange *base)
{
	struct gcs_exchange *x = (struct gcs_exchange *)base;
	struct resumable *u = base->user;
	bool forgotten = base->reply.status == 404 || base->reply.status == 410;
	int64_t retry_after = base->reply.retry_after;
	bool question = x->call.kind == GCS_CALL_QUERY, more = base->http.status == 308;
	uint64_t bytes = x->arrived;
	struct verdict v = base->verdict;

	u->op->sent_ns = base->sent_ns;
	if (v.result == STORE_OK && !more) {
		stored(u, x);
		exchange_free(base);
		return;
	}
	exchange_free(base);
	u->failure = v;
	if (v.result == STORE_OK && question && bytes == u->offset && bytes < u->op->size) {
		send_piece(u);
	} else if (v.result == STORE_OK) {
		arrived(u, bytes);
	} else if (forgotten && !u->perhaps_done && u->beginnings < BEGINNINGS) {
		start_session(u);
	} else if (!question &&
		   (v.result == STORE_UNKNOWN || v.result == STORE_UNREACHABLE || v.result == STORE_THROTTLED)) {
		u->failures++;
		ask(u, retry_after);
	} else {
		end(u, &v);
	}
}

static void piece_finished(struct exchange *base)
{
	struct gcs_exchange *x = (struct gcs_exchange *)base;
	struct resumable *u = base->user;

	u->op->attempts += base->sendings;
	if (base->sendings > 0 && x->call.offset + x->call.size == u->op->size)
		u->perhaps_done = base->http.outcome != HTTP_ANSWERED || base->http.status >= 500;
	/* A piece takes its time on a slow line; only what comes after it is time in which nothing moves. */
	if (exchange_moved(base))
		u->progress_ns = clock_boottime_ns();
	answered(base);
}

/* How much is there? After a while that grows. */
static void ask(struct resumable *u, int64_t retry_after)
{
	int64_t now = clock_boottime_ns();
	int64_t delay = http_retry_delay_ns(u->failures + 1, retry_after, now - u->progress_ns);
	struct gcs_exchange *x;

	if (delay < 0) {
		if (u->failure.result == STORE_OK)
			verdict_set(&u->failure, STORE_UNREACHABLE, false, "the upload does not get on");
		end(u, &u->failure);
		return;
	}
	x = step(u, GCS_CALL_QUERY, answered);
	if (!x)
		return;
	x->not_before_ns = now + delay;
	exchange_start(&x->x);
}

static void send_piece(struct resumable *u)
{
	const struct store_op *op = u->op;
	struct gcs_exchange *x = step(u, GCS_CALL_CHUNK, piece_finished);
	uint64_t left = op->size - u->offset, size = left < u->g->chunk ? left : u->g->chunk;

	if (!x)
		return;
	x->call.offset = u->offset;
	x->call.size = size;
	x->x.http.data = op->data ? (const char *)op->data + u->offset : NULL;
	x->x.http.in_fd = op->in_fd;
	x->x.http.in_offset = op->in_offset + (off_t)u->offset;
	x->x.http.size = size;
	exchange_start(&x->x);
}

static void began(struct exchange *base)
{
	struct gcs_exchange *x = (struct gcs_exchange *)base;
	struct resumable *u = base->user;
	struct verdict v = base->verdict;

	u->op->attempts += base->sendings;
	u->op->sent_ns = base->sent_ns;
	strbuf_free(&u->session);
	u->session = x->session;
	x->session = (struct strbuf)STRBUF_INIT;
	exchange_free(base);
	if (v.result != STORE_OK)
		end(u, &v);
	else if (u->session.len == 0)
		fail(u, STORE_FAILED, "object store began an upload without a name");
	else
		send_piece(u);
}

static void start_session(struct resumable *u)
{
	struct gcs_exchange *x;

	u->beginnings++;
	u->offset = 0;
	u->progress_ns = clock_boottime_ns();
	x = step(u, GCS_CALL_BEGIN, began);
	if (x)
		exchange_start(&x->x);
}

void gcs_upload_begin(struct gcs_store *g, struct store_op *op)
{
	struct resumable *u = calloc(1, sizeof(*u));
	int r;

	if (!u) {
		http_store_fail(&g->http, op, STORE_FAILED, "out of memory");
		return;
	}
	u->g = g;
	u->op = op;
	r = gcs_hash_source(op, u->crc32c, u->md5);
	if (r < 0)
		fail(u, r == -EBADMSG ? STORE_CORRUPT : STORE_FAILED,
		     r == -EBADMSG  ? "the data is not what was announced (length or sha256)"
		     : r == -ENOMEM ? "out of memory"
				    : "the data can't be read");
	else
		start_session(u);
}
