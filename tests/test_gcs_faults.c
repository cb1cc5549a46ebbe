/* SPDX-License-Identifier: Apache-2.0 */
/* The GCS store against a server that misbehaves. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "hooks/store/store_gcs.h"
#include "tests/fault_store.h"

static struct store_config config = {
    .name = "faulty", .type = "gcs", .bucket = "buck", .connect_timeout_ms = 2000, .low_speed_seconds = 2};

#define HEAD(status) "HTTP/1.1 " status "\r\nConnection: close\r\n"
#define DOCUMENT(status, json) HEAD(status) "\r\n" json
#define ERROR(status, reason) DOCUMENT(status, "{\"error\":{\"errors\":[{\"reason\":\"" reason "\"}]}}")
/* "text" has this CRC. */
#define OK_PUT DOCUMENT("200 OK", "{\"generation\":\"17\",\"size\":\"4\",\"crc32c\":\"L1MZ4Q==\"}")

static int set_up(void **state)
{
	(void)state;
	unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
	memset(&config.credentials, 0, sizeof(config.credentials));
	fault_store_open(&config);
	return 0;
}

static void answer(int i, const char *reply)
{
	script[i] = (struct step){.reply = reply, .close = true};
}

static void expect(struct store_op *op, enum store_result result, int requests)
{
	expect_op(op, result, requests, NULL);
	if (result != STORE_OK)
		assert_non_null(strstr(op->err.msg, "store \"faulty\" (bucket buck): "));
}

/* --- writes ------------------------------------------------------------------------- */

static void a_conditional_write_without_an_answer_is_unknown_and_sent_once(void **state)
{
	struct store_op op = put_op(STORE_IF_TAG, "16");

	(void)state;
	expect(&op, STORE_UNKNOWN, 1);
	assert_non_null(strstr(seen_requests[0], "&ifGenerationMatch=16&"));
}

static void nor_is_it_sent_again_after_409_429_500_or_503(void **state)
{
	static const char *const replies[] = {ERROR("409 x", "conflict"),      ERROR("429 x", "rateLimitExceeded"),
					      ERROR("500 x", "internalError"), ERROR("503 x", "backendError"),
					      DOCUMENT("200 OK", "no JSON"),   DOCUMENT("200 OK", "{\"size\":\"4\"}")};

	(void)state;
	for (int i = 0; i < (int)ARRAY_SIZE(replies); i++) {
		struct store_op op = put_op(i % 2 ? STORE_IF_TAG : STORE_IF_ABSENT, "16");

		answer(i, replies[i]);
		expect(&op, STORE_UNKNOWN, i + 1);
	}
}

static void a_false_condition_is_false(void **state)
{
	struct store_op op = put_op(STORE_IF_TAG, "16");

	(void)state;
	answer(0, ERROR("412 x", "conditionNotMet"));
	expect(&op, STORE_FALSE, 1);
	assert_non_null(strstr(op.err.msg, "(412 conditionNotMet) for PUT key"));
}

static void an_unconditional_write_is_sent_again_as_late_as_the_server_says(void **state)
{
	struct store_op op = put_op(STORE_ANY, "16");
	int64_t began = clock_boottime_ns();

	(void)state;
	answer(0, NULL);
	answer(1, HEAD("429 x") "Retry-After: 1\r\n\r\n{}");
	answer(2, ERROR("403 x", "rateLimitExceeded"));
	answer(3, OK_PUT);
	expect(&op, STORE_OK, 4);
	assert_string_equal(op.tag, "17");
	assert_true(clock_boottime_ns() - began >= NSEC_PER_SEC);
}

static void the_checksums_are_sent_and_compared(void **state)
{
	struct store_op op = put_op(STORE_IF_ABSENT, "16");

	(void)state;
	answer(0, DOCUMENT("200 OK", "{\"generation\":\"17\",\"size\":\"4\",\"crc32c\":\"AAAAAA==\"}"));
	expect(&op, STORE_CORRUPT, 1);
	assert_non_null(strstr(last_request, "POST /upload/storage/v1/b/buck/o?uploadType=multipart&name=key"));
	op = put_op(STORE_IF_ABSENT, "16");
	answer(1, DOCUMENT("200 OK", "{\"generation\":\"17\",\"size\":\"3\"}"));
	expect(&op, STORE_CORRUPT, 2);
	op = put_op(STORE_ANY, "16");
	answer(2, DOCUMENT("400 x", "{\"error\":{\"message\":\"Provided CRC32C \\\"x\\\" doesn't match calculated "
				    "CRC32C \\\"y\\\".\",\"errors\":[{\"reason\":\"invalid\"}]}}"));
	expect(&op, STORE_CORRUPT, 3);
}

static void a_name_with_a_line_break_is_refused_before_any_request(void **state)
{
	struct store_op op = put_op(STORE_ANY, "16");

	(void)state;
	op.key = "new\nline";
	expect(&op, STORE_INVALID, 0);
	assert_null(strchr(op.err.msg, '\n'));
}

static bool valid_once(void *ctx)
{
	return ++*(int *)ctx == 1;
}

static void the_lease_is_asked_before_every_attempt(void **state)
{
	struct store_op op = put_op(STORE_ANY, "16");
	int asked = 0;

	(void)state;
	store->valid = valid_once;
	store->valid_ctx = &asked;
	answer(0, ERROR("429 x", "rateLimitExceeded"));
	expect(&op, STORE_CANCELLED, 1);
	assert_int_equal(asked, 2);
}

static void writes_of_one_object_are_spread_over_time(void **state)
{
	int64_t began = clock_boottime_ns();

	(void)state;
	store_gcs_limits(store, 1000, 1000, 300 * NSEC_PER_MSEC);
	for (int i = 0; i < 3; i++) {
		struct store_op op = put_op(STORE_IF_TAG, "16");

		answer(i, OK_PUT);
		expect(&op, STORE_OK, i + 1);
	}
	assert_true(clock_boottime_ns() - began >= 600 * NSEC_PER_MSEC);
	/* Reading does not wait. */
	struct store_op get = get_op();

	began = clock_boottime_ns();
	answer(3, HEAD("200 OK") "Content-Length: 0\r\nx-goog-generation: 17\r\n\r\n");
	expect(&get, STORE_OK, 4);
	assert_true(clock_boottime_ns() - began < 250 * NSEC_PER_MSEC);
}

/* --- reading ------------------------------------------------------------------------ */

static void bytes_that_do_not_fit_their_checksum_are_fetched_again_and_never_believed(void **state)
{
	static const char good[] = HEAD("200 OK") "Content-Length: 4\r\nx-goog-hash: crc32c=L1MZ4Q==\r\n"
						  "x-goog-generation: 17\r\n\r\ntext",
			  bad[] = HEAD("200 OK") "Content-Length: 4\r\nx-goog-hash: crc32c=L1MZ4Q==\r\n\r\ntexT";
	struct store_op op = get_op();

	(void)state;
	answer(0, bad);
	answer(1, good);
	expect(&op, STORE_OK, 2);
	assert_string_equal(op.tag, "17");
	op = get_op();
	for (int i = 2; i < 7; i++)
		answer(i, bad);
	expect(&op, STORE_CORRUPT, 7);
}

static void replies_that_are_cut_or_lie_about_their_length_are_corrupt(void **state)
{
	struct store_op op = get_op();

	(void)state;
	for (int i = 0; i < 5; i++)
		answer(i, HEAD("200 OK") "Content-Length: 10\r\n\r\nabc");
	expect(&op, STORE_CORRUPT, 5);
	op = get_op();
	op.offset = 5;
	op.length = 3;
	for (int i = 5; i < 10; i++)
		answer(i, HEAD("206 x") "Content-Range: bytes 0-2/10\r\nContent-Length: 3\r\n\r\n012");
	expect(&op, STORE_CORRUPT, 10);
	assert_non_null(strstr(last_request, "range: bytes=5-7\r\n"));
	assert_non_null(strstr(last_request, "accept-encoding: gzip\r\n"));
}

static void a_tag_that_is_no_generation_is_none(void **state)
{
	struct store_op op = get_op();

	(void)state;
	answer(0, HEAD("200 OK") "Content-Length: 0\r\nx-goog-generation: \"17\"\r\netag: \"abc\"\r\n\r\n");
	expect(&op, STORE_OK, 1);
	assert_string_equal(op.tag, "");
}

static void metadata_without_a_generation_is_no_object(void **state)
{
	struct store_op op;

	(void)state;
	store_op_init(&op, STORE_HEAD, "key");
	for (int i = 0; i < 5; i++)
		answer(i, DOCUMENT("200 OK", "{\"size\":\"4\"}"));
	expect(&op, STORE_CORRUPT, 5);
}

static int never_called(void *ctx, const struct store_list_item *item, struct error *err)
{
	(void)ctx;
	(void)err;
	fail_msg("listed: %s", item->key);
	return 0;
}

static void a_listing_that_fails_or_circles_is_an_error(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	answer(0, ERROR("404 x", "notFound"));
	assert_true(store_list(store, "a/", never_called, NULL, &err) < 0);
	assert_non_null(strstr(err.msg, "listing a/: the bucket was not found (404 notFound)"));
	for (int i = 1; i < 3; i++)
		answer(i, DOCUMENT("200 OK", "{\"nextPageToken\":\"again\"}"));
	assert_true(store_list(store, "a/", never_called, NULL, &err) < 0);
	assert_non_null(strstr(err.msg, "circle"));
	assert_int_equal(served, 3);
}

/* --- copies ------------------------------------------------------------------------- */

static void a_long_copy_goes_on_with_the_token_of_each_step(void **state)
{
	struct store_op op;

	(void)state;
	store_op_init(&op, STORE_COPY, "to");
	op.source = "from";
	op.mark = "1/2/3";
	answer(0, DOCUMENT("200 OK", "{\"done\":false,\"rewriteToken\":\"t 1\"}"));
	answer(1, ERROR("503 x", "backendError"));
	answer(2, DOCUMENT("200 OK", "{\"done\":false,\"rewriteToken\":\"t2\"}"));
	answer(3, DOCUMENT("200 OK", "{\"done\":true,\"resource\":{\"generation\":\"99\"}}"));
	expect(&op, STORE_OK, 4);
	assert_string_equal(op.tag, "99");
	assert_non_null(strstr(seen_requests[1], "/o/from/rewriteTo/b/buck/o/to?rewriteToken=t%201 "));
	assert_non_null(strstr(seen_requests[3], "?rewriteToken=t2 "));
	op.result = STORE_FAILED;
	for (int i = 4; i < 9; i++)
		answer(i, DOCUMENT("200 OK", "{\"done\":false}"));
	expect(&op, STORE_UNKNOWN, 9);
}

/* --- resumable uploads -------------------------------------------------------------- */

#define BEGAN HEAD("200 OK") "Location: http://evil.example/session?upload_id=u1\r\nContent-Length: 0\r\n\r\n"
#define MORE(last) HEAD("308 Resume Incomplete") "Range: bytes=0-" last "\r\nContent-Length: 0\r\n\r\n"
#define NOTHING HEAD("308 Resume Incomplete") "Content-Length: 0\r\n\r\n"
#define STORED DOCUMENT("200 OK", "{\"generation\":\"17\",\"size\":\"25\"}")

static struct store_op big_op(enum store_condition condition)
{
	struct store_op op = put_op(condition, "16");

	store_gcs_limits(store, 10, 10, 0);
	op.key = "big";
	op.data = "0123456789abcdefghijklmno";
	op.size = 25;
	return op;
}

static void expect_piece(int i, const char *range, const char *bytes)
{
	char line[80];

	snprintf(line, sizeof(line), "content-range: bytes %s/25\r\n", range);
	if (strncmp(seen_requests[i], "PUT /session?upload_id=u1 ", 26) != 0 || !strstr(seen_requests[i], line))
		fail_msg("request %d is not of %s: %s", i, range, seen_requests[i]);
	if (bytes) {
		snprintf(line, sizeof(line), "Content-Length: %zu\r\n", strlen(bytes));
		assert_non_null(strstr(seen_requests[i], line));
	}
}

static void a_large_body_goes_in_pieces_to_our_own_server(void **state)
{
	struct store_op op = big_op(STORE_IF_TAG);

	(void)state;
	answer(0, BEGAN);
	answer(1, MORE("9"));
	answer(2, MORE("19"));
	answer(3, STORED);
	expect(&op, STORE_OK, 4);
	assert_string_equal(op.tag, "17");
	assert_non_null(strstr(seen_requests[0], "uploadType=resumable&name=big&ifGenerationMatch=16&"));
	expect_piece(1, "0-9", "0123456789");
	expect_piece(2, "10-19", "abcdefghij");
	expect_piece(3, "20-24", "klmno");
	assert_null(strcasestr(seen_requests[1], "evil"));
}

static void a_session_whose_address_holds_a_long_name_is_no_less_a_session(void **state)
{
	static char reply[4096];
	struct store_op op = big_op(STORE_ANY);

	(void)state;
	snprintf(reply, sizeof(reply), HEAD("200 OK") "Location: /session?name=%03072d\r\nContent-Length: 0\r\n\r\n",
		 0);
	answer(0, reply);
	answer(1, MORE("9"));
	answer(2, MORE("19"));
	answer(3, STORED);
	expect(&op, STORE_OK, 4);
}

static void an_interrupted_upload_goes_on_where_the_server_says(void **state)
{
	struct store_op op = big_op(STORE_ANY);

	(void)state;
	answer(0, BEGAN);
	answer(1, MORE("9"));
	answer(2, NULL); /* lost */
	answer(3, MORE("14"));
	answer(4, ERROR("503 x", "backendError"));
	answer(5, MORE("14"));
	answer(6, MORE("24")); /* all there, no object yet */
	answer(7, STORED);
	expect(&op, STORE_OK, 8);
	expect_piece(3, "*", NULL);
	expect_piece(4, "15-24", "fghijklmno");
	expect_piece(5, "*", NULL);
	expect_piece(6, "15-24", NULL);
	expect_piece(7, "*", NULL);
}

static void when_the_last_answer_is_lost_the_server_tells_what_came_of_it(void **state)
{
	struct store_op op = big_op(STORE_IF_ABSENT);

	(void)state;
	answer(0, BEGAN);
	answer(1, MORE("19"));
	answer(2, NULL);
	answer(3, STORED);
	expect(&op, STORE_OK, 4);
	expect_piece(3, "*", NULL);
	op = big_op(STORE_IF_ABSENT);
	answer(4, BEGAN);
	answer(5, MORE("19"));
	answer(6, NULL);
	answer(7, ERROR("404 x", "notFound"));
	expect(&op, STORE_UNKNOWN, 8);
}

static void what_has_arrived_and_is_no_object_yet_is_asked_for_and_not_sent_again(void **state)
{
	struct store_op op = big_op(STORE_IF_ABSENT);

	(void)state;
	answer(0, BEGAN);
	answer(1, MORE("19"));
	answer(2, MORE("24"));
	answer(3, MORE("24"));
	answer(4, STORED);
	expect(&op, STORE_OK, 5);
	expect_piece(3, "*", NULL);
	expect_piece(4, "*", NULL);
	op = big_op(STORE_IF_ABSENT);
	answer(5, BEGAN);
	answer(6, MORE("19"));
	answer(7, MORE("24"));
	answer(8, MORE("24"));
	answer(9, ERROR("400 x", "invalid"));
	expect(&op, STORE_UNKNOWN, 10);
}

static void an_upload_whose_last_byte_was_never_sent_is_no_object(void **state)
{
	struct store_op op = big_op(STORE_IF_ABSENT);

	(void)state;
	answer(0, BEGAN);
	answer(1, ERROR("403 x", "forbidden"));
	expect(&op, STORE_REFUSED, 2);
	op = big_op(STORE_IF_ABSENT);
	answer(2, BEGAN);
	answer(3, NULL);
	answer(4, ERROR("403 x", "forbidden"));
	expect(&op, STORE_REFUSED, 5);
	op = big_op(STORE_IF_ABSENT);
	answer(5, BEGAN);
	answer(6, MORE("19"));
	answer(7, ERROR("412 x", "conditionNotMet"));
	expect(&op, STORE_FALSE, 8);
}

static void a_forgotten_session_is_begun_anew_once(void **state)
{
	struct store_op op = big_op(STORE_ANY);

	(void)state;
	answer(0, BEGAN);
	answer(1, MORE("9"));
	answer(2, ERROR("410 x", "gone"));
	answer(3, BEGAN);
	answer(4, ERROR("404 x", "notFound"));
	expect(&op, STORE_FAILED, 5);
	expect_piece(4, "0-9", NULL);
}

static void a_server_that_takes_nothing_or_lies_about_it_is_given_up(void **state)
{
	struct store_op op = big_op(STORE_ANY);

	(void)state;
	answer(0, BEGAN);
	answer(1, MORE("9"));
	answer(2, MORE("4"));
	expect(&op, STORE_FAILED, 3);
	op = big_op(STORE_ANY);
	answer(3, BEGAN);
	answer(4, MORE("99"));
	expect(&op, STORE_FAILED, 5);
	op = big_op(STORE_ANY);
	answer(5, HEAD("200 OK") "Content-Length: 0\r\n\r\n");
	expect(&op, STORE_FAILED, 6);
	op = big_op(STORE_ANY);
	answer(6, BEGAN);
	for (int i = 7; i < SCRIPT_MAX; i++)
		answer(i, NOTHING);
	script[0] = script[SCRIPT_MAX - 1];
	store_do(store, &op);
	assert_int_equal(op.result, STORE_UNREACHABLE);
	assert_non_null(strstr(op.err.msg, "the upload does not get on"));
}

static bool valid_twice(void *ctx)
{
	return ++*(int *)ctx <= 2;
}

static void the_lease_is_asked_before_each_piece(void **state)
{
	struct store_op op = big_op(STORE_ANY);
	int asked = 0;

	(void)state;
	store->valid = valid_twice;
	store->valid_ctx = &asked;
	answer(0, BEGAN);
	answer(1, MORE("9"));
	expect(&op, STORE_CANCELLED, 2);
}

static void a_file_that_is_not_what_was_announced_is_not_sent(void **state)
{
	struct store_op op = big_op(STORE_ANY);
	int in = memfd_create("t", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(write_all(in, "0123456789abcdefghij", 20), 0);
	op.data = NULL;
	op.in_fd = in;
	expect(&op, STORE_CORRUPT, 0);
	op.size = 20;
	op.sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	expect(&op, STORE_CORRUPT, 0);
	close(in);
}

/* --- tokens ------------------------------------------------------------------------- */

#define TOKEN(text) DOCUMENT("200 OK", "{\"access_token\":\"" text "\",\"expires_in\":3600,\"token_type\":\"Bearer\"}")

static void a_refused_token_is_exchanged_and_the_request_sent_again(void **state)
{
	struct store_op op = put_op(STORE_IF_TAG, "16");
	struct error err = ERROR_INIT;

	(void)state;
	store_close(store);
	config.credentials.metadata_endpoint = config.endpoint;
	assert_int_equal(store_open(&config, &store, &err), 0);
	answer(0, TOKEN("first-token"));
	answer(1, ERROR("401 x", "authError"));
	answer(2, TOKEN("second-token"));
	answer(3, OK_PUT);
	expect(&op, STORE_OK, 4);
	assert_non_null(strstr(seen_requests[1], "authorization: Bearer first-token\r\n"));
	assert_non_null(strstr(seen_requests[3], "authorization: Bearer second-token\r\n"));
	op = put_op(STORE_IF_TAG, "16");
	answer(4, ERROR("401 x", "authError"));
	answer(5, TOKEN("second-token"));
	store_do(store, &op);
	assert_int_equal(op.result, STORE_REFUSED);
	assert_non_null(strstr(op.err.msg, "object store rejected the credentials (401 authError)"));
	assert_null(strstr(op.err.msg, "token"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fault_store_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_conditional_write_without_an_answer_is_unknown_and_sent_once),
	    TEST(nor_is_it_sent_again_after_409_429_500_or_503),
	    TEST(a_false_condition_is_false),
	    TEST(an_unconditional_write_is_sent_again_as_late_as_the_server_says),
	    TEST(the_checksums_are_sent_and_compared),
	    TEST(a_name_with_a_line_break_is_refused_before_any_request),
	    TEST(the_lease_is_asked_before_every_attempt),
	    TEST(writes_of_one_object_are_spread_over_time),
	    TEST(bytes_that_do_not_fit_their_checksum_are_fetched_again_and_never_believed),
	    TEST(replies_that_are_cut_or_lie_about_their_length_are_corrupt),
	    TEST(a_tag_that_is_no_generation_is_none),
	    TEST(metadata_without_a_generation_is_no_object),
	    TEST(a_listing_that_fails_or_circles_is_an_error),
	    TEST(a_long_copy_goes_on_with_the_token_of_each_step),
	    TEST(a_large_body_goes_in_pieces_to_our_own_server),
	    TEST(a_session_whose_address_holds_a_long_name_is_no_less_a_session),
	    TEST(an_interrupted_upload_goes_on_where_the_server_says),
	    TEST(when_the_last_answer_is_lost_the_server_tells_what_came_of_it),
	    TEST(what_has_arrived_and_is_no_object_yet_is_asked_for_and_not_sent_again),
	    TEST(an_upload_whose_last_byte_was_never_sent_is_no_object),
	    TEST(a_forgotten_session_is_begun_anew_once),
	    TEST(a_server_that_takes_nothing_or_lies_about_it_is_given_up),
	    TEST(the_lease_is_asked_before_each_piece),
	    TEST(a_file_that_is_not_what_was_announced_is_not_sent),
	    TEST(a_refused_token_is_exchanged_and_the_request_sent_again),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
