/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Put Block, then Put Block List, which carries the condition. Blocks that nobody lists are forgotten after a week;
 * their ids are of this upload alone, so that two writers of one blob never mix.
 */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "hooks/store/azure_store.h"
#include "hooks/store/upload.h"

#define MIB (UINT64_C(1) << 20)
#define PUT_LIMIT (32 * MIB) /* larger bodies go up in blocks */
#define BLOCK (16 * MIB)
#define MAX_BLOCKS 50000

bool azure_upload_wanted(const struct azure_store *a, const struct store_op *op)
{
	return op->kind == STORE_PUT && op->size > (a->part_size ? a->part_size : PUT_LIMIT);
}

/* The upload's own name, made with the first block. */
static const char *name_of(struct upload *u)
{
	unsigned char raw[8];
	char hex[2 * sizeof(raw) + 1];

	if (u->id.len == 0) {
		random_bytes(raw, sizeof(raw));
		hex_encode(raw, sizeof(raw), hex);
		strbuf_adds(&u->id, hex);
	}
	return strbuf_str(&u->id);
}

static struct exchange *block(struct upload *u, unsigned number, uint64_t offset, uint64_t size)
{
	struct azure_exchange *x = azure_exchange_new(u->store, AZURE_CALL_BLOCK, u->op);

	(void)offset;
	(void)size;
	if (!x)
		return NULL;
	azure_block_id(name_of(u), number, x->block);
	x->call.block = x->block;
	return &x->x;
}

static struct exchange *complete(struct upload *u)
{
	struct azure_exchange *x;

	azure_block_list(&u->body, name_of(u), u->parts);
	x = u->body.failed || u->id.failed ? NULL : azure_exchange_new(u->store, AZURE_CALL_LIST_BLOCKS, u->op);
	if (!x)
		return NULL;
	x->x.http.has_body = true;
	x->x.http.data = u->body.data;
	x->x.http.size = u->body.len;
	return &x->x;
}

static const struct upload_steps steps = {.part = block, .complete = complete};

void azure_upload_begin(struct azure_store *a, struct store_op *op)
{
	upload_begin(&a->http, op, &steps, a->part_size ? a->part_size : BLOCK, MAX_BLOCKS);
}
