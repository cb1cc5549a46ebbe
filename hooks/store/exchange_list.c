/* SPDX-License-Identifier: Apache-2.0 */
/* Listings, page by page. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/store/exchange.h"

/* 1000 keys of 1024 bytes, each byte percent-encoded, and what stands around them. */
#define PAGE_MAX (8u << 20)
#define PAGES_MAX 100000

struct fetched {
	struct verdict verdict;
	struct strbuf body;
};

static void page_finished(struct exchange *x)
{
	struct fetched *f = x->user;

	f->verdict = x->verdict;
	f->body = x->body;
	x->body = (struct strbuf)STRBUF_INIT;
	exchange_free(x);
}

static int fetch(struct http_store *s, const char *prefix, const char *token, struct fetched *ret)
{
	struct exchange *x = s->dialect->list_page(s, prefix, token);

	memset(ret, 0, sizeof(*ret));
	if (!x)
		return -ENOMEM;
	x->max_body = PAGE_MAX;
	x->user = ret;
	x->finished = page_finished;
	exchange_start(x);
	while (http_store_step(s))
		;
	return 0;
}

/* What the caller's function returned is the caller's error, as it is. */
struct filter {
	store_list_fn fn;
	void *ctx;
	bool theirs;
};

static int pass_on(void *ctx, const struct store_list_item *item, struct error *err)
{
	struct filter *f = ctx;
	int r = f->fn(f->ctx, item, err);

	f->theirs = r < 0;
	return r;
}

/* token: of this page, then of the next one; "" when there is none. */
static int list_page(struct http_store *s, const char *prefix, struct strbuf *token, struct filter *filter,
		     struct error *err)
{
	_cleanup_strbuf_ struct strbuf next = STRBUF_INIT;
	struct fetched f;
	int r = fetch(s, prefix, strbuf_str(token), &f);

	if (r < 0)
		return error_set(err, ENOMEM, "out of memory");
	if (f.verdict.result != STORE_OK) {
		strbuf_free(&f.body);
		return error_set(err, store_result_errno(f.verdict.result), "%s", f.verdict.reason);
	}
	r = s->dialect->list_read(strbuf_str(&f.body), f.body.len, prefix, strlen(s->prefix), pass_on, filter, &next,
				  err);
	strbuf_free(&f.body);
	if (r == 0 && next.failed)
		r = error_set(err, ENOMEM, "out of memory");
	if (r == 0 && next.len > 0 && !strcmp(strbuf_str(&next), strbuf_str(token)))
		r = error_set(err, EINVAL, "the listing goes in a circle");
	strbuf_free(token);
	*token = next;
	next = (struct strbuf)STRBUF_INIT;
	return r;
}

int http_store_list(struct store *base, const char *prefix, store_list_fn fn, void *ctx, struct error *err)
{
	_cleanup_strbuf_ struct strbuf full = STRBUF_INIT, token = STRBUF_INIT;
	struct http_store *s = (struct http_store *)base;
	struct filter filter = {.fn = fn, .ctx = ctx};
	unsigned page = 0;
	int r;

	strbuf_addf(&full, "%s%s", s->prefix, prefix);
	if (full.failed)
		return error_set(err, ENOMEM, "out of memory");
	do {
		r = page++ < PAGES_MAX ? list_page(s, strbuf_str(&full), &token, &filter, err)
				       : error_set(err, EINVAL, "the listing does not end");
	} while (r == 0 && token.len > 0);
	return r == 0 || filter.theirs
		   ? r
		   : error_wrap(err, "store \"%s\" (%s): listing %.300s", base->name, base->place, prefix);
}
