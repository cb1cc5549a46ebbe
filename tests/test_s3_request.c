/* SPDX-License-Identifier: Apache-2.0 */
/* What would be sent to S3, without sending it. Signatures: tests/test_sign.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "hooks/store/s3.h"

static const struct s3_credentials credentials = {"AKID", "top-secret", NULL};

static struct s3_endpoint endpoint(const struct store_config *config)
{
	struct s3_endpoint e = {0};
	struct error err = ERROR_INIT;

	if (s3_endpoint_init(config, &e, &err) < 0)
		fail_msg("%s", err.msg);
	return e;
}

static void expect_endpoint(struct store_config config, const char *url, const char *base)
{
	struct s3_endpoint e;

	config.name = "s";
	e = endpoint(&config);
	assert_string_equal(e.url, url);
	assert_string_equal(e.base, base);
	s3_endpoint_free(&e);
}

static void the_bucket_stands_in_the_host_or_in_the_path(void **state)
{
	(void)state;
	unsetenv("AWS_REGION");
	unsetenv("AWS_DEFAULT_REGION");
	expect_endpoint((struct store_config){.bucket = "buck"}, "https://buck.s3.us-east-1.amazonaws.com", "");
	expect_endpoint((struct store_config){.bucket = "buck", .region = "eu-west-3"},
			"https://buck.s3.eu-west-3.amazonaws.com", "");
	expect_endpoint((struct store_config){.bucket = "buck", .region = "cn-north-1"},
			"https://buck.s3.cn-north-1.amazonaws.com.cn", "");
	expect_endpoint((struct store_config){.bucket = "buck", .path_style = true},
			"https://s3.us-east-1.amazonaws.com", "/buck");
	expect_endpoint((struct store_config){.bucket = "b.u.ck"}, "https://s3.us-east-1.amazonaws.com", "/b.u.ck");
	expect_endpoint((struct store_config){.bucket = "buck", .endpoint = "http://store.example:80/"},
			"http://buck.store.example", "");
	expect_endpoint((struct store_config){.bucket = "buck", .endpoint = "https://store.example:443"},
			"https://buck.store.example", "");
	expect_endpoint((struct store_config){.bucket = "buck", .endpoint = "https://store.example:9000"},
			"https://buck.store.example:9000", "");
	expect_endpoint((struct store_config){.bucket = "buck", .endpoint = "http://127.0.0.1:9000"},
			"http://127.0.0.1:9000", "/buck");
	expect_endpoint((struct store_config){.bucket = "buck", .endpoint = "http://localhost:9000"},
			"http://localhost:9000", "/buck");
	expect_endpoint((struct store_config){.bucket = "buck", .endpoint = "http://[::1]:9000"}, "http://[::1]:9000",
			"/buck");
}

static void the_region_comes_from_the_environment_only_for_aws(void **state)
{
	(void)state;
	setenv("AWS_REGION", "ap-south-1", 1);
	expect_endpoint((struct store_config){.bucket = "buck"}, "https://buck.s3.ap-south-1.amazonaws.com", "");
	unsetenv("AWS_REGION");
}

static void addresses_and_names_that_can_not_be_are_refused(void **state)
{
	static const struct store_config bad[] = {
	    {.bucket = NULL},
	    {.bucket = ""},
	    {.bucket = "a/b"},
	    {.bucket = "../x"},
	    {.bucket = "buck?x"},
	    {.bucket = "buck", .endpoint = "store.example"},
	    {.bucket = "buck", .endpoint = "ftp://store.example"},
	    {.bucket = "buck", .endpoint = "http://"},
	    {.bucket = "buck", .endpoint = "http://user:pw@store.example"},
	    {.bucket = "buck", .endpoint = "http://store.example/path"},
	    {.bucket = "buck", .endpoint = "http://sto\nre"},
	    {.bucket = "buck", .region = "../x"},
	    {.bucket = "buck", .region = "a.evil.example#"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct store_config c = bad[i];
		struct error err = ERROR_INIT;
		struct s3_endpoint e = {0};

		c.name = "s";
		assert_int_equal(s3_endpoint_init(&c, &e, &err), -EINVAL);
		assert_null(e.url);
		assert_non_null(strstr(err.msg, "store \"s\": "));
	}
}

static const struct store_config config = {
    .name = "s", .bucket = "buck", .endpoint = "http://127.0.0.1:9000", .prefix = "/pre fix/"};

static struct s3_request build(struct s3_call *call)
{
	struct s3_endpoint e = endpoint(&config);
	struct s3_request r;

	assert_int_equal(s3_request_build(&e, &credentials, call, 1369353600, &r), 0);
	assert_null(strstr(strbuf_str(&r.headers), "top-secret"));
	assert_null(strstr(strbuf_str(&r.url), "top-secret"));
	s3_endpoint_free(&e);
	return r;
}

static void expect_request(struct s3_call *call, const char *method, const char *url)
{
	struct s3_request r = build(call);

	assert_string_equal(r.method, method);
	assert_string_equal(strbuf_str(&r.url), url);
	s3_request_free(&r);
}

static void expect_header(struct s3_call *call, const char *line, bool there)
{
	struct s3_request r = build(call);
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT, wanted = STRBUF_INIT;

	strbuf_addf(&text, "\n%s", strbuf_str(&r.headers));
	strbuf_addf(&wanted, "\n%s", line);
	if (!strstr(strbuf_str(&text), strbuf_str(&wanted)) == there)
		fail_msg("%s \"%s\" in %s", there ? "no" : "unwanted", line, strbuf_str(&text));
	s3_request_free(&r);
}

static void keys_are_encoded_below_the_prefix(void **state)
{
	struct store_op op;
	struct s3_call call = {.kind = S3_CALL_OP, .op = &op};

	(void)state;
	store_op_init(&op, STORE_GET, "a b/c+d%20\xc3\xbc?#");
	expect_request(&call, "GET", "http://127.0.0.1:9000/buck/pre%20fix/a%20b/c%2Bd%2520%C3%BC%3F%23");
	expect_header(&call, "host: 127.0.0.1:9000\n", true);
	expect_header(&call, "x-amz-date: 20130524T000000Z\n", true);
	expect_header(&call, "range: ", false);
	expect_header(&call, "authorization: AWS4-HMAC-SHA256 Credential=AKID/20130524/us-east-1/s3/aws4_request, ",
		      true);
}

static void ranges_are_asked_for_by_first_and_last_byte(void **state)
{
	struct store_op op;
	struct s3_call call = {.kind = S3_CALL_OP, .op = &op};

	(void)state;
	store_op_init(&op, STORE_GET, "k");
	op.offset = 3;
	expect_header(&call, "range: bytes=3-\n", true);
	op.length = 4;
	expect_header(&call, "range: bytes=3-6\n", true);
	op.offset = 0;
	op.length = 1;
	expect_header(&call, "range: bytes=0-0\n", true);
}

static void conditions_become_headers_and_the_quirk_takes_the_quotes_off(void **state)
{
	struct store_op op;
	struct s3_call call = {.kind = S3_CALL_OP, .op = &op, .payload_hash = "00"};

	(void)state;
	store_op_init(&op, STORE_PUT, "k");
	op.mark = "1/a/b";
	expect_header(&call, "if-", false);
	expect_header(&call, "x-amz-meta-volrun: 1/a/b\n", true);
	expect_header(&call, "x-amz-content-sha256: 00\n", true);
	op.condition = STORE_IF_ABSENT;
	expect_header(&call, "if-none-match: *\n", true);
	op.condition = STORE_IF_TAG;
	op.if_tag = "abc";
	expect_header(&call, "if-match: \"abc\"\n", true);
	call.quirks = STORE_QUIRK_BARE_TAG;
	expect_header(&call, "if-match: abc\n", true);
}

static void conditions_on_delete_and_copy_go_only_to_stores_that_honour_them(void **state)
{
	struct store_op op;
	struct s3_call call = {.kind = S3_CALL_OP, .op = &op};

	(void)state;
	store_op_init(&op, STORE_DELETE, "k");
	op.condition = STORE_IF_TAG;
	op.if_tag = "abc";
	expect_header(&call, "if-match", false);
	assert_int_equal(s3_call_condition(&call), STORE_ANY);
	call.caps = STORE_CAP_DELETE_IF;
	expect_header(&call, "if-match: \"abc\"\n", true);
	op.kind = STORE_COPY;
	op.source = "s";
	expect_header(&call, "if-match", false);
	call.caps = STORE_CAP_COPY_IF;
	expect_header(&call, "if-match: \"abc\"\n", true);
}

static void a_copy_names_its_source_and_replaces_the_metadata(void **state)
{
	struct store_op op;
	struct s3_call call = {.kind = S3_CALL_OP, .op = &op};

	(void)state;
	store_op_init(&op, STORE_COPY, "to");
	op.source = "from+here";
	op.mark = "2/c/d";
	expect_request(&call, "PUT", "http://127.0.0.1:9000/buck/pre%20fix/to");
	expect_header(&call, "x-amz-copy-source: /buck/pre%20fix/from%2Bhere\n", true);
	expect_header(&call, "x-amz-metadata-directive: REPLACE\n", true);
	expect_header(&call, "x-amz-meta-volrun: 2/c/d\n", true);
}

static void an_upload_in_parts_has_its_own_requests(void **state)
{
	struct store_op op;
	struct s3_call call = {.kind = S3_CALL_INITIATE, .op = &op, .upload_id = "2~id+/="};

	(void)state;
	store_op_init(&op, STORE_PUT, "k");
	op.mark = "1/a/b";
	expect_request(&call, "POST", "http://127.0.0.1:9000/buck/pre%20fix/k?uploads=");
	expect_header(&call, "x-amz-meta-volrun: 1/a/b\n", true);
	call.kind = S3_CALL_PART;
	call.part = 7;
	expect_request(&call, "PUT", "http://127.0.0.1:9000/buck/pre%20fix/k?partNumber=7&uploadId=2~id%2B%2F%3D");
	expect_header(&call, "x-amz-meta-volrun", false);
	call.kind = S3_CALL_COMPLETE;
	expect_request(&call, "POST", "http://127.0.0.1:9000/buck/pre%20fix/k?uploadId=2~id%2B%2F%3D");
	call.kind = S3_CALL_ABORT;
	expect_request(&call, "DELETE", "http://127.0.0.1:9000/buck/pre%20fix/k?uploadId=2~id%2B%2F%3D");
	call.kind = S3_CALL_PART;
	op.kind = STORE_COPY;
	op.source = "s";
	call.offset = 100;
	call.size = 50;
	expect_header(&call, "x-amz-copy-source-range: bytes=100-149\n", true);
}

static void the_completion_lists_the_parts_in_order(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	char tags[2][STORE_TAG_MAX] = {"aa", "b<&>b"};

	(void)state;
	s3_complete_body(&b, tags, 2);
	assert_string_equal(strbuf_str(&b),
			    "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
			    "<Part><PartNumber>1</PartNumber><ETag>&quot;aa&quot;</ETag></Part>"
			    "<Part><PartNumber>2</PartNumber><ETag>&quot;b&#60;&#38;&#62;b&quot;</ETag></Part>"
			    "</CompleteMultipartUpload>");
}

static void a_listing_is_asked_for_page_by_page(void **state)
{
	struct s3_call call = {.kind = S3_CALL_LIST, .list_prefix = "pre fix/a/"};

	(void)state;
	expect_request(&call, "GET",
		       "http://127.0.0.1:9000/"
		       "buck?encoding-type=url&list-type=2&max-keys=1000&prefix=pre%20fix%2Fa%2F");
	call.list_token = "t+/=";
	expect_request(&call, "GET",
		       "http://127.0.0.1:9000/buck?continuation-token=t%2B%2F%3D&encoding-type=url&list-type=2&"
		       "max-keys=1000&prefix=pre%20fix%2Fa%2F");
}

static void what_is_written_is_encrypted_and_paid_for_as_the_configuration_says(void **state)
{
	struct store_config c = {.name = "s",
				 .bucket = "buck",
				 .encryption = "aws:kms",
				 .kms_key_id = "arn:aws:kms:x:1:key/2",
				 .requester_pays = true};
	struct s3_endpoint e = endpoint(&c);
	struct s3_credentials keys = {"AKID", "secret", NULL};
	struct error err = ERROR_INIT;
	struct store_op op;
	struct s3_call call = {.kind = S3_CALL_OP, .op = &op};
	struct s3_request r;

	(void)state;
	store_op_init(&op, STORE_PUT, "k");
	assert_int_equal(s3_request_build(&e, &keys, &call, 0, &r), 0);
	assert_non_null(strstr(strbuf_str(&r.headers), "x-amz-server-side-encryption: aws:kms\n"));
	assert_non_null(
	    strstr(strbuf_str(&r.headers), "x-amz-server-side-encryption-aws-kms-key-id: arn:aws:kms:x:1:key/2\n"));
	assert_non_null(strstr(strbuf_str(&r.headers), "x-amz-request-payer;"));
	s3_request_free(&r);
	store_op_init(&op, STORE_GET, "k");
	assert_int_equal(s3_request_build(&e, &keys, &call, 0, &r), 0);
	assert_null(strstr(strbuf_str(&r.headers), "encryption"));
	assert_non_null(strstr(strbuf_str(&r.headers), "x-amz-request-payer: requester\n"));
	s3_request_free(&r);
	s3_endpoint_free(&e);
	c.encryption = "AES256";
	assert_int_equal(s3_endpoint_init(&c, &e, &err), -EINVAL);
	c.encryption = "rot13";
	c.kms_key_id = NULL;
	assert_int_equal(s3_endpoint_init(&c, &e, &err), -EINVAL);
}

static void a_session_token_is_signed_along(void **state)
{
	struct s3_credentials c = {"AKID", "top-secret", "token=="};
	struct s3_endpoint e = endpoint(&config);
	struct store_op op;
	struct s3_call call = {.kind = S3_CALL_OP, .op = &op};
	struct s3_request r;

	(void)state;
	store_op_init(&op, STORE_HEAD, "k");
	assert_int_equal(s3_request_build(&e, &c, &call, 0, &r), 0);
	assert_string_equal(r.method, "HEAD");
	assert_non_null(strstr(strbuf_str(&r.headers), "x-amz-security-token: token==\n"));
	assert_non_null(strstr(strbuf_str(&r.headers), "x-amz-date;x-amz-security-token, Signature="));
	s3_request_free(&r);
	s3_endpoint_free(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_bucket_stands_in_the_host_or_in_the_path),
	    cmocka_unit_test(the_region_comes_from_the_environment_only_for_aws),
	    cmocka_unit_test(addresses_and_names_that_can_not_be_are_refused),
	    cmocka_unit_test(keys_are_encoded_below_the_prefix),
	    cmocka_unit_test(ranges_are_asked_for_by_first_and_last_byte),
	    cmocka_unit_test(conditions_become_headers_and_the_quirk_takes_the_quotes_off),
	    cmocka_unit_test(conditions_on_delete_and_copy_go_only_to_stores_that_honour_them),
	    cmocka_unit_test(a_copy_names_its_source_and_replaces_the_metadata),
	    cmocka_unit_test(an_upload_in_parts_has_its_own_requests),
	    cmocka_unit_test(the_completion_lists_the_parts_in_order),
	    cmocka_unit_test(a_listing_is_asked_for_page_by_page),
	    cmocka_unit_test(what_is_written_is_encrypted_and_paid_for_as_the_configuration_says),
	    cmocka_unit_test(a_session_token_is_signed_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
