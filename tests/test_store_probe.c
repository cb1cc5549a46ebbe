/* SPDX-License-Identifier: Apache-2.0 */
/* What a probe makes of answers that tell nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/fake_store.h"

static int probe_with(enum store_result result, enum fake_effect effect, int count, unsigned *ret_puts)
{
	struct fake_store *f = fake_store_new();
	struct store *s = fake_store_open(f);
	struct error err = ERROR_INIT;
	int r;

	fake_store_fault(f, (struct fake_fault){STORE_PUT, NULL, result, effect, 0, count});
	r = store_probe(s, &err);
	*ret_puts = fake_store_count(f, STORE_PUT);
	store_close(s);
	fake_store_free(f);
	return r;
}

static void a_request_or_an_answer_that_gets_lost_is_no_verdict(void **state)
{
	unsigned clean, puts;

	(void)state;
	assert_int_equal(probe_with(STORE_OK, FAKE_DONE, 0, &clean), 0);
	assert_int_equal(probe_with(STORE_UNKNOWN, FAKE_NOTHING, 1, &puts), 0);
	assert_int_equal(puts, clean + 1);
	assert_int_equal(probe_with(STORE_UNKNOWN, FAKE_DONE, 2, &puts), 0);
	assert_int_equal(puts, clean + 2);
}

static void a_store_that_never_says_is_not_called_one_that_does_not_enforce(void **state)
{
	unsigned puts;
	int r;

	(void)state;
	r = probe_with(STORE_UNKNOWN, FAKE_DONE, -1, &puts);
	assert_true(r < 0 && r != -ENOTSUP);
	assert_int_equal(puts, 3);
	/* What was tried again already ends it. */
	assert_true(probe_with(STORE_UNREACHABLE, FAKE_NOTHING, -1, &puts) < 0);
	assert_int_equal(puts, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_request_or_an_answer_that_gets_lost_is_no_verdict),
	    cmocka_unit_test(a_store_that_never_says_is_not_called_one_that_does_not_enforce),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
