/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/store_gcs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "hooks/store/crc32c.h"
#include "hooks/store/gcs_store.h"
#include "hooks/store/sign.h"

#define MIB (UINT64_C(1) << 20)
#define PUT_LIMIT (16 * MIB) /* larger bodies go up as resumable uploads */
#define CHUNK (128 * MIB)    /* of one; a multiple of 256 KiB */
#define MD5_LIMIT (1 * MIB)  /* the CRC guards the others */
#define READ_CHUNK 131072
#define DOCUMENT_MAX 65536	     /* an object's metadata: 8 KiB of it are its owner's */
#define COPY_NS (600 * NSEC_PER_SEC) /* for a copy of many steps, and a second for each of so many bytes */
#define COPY_BYTES (4 * MIB)
#define PACE_NS (1100 * NSEC_PER_MSEC) /* Google counts by its own clock */

static struct gcs_store *store_of(const struct exchange *x)
{
	return (struct gcs_store *)x->store;
}

static struct gcs_exchange *of(struct exchange *x)
{
	return (struct gcs_exchange *)x;
}

/* --- checksums ---------------------------------------------------------------------- */

static void crc_text(uint32_t crc, char ret[12])
{
	const unsigned char raw[] = {crc >> 24 & 0xff, crc >> 16 & 0xff, crc >> 8 & 0xff, crc & 0xff};
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

	base64_encode(&text, raw, sizeof(raw));
	snprintf(ret, 12, "%s", strbuf_str(&text));
}

static void sha256_freep(struct sha256 **h)
{
	sha256_free(*h);
}

static int hash_file(const struct store_op *op, uint32_t *ret_crc)
{
	_cleanup_(sha256_freep) struct sha256 *sha = op->sha256 ? sha256_new() : NULL;
	_cleanup_free_ char *buf = malloc(READ_CHUNK);
	char hex[SHA256_HEX_MAX];
	uint32_t crc = 0;

	if (!buf || (op->sha256 && !sha))
		return -ENOMEM;
	for (uint64_t at = 0; at < op->size;) {
		size_t want = op->size - at < READ_CHUNK ? (size_t)(op->size - at) : READ_CHUNK;
		ssize_t n = pread(op->in_fd, buf, want, op->in_offset + (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		crc = crc32c(crc, buf, (size_t)n);
		if (sha)
			sha256_update(sha, buf, (size_t)n);
		at += (uint64_t)n;
	}
	if (sha) {
		sha256_final_hex(sha, hex);
		if (strcmp(hex, op->sha256) != 0)
			return -EBADMSG;
	}
	*ret_crc = crc;
	return 0;
}

int gcs_hash_source(const struct store_op *op, char ret_crc32c[12], char ret_md5[28])
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	unsigned char md5[MD5_LEN];
	char hex[SHA256_HEX_MAX];
	uint32_t crc = 0;
	int r = 0;

	ret_md5[0] = '\0';
	if (!op->data && op->size > 0) {
		r = hash_file(op, &crc);
	} else {
		const char *data = op->data ? op->data : "";

		crc = crc32c(0, data, (size_t)op->size);
		sha256_hex(data, (size_t)op->size, hex);
		if (op->sha256 && strcmp(hex, op->sha256) != 0)
			return -EBADMSG;
		if (op->size <= MD5_LIMIT && md5_data(data, (size_t)op->size, md5)) {
			base64_encode(&text, md5, sizeof(md5));
			snprintf(ret_md5, 28, "%s", strbuf_str(&text));
		}
	}
	if (r == 0)
		crc_text(crc, ret_crc32c);
	return r;
}

/* --- one attempt -------------------------------------------------------------------- */

struct gcs_exchange *gcs_exchange_new(struct http_store *s, enum gcs_call_kind kind, const struct store_op *op)
{
	struct gcs_exchange *x = exchange_new(s, sizeof(*x), op);

	if (!x)
		return NULL;
	x->call.kind = kind;
	x->call.op = op;
	x->x.max_body = DOCUMENT_MAX;
	return x;
}

static bool is_single_put(const struct gcs_exchange *x)
{
	return x->call.kind == GCS_CALL_OP && x->call.op->kind == STORE_PUT;
}

/* One write of an object in a while. Of an upload, its beginning counts. */
static void pace(struct gcs_exchange *x)
{
	struct gcs_store *g = store_of(&x->x);

	x->x.not_before_ns = x->not_before_ns;
	if (g->pace_ns == 0 || !x->x.changes || x->call.kind == GCS_CALL_CHUNK)
		return;
	x->x.not_before_ns = gcs_pace_next(g->endpoint.bucket, x->call.op->key,
					   x->x.condition == STORE_IF_TAG ? x->call.op->if_tag : NULL, g->pace_ns);
}

/* A limit that nobody knew of: a server before Google's, or of its kind. And when the write was done. */
static void learn(const struct gcs_exchange *x)
{
	struct gcs_store *g = store_of(&x->x);

	if (x->x.changes && x->x.http.status == 429 && g->pace_ns == 0)
		g->pace_ns = PACE_NS;
	if (x->x.changes && g->pace_ns > 0)
		gcs_pace_done(g->endpoint.bucket, x->call.op->key);
}

static bool prepare(struct exchange *base)
{
	struct gcs_exchange *x = of(base);
	struct gcs_store *g = store_of(base);
	int r = 0;

	x->call.caps = g->http.base.caps;
	if (x->call.kind == GCS_CALL_OP && x->call.op->kind == STORE_GET) {
		base->get = !x->call.confirm;
		/* Metadata instead: a document. */
		base->max_body = x->call.confirm ? DOCUMENT_MAX : x->call.op->max_body;
	}
	base->changes = gcs_call_changes(&x->call);
	/* A chunk is not sent twice unasked: first the server says what it has. */
	base->condition = x->call.kind == GCS_CALL_CHUNK ? STORE_IF_ABSENT : gcs_call_condition(&x->call);
	if (is_single_put(x) && !x->call.crc32c) {
		r = gcs_hash_source(x->call.op, x->crc32c, x->md5);
		if (r < 0)
			return exchange_bad_data(base, r);
		x->call.crc32c = x->crc32c;
		x->call.md5 = x->md5[0] ? x->md5 : NULL;
	}
	if (g->http.credentials) {
		const struct credentials *c = exchange_credentials(base);

		if (!c)
			return false;
		x->call.token = c->token;
	}
	gcs_request_free(&x->request);
	r = gcs_request_build(&g->endpoint, &x->call, &x->request);
	if (r < 0)
		return exchange_bad_data(base, r);
	base->http.method = x->request.method;
	base->http.url = strbuf_str(&x->request.url);
	base->http.headers = strbuf_str(&x->request.headers);
	base->http.lead = (struct http_bytes){strbuf_str(&x->request.lead), x->request.lead.len};
	base->http.tail = (struct http_bytes){strbuf_str(&x->request.tail), x->request.tail.len};
	base->http.has_body |= x->request.lead.len > 0;
	strbuf_reset(&x->session);
	strbuf_free(&x->object.token);
	memset(&x->object, 0, sizeof(x->object));
	x->crc = 0;
	x->arrived = 0;
	x->promised[0] = '\0';
	pace(x);
	return true;
}

static void release(struct exchange *base)
{
	struct gcs_exchange *x = of(base);

	gcs_request_free(&x->request);
	strbuf_free(&x->rewrite);
	strbuf_free(&x->session);
	strbuf_free(&x->object.token);
}

/* --- its end ------------------------------------------------------------------------ */

static void header(struct exchange *base, const char *name, const char *value)
{
	struct gcs_exchange *x = of(base);
	char last[24];

	gcs_reply_header(&base->reply, name, value);
	if (!strcasecmp(name, "x-goog-hash") && !x->promised[0]) {
		gcs_hash_header(value, x->promised);
	} else if (!strcasecmp(name, "location")) {
		strbuf_reset(&x->session);
		strbuf_adds(&x->session, gcs_session(value));
	} else if (!strcasecmp(name, "range") && sscanf(value, "bytes=0-%20[0-9]", last) == 1 &&
		   num_parse_u64(last, INT64_MAX, &x->arrived) == 0) {
		x->arrived++;
	}
}

static void received(struct exchange *base, const char *data, size_t len)
{
	of(base)->crc = crc32c(of(base)->crc, data, len);
}

/* What was stored must be what was sent. */
static void judge_stored(struct gcs_exchange *x)
{
	const struct store_op *op = x->call.op;

	if (op->kind != STORE_PUT)
		return;
	if ((x->object.size >= 0 && (uint64_t)x->object.size != op->size) ||
	    (x->object.crc32c[0] && x->call.crc32c && strcmp(x->object.crc32c, x->call.crc32c) != 0) ||
	    (x->object.md5[0] && x->call.md5 && strcmp(x->object.md5, x->call.md5) != 0))
		verdict_set(&x->x.verdict, STORE_CORRUPT, x->x.condition == STORE_ANY,
			    "the object store has other data than were sent");
}

/* Answers that are an object's metadata. */
static void judge_object(struct gcs_exchange *x)
{
	struct exchange *base = &x->x;
	bool rewrite = x->call.op->kind == STORE_COPY;

	strbuf_free(&x->object.token);
	if (gcs_object_read(strbuf_str(&base->body), base->body.len, rewrite, &x->object) < 0) {
		verdict_set(&base->verdict, base->changes ? STORE_UNKNOWN : STORE_CORRUPT, base->condition == STORE_ANY,
			    "object store answered without a result");
		base->verdict.ambiguous = base->changes;
		return;
	}
	strcpy(base->reply.tag, x->object.tag);
	strcpy(base->reply.mark, x->object.mark);
	base->reply.mtime = x->object.mtime;
	base->reply.object_size = x->object.size;
	judge_stored(x);
}

static void judge_bytes(struct gcs_exchange *x)
{
	char crc[12];

	if (x->x.http.status != 200 || !x->promised[0])
		return;
	crc_text(x->crc, crc);
	if (strcmp(crc, x->promised) != 0)
		verdict_set(&x->x.verdict, STORE_CORRUPT, true, "the data does not fit the object store's checksum");
}

/*
 * "There is no such object" is believed of who shows that he is an object store: a missing volume is begun anew, and a
 * missing file was deleted by somebody. Where bytes are asked for, not every server shows it.
 */
static void confirm_absence(struct gcs_exchange *x)
{
	struct exchange *base = &x->x;

	if (x->call.confirm) {
		x->call.confirm = false;
		if (base->verdict.result == STORE_OK)
			verdict_set(&base->verdict, STORE_UNREACHABLE, true, "the object store contradicts itself");
	} else if (base->get && base->http.status == 404 && !base->reply.genuine) {
		x->call.confirm = base->verdict.again = true;
	}
}

static void judge(struct exchange *base)
{
	struct gcs_exchange *x = of(base);
	bool session = x->call.kind == GCS_CALL_CHUNK || x->call.kind == GCS_CALL_QUERY;
	char message[200] = "";

	if (session && base->http.status == 308)
		return;
	if (base->http.status >= 300)
		gcs_reply_error(&base->reply, strbuf_str(&base->body), base->body.len, message);
	base->reply.genuine |= base->body.len == 0 && !base->changes;
	gcs_judge(&x->call, &base->reply, message, &base->verdict);
	if (x->call.kind == GCS_CALL_CHUNK)
		base->verdict.retry = false;
	learn(x);
	confirm_absence(x);
	if (base->verdict.result != STORE_OK || x->call.kind == GCS_CALL_LIST || x->call.kind == GCS_CALL_BEGIN)
		return;
	if (base->get)
		judge_bytes(x);
	else if (x->call.op->kind != STORE_DELETE)
		judge_object(x);
}

/* --- ops and listings --------------------------------------------------------------- */

/* A large copy takes several requests, each with the token of the one before. */
static void copy_step(struct http_store *s, struct store_op *op, struct strbuf *token, int64_t until_ns);

static void copy_finished(struct exchange *base)
{
	struct gcs_exchange *x = of(base);
	struct store_op *op = (struct store_op *)base->user;
	struct http_store *s = base->store;
	struct strbuf token = x->object.token;
	int64_t until_ns = x->until_ns;

	if (base->verdict.result != STORE_OK || x->object.done) {
		exchange_end_op(base);
		return;
	}
	if (clock_boottime_ns() > until_ns) {
		verdict_set(&base->verdict, STORE_UNKNOWN, false, "object store did not come to the copy's end");
		exchange_end_op(base);
		return;
	}
	x->object.token = (struct strbuf)STRBUF_INIT;
	exchange_free(base);
	copy_step(s, op, &token, until_ns);
}

static void copy_step(struct http_store *s, struct store_op *op, struct strbuf *token, int64_t until_ns)
{
	struct gcs_exchange *x = gcs_exchange_new(s, GCS_CALL_OP, op);

	if (!x) {
		strbuf_free(token);
		http_store_fail(s, op, STORE_FAILED, "out of memory");
		return;
	}
	x->rewrite = *token;
	x->until_ns = until_ns;
	x->call.rewrite_token = x->rewrite.len > 0 ? strbuf_str(&x->rewrite) : NULL;
	x->x.user = op;
	x->x.finished = copy_finished;
	exchange_start(&x->x);
}

static void begin(struct http_store *s, struct store_op *op)
{
	struct gcs_store *g = (struct gcs_store *)s;
	struct strbuf none = STRBUF_INIT;
	struct gcs_exchange *x;

	if (strpbrk(op->key, "\r\n")) {
		http_store_fail(s, op, STORE_INVALID, "Google takes no line break in a name");
		return;
	}
	if (op->kind == STORE_PUT && op->size > g->limit) {
		gcs_upload_begin(g, op);
		return;
	}
	if (op->kind == STORE_COPY) {
		copy_step(s, op, &none,
			  clock_boottime_ns() + COPY_NS + (int64_t)(op->size / COPY_BYTES) * NSEC_PER_SEC);
		return;
	}
	x = gcs_exchange_new(s, GCS_CALL_OP, op);
	if (x)
		exchange_start_op(&x->x, op);
	else
		http_store_fail(s, op, STORE_FAILED, "out of memory");
}

static struct exchange *list_page(struct http_store *s, const char *prefix, const char *token)
{
	struct gcs_exchange *x = gcs_exchange_new(s, GCS_CALL_LIST, NULL);

	if (!x)
		return NULL;
	x->call.list_prefix = prefix;
	x->call.list_token = token;
	return &x->x;
}

static const struct dialect dialect = {.prepare = prepare,
				       .header = header,
				       .received = received,
				       .judge = judge,
				       .release = release,
				       .begin = begin,
				       .list_page = list_page,
				       .list_read = gcs_page_read};

/* --- opening ------------------------------------------------------------------------ */

static void gcs_close(struct store *s)
{
	struct gcs_store *g = (struct gcs_store *)s;

	http_store_close(&g->http);
	gcs_endpoint_free(&g->endpoint);
	free(g);
}

static const struct store_vtable gcs_vtable = {.type = "gcs",
					       .close = gcs_close,
					       .run = http_store_run,
					       .list = http_store_list,
					       .rest = http_store_rest,
					       .credentials = http_store_credentials};

void store_gcs_limits(struct store *s, uint64_t limit, uint64_t chunk, int64_t pace_ns)
{
	struct gcs_store *g = (struct gcs_store *)s;

	g->limit = limit;
	g->chunk = chunk;
	g->pace_ns = pace_ns;
}

/* An emulator: named as such, or spoken to in clear by a configuration that knows no credentials. It gets no token. */
static bool is_open(const struct gcs_store *g, const struct store_config *config)
{
	const char *file = secure_getenv("GOOGLE_APPLICATION_CREDENTIALS");
	bool credentials = config->credentials.from || config->credentials.file ||
			   config->credentials.metadata_endpoint || (file && file[0]);

	return g->endpoint.open || (!g->endpoint.tls && !credentials);
}

static int open_parts(struct gcs_store *g, const struct store_config *config, struct error *err)
{
	char *place = NULL;
	int r = gcs_endpoint_init(config, &g->endpoint, err);

	if (r == 0 && !is_open(g, config))
		r = credentials_open(config, CREDENTIALS_GCS, &g->http.credentials, err);
	if (r < 0)
		return r;
	g->http.url = g->endpoint.origin;
	g->http.prefix = g->endpoint.prefix;
	g->http.base.caps = STORE_CAP_COPY;
	store_gcs_limits(&g->http.base, PUT_LIMIT, CHUNK, g->endpoint.google ? PACE_NS : 0);
	if (asprintf(&place, "bucket %s", config->bucket) < 0)
		place = NULL;
	return http_store_open(&g->http, config, &gcs_vtable, &dialect, place, err);
}

int store_gcs_open(const struct store_config *config, struct store **ret, struct error *err)
{
	struct gcs_store *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return error_set(err, ENOMEM, "store \"%s\": out of memory", config->name);
	r = open_parts(g, config, err);
	if (r < 0) {
		gcs_close(&g->http.base);
		return r;
	}
	*ret = &g->http.base;
	return 0;
}
