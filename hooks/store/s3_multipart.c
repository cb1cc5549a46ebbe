/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/store/s3_exchange.h"
#include "hooks/store/s3_xml.h"
#include "hooks/store/sign.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define PUT_LIMIT (32 * MIB) /* larger bodies go up in parts */
#define PUT_PART (16 * MIB)
#define COPY_LIMIT STORE_COPY_IF_MAX /* CopyObject's own, and PutObject's */
#define COPY_PART (1 * GIB)
#define MAX_PARTS 10000
#define PARTS_AT_ONCE 4

/*
 * Initiate, parts (some at once, each from its place in the file), complete.
 * Nothing of it is visible before the completion, so a part whose outcome is not
 * known leaves the object as it was.
 */
struct upload {
	struct s3_store *s3;
	struct store_op *op;
	struct strbuf id;
	struct strbuf body; /* of the completion */
	uint64_t part_size;
	unsigned parts, next_part, in_flight; /* parts count from 0 here */
	char (*tags)[STORE_TAG_MAX];
	struct s3_verdict failure; /* result STORE_OK: none so far */
};

bool s3_multipart_wanted(const struct s3_store *s3, const struct store_op *op)
{
	uint64_t limit = op->kind == STORE_COPY ? COPY_LIMIT : PUT_LIMIT;

	if (s3->part_size)
		limit = s3->part_size;
	/* Many stores ignore a condition on the completion: with one, it is one request as long as it can be. */
	if (op->condition != STORE_ANY && op->size <= COPY_LIMIT)
		return false;
	return (op->kind == STORE_PUT || op->kind == STORE_COPY) && op->size > limit;
}

static void upload_end(struct upload *u, const struct s3_verdict *v)
{
	struct s3_store *s3 = u->s3;
	struct store_op *op = u->op;
	struct s3_verdict copy = *v; /* v may be the upload's own */

	strbuf_free(&u->id);
	strbuf_free(&u->body);
	free(u->tags);
	free(u);
	s3_op_end(s3, op, &copy);
}

static void note(struct upload *u, const struct s3_exchange *x)
{
	u->op->attempts += x->attempts > 1 ? x->attempts - 1 : 0;
	u->op->sent_ns = x->sent_ns;
}

static void fail(struct upload *u, enum store_result result, const char *reason)
{
	u->failure = (struct s3_verdict){.result = result};
	snprintf(u->failure.reason, sizeof(u->failure.reason), "%s", reason);
}

static void aborted(struct s3_exchange *x)
{
	struct upload *u = x->user;

	s3_exchange_free(x);
	upload_end(u, &u->failure);
}

/* Once no part is on its way. What the server still keeps of a cancelled one is not ours to touch any more. */
static void give_up(struct upload *u)
{
	struct s3_exchange *x = NULL;

	if (u->failure.result != STORE_CANCELLED)
		x = s3_exchange_new(u->s3, S3_CALL_ABORT, u->op);
	if (!x) {
		upload_end(u, &u->failure);
		return;
	}
	x->call.upload_id = strbuf_str(&u->id);
	x->user = u;
	x->finished = aborted;
	s3_exchange_start(x);
}

static void completed(struct s3_exchange *x)
{
	struct upload *u = x->user;
	struct s3_verdict v = x->verdict;

	note(u, x);
	if (v.result == STORE_OK)
		strcpy(u->op->tag, x->reply.tag);
	s3_exchange_free(x);
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

	if (op->kind != STORE_PUT || !op->sha256 || op->data)
		return true;
	return sha256_fd(op->in_fd, op->in_offset, op->size, hex, &len) == 0 && len == op->size &&
	       !strcmp(hex, op->sha256);
}

static void complete(struct upload *u)
{
	struct s3_exchange *x = NULL;

	s3_complete_body(&u->body, u->tags, u->parts);
	if (!still_the_same(u))
		fail(u, STORE_CORRUPT, "the data changed while it was sent");
	else if (u->body.failed || !(x = s3_exchange_new(u->s3, S3_CALL_COMPLETE, u->op)))
		fail(u, STORE_FAILED, "out of memory");
	if (!x) {
		give_up(u);
		return;
	}
	x->call.upload_id = strbuf_str(&u->id);
	x->http.has_body = true;
	x->http.data = u->body.data;
	x->http.size = u->body.len;
	x->user = u;
	x->finished = completed;
	s3_exchange_start(x);
}

static void pump(struct upload *u);

static void part_finished(struct s3_exchange *x)
{
	struct upload *u = x->user;

	note(u, x);
	u->in_flight--;
	if (x->verdict.result == STORE_OK && x->reply.tag[0]) {
		strcpy(u->tags[x->call.part - 1], x->reply.tag);
	} else if (x->verdict.result == STORE_OK) {
		fail(u, STORE_FAILED, "object store gives no tag for a part");
	} else {
		u->failure = x->verdict;
		/* A lost part is no lost object. */
		if (u->failure.result == STORE_UNKNOWN || u->failure.result == STORE_ABSENT)
			u->failure.result = x->verdict.result == STORE_UNKNOWN ? STORE_UNREACHABLE : STORE_FAILED;
	}
	s3_exchange_free(x);
	pump(u);
}

static struct s3_exchange *new_part(struct upload *u)
{
	struct s3_exchange *x = s3_exchange_new(u->s3, S3_CALL_PART, u->op);
	const struct store_op *op = u->op;
	uint64_t offset = u->next_part * u->part_size;

	if (!x)
		return NULL;
	x->call.upload_id = strbuf_str(&u->id);
	x->call.part = u->next_part + 1;
	x->call.offset = offset;
	x->call.size = op->size - offset < u->part_size ? op->size - offset : u->part_size;
	if (op->kind == STORE_PUT) {
		x->http.has_body = true;
		x->http.data = op->data ? (const char *)op->data + offset : NULL;
		x->http.in_fd = op->in_fd;
		x->http.in_offset = op->in_offset + (off_t)offset;
		x->http.size = x->call.size;
	}
	x->user = u;
	x->finished = part_finished;
	return x;
}

/* Starts what can be started; ends what has nothing on its way any more. */
static void pump(struct upload *u)
{
	while (u->failure.result == STORE_OK && u->next_part < u->parts && u->in_flight < PARTS_AT_ONCE) {
		struct s3_exchange *x = new_part(u);

		if (!x) {
			fail(u, STORE_FAILED, "out of memory");
			break;
		}
		u->next_part++;
		u->in_flight++;
		s3_exchange_start(x);
	}
	if (u->in_flight > 0)
		return;
	if (u->failure.result == STORE_OK)
		complete(u);
	else
		give_up(u);
}

static void initiated(struct s3_exchange *x)
{
	struct upload *u = x->user;

	note(u, x);
	if (x->verdict.result != STORE_OK) {
		struct s3_verdict v = x->verdict;

		if (v.result == STORE_UNKNOWN)
			v.result = STORE_UNREACHABLE;
		s3_exchange_free(x);
		upload_end(u, &v);
		return;
	}
	if (s3_xml_find(strbuf_str(&x->body), x->body.len, "InitiateMultipartUploadResult", "UploadId", &u->id) < 0 ||
	    u->id.len == 0) {
		struct s3_verdict v = {.result = STORE_FAILED, .reason = "object store began an upload without a name"};

		s3_exchange_free(x);
		upload_end(u, &v);
		return;
	}
	s3_exchange_free(x);
	pump(u);
}

/* Of a size that keeps the number of parts within what S3 takes. */
static uint64_t part_size(const struct s3_store *s3, const struct store_op *op)
{
	uint64_t size = s3->part_size ? s3->part_size : op->kind == STORE_COPY ? COPY_PART : PUT_PART;

	while (op->size / size >= MAX_PARTS)
		size *= 2;
	return size;
}

void s3_multipart_begin(struct s3_store *s3, struct store_op *op)
{
	static const struct s3_verdict no_memory = {.result = STORE_FAILED, .reason = "out of memory"};
	static const struct s3_verdict no_condition = {.result = STORE_INVALID,
						       .reason = "a write with a condition of more than 5 GiB"};
	struct upload *u = calloc(1, sizeof(*u));
	struct s3_exchange *x;

	/* Parts of a copy have no condition, and few stores honour one on the completion: who copies looks first. */
	if (!u || (op->condition != STORE_ANY && op->kind != STORE_COPY)) {
		free(u);
		s3_op_end(s3, op, u ? &no_condition : &no_memory);
		return;
	}
	u->s3 = s3;
	u->op = op;
	u->part_size = part_size(s3, op);
	u->parts = (unsigned)((op->size + u->part_size - 1) / u->part_size);
	u->tags = calloc(u->parts, sizeof(*u->tags));
	x = u->tags ? s3_exchange_new(s3, S3_CALL_INITIATE, op) : NULL;
	if (!x) {
		upload_end(u, &no_memory);
		return;
	}
	op->attempts = 1;
	x->http.has_body = true;
	x->user = u;
	x->finished = initiated;
	s3_exchange_start(x);
}
