/* SPDX-License-Identifier: Apache-2.0 */
/* What S3's answers mean, and how hostile ones are survived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "hooks/store/http.h"
#include "hooks/store/s3.h"
#include "hooks/store/s3_xml.h"

static struct verdict judge(enum store_op_kind kind, enum store_condition condition, int status, const char *code)
{
	struct store_op op;
	struct s3_call call = {.kind = S3_CALL_OP, .op = &op, .caps = STORE_CAP_DELETE_IF};
	struct reply r;
	struct verdict v;

	store_op_init(&op, kind, "k");
	op.condition = condition;
	op.if_tag = "t";
	reply_init(&r);
	r.status = status;
	snprintf(r.code, sizeof(r.code), "%s", code);
	s3_judge(&call, &r, &v);
	return v;
}

static const struct {
	enum store_op_kind kind;
	enum store_condition condition;
	int status;
	const char *code;
	enum store_result result;
	bool retry, ambiguous;
} verdicts[] = {
    {STORE_GET, STORE_ANY, 200, "", STORE_OK, false, false},
    {STORE_GET, STORE_ANY, 206, "", STORE_OK, false, false},
    {STORE_GET, STORE_ANY, 404, "NoSuchKey", STORE_ABSENT, false, false},
    /* Without a word of an object store it may be anybody's page: s3_mend.c asks again. */
    {STORE_HEAD, STORE_ANY, 404, "", STORE_UNREACHABLE, true, false},
    {STORE_GET, STORE_ANY, 404, "", STORE_UNREACHABLE, true, false},
    {STORE_PUT, STORE_IF_TAG, 404, "", STORE_UNKNOWN, false, true},
    {STORE_DELETE, STORE_ANY, 404, "", STORE_UNKNOWN, true, true},
    {STORE_GET, STORE_ANY, 404, "NoSuchBucket", STORE_FAILED, false, false},
    {STORE_PUT, STORE_ANY, 404, "NoSuchBucket", STORE_FAILED, false, false},
    {STORE_DELETE, STORE_ANY, 404, "NoSuchKey", STORE_OK, false, false},
    {STORE_DELETE, STORE_IF_TAG, 404, "NoSuchKey", STORE_FALSE, false, false},
    {STORE_PUT, STORE_IF_TAG, 404, "NoSuchKey", STORE_FALSE, false, false},
    {STORE_PUT, STORE_IF_ABSENT, 412, "PreconditionFailed", STORE_FALSE, false, false},
    {STORE_PUT, STORE_IF_TAG, 412, "", STORE_FALSE, false, false},
    /* A write with a condition is never sent twice, whatever the answer. */
    {STORE_PUT, STORE_IF_TAG, 409, "ConditionalRequestConflict", STORE_UNKNOWN, false, true},
    {STORE_PUT, STORE_IF_TAG, 500, "UnknownError", STORE_UNKNOWN, false, true},
    {STORE_PUT, STORE_IF_ABSENT, 503, "SlowDown", STORE_UNKNOWN, false, true},
    {STORE_PUT, STORE_IF_ABSENT, 429, "", STORE_UNKNOWN, false, true},
    {STORE_PUT, STORE_IF_TAG, 400, "RequestTimeout", STORE_UNKNOWN, false, true},
    {STORE_PUT, STORE_IF_TAG, 403, "AccessDenied", STORE_REFUSED, false, false},
    {STORE_PUT, STORE_IF_TAG, 501, "NotImplemented", STORE_INVALID, false, false},
    /* One without a condition is. */
    {STORE_PUT, STORE_ANY, 500, "InternalError", STORE_UNKNOWN, true, true},
    {STORE_PUT, STORE_ANY, 503, "SlowDown", STORE_THROTTLED, true, false},
    {STORE_PUT, STORE_ANY, 409, "OperationAborted", STORE_UNKNOWN, true, true},
    {STORE_PUT, STORE_ANY, 400, "BadDigest", STORE_CORRUPT, false, false},
    {STORE_PUT, STORE_ANY, 400, "XAmzContentSHA256Mismatch", STORE_CORRUPT, false, false},
    {STORE_PUT, STORE_ANY, 400, "KeyTooLongError", STORE_INVALID, false, false},
    {STORE_GET, STORE_ANY, 500, "", STORE_UNREACHABLE, true, false},
    {STORE_GET, STORE_ANY, 502, "", STORE_UNREACHABLE, true, false},
    {STORE_GET, STORE_ANY, 503, "", STORE_THROTTLED, true, false},
    {STORE_GET, STORE_ANY, 429, "", STORE_THROTTLED, true, false},
    {STORE_GET, STORE_ANY, 416, "InvalidRange", STORE_CORRUPT, false, false},
    {STORE_GET, STORE_ANY, 401, "", STORE_REFUSED, false, false},
    {STORE_GET, STORE_ANY, 403, "RequestTimeTooSkewed", STORE_REFUSED, false, false},
    {STORE_GET, STORE_ANY, 400, "ExpiredToken", STORE_REFUSED, false, false},
    {STORE_GET, STORE_ANY, 301, "PermanentRedirect", STORE_FAILED, false, false},
    {STORE_GET, STORE_ANY, 302, "", STORE_FAILED, false, false},
    {STORE_GET, STORE_ANY, 418, "Whatever", STORE_FAILED, false, false},
    /* An error under status 200. */
    {STORE_COPY, STORE_ANY, 200, "InternalError", STORE_UNKNOWN, true, true},
    {STORE_COPY, STORE_ANY, 200, "SlowDown", STORE_THROTTLED, true, false},
};

static void every_answer_has_one_meaning(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		struct verdict v = judge(verdicts[i].kind, verdicts[i].condition, verdicts[i].status, verdicts[i].code);

		if (v.result != verdicts[i].result || v.retry != verdicts[i].retry ||
		    v.ambiguous != verdicts[i].ambiguous)
			fail_msg("case %zu (%d %s): %s, retry %d, ambiguous %d", i, verdicts[i].status,
				 verdicts[i].code, store_result_name(v.result), v.retry, v.ambiguous);
		if (v.result != STORE_OK)
			assert_non_null(strstr(v.reason, "("));
	}
}

static void a_missing_bucket_makes_a_listing_fail_not_empty(void **state)
{
	struct s3_call call = {.kind = S3_CALL_LIST};
	struct reply r;
	struct verdict v;

	(void)state;
	reply_init(&r);
	r.status = 404;
	s3_judge(&call, &r, &v);
	assert_int_equal(v.result, STORE_FAILED);
}

static void only_stale_credentials_are_read_again(void **state)
{
	(void)state;
	assert_true(judge(STORE_GET, STORE_ANY, 400, "ExpiredToken").refresh);
	assert_true(judge(STORE_GET, STORE_ANY, 403, "InvalidAccessKeyId").refresh);
	assert_false(judge(STORE_GET, STORE_ANY, 403, "AccessDenied").refresh);
	assert_string_equal(judge(STORE_GET, STORE_ANY, 403, "AccessDenied").reason,
			    "object store rejected the credentials (403 AccessDenied)");
}

static void add(struct reply *r, const char *name, const char *value)
{
	s3_reply_header(r, name, value);
	reply_header(r, name, value);
}

static void headers_are_read_in_any_case_and_nonsense_is_ignored(void **state)
{
	struct reply r;
	char big[400];

	(void)state;
	reply_init(&r);
	add(&r, "ETag", "\"abc-2\"");
	add(&r, "CONTENT-LENGTH", "42");
	add(&r, "x-amz-meta-Volrun", "1/a/b");
	add(&r, "Last-Modified", "Fri, 24 May 2013 00:00:00 GMT");
	add(&r, "Content-Range", "bytes 3-6/10");
	add(&r, "Retry-After", "7");
	assert_string_equal(r.tag, "abc-2");
	assert_int_equal(r.content_length, 42);
	assert_string_equal(r.mark, "1/a/b");
	assert_int_equal(r.mtime, 1369353600);
	assert_true(r.has_range && r.range_first == 3 && r.range_last == 6 && r.range_total == 10);
	assert_int_equal(r.retry_after, 7);

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	reply_init(&r);
	add(&r, "ETag", big);
	big[200] = '\0';
	add(&r, "ETag", big);
	add(&r, "x-amz-meta-volrun", big);
	add(&r, "x-amz-meta-volrun", "two words");
	add(&r, "Content-Length", "-1");
	add(&r, "Content-Length", "99999999999999999999");
	add(&r, "Content-Range", "bytes 6-3/10");
	add(&r, "Content-Range", "bytes 0-10/10");
	add(&r, "Content-Range", "bytes */10");
	add(&r, "Content-Range", "bytes 0-99999999999999999999999999/10");
	add(&r, "Retry-After", "Fri, 24 May 2013 00:00:00 GMT");
	add(&r, "Last-Modified", "yesterday");
	add(&r, big, big);
	assert_string_equal(r.tag, "");
	assert_string_equal(r.mark, "");
	assert_int_equal(r.content_length, -1);
	assert_false(r.has_range);
	assert_int_equal(r.retry_after, -1);
	assert_int_equal(r.mtime, 0);
}

static enum store_result range(uint64_t offset, uint64_t length, int status, const char *content_range,
			       const char *content_length, int64_t *ret)
{
	struct store_op op;
	struct reply r;
	struct verdict v;

	store_op_init(&op, STORE_GET, "k");
	op.offset = offset;
	op.length = length;
	reply_init(&r);
	r.status = status;
	if (content_range)
		add(&r, "Content-Range", content_range);
	if (content_length)
		add(&r, "Content-Length", content_length);
	reply_judge_range(&op, &r, ret, &v);
	return v.result;
}

static void a_reply_must_be_the_range_that_was_asked_for(void **state)
{
	int64_t n;

	(void)state;
	assert_int_equal(range(0, 0, 200, NULL, "10", &n), STORE_OK);
	assert_int_equal(n, 10);
	assert_int_equal(range(0, 0, 200, NULL, NULL, &n), STORE_CORRUPT);
	assert_int_equal(range(3, 4, 206, "bytes 3-6/10", "4", &n), STORE_OK);
	assert_int_equal(n, 4);
	assert_int_equal(range(3, 0, 206, "bytes 3-9/10", NULL, &n), STORE_OK);
	assert_int_equal(n, 7);
	assert_int_equal(range(3, 0, 206, "bytes 3-8/10", NULL, &n), STORE_CORRUPT);
	assert_int_equal(range(3, 4, 206, "bytes 2-5/10", "4", &n), STORE_CORRUPT);
	assert_int_equal(range(3, 4, 206, "bytes 3-5/6", "3", &n), STORE_CORRUPT);
	assert_int_equal(range(3, 4, 206, "bytes 3-6/10", "5", &n), STORE_CORRUPT);
	assert_int_equal(range(3, 4, 206, NULL, "4", &n), STORE_CORRUPT);
	/* A server that does not know ranges sends all of it. */
	assert_int_equal(range(3, 4, 200, NULL, "10", &n), STORE_FAILED);
	assert_int_equal(range(0, 0, 206, "bytes 0-9/10", "10", &n), STORE_FAILED);
}

static void an_upload_that_is_gone_is_given_up(void **state)
{
	struct store_op op;
	struct s3_call call = {.kind = S3_CALL_ABORT, .op = &op};
	struct verdict v;
	struct reply r;

	(void)state;
	store_op_init(&op, STORE_PUT, "k");
	reply_init(&r);
	r.status = 404;
	reply_set_code(&r, "NoSuchUpload");
	s3_judge(&call, &r, &v);
	assert_int_equal(v.result, STORE_OK);
	call.kind = S3_CALL_COMPLETE;
	s3_judge(&call, &r, &v);
	assert_int_equal(v.result, STORE_FAILED);
}

static void a_refusal_without_words_asks_for_other_credentials_too(void **state)
{
	(void)state;
	assert_true(judge(STORE_HEAD, STORE_ANY, 400, "").refresh); /* AWS, of an expired session */
	assert_true(judge(STORE_HEAD, STORE_ANY, 403, "").refresh);
	assert_true(judge(STORE_GET, STORE_ANY, 401, "").refresh);
	assert_true(judge(STORE_GET, STORE_ANY, 403, "InvalidTokenId").refresh);
	assert_true(judge(STORE_GET, STORE_ANY, 400, "ExpiredToken").refresh);
	assert_false(judge(STORE_HEAD, STORE_ANY, 404, "").refresh);
	assert_false(judge(STORE_GET, STORE_ANY, 403, "AccessDenied").refresh);
}

static void an_error_document_gives_its_code_and_nothing_else_does(void **state)
{
	static const char text[] = "<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code><Message>\n</Message></Error>";
	struct reply r;

	(void)state;
	reply_init(&r);
	assert_true(s3_reply_error(&r, text, strlen(text)));
	assert_string_equal(r.code, "SlowDown");
	for (size_t cut = 0; cut < strlen(text); cut++)
		assert_false(s3_reply_error(&r, text, cut));
	assert_false(s3_reply_error(&r, "<html><Code>x</Code></html>", 27));
	assert_true(s3_reply_error(&r, "<Error><Code>a b\n\x1b[31m</Code></Error>", 37));
	assert_string_equal(r.code, "ab31m");
}

struct seen {
	struct strbuf keys;
	uint64_t bytes;
	char tag[STORE_TAG_MAX];
	int64_t mtime;
	int n, fail_at;
};

static int note(void *ctx, const struct store_list_item *item, struct error *err)
{
	struct seen *s = ctx;

	strbuf_addf(&s->keys, "%s|", item->key);
	s->bytes += item->size;
	s->mtime = item->mtime;
	snprintf(s->tag, sizeof(s->tag), "%s", item->tag);
	return ++s->n == s->fail_at ? error_set(err, ENOBUFS, "enough") : 0;
}

static int read_page(const char *text, const char *prefix, size_t cut, struct seen *s, struct s3_page *page)
{
	struct error err = ERROR_INIT;

	return s3_page_read(text, strlen(text), prefix, cut, note, s, page, &err);
}

#define ENTRY(key)                                                                                                     \
	"<Contents><Key>" key "</Key><LastModified>2013-05-24T00:00:00.000Z</LastModified>"                            \
	"<ETag>&quot;abc&quot;</ETag><Size>5</Size><StorageClass>STANDARD</StorageClass>"                              \
	"<Owner><ID>x</ID><Key>not this</Key></Owner></Contents>"

static void a_page_is_read_with_entities_and_url_encoding(void **state)
{
	static const char plain[] = "<ListBucketResult xmlns=\"x\"><Name>b</Name>" ENTRY("p/a&amp;b+%20&#xFC;&lt;")
	    ENTRY("p/c") "<IsTruncated>false</IsTruncated></ListBucketResult>";
	static const char url[] = "<ListBucketResult><IsTruncated>true</IsTruncated>" ENTRY(
	    "p/a+b%2Bc%20%C3%BC%25") "<NextContinuationToken>t&amp;1</NextContinuationToken><EncodingType>url</EncodingType></ListBucketResult>";
	struct seen s = {.keys = STRBUF_INIT};
	struct s3_page page;

	(void)state;
	assert_int_equal(read_page(plain, "p/", 2, &s, &page), 0);
	assert_string_equal(strbuf_str(&s.keys), "a&b+%20\xc3\xbc<|c|");
	assert_int_equal(s.bytes, 10);
	assert_string_equal(s.tag, "abc");
	assert_int_equal(s.mtime, 1369353600);
	assert_false(page.truncated);
	strbuf_reset(&s.keys);
	assert_int_equal(read_page(url, "p/", 0, &s, &page), 0);
	assert_string_equal(strbuf_str(&s.keys), "p/a b+c \xc3\xbc%|");
	assert_true(page.truncated);
	assert_string_equal(strbuf_str(&page.token), "t&1");
	strbuf_free(&page.token);
	strbuf_free(&s.keys);
}

static void a_page_that_is_cut_anywhere_reports_nothing(void **state)
{
	static const char text[] =
	    "<?xml version='1.0'?><ListBucketResult a='>'><IsTruncated>false</IsTruncated>" ENTRY(
		"p/a") "<!-- > --><x/></ListBucketResult>";
	struct seen s = {.keys = STRBUF_INIT};
	struct error err = ERROR_INIT;
	struct s3_page page;

	(void)state;
	for (size_t cut = 0; cut < strlen(text); cut++) {
		char *copy = malloc(cut ? cut : 1); /* exact, so that a sanitizer sees the end */

		memcpy(copy, text, cut);
		assert_int_equal(s3_page_read(copy, cut, "p/", 0, note, &s, &page, &err), -EINVAL);
		assert_int_equal(s.n, 0);
		free(copy);
	}
	assert_int_equal(read_page(text, "p/", 0, &s, &page), 0);
	assert_int_equal(s.n, 1);
	strbuf_free(&s.keys);
}

static void pages_that_lie_are_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "no xml",
	    "<ListBucketResult></ListBucketResult>", /* does not say whether it is all */
	    "<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>",
	    "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
	    "<Other><IsTruncated>false</IsTruncated></Other>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult><ListBucketResult/>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated></Other>",
	    "<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated>" ENTRY("other/key") "</ListBucketResult>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated>" ENTRY("p/&unknown;") "</ListBucketResult>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated>" ENTRY("p/&#xD800;") "</ListBucketResult>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated>" ENTRY("p/&#0;") "</ListBucketResult>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>" ENTRY(
		"p/%zz") "</ListBucketResult>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>" ENTRY(
		"p/%2") "</ListBucketResult>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>p/a</Key></Contents></ListBucketResult>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Size>1</Size></Contents></ListBucketResult>",
	    "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>p/a</Key><Size>x</Size></Contents></ListBucketResult>",
	    "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct seen s = {.keys = STRBUF_INIT};
		struct s3_page page;

		if (read_page(bad[i], "p/", 0, &s, &page) != -EINVAL || s.n != 0)
			fail_msg("accepted: %s", bad[i]);
		strbuf_free(&s.keys);
		strbuf_free(&page.token);
	}
}

static void a_key_with_nul_is_left_out_not_cut_short(void **state)
{
	static const char text[] =
	    "<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>" ENTRY("p/a%00b")
		ENTRY("p/c") "</ListBucketResult>";
	struct seen s = {.keys = STRBUF_INIT};
	struct s3_page page;

	(void)state;
	assert_int_equal(read_page(text, "p/", 0, &s, &page), 0);
	assert_string_equal(strbuf_str(&s.keys), "p/c|");
	strbuf_free(&s.keys);
}

static void the_callers_error_ends_the_page(void **state)
{
	static const char text[] =
	    "<ListBucketResult><IsTruncated>false</IsTruncated>" ENTRY("a") ENTRY("b") ENTRY("c") "</ListBucketResult>";
	struct seen s = {.keys = STRBUF_INIT, .fail_at = 2};
	struct s3_page page;

	(void)state;
	assert_int_equal(read_page(text, "", 0, &s, &page), -ENOBUFS);
	assert_int_equal(s.n, 2);
	strbuf_free(&s.keys);
}

static void waits_grow_are_jittered_and_end(void **state)
{
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		int64_t d = http_retry_delay_ns(5, -1, 0);

		assert_true(d >= 0 && d < INT64_C(1600000000));
		least = d < least ? d : least;
		most = d > most ? d : most;
		assert_true(http_retry_delay_ns(2, -1, 0) < INT64_C(200000000));
		assert_true(http_retry_delay_ns(2, 3, 0) >= INT64_C(3000000000));
	}
	assert_true(least < INT64_C(200000000) && most > INT64_C(1400000000));
	assert_int_equal(http_retry_delay_ns(6, -1, 0), -1);
	assert_int_equal(http_retry_delay_ns(2, -1, INT64_C(30000000001)), -1);
	assert_int_equal(http_retry_delay_ns(2, 20, INT64_C(15000000000)), -1);
	assert_int_equal(http_retry_delay_ns(2, 86400, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_answer_has_one_meaning),
	    cmocka_unit_test(a_missing_bucket_makes_a_listing_fail_not_empty),
	    cmocka_unit_test(only_stale_credentials_are_read_again),
	    cmocka_unit_test(headers_are_read_in_any_case_and_nonsense_is_ignored),
	    cmocka_unit_test(a_reply_must_be_the_range_that_was_asked_for),
	    cmocka_unit_test(an_upload_that_is_gone_is_given_up),
	    cmocka_unit_test(a_refusal_without_words_asks_for_other_credentials_too),
	    cmocka_unit_test(an_error_document_gives_its_code_and_nothing_else_does),
	    cmocka_unit_test(a_page_is_read_with_entities_and_url_encoding),
	    cmocka_unit_test(a_page_that_is_cut_anywhere_reports_nothing),
	    cmocka_unit_test(pages_that_lie_are_refused),
	    cmocka_unit_test(a_key_with_nul_is_left_out_not_cut_short),
	    cmocka_unit_test(the_callers_error_ends_the_page),
	    cmocka_unit_test(waits_grow_are_jittered_and_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
