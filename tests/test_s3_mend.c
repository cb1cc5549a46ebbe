/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals of S3 whose cause can be taken away, and absences that nobody believes.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "hooks/store/s3.h"
#include "tests/fault_store.h"

static struct store_config config = {.name = "faulty",
				     .type = "s3",
				     .bucket = "buck",
				     .path_style = true,
				     .access_key_id = "AKID",
				     .secret_access_key = "top-secret",
				     .connect_timeout_ms = 2000,
				     .low_speed_seconds = 2};

#define OK_PUT "HTTP/1.1 200 OK\r\nETag: \"t1\"\r\nContent-Length: 0\r\n\r\n"
#define ERROR(status, code) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n<Error><Code>" code "</Code></Error>"

static int set_up(void **state)
{
	(void)state;
	fault_store_open(&config);
	return 0;
}

static void expect(struct store_op *op, enum store_result result, int requests)
{
	expect_op(op, result, requests, "top-secret");
}

#define ELSEWHERE                                                                                                      \
	"HTTP/1.1 307 x\r\nLocation: http://169.254.169.254/secret\r\nx-amz-bucket-region: eu-west-3\r\n"              \
	"Content-Length: 0\r\n\r\n"

static void redirects_are_not_followed_to_a_host_that_they_name(void **state)
{
	struct store_op op = get_op();

	(void)state;
	script[0] = script[1] = (struct step){.reply = ELSEWHERE};
	expect(&op, STORE_FAILED, 2);
	assert_non_null(strstr(op.err.msg, "another region: eu-west-3"));
}

static void a_bucket_in_another_region_is_signed_for_there(void **state)
{
	struct store_op op = put_op(STORE_IF_TAG, "old");

	(void)state;
	script[0] = (struct step){
	    .reply = "HTTP/1.1 400 x\r\nConnection: close\r\n\r\n<Error><Code>AuthorizationHeaderMalformed"
		     "</Code><Region>eu-west-3</Region></Error>",
	    .close = true};
	script[1] = (struct step){.reply = OK_PUT};
	expect(&op, STORE_OK, 2);
	assert_non_null(strstr(seen_requests[0], "/us-east-1/s3/aws4_request"));
	assert_non_null(strstr(seen_requests[1], "/eu-west-3/s3/aws4_request"));
	/* And from then on. */
	op = put_op(STORE_ANY, "old");
	script[2] = (struct step){.reply = OK_PUT};
	expect(&op, STORE_OK, 3);
	assert_non_null(strstr(seen_requests[2], "/eu-west-3/s3/aws4_request"));
}

static void a_wrong_clock_is_set_right_by_the_servers(void **state)
{
	struct store_op op = put_op(STORE_IF_TAG, "old");

	(void)state;
	script[0] =
	    (struct step){.reply = "HTTP/1.1 403 x\r\nDate: Sun, 05 Nov 2028 12:00:00 GMT\r\nContent-Length: 51\r\n\r\n"
				   "<Error><Code>RequestTimeTooSkewed</Code></Error>   "};
	script[1] = (struct step){.reply = OK_PUT};
	expect(&op, STORE_OK, 2);
	assert_non_null(strstr(seen_requests[1], "x-amz-date: 20281105T1200"));
	op = put_op(STORE_ANY, "old");
	script[2] = (struct step){.reply = OK_PUT};
	expect(&op, STORE_OK, 3);
	assert_non_null(strstr(seen_requests[2], "x-amz-date: 20281105T1200"));
}

static void a_clock_that_is_right_is_not_set(void **state)
{
	struct store_op op = put_op(STORE_ANY, "old");

	(void)state;
	script[0] = (struct step){.reply = "HTTP/1.1 403 x\r\nContent-Length: 51\r\n\r\n"
					   "<Error><Code>RequestTimeTooSkewed</Code></Error>   "};
	expect(&op, STORE_REFUSED, 1);
	assert_non_null(strstr(op.err.msg, "this machine's clock is wrong"));
}

/* An ingress without a backend, a captive portal, another server at a reused address. */
#define SOMEBODY "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 21\r\n\r\ndefault backend - 404"

static void a_404_that_no_object_store_says_is_no_absence(void **state)
{
	struct store_op op = put_op(STORE_IF_ABSENT, "old");

	(void)state;
	script[0] = (struct step){.reply = SOMEBODY};
	expect(&op, STORE_UNKNOWN, 1);
	assert_non_null(strstr(op.err.msg, "is the endpoint right"));
	op = get_op();
	script[1] = (struct step){.reply = SOMEBODY};
	script[2] = (struct step){.reply = ERROR("404 x", "NoSuchKey"), .close = true};
	expect(&op, STORE_ABSENT, 3);
	/* Nor is nothing said, to who deletes. */
	store_op_init(&op, STORE_DELETE, "key");
	script[3] = (struct step){.reply = "HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n"};
	script[4] = (struct step){.reply = "HTTP/1.1 204 x\r\n\r\n"};
	expect(&op, STORE_OK, 5);
}

static void an_absence_without_words_is_asked_for_again_with_words(void **state)
{
	struct store_op op;

	(void)state;
	store_op_init(&op, STORE_HEAD, "key");
	script[0] = (struct step){.reply = "HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n"};
	script[1] = (struct step){.reply = ERROR("404 x", "NoSuchKey"), .close = true};
	expect(&op, STORE_ABSENT, 2);
	assert_int_equal(strncmp(seen_requests[1], "GET /buck/key ", 14), 0);
	assert_non_null(strstr(seen_requests[1], "range: bytes=0-0"));
	store_op_init(&op, STORE_HEAD, "key");
	script[2] = (struct step){.reply = "HTTP/1.1 404 x\r\nx-amz-request-id: tx1\r\nContent-Length: 0\r\n\r\n"};
	expect(&op, STORE_ABSENT, 3);
	/* Somebody's page, then the store: the object is there. */
	store_op_init(&op, STORE_HEAD, "key");
	script[3] = (struct step){.reply = "HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n"};
	script[4] =
	    (struct step){.reply = "HTTP/1.1 206 x\r\nContent-Range: bytes 0-0/9\r\nContent-Length: 1\r\n\r\nx"};
	script[5] = (struct step){.reply = "HTTP/1.1 200 OK\r\nETag: \"t1\"\r\nContent-Length: 9\r\n\r\n"};
	expect(&op, STORE_OK, 6);
	assert_int_equal(op.got_size, 9);
}

static void moved(const char *endpoint_url, const char *region, const char *to, const char *expected)
{
	struct store_config c = {.name = "s", .bucket = "buck", .endpoint = endpoint_url, .region = region};
	struct error err = ERROR_INIT;
	struct s3_endpoint e;

	assert_int_equal(s3_endpoint_init(&c, &e, &err), 0);
	assert_int_equal(s3_endpoint_move(&e, to), 0);
	assert_string_equal(e.url, expected);
	assert_string_equal(e.region, to);
	s3_endpoint_free(&e);
}

static void only_amazons_hosts_have_a_region_in_their_name(void **state)
{
	struct s3_endpoint e = {0};

	(void)state;
	moved(NULL, "us-east-1", "eu-west-3", "https://buck.s3.eu-west-3.amazonaws.com");
	moved("https://s3.amazonaws.com", NULL, "eu-west-3", "https://buck.s3.eu-west-3.amazonaws.com");
	moved("https://s3.dualstack.us-west-2.amazonaws.com", "us-west-2", "eu-west-3",
	      "https://buck.s3.dualstack.eu-west-3.amazonaws.com");
	moved("https://vpce-1.s3.us-west-2.vpce.amazonaws.com", "us-west-2", "eu-west-3",
	      "https://buck.vpce-1.s3.us-west-2.vpce.amazonaws.com");
	moved("https://minio.us-east-1.example", NULL, "eu-west-3", "https://buck.minio.us-east-1.example");
	assert_int_equal(s3_endpoint_move(&e, "evil.example/"), -EINVAL);
	assert_int_equal(s3_endpoint_move(&e, ""), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fault_store_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(redirects_are_not_followed_to_a_host_that_they_name),
	    TEST(a_bucket_in_another_region_is_signed_for_there),
	    TEST(a_wrong_clock_is_set_right_by_the_servers),
	    TEST(a_clock_that_is_right_is_not_set),
	    TEST(a_404_that_no_object_store_says_is_no_absence),
	    TEST(an_absence_without_words_is_asked_for_again_with_words),
	    cmocka_unit_test(only_amazons_hosts_have_a_region_in_their_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
