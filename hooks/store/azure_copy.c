/* SPDX-License-Identifier: Apache-2.0 */
/* Ops of several requests: a copy that goes on after its answer, and the deletion of a directory's marker. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hooks/store/azure_store.h"

#define POLL_FIRST_NS (100 * NSEC_PER_MSEC)
#define POLL_MAX_NS (5 * NSEC_PER_SEC)
/* Within one account a copy takes moments; one across clusters of it, longer. */
#define COPY_MAX_NS (3600 * NSEC_PER_SEC)

/* A copy that was begun. */
struct copy {
	struct store_op *op;
	char id[64];
	int64_t began_ns, pause_ns;
};

static void end(struct http_store *s, struct store_op *op, const struct exchange *x, const struct verdict *v)
{
	op->attempts += x->sendings;
	if (v->result == STORE_OK)
		strcpy(op->tag, x->reply.tag);
	http_store_end(s, op, v);
}

static void copy_end(struct exchange *x, struct copy *c, const struct verdict *v)
{
	struct verdict last = *v;

	end(x->store, c->op, x, &last);
	exchange_free(x);
	free(c);
}

static void poll_finished(struct exchange *x);

static bool poll_later(struct http_store *s, struct copy *c)
{
	struct azure_exchange *x = azure_exchange_new(s, AZURE_CALL_POLL, c->op);

	if (!x)
		return false;
	x->not_before_ns = clock_boottime_ns() + c->pause_ns;
	c->pause_ns = c->pause_ns * 2 < POLL_MAX_NS ? c->pause_ns * 2 : POLL_MAX_NS;
	x->x.user = c;
	x->x.finished = poll_finished;
	exchange_start(&x->x);
	return true;
}

/* What an answer says of the copy. result STORE_OK and copy PENDING: ask again. */
static void judge_copy(const struct copy *c, const struct azure_exchange *x, struct verdict *v)
{
	if (v->result != STORE_OK) {
		/* It may still go on: the question failed, not the copy. */
		v->result = v->result == STORE_ABSENT || c->id[0] ? STORE_UNKNOWN : v->result;
		return;
	}
	if (c->id[0] && strcmp(c->id, x->reply.copy_id) != 0)
		verdict_set(v, STORE_UNKNOWN, false, "another client wrote the object meanwhile");
	else if (x->reply.copy == AZURE_COPY_FAILED)
		verdict_set(v, STORE_FAILED, false, "object store gave the copy up");
	else if (x->reply.copy == AZURE_COPY_PENDING && clock_boottime_ns() - c->began_ns > COPY_MAX_NS)
		verdict_set(v, STORE_UNKNOWN, false, "object store did not end the copy within an hour");
}

static void poll_finished(struct exchange *x)
{
	struct azure_exchange *ax = (struct azure_exchange *)x;
	struct verdict v = x->verdict;
	struct copy *c = x->user;

	judge_copy(c, ax, &v);
	if (v.result == STORE_OK && ax->reply.copy == AZURE_COPY_PENDING) {
		c->op->attempts += x->sendings;
		if (poll_later(x->store, c)) {
			exchange_free(x);
			return;
		}
		verdict_set(&v, STORE_UNKNOWN, false, "out of memory");
	}
	copy_end(x, c, &v);
}

static void copy_finished(struct exchange *x)
{
	struct azure_exchange *ax = (struct azure_exchange *)x;
	struct copy *c = x->user;
	struct verdict v = x->verdict;

	c->op->sent_ns = x->sent_ns;
	if (v.result != STORE_OK) {
		copy_end(x, c, &v);
		return;
	}
	snprintf(c->id, sizeof(c->id), "%s", ax->reply.copy_id);
	poll_finished(x);
}

void azure_copy_begin(struct http_store *s, struct store_op *op)
{
	struct azure_exchange *x = azure_exchange_new(s, AZURE_CALL_OP, op);
	struct copy *c = x ? calloc(1, sizeof(*c)) : NULL;

	if (!c) {
		if (x)
			exchange_free(&x->x);
		http_store_fail(s, op, STORE_FAILED, "out of memory");
		return;
	}
	*c = (struct copy){.op = op, .began_ns = clock_boottime_ns(), .pause_ns = POLL_FIRST_NS};
	x->x.http.has_body = true; /* of size 0: it wants a Content-Length */
	x->x.user = c;
	x->x.finished = copy_finished;
	exchange_start(&x->x);
}

/* --- the marker of a directory ----------------------------------------------------------- */

static void marker_deleted(struct exchange *x)
{
	struct store_op *op = x->user;
	struct verdict v = x->verdict;

	op->sent_ns = x->sent_ns;
	if (v.result == STORE_FALSE && op->condition == STORE_ANY)
		verdict_set(&v, STORE_UNREACHABLE, false, "the directory changed meanwhile");
	end(x->store, op, x, &v);
	exchange_free(x);
}

/*
 * Where the namespace is hierarchical, "a/" is "a": what is there may be a file by now. Only a directory is deleted,
 * and the one that was seen; one with files in it Azure keeps, and that is fine.
 */
static void marker_seen(struct exchange *x)
{
	struct azure_exchange *seen = (struct azure_exchange *)x, *next = NULL;
	struct store_op *op = x->user;
	struct verdict v = x->verdict;

	if (v.result == STORE_ABSENT || (v.result == STORE_OK && !seen->reply.is_directory)) {
		verdict_set(&v, op->condition == STORE_IF_TAG ? STORE_FALSE : STORE_OK, false, "no such object");
	} else if (v.result == STORE_OK) {
		next = azure_exchange_new(x->store, AZURE_CALL_OP, op);
		if (!next)
			verdict_set(&v, STORE_FAILED, false, "out of memory");
	}
	if (!next) {
		end(x->store, op, x, &v);
		exchange_free(x);
		return;
	}
	op->attempts += x->sendings;
	if (op->condition == STORE_ANY) {
		strcpy(next->tag, x->reply.tag);
		next->call.if_tag = next->tag[0] ? next->tag : NULL;
	}
	next->x.user = op;
	next->x.finished = marker_deleted;
	exchange_start(&next->x);
	exchange_free(x);
}

void azure_delete_marker_begin(struct http_store *s, struct store_op *op)
{
	struct azure_exchange *x = azure_exchange_new(s, AZURE_CALL_POLL, op);

	if (!x) {
		http_store_fail(s, op, STORE_FAILED, "out of memory");
		return;
	}
	x->x.user = op;
	x->x.finished = marker_seen;
	exchange_start(&x->x);
}
