/* SPDX-License-Identifier: Apache-2.0 */
/* What would be sent to Google, and what its answers mean, without sending anything. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/store/crc32c.h"
#include "hooks/store/gcs.h"

static struct gcs_endpoint endpoint;

static int set_up(void **state)
{
	struct store_config config = {.name = "g", .bucket = "buck", .prefix = "/pre fix/"};
	struct error err = ERROR_INIT;

	(void)state;
	unsetenv("STORAGE_EMULATOR_HOST");
	assert_int_equal(gcs_endpoint_init(&config, &endpoint, &err), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	gcs_endpoint_free(&endpoint);
	return 0;
}

static void the_checksum_is_castagnolis(void **state)
{
	char text[300];

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
	memset(text, 'x', sizeof(text));
	for (size_t at = 0; at <= sizeof(text); at += 7)
		assert_int_equal(crc32c(crc32c(0, text, at), text + at, sizeof(text) - at),
				 crc32c(0, text, sizeof(text)));
}

static int open_endpoint(const char *bucket, const char *address, struct gcs_endpoint *e)
{
	struct store_config config = {.name = "g", .bucket = bucket, .endpoint = address};
	struct error err = ERROR_INIT;

	return gcs_endpoint_init(&config, e, &err);
}

static void the_address_is_googles_or_the_configurations_or_the_emulators(void **state)
{
	static const char *const bad[] = {"", "ab", "Upper", "a..b", "with/slash", "with space", ".dot", NULL};
	struct gcs_endpoint e;

	(void)state;
	assert_string_equal(endpoint.url, "https://storage.googleapis.com");
	assert_true(endpoint.google && endpoint.tls && !endpoint.open);
	assert_string_equal(endpoint.prefix, "pre fix/");
	setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:9023", 1);
	assert_int_equal(open_endpoint("buck", NULL, &e), 0);
	assert_string_equal(e.url, "http://127.0.0.1:9023");
	assert_true(e.open && !e.google);
	gcs_endpoint_free(&e);
	assert_int_equal(open_endpoint("buck", "https://storage-x.p.googleapis.com/", &e), 0);
	assert_true(e.google && !e.open);
	gcs_endpoint_free(&e);
	setenv("STORAGE_EMULATOR_HOST", "http://local host", 1);
	assert_int_equal(open_endpoint("buck", NULL, &e), -EINVAL);
	unsetenv("STORAGE_EMULATOR_HOST");
	assert_int_equal(open_endpoint("buck", "https://proxy/to/gcs/", &e), 0);
	assert_string_equal(e.url, "https://proxy/to/gcs");
	assert_string_equal(e.origin, "https://proxy");
	gcs_endpoint_free(&e);
	assert_int_equal(open_endpoint("buck", "ftp://x", &e), -EINVAL);
	for (int i = 0; bad[i]; i++)
		assert_int_equal(open_endpoint(bad[i], NULL, &e), -EINVAL);
}

static const char *url_of(enum store_op_kind kind, enum store_condition condition, const char *tag, unsigned caps)
{
	static char url[1024];
	struct gcs_call call = {.kind = GCS_CALL_OP, .caps = caps};
	struct gcs_request r;
	struct store_op op;

	store_op_init(&op, kind, "a/b?c#d+e");
	op.source = "from/ü";
	op.condition = condition;
	op.if_tag = tag;
	call.op = &op;
	assert_int_equal(gcs_request_build(&endpoint, &call, &r), 0);
	snprintf(url, sizeof(url), "%s %s", r.method, strbuf_str(&r.url));
	gcs_request_free(&r);
	return url;
}

static void keys_are_encoded_and_conditions_are_generations(void **state)
{
	(void)state;
	assert_string_equal(url_of(STORE_GET, STORE_ANY, NULL, 0),
			    "GET https://storage.googleapis.com/storage/v1/b/buck/o/"
			    "pre%20fix%2Fa%2Fb%3Fc%23d%2Be?alt=media");
	assert_non_null(strstr(url_of(STORE_PUT, STORE_IF_ABSENT, NULL, 0), "&ifGenerationMatch=0&"));
	assert_non_null(
	    strstr(url_of(STORE_PUT, STORE_IF_TAG, "1700000000000001", 0), "&ifGenerationMatch=1700000000000001&"));
	assert_null(strstr(url_of(STORE_PUT, STORE_ANY, NULL, 0), "ifGeneration"));
	/* What is no generation holds of nothing; 0 would mean "absent". */
	assert_non_null(
	    strstr(url_of(STORE_PUT, STORE_IF_TAG, "00000000000000000000000000000000", 0), "&ifGenerationMatch=1&"));
	assert_non_null(strstr(url_of(STORE_PUT, STORE_IF_TAG, "abc", 0), "&ifGenerationMatch=1&"));
	/* Sent to who is known to honour it. */
	assert_null(strstr(url_of(STORE_DELETE, STORE_IF_TAG, "5", 0), "ifGeneration"));
	assert_non_null(strstr(url_of(STORE_DELETE, STORE_IF_TAG, "5", STORE_CAP_DELETE_IF), "?ifGenerationMatch=5"));
	assert_null(strstr(url_of(STORE_COPY, STORE_IF_TAG, "5", STORE_CAP_DELETE_IF), "ifGeneration"));
	assert_string_equal(
	    url_of(STORE_COPY, STORE_IF_TAG, "5", STORE_CAP_COPY_IF),
	    "POST https://storage.googleapis.com/storage/v1/b/buck/o/pre%20fix%2Ffrom%2F%C3%BC/rewriteTo"
	    "/b/buck/o/pre%20fix%2Fa%2Fb%3Fc%23d%2Be?ifGenerationMatch=5");
}

static void a_session_is_a_path_at_our_own_server(void **state)
{
	(void)state;
	assert_string_equal(gcs_session("https://evil.example/upload?upload_id=1"), "/upload?upload_id=1");
	assert_string_equal(gcs_session("/upload?upload_id=1"), "/upload?upload_id=1");
	assert_string_equal(gcs_session("https://evil.example"), "");
	assert_string_equal(gcs_session("upload"), "");
	assert_string_equal(gcs_session("https://h/a b"), "");
	assert_string_equal(gcs_session("https://h/a\r\nhost: x"), "");
	assert_string_equal(gcs_session(""), "");
}

static struct verdict judge(enum store_op_kind kind, enum store_condition condition, int status, const char *body)
{
	struct store_op op;
	struct gcs_call call = {.kind = GCS_CALL_OP, .op = &op, .caps = STORE_CAP_DELETE_IF};
	char message[200];
	struct verdict v;
	struct reply r;

	store_op_init(&op, kind, "k");
	op.condition = condition;
	op.if_tag = "5";
	reply_init(&r);
	r.status = status;
	gcs_reply_error(&r, body, strlen(body), message);
	gcs_judge(&call, &r, message, &v);
	return v;
}

#define ERROR(reason, message) "{\"error\":{\"errors\":[{\"reason\":\"" reason "\"}],\"message\":\"" message "\"}}"

static const struct {
	enum store_op_kind kind;
	enum store_condition condition;
	int status;
	const char *body;
	enum store_result result;
	bool retry, ambiguous;
} verdicts[] = {
    {STORE_GET, STORE_ANY, 200, "", STORE_OK, false, false},
    {STORE_GET, STORE_ANY, 404, ERROR("notFound", "No such object: b/The specified bucket"), STORE_ABSENT, false,
     false},
    {STORE_HEAD, STORE_ANY, 404, ERROR("notFound", "Not Found"), STORE_ABSENT, false, false},
    /* Anybody may have said that. */
    {STORE_HEAD, STORE_ANY, 404, "Not Found", STORE_UNREACHABLE, true, false},
    {STORE_GET, STORE_ANY, 404, "default backend - 404", STORE_UNREACHABLE, true, false},
    {STORE_PUT, STORE_IF_TAG, 404, "default backend - 404", STORE_UNKNOWN, false, true},
    {STORE_GET, STORE_ANY, 404, ERROR("notFound", "The specified bucket does not exist."), STORE_FAILED, false, false},
    {STORE_GET, STORE_ANY, 404, "The specified bucket does not exist.", STORE_FAILED, false, false},
    {STORE_GET, STORE_ANY, 404, "No such object: b/k", STORE_ABSENT, false, false},
    {STORE_PUT, STORE_ANY, 404, ERROR("notFound", "x"), STORE_FAILED, false, false},
    {STORE_DELETE, STORE_ANY, 404, ERROR("notFound", "x"), STORE_OK, false, false},
    {STORE_DELETE, STORE_IF_TAG, 404, ERROR("notFound", "x"), STORE_FALSE, false, false},
    {STORE_COPY, STORE_ANY, 404, ERROR("notFound", "x"), STORE_ABSENT, false, false},
    {STORE_PUT, STORE_IF_TAG, 412, ERROR("conditionNotMet", "x"), STORE_FALSE, false, false},
    {STORE_PUT, STORE_IF_ABSENT, 412, "", STORE_FALSE, false, false},
    {STORE_PUT, STORE_ANY, 412, "", STORE_CORRUPT, false, false},
    {STORE_PUT, STORE_ANY, 400,
     ERROR("invalid", "Provided MD5 hash \\\"a\\\" doesn't match calculated MD5 hash \\\"b\\\"."), STORE_CORRUPT, false,
     false},
    {STORE_PUT, STORE_ANY, 400, ERROR("invalid", "x"), STORE_FAILED, false, false},
    {STORE_PUT, STORE_IF_TAG, 409, ERROR("conflict", "x"), STORE_UNKNOWN, false, true},
    {STORE_PUT, STORE_IF_TAG, 429, ERROR("rateLimitExceeded", "x"), STORE_UNKNOWN, false, true},
    {STORE_PUT, STORE_ANY, 429, ERROR("rateLimitExceeded", "x"), STORE_THROTTLED, true, false},
    {STORE_PUT, STORE_ANY, 403, ERROR("rateLimitExceeded", "x"), STORE_THROTTLED, true, false},
    {STORE_PUT, STORE_ANY, 403, ERROR("forbidden", "x"), STORE_REFUSED, false, false},
    {STORE_PUT, STORE_IF_TAG, 503, "", STORE_UNKNOWN, false, true},
    {STORE_PUT, STORE_ANY, 500, "", STORE_UNKNOWN, true, true},
    {STORE_GET, STORE_ANY, 503, ERROR("backendError", "x"), STORE_THROTTLED, true, false},
    {STORE_GET, STORE_ANY, 500, "", STORE_UNREACHABLE, true, false},
    {STORE_GET, STORE_ANY, 307, "", STORE_FAILED, false, false},
};

static void every_answer_has_one_meaning(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		struct verdict v = judge(verdicts[i].kind, verdicts[i].condition, verdicts[i].status, verdicts[i].body);

		if (v.result != verdicts[i].result || v.retry != verdicts[i].retry ||
		    v.ambiguous != verdicts[i].ambiguous)
			fail_msg("case %zu (%d %s): %s, retry %d, ambiguous %d", i, verdicts[i].status,
				 verdicts[i].body, store_result_name(v.result), v.retry, v.ambiguous);
	}
	assert_true(judge(STORE_GET, STORE_ANY, 401, "").refresh);
	assert_false(judge(STORE_GET, STORE_ANY, 403, "").refresh);
	assert_string_equal(judge(STORE_PUT, STORE_ANY, 403, ERROR("forb\\u001b[31m id", "x")).reason,
			    "object store rejected the credentials (403 forb31mid)");
}

static int read_object(const char *json, bool rewrite, struct gcs_object *o)
{
	return gcs_object_read(json, strlen(json), rewrite, o);
}

static void an_objects_metadata_is_read_and_nonsense_is_none(void **state)
{
	static const char whole[] =
	    "{\"kind\":\"storage#object\",\"generation\":\"17\",\"size\":\"5\",\"updated\":"
	    "\"2013-05-24T00:00:00.123Z\",\"crc32c\":\"n03x6A==\",\"md5Hash\":\"Ojk9c3dhfxgoKVVHYwFbHQ==\","
	    "\"metadata\":{\"other\":\"any thing\",\"volrun\":\"1/a/b\"},\"acl\":[{\"x\":[]}]}";
	struct gcs_object o;

	(void)state;
	assert_int_equal(read_object(whole, false, &o), 0);
	assert_string_equal(o.tag, "17");
	assert_int_equal(o.size, 5);
	assert_int_equal(o.mtime, 1369353600);
	assert_string_equal(o.crc32c, "n03x6A==");
	assert_string_equal(o.mark, "1/a/b");
	for (size_t cut = 0; cut < strlen(whole); cut++)
		assert_int_equal(gcs_object_read(whole, cut, false, &o), -EINVAL);
	assert_int_equal(read_object("{}", false, &o), -EINVAL);
	assert_int_equal(read_object("{\"generation\":\"0\"}", false, &o), -EINVAL);
	assert_int_equal(read_object("{\"generation\":\"-5\"}", false, &o), -EINVAL);
	assert_int_equal(read_object("{\"generation\":\"\\\"5\\\"\"}", false, &o), -EINVAL);
	assert_int_equal(
	    read_object("{\"generation\":\"5\",\"size\":\"-1\",\"metadata\":{\"volrun\":\"two words\"}}", false, &o),
	    0);
	assert_int_equal(o.size, -1);
	assert_string_equal(o.mark, "");
	assert_int_equal(read_object("{\"done\":true,\"resource\":{\"generation\":\"9\"}}", true, &o), 0);
	assert_true(o.done);
	assert_string_equal(o.tag, "9");
	assert_int_equal(read_object("{\"done\":false,\"rewriteToken\":\"tok\"}", true, &o), 0);
	assert_string_equal(strbuf_str(&o.token), "tok");
	strbuf_free(&o.token);
	assert_int_equal(read_object("{\"done\":false}", true, &o), -EINVAL);
	assert_int_equal(read_object("{\"done\":true}", true, &o), -EINVAL);
}

static void a_checksum_is_found_in_its_header(void **state)
{
	char crc[12];

	(void)state;
	gcs_hash_header("crc32c=n03x6A==,md5=Ojk9c3dhfxgoKVVHYwFbHQ==", crc);
	assert_string_equal(crc, "n03x6A==");
	gcs_hash_header("md5=abc, crc32c=AAAAAA==", crc);
	assert_string_equal(crc, "AAAAAA==");
	gcs_hash_header("md5=abc", crc);
	assert_string_equal(crc, "");
	gcs_hash_header("crc32c=AAAAAAAAAAAAAAAAAAAAAAAAAAAAA", crc);
	assert_string_equal(crc, "");
}

static int note(void *ctx, const struct store_list_item *item, struct error *err)
{
	(void)err;
	strbuf_addf(ctx, "%s %llu %s|", item->key, (unsigned long long)item->size, item->tag);
	return 0;
}

static int read_page(const char *json, struct strbuf *keys, struct strbuf *token)
{
	struct error err = ERROR_INIT;
	int r = gcs_page_read(json, strlen(json), "pre/a", 4, note, keys, token, &err);

	assert_true(r == 0 || err.msg[0]);
	return r;
}

static void a_page_is_whole_and_what_was_asked_for_or_an_error(void **state)
{
	static const char page[] = "{\"items\":[{\"name\":\"pre/a1\",\"size\":\"3\",\"generation\":\"7\"},"
				   "{\"name\":\"pre/a\\u0000b\\\\u0000\",\"size\":\"0\",\"generation\":\"8\"}],"
				   "\"nextPageToken\":\"more\"}";
	_cleanup_strbuf_ struct strbuf keys = STRBUF_INIT, token = STRBUF_INIT;

	(void)state;
	assert_int_equal(read_page(page, &keys, &token), 0);
	assert_string_equal(strbuf_str(&keys), "a1 3 7|a//////b\\u0000 0 8|");
	assert_string_equal(strbuf_str(&token), "more");
	for (size_t cut = 1; cut < strlen(page); cut++) {
		_cleanup_free_ char *part = strndup(page, cut);

		strbuf_reset(&keys);
		assert_int_equal(read_page(part, &keys, &token), -EINVAL);
		assert_int_equal(keys.len, 0);
	}
	strbuf_reset(&token);
	assert_int_equal(read_page("{}", &keys, &token), 0);
	assert_int_equal(keys.len + token.len, 0);
	/* Protocol buffers leave out what is 0. */
	assert_int_equal(read_page("{\"items\":[{\"name\":\"pre/a1\",\"generation\":\"7\"}]}", &keys, &token), 0);
	assert_string_equal(strbuf_str(&keys), "a1 0 7|");
	assert_int_equal(read_page("{\"items\":[{\"name\":\"other\",\"size\":\"1\"}]}", &keys, &token), -EINVAL);
	assert_int_equal(read_page("{\"items\":[{\"name\":\"pre/a1\"}]}", &keys, &token), -EINVAL);
	assert_int_equal(read_page("{\"items\":[{\"size\":\"1\"}]}", &keys, &token), -EINVAL);
	assert_int_equal(read_page("[]", &keys, &token), -EINVAL);
}

static void writes_of_one_object_keep_their_distance_and_others_do_not(void **state)
{
	const int64_t s = NSEC_PER_SEC;
	int64_t first = gcs_pace_next("b", "k", NULL, s), now = clock_boottime_ns();

	(void)state;
	assert_true(first <= now);
	assert_int_equal(gcs_pace_next("b", "k", "5", s), first + s);
	assert_int_equal(gcs_pace_next("b", "k", NULL, s), first + 2 * s);
	assert_true(gcs_pace_next("b", "other", NULL, s) < first + s);
	/* The second begins when the write was done, which may be long after it was sent. */
	now = gcs_pace_next("b", "slow", NULL, s);
	clock_sleep_ns(NSEC_PER_SEC / 10);
	gcs_pace_done("b", "slow");
	assert_true(gcs_pace_next("b", "slow", NULL, s) >= now + s + NSEC_PER_SEC / 10);
	assert_true(gcs_pace_next("b2", "k", NULL, s) < first + s);
}

static int64_t wait_for_generation(const char *key, int64_t age_us)
{
	struct timespec now;
	char tag[32];

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(tag, sizeof(tag), "%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000 - (long long)age_us);
	return gcs_pace_next("b", key, tag, NSEC_PER_SEC) - clock_boottime_ns();
}

static void a_generation_of_this_second_tells_of_a_write_by_another(void **state)
{
	(void)state;
	assert_in_range((uint64_t)wait_for_generation("g1", 300000), NSEC_PER_SEC / 2, NSEC_PER_SEC * 7 / 10);
	assert_true(wait_for_generation("g2", 2000000) <= 0);
	assert_true(wait_for_generation("g3", -2000000) <= 0);
	/* A clock that is a little ahead: never more than the interval. */
	assert_in_range((uint64_t)wait_for_generation("g4", -500000), NSEC_PER_SEC / 2, NSEC_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_checksum_is_castagnolis),
	    cmocka_unit_test(the_address_is_googles_or_the_configurations_or_the_emulators),
	    cmocka_unit_test(keys_are_encoded_and_conditions_are_generations),
	    cmocka_unit_test(a_session_is_a_path_at_our_own_server),
	    cmocka_unit_test(every_answer_has_one_meaning),
	    cmocka_unit_test(an_objects_metadata_is_read_and_nonsense_is_none),
	    cmocka_unit_test(a_checksum_is_found_in_its_header),
	    cmocka_unit_test(a_page_is_whole_and_what_was_asked_for_or_an_error),
	    cmocka_unit_test(writes_of_one_object_keep_their_distance_and_others_do_not),
	    cmocka_unit_test(a_generation_of_this_second_tells_of_a_write_by_another),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
