/* SPDX-License-Identifier: Apache-2.0 */
/* A store behind HTTP whose caller has no op yet (store_later). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "tests/fault_store.h"

static struct store_config config = {.name = "slow",
				     .type = "s3",
				     .bucket = "buck",
				     .path_style = true,
				     .access_key_id = "AKID",
				     .secret_access_key = "top-secret"};

#define OK_PUT "HTTP/1.1 200 OK\r\nETag: \"t1\"\r\nContent-Length: 0\r\n\r\n"

static int set_up(void **state)
{
	(void)state;
	fault_store_open(&config);
	return 0;
}

struct slow_source {
	struct store_op op, second;
	int asked, done;
};

static struct store_op *later_then_one(void *ctx)
{
	struct slow_source *s = ctx;

	s->asked++;
	if (s->asked == 1)
		return &s->op;
	/* Until the first is done: so is the contract. Then one more, and no more. */
	if (s->done == 0)
		return &store_later;
	return s->done == 1 && !s->second.user ? (s->second.user = s, &s->second) : NULL;
}

static void count_done(void *ctx, struct store_op *op)
{
	struct slow_source *s = ctx;

	assert_int_equal(op->result, STORE_OK);
	s->done++;
}

/* Neither over before all is done, nor asked again and again while there is nothing to do but to wait. */
static void who_has_no_op_yet_is_asked_again_now_and_then(void **state)
{
	struct slow_source s = {put_op(STORE_ANY, NULL), put_op(STORE_ANY, NULL), 0, 0};
	struct timespec before, after;

	(void)state;
	script[0] = (struct step){.reply = OK_PUT, .delay_ms = 1000};
	script[1] = (struct step){.reply = OK_PUT, .delay_ms = 300};
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	store_run(store, later_then_one, count_done, &s);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	assert_int_equal(s.done, 2);
	assert_true(s.asked > 5);
	assert_true(s.asked < 1300 / 5 + 10); /* each 5 ms */
	assert_true((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 < 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(who_has_no_op_yet_is_asked_again_now_and_then, set_up, fault_store_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
