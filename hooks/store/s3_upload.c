/* SPDX-License-Identifier: Apache-2.0 */
/* Multipart uploads, and copies in parts. */
#include <string.h>

#include "base/num.h"
#include "hooks/store/s3_store.h"
#include "hooks/store/s3_xml.h"
#include "hooks/store/upload.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define PUT_LIMIT (32 * MIB) /* larger bodies go up in parts */
/* Without TLS each part is signed with a hash of its own. A whole one is signed with the sha256 that the caller has
 * anyway, which saves as much of a processor as the rest of sending it costs; a line without TLS is short. */
#define PLAIN_PUT_LIMIT (128 * MIB)
#define PUT_PART (16 * MIB)
#define COPY_LIMIT STORE_COPY_IF_MAX /* CopyObject's own, and PutObject's */
#define COPY_PART (1 * GIB)
#define MAX_PARTS 10000

void s3_upload_sizes(struct s3_store *s3)
{
	s3->http.base.piece = s3->part_size ? s3->part_size : PUT_PART;
	s3->http.base.whole_max = s3->part_size ? s3->part_size : s3->endpoint.tls ? PUT_LIMIT : PLAIN_PUT_LIMIT;
}

bool s3_upload_wanted(const struct s3_store *s3, const struct store_op *op)
{
	uint64_t limit = op->kind == STORE_COPY ? COPY_LIMIT : s3->http.base.whole_max;

	if (s3->part_size)
		limit = s3->part_size;
	/* Many stores ignore a condition on the completion: with one, it is one request as long as it can be. */
	if (op->condition != STORE_ANY && op->size <= COPY_LIMIT)
		return false;
	return (op->kind == STORE_PUT || op->kind == STORE_COPY) && op->size > limit;
}

static struct s3_exchange *step(struct upload *u, enum s3_call_kind kind)
{
	struct s3_exchange *x = s3_exchange_new(u->store, kind, u->op);

	if (x)
		x->call.upload_id = strbuf_str(&u->id);
	return x;
}

static struct exchange *begin(struct upload *u)
{
	struct s3_exchange *x = step(u, S3_CALL_INITIATE);

	if (!x)
		return NULL;
	x->x.http.has_body = true;
	return &x->x;
}

static bool began(struct upload *u, struct exchange *x)
{
	if (s3_xml_find(strbuf_str(&x->body), x->body.len, NULL, "UploadId", &u->id) == 0 && u->id.len > 0)
		return true;
	verdict_set(&x->verdict, STORE_FAILED, false, "object store began an upload without a name");
	return false;
}

static struct exchange *part(struct upload *u, unsigned number, uint64_t offset, uint64_t size)
{
	struct s3_exchange *x = step(u, S3_CALL_PART);

	if (!x)
		return NULL;
	x->call.part = number + 1;
	x->call.offset = offset;
	x->call.size = size;
	if (u->op->kind == STORE_COPY)
		x->x.http.work_seconds = s3_work_seconds(size);
	if (u->in_pieces) {
		hex_encode(u->op->pieces[number], SHA256_LEN, x->hash);
		x->call.payload_hash = x->hash;
	}
	return &x->x;
}

static bool accept_part(struct upload *u, struct exchange *x, unsigned number)
{
	strcpy(u->tags[number], x->reply.tag);
	if (x->reply.tag[0])
		return true;
	verdict_set(&x->verdict, STORE_FAILED, false, "object store gives no tag for a part");
	return false;
}

static struct exchange *complete(struct upload *u)
{
	struct s3_exchange *x;

	s3_complete_body(&u->body, u->tags, u->parts);
	x = u->body.failed ? NULL : step(u, S3_CALL_COMPLETE);
	if (!x)
		return NULL;
	x->x.http.has_body = true;
	x->x.http.data = u->body.data;
	x->x.http.size = u->body.len;
	x->x.http.work_seconds = s3_work_seconds(u->op->size);
	return &x->x;
}

static struct exchange *abort_upload(struct upload *u)
{
	struct s3_exchange *x = step(u, S3_CALL_ABORT);

	return x ? &x->x : NULL;
}

static const struct upload_steps steps = {
    .begin = begin, .part = part, .complete = complete, .abort = abort_upload, .began = began, .accept = accept_part};

void s3_upload_begin(struct s3_store *s3, struct store_op *op)
{
	uint64_t part_size = s3->part_size ? s3->part_size : op->kind == STORE_COPY ? COPY_PART : s3->http.base.piece;

	/* Parts of a copy have no condition, and few stores honour one on the completion: who copies looks first. */
	if (op->condition != STORE_ANY && op->kind != STORE_COPY)
		http_store_fail(&s3->http, op, STORE_INVALID, "a write with a condition of more than 5 GiB");
	else
		upload_begin(&s3->http, op, &steps, part_size, MAX_PARTS);
}
