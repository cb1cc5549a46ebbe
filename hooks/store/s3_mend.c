/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals whose cause can be taken away: another region, a wrong clock; and a 404 that has no words. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hooks/store/s3_store.h"

#define SKEW_SECONDS 240 /* that no server minds */

static bool is_head(const struct s3_exchange *x)
{
	return x->call.kind == S3_CALL_OP && x->call.op->kind == STORE_HEAD && !x->call.confirm;
}

bool s3_says_nothing(const struct exchange *base)
{
	return base->body.len == 0 && !is_head((const struct s3_exchange *)base) && !base->changes;
}

static bool says_elsewhere(const struct s3_exchange *x)
{
	static const char *const codes[] = {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed",
					    "IllegalLocationConstraintException"};
	const struct reply *r = &x->x.reply;

	if (r->status != 301 && r->status != 307 && r->status != 308 && r->status != 400)
		return false;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (!strcmp(r->code, codes[i]))
			return true;
	/* An answer to HEAD has no words. */
	return !r->code[0];
}

/*
 * The bucket's region, as the server says it. The request goes to a host that is made of our own configuration and
 * that name, never to one that an answer gives.
 */
static bool follow_region(struct s3_exchange *x)
{
	struct s3_store *s3 = (struct s3_store *)x->x.store;

	if (!says_elsewhere(x) || !x->x.reply.region[0] || !strcmp(x->x.reply.region, x->region))
		return false;
	if (strcmp(x->x.reply.region, s3->endpoint.region) != 0 &&
	    s3_endpoint_move(&s3->endpoint, x->x.reply.region) < 0)
		return false;
	s3->http.url = s3->endpoint.url;
	return true;
}

static bool set_clock(struct s3_exchange *x)
{
	struct s3_store *s3 = (struct s3_store *)x->x.store;
	const struct reply *r = &x->x.reply;

	if (r->status != 403 || r->date == 0 || llabs(r->date - x->signed_at) <= SKEW_SECONDS)
		return false;
	if (strcmp(r->code, "RequestTimeTooSkewed") != 0 && !(is_head(x) && !r->code[0]))
		return false;
	s3->clock_offset = r->date - (int64_t)time(NULL);
	return true;
}

/*
 * "There is no such object" is believed of who shows that he is an object store: a missing volume is begun anew, and a
 * missing file was deleted by somebody. An answer to HEAD has no words; a GET's has.
 */
static void confirm_absence(struct s3_exchange *x)
{
	struct exchange *base = &x->x;
	bool doubted = base->reply.status == 404 && !base->reply.genuine && !base->reply.code[0];

	if (x->call.confirm) {
		x->call.confirm = false;
		if (base->verdict.result == STORE_OK)
			verdict_set(&base->verdict, STORE_UNREACHABLE, true, "the object store contradicts itself");
	} else if (doubted && is_head(x)) {
		x->call.confirm = base->verdict.again = true;
	}
}

void s3_mend(struct s3_exchange *x)
{
	if (follow_region(x) || set_clock(x))
		x->x.verdict.again = true;
	else
		confirm_absence(x);
}
