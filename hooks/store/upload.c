/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/upload.h"

#include <stdlib.h>
#include <string.h>

#include "hooks/store/sign.h"

#define PARTS_AT_ONCE 8

static void upload_end(struct upload *u, const struct verdict *v)
{
	struct http_store *s = u->store;
	struct store_op *op = u->op;
	struct verdict copy = *v; /* v may be the upload's own */

	strbuf_free(&u->id);
	strbuf_free(&u->body);
	free(u->tags);
	free(u);
	http_store_end(s, op, &copy);
}

static void note(struct upload *u, const struct exchange *x)
{
	u->op->attempts += x->attempts > 1 ? x->attempts - 1 : 0;
	u->op->sent_ns = x->sent_ns;
}

static void fail(struct upload *u, enum store_result result, const char *reason)
{
	memset(&u->failure, 0, sizeof(u->failure));
	verdict_set(&u->failure, result, false, reason);
}

static void aborted(struct exchange *x)
{
	struct upload *u = x->user;

	exchange_free(x);
	upload_end(u, &u->failure);
}

/* Once no part is on its way. What the server still keeps of a cancelled one is not ours to touch any more. */
static void give_up(struct upload *u)
{
	struct exchange *x = NULL;

	if (u->failure.result != STORE_CANCELLED && u->steps->abort)
		x = u->steps->abort(u);
	if (!x) {
		upload_end(u, &u->failure);
		return;
	}
	x->user = u;
	x->finished = aborted;
	exchange_start(x);
}

static void completed(struct exchange *x)
{
	struct upload *u = x->user;
	struct verdict v = x->verdict;

	note(u, x);
	if (v.result == STORE_OK)
		strcpy(u->op->tag, x->reply.tag);
	exchange_free(x);
	if (v.result == STORE_OK || v.result == STORE_UNKNOWN) {
		upload_end(u, &v);
		return;
	}
	u->failure = v;
	give_up(u);
}

/* The parts were hashed one by one, if at all: a file that moved meanwhile is found out here. */
static bool still_the_same(struct upload *u)
{
	const struct store_op *op = u->op;
	char hex[SHA256_HEX_MAX];
	uint64_t len;

	if (op->kind != STORE_PUT || !op->sha256 || op->data || u->in_pieces)
		return true;
	return sha256_fd(op->in_fd, op->in_offset, op->size, hex, &len) == 0 && len == op->size &&
	       !strcmp(hex, op->sha256);
}

static void complete(struct upload *u)
{
	struct exchange *x = NULL;

	if (!still_the_same(u))
		fail(u, STORE_CORRUPT, "the data changed while it was sent");
	else if (!(x = u->steps->complete(u)))
		fail(u, STORE_FAILED, "out of memory");
	if (!x) {
		give_up(u);
		return;
	}
	x->user = u;
	x->finished = completed;
	exchange_start(x);
}

static void pump(struct upload *u);

/* Which part an exchange is. */
struct part {
	struct upload *upload;
	unsigned number;
};

static void part_finished(struct exchange *x)
{
	struct part *p = x->user;
	struct upload *u = p->upload;
	unsigned number = p->number;

	free(p);
	note(u, x);
	u->in_flight--;
	if (x->verdict.result == STORE_OK && u->steps->accept)
		u->steps->accept(u, x, number);
	if (x->verdict.result != STORE_OK) {
		u->failure = x->verdict;
		/* A lost part is no lost object. */
		if (x->verdict.result == STORE_UNKNOWN)
			u->failure.result = STORE_UNREACHABLE;
		else if (x->verdict.result == STORE_ABSENT)
			u->failure.result = STORE_FAILED;
	}
	exchange_free(x);
	pump(u);
}

static bool start_part(struct upload *u)
{
	const struct store_op *op = u->op;
	uint64_t offset = u->next_part * u->part_size;
	uint64_t size = op->size - offset < u->part_size ? op->size - offset : u->part_size;
	struct part *p = malloc(sizeof(*p));
	struct exchange *x = p ? u->steps->part(u, u->next_part, offset, size) : NULL;

	if (!x) {
		free(p);
		return false;
	}
	*p = (struct part){u, u->next_part};
	if (op->kind == STORE_PUT) {
		x->http.has_body = true;
		x->http.data = op->data ? (const char *)op->data + offset : NULL;
		x->http.in_fd = op->in_fd;
		x->http.in_offset = op->in_offset + (off_t)offset;
		x->http.size = size;
	}
	x->user = p;
	x->finished = part_finished;
	u->next_part++;
	u->in_flight++;
	exchange_start(x);
	return true;
}

/*
 * One part at a time is always allowed, more only where the store bears them: what has no connection
 * waits for one within libcurl, where its signature and its deadline grow old.
 */
static bool may_start_part(const struct upload *u)
{
	return u->next_part < u->parts && u->in_flight < PARTS_AT_ONCE &&
	       (u->in_flight == 0 || http_window_has_room(u->store));
}

/* Starts what can be started; ends what has nothing on its way any more. */
static void pump(struct upload *u)
{
	while (u->failure.result == STORE_OK && may_start_part(u))
		if (!start_part(u))
			fail(u, STORE_FAILED, "out of memory");
	if (u->in_flight > 0)
		return;
	if (u->failure.result == STORE_OK)
		complete(u);
	else
		give_up(u);
}

static void began(struct exchange *x)
{
	struct upload *u = x->user;

	note(u, x);
	if (x->verdict.result == STORE_OK && u->steps->began)
		u->steps->began(u, x);
	if (x->verdict.result != STORE_OK) {
		struct verdict v = x->verdict;

		if (v.result == STORE_UNKNOWN)
			v.result = STORE_UNREACHABLE;
		exchange_free(x);
		upload_end(u, &v);
		return;
	}
	exchange_free(x);
	pump(u);
}

void upload_begin(struct http_store *s, struct store_op *op, const struct upload_steps *steps, uint64_t part_size,
		  unsigned max_parts)
{
	struct upload *u = calloc(1, sizeof(*u));
	struct exchange *x = NULL;

	if (!u) {
		http_store_fail(s, op, STORE_FAILED, "out of memory");
		return;
	}
	u->store = s;
	u->op = op;
	u->steps = steps;
	while (op->size / part_size >= max_parts)
		part_size *= 2;
	u->part_size = part_size;
	u->parts = (unsigned)((op->size + part_size - 1) / part_size);
	u->in_pieces = op->kind == STORE_PUT && op->pieces && part_size == s->base.piece;
	u->tags = calloc(u->parts, sizeof(*u->tags));
	op->attempts = 1;
	if (u->tags && !steps->begin) {
		pump(u);
		return;
	}
	if (u->tags)
		x = steps->begin(u);
	if (!x) {
		fail(u, STORE_FAILED, "out of memory");
		upload_end(u, &u->failure);
		return;
	}
	x->user = u;
	x->finished = began;
	exchange_start(x);
}
