/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/store/store_impl.h"

static const struct {
	const char *name;
	int code;
} results[] = {
    [STORE_OK] = {"ok", 0},
    [STORE_ABSENT] = {"absent", ENOENT},
    [STORE_FALSE] = {"condition false", EEXIST},
    [STORE_THROTTLED] = {"throttled", EAGAIN},
    [STORE_REFUSED] = {"refused", EACCES},
    [STORE_UNREACHABLE] = {"unreachable", EHOSTUNREACH},
    [STORE_UNKNOWN] = {"outcome unknown", EIO},
    [STORE_CORRUPT] = {"corrupt", EBADMSG},
    [STORE_INVALID] = {"invalid", EINVAL},
    [STORE_CANCELLED] = {"cancelled", ECANCELED},
    [STORE_FAILED] = {"failed", EIO},
};

const char *store_result_name(enum store_result r)
{
	return (size_t)r < ARRAY_SIZE(results) ? results[r].name : "?";
}

int store_result_errno(enum store_result r)
{
	return (size_t)r < ARRAY_SIZE(results) ? results[r].code : EIO;
}

const char *store_kind_name(enum store_op_kind kind)
{
	static const char *const names[] = {
	    [STORE_GET] = "GET",       [STORE_PUT] = "PUT",   [STORE_HEAD] = "HEAD",
	    [STORE_DELETE] = "DELETE", [STORE_COPY] = "COPY",
	};

	return (size_t)kind < ARRAY_SIZE(names) ? names[kind] : "?";
}

bool store_may_send(const struct store *s)
{
	return !s->valid || s->valid(s->valid_ctx);
}

/* As it may stand in a header, between quotes: an applied table, where some are from, is the store's. */
static bool tag_valid(const char *tag)
{
	size_t len = tag ? strnlen(tag, STORE_TAG_MAX) : 0;

	for (size_t i = 0; i < len; i++)
		if (tag[i] <= 0x20 || tag[i] >= 0x7f || tag[i] == '"')
			return false;
	return len > 0 && len < STORE_TAG_MAX;
}

static const char *request_fault(const struct store_op *op)
{
	if ((size_t)op->kind > STORE_COPY)
		return "unknown kind of request";
	if (!store_key_valid(op->key))
		return "this key can't be stored";
	if (op->kind == STORE_COPY && !store_key_valid(op->source))
		return "the key of the source can't be stored";
	if (op->condition == STORE_IF_TAG && !tag_valid(op->if_tag))
		return "a condition on a tag that is none";
	if (op->mark && !store_mark_valid(op->mark))
		return "a mark that can't be stored";
	if (op->kind == STORE_GET && (op->offset > INT64_MAX || op->length > INT64_MAX - op->offset))
		return "a range that can't be";
	if (op->kind == STORE_PUT && (op->size > INT64_MAX || (op->size > 0 && !op->data && op->in_fd < 0)))
		return "no data";
	if (op->kind == STORE_PUT && op->size > 0 && op->key[strlen(op->key) - 1] == '/')
		return "a directory marker with data";
	return NULL;
}

bool store_begin(struct store *s, struct store_op *op)
{
	const char *fault;

	op->result = STORE_FAILED;
	op->tag[0] = op->got_mark[0] = '\0';
	op->got_size = 0;
	op->mtime = op->sent_ns = 0;
	op->attempts = 0;
	op->err.code = 0;
	op->err.msg[0] = '\0';
	strbuf_reset(&op->body);
	fault = request_fault(op);
	if (fault)
		store_end(s, op, STORE_INVALID, "%s", fault);
	return !fault;
}

enum store_result store_end(struct store *s, struct store_op *op, enum store_result r, const char *reason, ...)
{
	char text[ERROR_MSG_MAX / 2];
	va_list ap;

	op->result = r;
	if (r == STORE_OK)
		return r;
	va_start(ap, reason);
	vsnprintf(text, sizeof(text), reason, ap);
	va_end(ap);
	error_set(&op->err, store_result_errno(r), "store \"%s\" (%s): %s for %s %.400s", s->name, s->place, text,
		  store_kind_name(op->kind), op->key ? op->key : "");
	return r;
}

static const struct {
	const char *type;
	int (*open)(const struct store_config *config, struct store **ret, struct error *err);
} types[] = {
    {"azure", store_azure_open},
    {"filesystem", store_fs_open},
    {"gcs", store_gcs_open},
    {"s3", store_s3_open},
};

int store_open(const struct store_config *config, struct store **ret, struct error *err)
{
	if (!config->name || !config->type)
		return error_set(err, EINVAL, "store without a name or a type");
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(config->type, types[i].type))
			return types[i].open(config, ret, err);
	return error_set(err, EINVAL, "store \"%s\": unknown type \"%s\" (there are azure, filesystem, gcs and s3)",
			 config->name, config->type);
}

void store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
}

void store_rest(struct store *s)
{
	if (s->ops->rest)
		s->ops->rest(s);
}

unsigned store_quirks(const struct store *s)
{
	return s->quirks;
}

void store_set_quirks(struct store *s, unsigned quirks)
{
	s->quirks = quirks;
	if (quirks & STORE_QUIRK_DELETE_IF)
		s->caps |= STORE_CAP_DELETE_IF;
	if (quirks & STORE_QUIRK_COPY_IF)
		s->caps |= STORE_CAP_COPY_IF;
}

int store_credentials(struct store *s, char *ret, size_t size, struct error *err)
{
	ret[0] = '\0';
	return s->ops->credentials ? s->ops->credentials(s, ret, size, err) : 0;
}

static struct store_op *one_next(void *ctx)
{
	struct store_op **slot = ctx;

	return TAKE_PTR(*slot);
}

static void one_done(void *ctx, struct store_op *op)
{
	(void)ctx;
	(void)op;
}

enum store_result store_do(struct store *s, struct store_op *op)
{
	struct store_op *slot = op;

	s->ops->run(s, one_next, one_done, &slot, 1);
	return op->result;
}

struct store_op store_later;

void store_run(struct store *s, struct store_op *(*next)(void *), void (*done)(void *, struct store_op *), void *ctx)
{
	s->ops->run(s, next, done, ctx, s->parallel);
}

int store_give_up_uploads(struct store *s, const char *prefix, store_upload_fn fn, void *ctx, uint64_t *ret_n,
			  struct error *err)
{
	*ret_n = 0;
	return s->ops->give_up ? s->ops->give_up(s, prefix, fn, ctx, ret_n, err) : 0;
}

int store_list(struct store *s, const char *prefix, store_list_fn fn, void *ctx, struct error *err)
{
	return s->ops->list(s, prefix, fn, ctx, err);
}
