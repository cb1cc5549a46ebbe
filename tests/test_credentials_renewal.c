/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials that expire, are refused, or whose issuer is silent. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/credentials_box.h"

static void tokens_of(const char *token_seconds_reply)
{
	setenv("GCE_METADATA_HOST", url + strlen("http://"), 1);
	script[0].reply = token_seconds_reply;
}

static void a_token_is_renewed_while_the_old_one_is_in_use(void **state)
{
	int64_t began;

	(void)state;
	tokens_of(TOKEN("old", "4"));
	script[1] = (struct step){.reply = TOKEN("new", "3600"), .close = true, .delay_ms = 400};
	get(CREDENTIALS_GCS);
	assert_string_equal(got.token, "ya29.old");
	clock_sleep_ns(3100 * NSEC_PER_MSEC);
	began = clock_boottime_ns();
	get(CREDENTIALS_GCS); /* begins to fetch, and waits for nobody */
	assert_true(clock_boottime_ns() - began < 200 * NSEC_PER_MSEC);
	assert_string_equal(got.token, "ya29.old");
	clock_sleep_ns(600 * NSEC_PER_MSEC);
	get(CREDENTIALS_GCS);
	assert_string_equal(got.token, "ya29.new");
	assert_int_equal(served, 2);
	unsetenv("GCE_METADATA_HOST");
}

static void a_token_that_came_long_ago_and_nobody_wanted_since_has_expired(void **state)
{
	(void)state;
	tokens_of(TOKEN("old", "2"));
	script[1].reply = TOKEN("unused", "2");
	script[2].reply = TOKEN("new", "3600");
	get(CREDENTIALS_GCS);
	clock_sleep_ns(1600 * NSEC_PER_MSEC);
	get(CREDENTIALS_GCS); /* begins to fetch; nobody asks for what comes before its time is over */
	assert_string_equal(got.token, "ya29.old");
	clock_sleep_ns(2500 * NSEC_PER_MSEC);
	get(CREDENTIALS_GCS);
	assert_string_equal(got.token, "ya29.new");
	assert_int_equal(served, 3);
	unsetenv("GCE_METADATA_HOST");
}

static void who_failed_long_ago_is_asked_again_at_once(void **state)
{
	(void)state;
	tokens_of(TOKEN("old", "2"));
	script[1].reply = STATUS("403 x", "");
	script[2].reply = TOKEN("new", "3600");
	get(CREDENTIALS_GCS);
	clock_sleep_ns(1600 * NSEC_PER_MSEC);
	get(CREDENTIALS_GCS);
	clock_sleep_ns(2500 * NSEC_PER_MSEC);
	get(CREDENTIALS_GCS);
	assert_string_equal(got.token, "ya29.new");
	unsetenv("GCE_METADATA_HOST");
}

static void an_expired_token_is_not_used_and_its_issuer_s_silence_is_no_refusal(void **state)
{
	(void)state;
	tokens_of(TOKEN("old", "1"));
	get(CREDENTIALS_GCS);
	clock_sleep_ns(1100 * NSEC_PER_MSEC);
	for (int i = 1; i < SCRIPT_MAX; i++)
		script[i].reply = NULL;
	refused(CREDENTIALS_GCS, EHOSTUNREACH, "the metadata server did not answer");
	unsetenv("GCE_METADATA_HOST");
}

static void a_refusal_by_the_store_fetches_others_at_once(void **state)
{
	uint64_t first;

	(void)state;
	tokens_of(TOKEN("revoked", "3600"));
	script[1].reply = TOKEN("fresh", "3600");
	get(CREDENTIALS_GCS);
	first = got.generation;
	assert_true(credentials_refused(source, first));
	assert_true(credentials_refused(source, first)); /* another request of the same moment */
	get(CREDENTIALS_GCS);
	assert_string_equal(got.token, "ya29.fresh");
	assert_int_equal(served, 2);
	unsetenv("GCE_METADATA_HOST");
}

static void the_same_again_is_no_reason_to_send_again(void **state)
{
	(void)state;
	tokens_of(TOKEN("same", "3600"));
	script[1].reply = TOKEN("same", "3600");
	get(CREDENTIALS_GCS);
	assert_false(credentials_refused(source, got.generation));
	assert_false(credentials_refused(source, got.generation));
	assert_int_equal(served, 2);
	unsetenv("GCE_METADATA_HOST");
}

static void closing_does_not_wait_for_a_silent_issuer(void **state)
{
	int64_t began;

	(void)state;
	tokens_of(TOKEN("old", "4"));
	script[1] = (struct step){.reply = TOKEN("new", "4"), .close = true, .delay_ms = 1500};
	get(CREDENTIALS_GCS);
	clock_sleep_ns(3100 * NSEC_PER_MSEC);
	get(CREDENTIALS_GCS);
	clock_sleep_ns(100 * NSEC_PER_MSEC);
	began = clock_boottime_ns();
	credentials_close(source);
	source = NULL;
	assert_true(clock_boottime_ns() - began < 700 * NSEC_PER_MSEC);
	unsetenv("GCE_METADATA_HOST");
}

static void a_write_survives_that_its_session_expires(void **state)
{
	struct store_op op;
	struct store *s = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	config.endpoint = url;
	config.path_style = true;
	config.credentials.token_file = file("oidc");
	config.credentials.role_arn = "arn:r";
	config.credentials.token_endpoint = url;
	script[0].reply = STS("1", NEVER);
	script[1].reply = STATUS("400 x", "<Error><Code>ExpiredToken</Code></Error>");
	script[2].reply = STS("2", NEVER);
	script[3].reply = "HTTP/1.1 200 OK\r\nETag: \"t\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	assert_int_equal(store_open(&config, &s, &err), 0);
	assert_int_equal(served, 0);
	store_op_init(&op, STORE_PUT, "key");
	op.data = "text";
	op.size = 4;
	op.condition = STORE_IF_ABSENT;
	if (store_do(s, &op) != STORE_OK)
		fail_msg("%s", op.err.msg);
	saw(1, "Credential=ASIA1/");
	saw(3, "Credential=ASIA2/");
	saw(3, "x-amz-security-token: session2==");
	assert_int_equal(served, 4);
	store_close(s);
}

static void without_credentials_an_op_is_refused_in_one_line(void **state)
{
	struct store_op op;
	struct store *s = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	config.endpoint = url;
	config.credentials.token_file = "/nonexistent/token";
	config.credentials.role_arn = "arn:r";
	assert_int_equal(store_open(&config, &s, &err), 0);
	store_op_init(&op, STORE_HEAD, "key");
	store_do(s, &op);
	assert_int_equal(op.result, STORE_REFUSED);
	assert_string_equal(op.err.msg,
			    "store \"cloud\" (bucket buck): the credentials' file /nonexistent/token can't be "
			    "read (it is missing) for HEAD key");
	assert_int_equal(served, 0);
	store_close(s);
}

/* It may be a tool that waits for a person, or for a net that is gone. */
static void who_closes_does_not_wait_for_a_program_that_gives_keys(void **state)
{
	char directory[] = "/tmp/volrun-process-XXXXXX", command[600];
	int64_t began;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(
	    command, sizeof(command),
	    "cd %s; if [ -e once ]; then sleep 15; fi; touch once; printf '{\"Version\":1,\"AccessKeyId\":\"AKP\","
	    "\"SecretAccessKey\":\"x\",\"Expiration\":\"%%s\"}' $(date -u -d '+3 seconds' +%%Y-%%m-%%dT%%H:%%M:%%SZ)",
	    directory);
	config.credentials.process = command;
	get(CREDENTIALS_S3);
	clock_sleep_ns(2600 * NSEC_PER_MSEC);
	get(CREDENTIALS_S3); /* begins to fetch others, perhaps of no use any more */
	clock_sleep_ns(100 * NSEC_PER_MSEC);
	began = clock_boottime_ns();
	credentials_close(source);
	source = NULL;
	assert_true(clock_boottime_ns() - began < 3 * NSEC_PER_SEC);
	config.credentials.process = NULL;
	snprintf(command, sizeof(command), "%s/once", directory);
	unlink(command);
	rmdir(directory);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(who_closes_does_not_wait_for_a_program_that_gives_keys),
	    TEST(a_token_is_renewed_while_the_old_one_is_in_use),
	    TEST(a_token_that_came_long_ago_and_nobody_wanted_since_has_expired),
	    TEST(who_failed_long_ago_is_asked_again_at_once),
	    TEST(an_expired_token_is_not_used_and_its_issuer_s_silence_is_no_refusal),
	    TEST(a_refusal_by_the_store_fetches_others_at_once),
	    TEST(the_same_again_is_no_reason_to_send_again),
	    TEST(closing_does_not_wait_for_a_silent_issuer),
	    TEST(a_write_survives_that_its_session_expires),
	    TEST(without_credentials_an_op_is_refused_in_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
