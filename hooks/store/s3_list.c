/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/store/s3_exchange.h"
#include "hooks/store/s3_xml.h"

/* 1000 keys of 1024 bytes, each byte percent-encoded, and what stands around them. */
#define PAGE_MAX (8u << 20)
#define PAGES_MAX 100000

struct fetched {
	struct s3_verdict verdict;
	struct strbuf body;
};

static void page_finished(struct s3_exchange *x)
{
	struct fetched *f = x->user;

	f->verdict = x->verdict;
	f->body = x->body;
	x->body = (struct strbuf)STRBUF_INIT;
	s3_exchange_free(x);
}

static int fetch(struct s3_store *s3, const char *prefix, const char *token, struct fetched *ret)
{
	struct s3_exchange *x = s3_exchange_new(s3, S3_CALL_LIST, NULL);

	memset(ret, 0, sizeof(*ret));
	if (!x)
		return -ENOMEM;
	x->call.list_prefix = prefix;
	x->call.list_token = token;
	x->max_body = PAGE_MAX;
	x->user = ret;
	x->finished = page_finished;
	s3_exchange_start(x);
	while (s3_step(s3))
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

static int wrap(const struct s3_store *s3, const char *prefix, struct error *err)
{
	const struct store *s = &s3->base;

	return error_wrap(err, "store \"%s\" (%s): listing %.300s", s->name, s->place, prefix);
}

static int list_page(struct s3_store *s3, const char *prefix, struct strbuf *token, struct filter *filter,
		     bool *ret_more, struct error *err)
{
	const char *asked = token->len > 0 ? strbuf_str(token) : NULL;
	struct fetched f;
	struct s3_page page = {0};
	int r = fetch(s3, prefix, asked, &f);

	if (r < 0)
		return error_set(err, ENOMEM, "out of memory");
	if (f.verdict.result != STORE_OK) {
		strbuf_free(&f.body);
		return error_set(err, store_result_errno(f.verdict.result), "%s", f.verdict.reason);
	}
	r = s3_page_read(strbuf_str(&f.body), f.body.len, prefix, strlen(s3->endpoint.prefix), pass_on, filter, &page,
			 err);
	strbuf_free(&f.body);
	if (r == 0 && page.truncated && !strcmp(strbuf_str(&page.token), strbuf_str(token)))
		r = error_set(err, EINVAL, "the listing goes in a circle");
	*ret_more = page.truncated;
	strbuf_free(token);
	*token = page.token;
	return r;
}

int s3_list(struct store *s, const char *prefix, store_list_fn fn, void *ctx, struct error *err)
{
	_cleanup_strbuf_ struct strbuf full = STRBUF_INIT, token = STRBUF_INIT;
	struct s3_store *s3 = (struct s3_store *)s;
	struct filter filter = {.fn = fn, .ctx = ctx};
	bool more = true;
	int r = 0;

	strbuf_addf(&full, "%s%s", s3->endpoint.prefix, prefix);
	if (full.failed)
		return error_set(err, ENOMEM, "out of memory");
	for (unsigned page = 0; r == 0 && more; page++) {
		r = page < PAGES_MAX ? list_page(s3, strbuf_str(&full), &token, &filter, &more, err)
				     : error_set(err, EINVAL, "the listing does not end");
	}
	return r == 0 || filter.theirs ? r : wrap(s3, prefix, err);
}
