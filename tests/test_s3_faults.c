/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The S3 store against a server that misbehaves.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "hooks/store/store_s3.h"
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

static void a_conditional_write_without_an_answer_is_unknown_and_sent_once(void **state)
{
	struct store_op op = put_op(STORE_IF_TAG, "old");

	(void)state;
	script[0] = (struct step){.reply = NULL};
	script[1] = (struct step){.reply = OK_PUT};
	expect(&op, STORE_UNKNOWN, 1);
	assert_int_equal(op.attempts, 1);
}

static void a_tag_that_would_be_a_header_is_not_sent(void **state)
{
	struct store_op op = put_op(STORE_IF_TAG, "old");

	(void)state;
	op.if_tag = "old\nx-amz-acl: public-read";
	expect(&op, STORE_INVALID, 0);
}

static void not_even_on_a_kept_connection_is_it_sent_twice(void **state)
{
	struct store_op first = put_op(STORE_ANY, "old"), op = put_op(STORE_IF_TAG, "old");

	(void)state;
	script[0] = (struct step){.reply = OK_PUT};
	script[1] = (struct step){.reply = NULL}; /* reads it, closes without a word: curl would send it again */
	script[2] = (struct step){.reply = OK_PUT};
	expect(&first, STORE_OK, 1);
	expect(&op, STORE_UNKNOWN, 2);
	assert_int_equal(op.attempts, 1);
}

static void nor_after_500_409_503_or_429(void **state)
{
	static const char *const replies[] = {ERROR("500 x", "UnknownError"),
					      ERROR("409 x", "ConditionalRequestConflict"), ERROR("503 x", "SlowDown"),
					      ERROR("429 x", "TooManyRequests")};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		struct store_op op = put_op(STORE_IF_ABSENT, "old");

		script[i] = (struct step){.reply = replies[i], .close = true};
		expect(&op, STORE_UNKNOWN, (int)i + 1);
	}
}

static void a_conditional_write_that_is_cut_in_its_answer_is_unknown(void **state)
{
	struct store_op op = put_op(STORE_IF_TAG, "old");

	(void)state;
	script[0] = (struct step){.reply = "HTTP/1.1 200 OK\r\nETag: \"t", .close = true};
	expect(&op, STORE_UNKNOWN, 1);
}

static void a_conditional_write_with_a_stalled_answer_is_unknown_in_time(void **state)
{
	struct store_op op = put_op(STORE_IF_TAG, "old");
	int64_t began = clock_boottime_ns();

	(void)state;
	script[0] = (struct step){.reply = OK_PUT, .delay_ms = 5000, .close = true};
	store_do(store, &op);
	assert_int_equal(op.result, STORE_UNKNOWN);
	assert_non_null(strstr(op.err.msg, "timed out"));
	assert_true(clock_boottime_ns() - began < 5 * NSEC_PER_SEC);
	assert_true(op.sent_ns >= began && op.sent_ns - began < NSEC_PER_SEC);
}

static void an_unconditional_write_is_sent_again_until_it_is_answered(void **state)
{
	struct store_op op = put_op(STORE_ANY, "old");

	(void)state;
	script[0] = (struct step){.reply = NULL};
	script[1] = (struct step){.reply = ERROR("500 x", "InternalError"), .close = true};
	script[2] = (struct step){.reply = OK_PUT};
	expect(&op, STORE_OK, 3);
	assert_int_equal(op.attempts, 3);
	assert_string_equal(op.tag, "t1");
}

static void a_write_that_was_perhaps_heard_once_stays_unknown_when_refused_later(void **state)
{
	struct store_op op = put_op(STORE_ANY, "old");

	(void)state;
	script[0] = (struct step){.reply = NULL};
	script[1] = (struct step){.reply = ERROR("403 x", "AccessDenied"), .close = true};
	expect(&op, STORE_UNKNOWN, 2);
	assert_non_null(strstr(op.err.msg, "rejected the credentials (403 AccessDenied) for PUT key"));
}

static bool valid_once(void *ctx)
{
	return ++*(int *)ctx == 1;
}

static void the_lease_is_asked_before_every_attempt(void **state)
{
	struct store_op op = put_op(STORE_ANY, "old");
	int asked = 0;

	(void)state;
	store->valid = valid_once;
	store->valid_ctx = &asked;
	script[0] = (struct step){.reply = ERROR("503 x", "SlowDown"), .close = true};
	expect(&op, STORE_CANCELLED, 1);
	assert_int_equal(asked, 2);
	assert_int_equal(op.attempts, 1);
}

static void the_lease_is_asked_before_what_curl_repeats(void **state)
{
	struct store_op first, op;
	int asked = 0;

	(void)state;
	store_op_init(&first, STORE_HEAD, "key");
	script[0] = (struct step){.reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
	script[1] = (struct step){.reply = NULL};
	expect(&first, STORE_OK, 1);
	store->valid = valid_once;
	store->valid_ctx = &asked;
	store_op_init(&op, STORE_DELETE, "key");
	expect(&op, STORE_UNKNOWN, 2); /* the first sending may have been heard */
	assert_int_equal(asked, 2);
}

static void a_reply_cut_short_is_never_a_short_success(void **state)
{
	struct store_op op = get_op();

	(void)state;
	for (int i = 0; i < 5; i++)
		script[i] = (struct step){.reply = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", .close = true};
	expect(&op, STORE_CORRUPT, 5);
	assert_true(op.cut);
}

static void a_reply_cut_once_is_fetched_again_from_the_start(void **state)
{
	struct store_op op;
	int out = memfd_create("t", MFD_CLOEXEC);
	char buf[16];

	(void)state;
	store_op_init(&op, STORE_GET, "key");
	op.out_fd = out;
	script[0] = (struct step){.reply = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nXXXXXX", .close = true};
	script[1] = (struct step){.reply = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"};
	expect(&op, STORE_OK, 2);
	assert_int_equal(op.got_size, 10);
	assert_int_equal(pread(out, buf, sizeof(buf), 0), 10);
	assert_memory_equal(buf, "0123456789", 10);
	close(out);
}

static void a_body_with_trailers_is_whole(void **state)
{
	struct store_op op = get_op();

	(void)state;
	script[0].reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n"
			  "4\r\ntext\r\n0\r\nx-sum: 1234\r\n\r\n";
	expect(&op, STORE_OK, 1);
	assert_int_equal(op.got_size, 4);
}

static void a_body_that_ends_with_the_connection_is_not_believed(void **state)
{
	struct store_op op = get_op();

	(void)state;
	for (int i = 0; i < 5; i++)
		script[i] = (struct step){.reply = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", .close = true};
	expect(&op, STORE_CORRUPT, 5);
}

static void another_range_than_asked_for_is_refused(void **state)
{
	struct store_op op = get_op();

	(void)state;
	op.offset = 5;
	op.length = 3;
	script[0] = (struct step){.reply = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"};
	expect(&op, STORE_FAILED, 1);
	for (int i = 1; i < 6; i++)
		script[i] = (struct step){.reply = "HTTP/1.1 206 x\r\nContent-Range: bytes 0-2/10\r\n"
						   "Content-Length: 3\r\n\r\n012"};
	expect(&op, STORE_CORRUPT, 6);
}

static void an_object_larger_than_allowed_is_not_read_to_its_end(void **state)
{
	struct store_op op = get_op();

	(void)state;
	op.max_body = 4;
	script[0] = (struct step){.reply = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n0123456789"};
	expect(&op, STORE_FAILED, 1);
	assert_int_equal(op.err.code, EFBIG);
}

static void throttling_is_waited_out_as_long_as_the_server_says(void **state)
{
	struct store_op op = get_op();
	int64_t began = clock_boottime_ns();

	(void)state;
	script[0] =
	    (struct step){.reply = "HTTP/1.1 503 x\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
			  .close = true};
	script[1] = (struct step){.reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
	expect(&op, STORE_OK, 2);
	assert_true(clock_boottime_ns() - began >= NSEC_PER_SEC);
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
	static const char circle[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<ListBucketResult><IsTruncated>true"
				     "</IsTruncated><NextContinuationToken>again</NextContinuationToken>"
				     "</ListBucketResult>";
	struct error err = ERROR_INIT;

	(void)state;
	script[0] = (struct step){.reply = ERROR("404 x", "NoSuchBucket"), .close = true};
	assert_int_equal(store_list(store, "a/", never_called, NULL, &err), -EIO);
	assert_non_null(
	    strstr(err.msg, "store \"faulty\" (bucket buck): listing a/: the bucket was not found (404 NoSuchBucket)"));
	script[1] = script[2] = (struct step){.reply = circle, .close = true};
	assert_true(store_list(store, "a/", never_called, NULL, &err) < 0);
	assert_non_null(strstr(err.msg, "circle"));
	assert_int_equal(served, 3);
}

static void a_copy_that_says_200_and_then_an_error_has_failed(void **state)
{
	static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 47\r\n\r\n"
				    "<Error><Code>AccessDenied</Code></Error>       ";
	struct store_op op;

	(void)state;
	store_op_init(&op, STORE_COPY, "to");
	op.source = "from";
	for (int i = 0; i < 5; i++)
		script[i] = (struct step){.reply = reply};
	expect(&op, STORE_UNKNOWN, 5);
}

#define INITIATED                                                                                                      \
	"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<InitiateMultipartUploadResult><UploadId>u1</UploadId>"           \
	"</InitiateMultipartUploadResult>"

static struct store_op big_op(void)
{
	static char data[25];
	struct store_op op;

	store_s3_part_size(store, 10);
	store_op_init(&op, STORE_PUT, "big");
	op.data = data;
	op.size = sizeof(data);
	return op;
}

/* As `rclone serve s3` calls it; what AWS' own clients read of it is the id. */
static void an_upload_s_beginning_may_be_called_otherwise(void **state)
{
	struct store_op op = big_op();

	(void)state;
	script[0] = (struct step){.reply = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<InitiateMultipartUpload>"
					   "<UploadId>u1</UploadId></InitiateMultipartUpload>",
				  .close = true};
	for (int i = 1; i < 4; i++)
		script[i] = (struct step){.reply = OK_PUT, .close = true};
	script[4] = (struct step){.reply = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
					   "<CompleteMultipartUploadResult><ETag>\"w\"</ETag>"
					   "</CompleteMultipartUploadResult>",
				  .close = true};
	expect(&op, STORE_OK, 5);
}

static void a_part_that_is_refused_gives_the_whole_upload_up(void **state)
{
	struct store_op op = big_op();

	(void)state;
	script[0] = (struct step){.reply = INITIATED, .close = true};
	for (int i = 1; i < 4; i++)
		script[i] = (struct step){.reply = ERROR("403 x", "AccessDenied"), .close = true};
	script[4] = (struct step){.reply = "HTTP/1.1 204 x\r\n\r\n", .close = true};
	expect(&op, STORE_REFUSED, 5);
	assert_non_null(strstr(last_request, "DELETE /buck/big?uploadId=u1 "));
}

/* What arrives is then what was hashed: nothing is read again. */
static void parts_are_signed_with_the_hashes_that_their_sender_gave(void **state)
{
	static const unsigned char pieces[3][32] = {{0x11, 0x11}, {0x22, 0x22}, {0x33, 0x33}};
	struct store_op op = big_op();

	(void)state;
	assert_int_equal(store->piece, 10);
	op.sha256 = "of something else";
	op.pieces = pieces;
	script[0] = (struct step){.reply = INITIATED, .close = true};
	for (int i = 1; i < 4; i++)
		script[i] = (struct step){.reply = OK_PUT, .close = true};
	script[4] = (struct step){.reply = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
					   "<CompleteMultipartUploadResult><ETag>\"w\"</ETag>"
					   "</CompleteMultipartUploadResult>",
				  .close = true};
	expect(&op, STORE_OK, 5);
	for (int i = 1; i < 4; i++) {
		int number = 0;
		char *at = strstr(seen_requests[i], "partNumber="), hash[32];

		assert_non_null(at);
		number = at[strlen("partNumber=")] - '0';
		snprintf(hash, sizeof(hash), "sha256: %d%d%d%d00", number, number, number, number);
		assert_non_null(strstr(seen_requests[i], hash));
	}
}

static void a_completion_without_an_answer_is_unknown_and_not_aborted(void **state)
{
	struct store_op op = big_op();

	(void)state;
	script[0] = (struct step){.reply = INITIATED, .close = true};
	for (int i = 1; i < 4; i++)
		script[i] = (struct step){.reply = OK_PUT, .close = true};
	script[4] = (struct step){.reply = NULL};
	script[5] = (struct step){.reply = ERROR("404 x", "NoSuchUpload"), .close = true};
	expect(&op, STORE_UNKNOWN, 6);
	assert_non_null(strstr(last_request, "POST /buck/big?uploadId=u1 "));
}

/* 5.1 GiB: more than one CopyObject takes. The condition is the caller's to look at first. */
static void a_copy_of_more_than_5_gib_goes_in_parts_that_cover_it(void **state)
{
	static const char part[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<CopyPartResult><ETag>\"p\"</ETag>"
				   "</CopyPartResult>",
			  completed[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<CompleteMultipartUploadResult>"
					"<ETag>\"whole-6\"</ETag></CompleteMultipartUploadResult>";
	const uint64_t size = 5476083302, gib = 1u << 30;
	struct store_op op;

	(void)state;
	store_op_init(&op, STORE_COPY, "to");
	op.source = "from here";
	op.size = size;
	op.condition = STORE_IF_TAG;
	op.if_tag = "t";
	op.mark = "1/2/3";
	script[0] = (struct step){.reply = INITIATED, .close = true};
	for (int i = 1; i < 7; i++)
		script[i] = (struct step){.reply = part, .close = true};
	script[7] = (struct step){.reply = completed, .close = true};
	expect(&op, STORE_OK, 8);
	assert_string_equal(op.tag, "whole-6");
	assert_non_null(strstr(seen_requests[0], "x-amz-meta-volrun: 1/2/3\r\n"));
	for (uint64_t i = 0; i < 6; i++) {
		char line[64], range[96];
		bool found = false;

		snprintf(line, sizeof(line), "partNumber=%d&uploadId=u1 ", (int)i + 1);
		snprintf(range, sizeof(range), "x-amz-copy-source-range: bytes=%" PRIu64 "-%" PRIu64 "\r\n", i * gib,
			 (i < 5 ? (i + 1) * gib : size) - 1);
		for (int k = 1; k < 7; k++)
			found |= strstr(seen_requests[k], line) && strstr(seen_requests[k], range) &&
				 strstr(seen_requests[k], "x-amz-copy-source: /buck/from%20here\r\n");
		if (!found)
			fail_msg("no part %s %s", line, range);
	}
	assert_non_null(strstr(seen_requests[7], "POST /buck/to?uploadId=u1 "));
}

static bool valid_three_times(void *ctx)
{
	return ++*(int *)ctx <= 3;
}

static void the_lease_is_asked_before_each_part_and_a_lost_one_stops_all(void **state)
{
	struct store_op op = big_op();
	int asked = 0;

	(void)state;
	store->valid = valid_three_times;
	store->valid_ctx = &asked;
	script[0] = (struct step){.reply = INITIATED, .close = true};
	for (int i = 1; i < 8; i++)
		script[i] = (struct step){.reply = OK_PUT, .close = true};
	expect(&op, STORE_CANCELLED, 3);
	assert_null(strstr(last_request, "DELETE"));
}

static void nobody_listening_is_unreachable_after_a_few_tries(void **state)
{
	struct store_config c = config;
	struct error err = ERROR_INIT;
	struct store_op op = put_op(STORE_IF_TAG, "old");
	struct store *s = NULL;

	(void)state;
	c.endpoint = "http://127.0.0.1:1";
	assert_int_equal(store_open(&c, &s, &err), 0);
	store_do(s, &op);
	assert_int_equal(op.result, STORE_UNREACHABLE);
	assert_int_equal(op.attempts, 0);
	assert_string_equal(op.err.msg,
			    "store \"faulty\" (bucket buck): object store unreachable: connection refused at "
			    "http://127.0.0.1:1 for PUT key");
	store_close(s);
}

static void a_file_shorter_than_announced_is_never_sent_as_if_it_were_whole(void **state)
{
	struct store_op op;
	int in = memfd_create("t", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(write_all(in, "abc", 3), 0);
	store_op_init(&op, STORE_PUT, "key");
	op.in_fd = in;
	op.size = 10;
	op.sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	store_do(store, &op);
	assert_int_equal(op.result, STORE_CORRUPT);
	close(in);
}

static void credentials_come_from_the_configuration_then_the_environment(void **state)
{
	struct store_config c = config;
	struct error err = ERROR_INIT;
	struct store *s = NULL;

	(void)state;
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	setenv("HOME", "/nonexistent", 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	c.access_key_id = c.secret_access_key = NULL;
	assert_int_equal(store_open(&c, &s, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "store \"faulty\": no credentials: tried the configuration"));
	unsetenv("AWS_EC2_METADATA_DISABLED");
	setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
	assert_int_equal(store_open(&c, &s, &err), -EINVAL);
	setenv("AWS_SECRET_ACCESS_KEY", "with\nnewline", 1);
	assert_int_equal(store_open(&c, &s, &err), -EINVAL);
	assert_null(strstr(err.msg, "newline"));
	setenv("AWS_SECRET_ACCESS_KEY", "good", 1);
	assert_int_equal(store_open(&c, &s, &err), 0);
	store_close(s);
	c.access_key_id = "AKID2";
	assert_int_equal(store_open(&c, &s, &err), -EINVAL);
	c.secret_access_key_file = "/nonexistent/secret";
	assert_int_equal(store_open(&c, &s, &err), -EINVAL);
	assert_null(strcasestr(err.msg, "no such file"));
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
}

static void an_exchanged_key_file_is_read_again_when_the_key_is_refused(void **state)
{
	char path[] = "/tmp/volrun-test-secret-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	struct store_config c = config;
	struct error err = ERROR_INIT;
	struct store_op op = put_op(STORE_IF_TAG, "old");
	struct store *s = NULL;

	(void)state;
	assert_int_equal(pwrite_all(fd, "old-secret\n", 11, 0), 0);
	c.secret_access_key = NULL;
	c.secret_access_key_file = path;
	assert_int_equal(store_open(&c, &s, &err), 0);
	assert_int_equal(pwrite_all(fd, "new-secret\n", 11, 0), 0);
	script[0] = (struct step){.reply = ERROR("403 x", "SignatureDoesNotMatch"), .close = true};
	script[1] = (struct step){.reply = OK_PUT, .close = true};
	script[2] = (struct step){.reply = ERROR("403 x", "SignatureDoesNotMatch"), .close = true};
	store_do(s, &op); /* a refusal was no write, so even one with a condition may go out anew */
	assert_int_equal(op.result, STORE_OK);
	assert_int_equal(served, 2);
	op = put_op(STORE_ANY, "old");
	store_do(s, &op); /* but not with the same key */
	assert_int_equal(op.result, STORE_REFUSED);
	assert_int_equal(served, 3);
	store_close(s);
	close(fd);
	unlink(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fault_store_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_conditional_write_without_an_answer_is_unknown_and_sent_once),
	    TEST(a_tag_that_would_be_a_header_is_not_sent),
	    TEST(not_even_on_a_kept_connection_is_it_sent_twice),
	    TEST(nor_after_500_409_503_or_429),
	    TEST(a_conditional_write_that_is_cut_in_its_answer_is_unknown),
	    TEST(a_conditional_write_with_a_stalled_answer_is_unknown_in_time),
	    TEST(an_unconditional_write_is_sent_again_until_it_is_answered),
	    TEST(a_write_that_was_perhaps_heard_once_stays_unknown_when_refused_later),
	    TEST(the_lease_is_asked_before_every_attempt),
	    TEST(the_lease_is_asked_before_what_curl_repeats),
	    TEST(a_reply_cut_short_is_never_a_short_success),
	    TEST(a_reply_cut_once_is_fetched_again_from_the_start),
	    TEST(a_body_with_trailers_is_whole),
	    TEST(a_body_that_ends_with_the_connection_is_not_believed),
	    TEST(another_range_than_asked_for_is_refused),
	    TEST(an_object_larger_than_allowed_is_not_read_to_its_end),
	    TEST(throttling_is_waited_out_as_long_as_the_server_says),
	    TEST(a_listing_that_fails_or_circles_is_an_error),
	    TEST(a_copy_that_says_200_and_then_an_error_has_failed),
	    TEST(a_copy_of_more_than_5_gib_goes_in_parts_that_cover_it),
	    TEST(an_upload_s_beginning_may_be_called_otherwise),
	    TEST(a_part_that_is_refused_gives_the_whole_upload_up),
	    TEST(parts_are_signed_with_the_hashes_that_their_sender_gave),
	    TEST(a_completion_without_an_answer_is_unknown_and_not_aborted),
	    TEST(the_lease_is_asked_before_each_part_and_a_lost_one_stops_all),
	    TEST(nobody_listening_is_unreachable_after_a_few_tries),
	    TEST(a_file_shorter_than_announced_is_never_sent_as_if_it_were_whole),
	    TEST(credentials_come_from_the_configuration_then_the_environment),
	    TEST(an_exchanged_key_file_is_read_again_when_the_key_is_refused),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
