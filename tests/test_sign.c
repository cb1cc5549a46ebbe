/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "hooks/store/sign.h"
#include "hooks/store/sign_sigv4.h"

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void sha256_gives_the_digests_of_fips_180(void **state)
{
	char hex[SHA256_HEX_MAX];

	(void)state;
	sha256_hex("", 0, hex);
	assert_string_equal(hex, EMPTY_HASH);
	sha256_hex("abc", 3, hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void a_running_hash_equals_the_one_at_once_and_starts_anew(void **state)
{
	struct sha256 *h = sha256_new();
	char hex[SHA256_HEX_MAX];

	(void)state;
	assert_non_null(h);
	for (int i = 0; i < 2; i++) {
		sha256_update(h, "a", 1);
		sha256_update(h, "", 0);
		sha256_update(h, "bc", 2);
		sha256_final_hex(h, hex);
		assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	}
	sha256_free(h);
}

static void a_range_of_a_file_is_hashed_and_counted(void **state)
{
	char hex[SHA256_HEX_MAX], expected[SHA256_HEX_MAX];
	int fd = memfd_create("t", MFD_CLOEXEC);
	uint64_t len = 0;

	(void)state;
	assert_int_equal(write(fd, "xxabcyy", 7), 7);
	assert_int_equal(sha256_fd(fd, 2, 3, hex, &len), 0);
	assert_int_equal(len, 3);
	sha256_hex("abc", 3, expected);
	assert_string_equal(hex, expected);
	assert_int_equal(sha256_fd(fd, 5, UINT64_MAX, hex, &len), 0);
	assert_int_equal(len, 2);
	assert_int_equal(sha256_fd(fd, 6, 100, hex, &len), 0);
	assert_int_equal(len, 1);
	close(fd);
	assert_true(sha256_fd(fd, 0, 1, hex, &len) < 0);
}

static void hmac_gives_the_codes_of_rfc_4231(void **state)
{
	unsigned char key[20], mac[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	(void)state;
	memset(key, 0x0b, sizeof(key));
	hmac_sha256(key, sizeof(key), "Hi There", 8, mac);
	hex_encode(mac, sizeof(mac), hex);
	assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac);
	hex_encode(mac, sizeof(mac), hex);
	assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void keys_are_percent_encoded_as_utf8_bytes(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

	(void)state;
	sigv4_encode(&b, "a/b c+d%e~f_g-h.i", true);
	assert_string_equal(strbuf_str(&b), "a/b%20c%2Bd%25e~f_g-h.i");
	strbuf_reset(&b);
	sigv4_encode(&b, "a/b", false);
	assert_string_equal(strbuf_str(&b), "a%2Fb");
	strbuf_reset(&b);
	sigv4_encode(&b, "\xc3\xbc\xe6\x97\xa5*'()!\x01", true);
	assert_string_equal(strbuf_str(&b), "%C3%BC%E6%97%A5%2A%27%28%29%21%01");
}

static void the_query_is_sorted_and_encoded(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	struct sigv4_pair pairs[] = {{"prefix", "a/b c"}, {"list-type", "2"}, {"delimiter", "/"}, {"uploads", ""}};

	(void)state;
	sigv4_query(&b, pairs, ARRAY_SIZE(pairs));
	assert_string_equal(strbuf_str(&b), "delimiter=%2F&list-type=2&prefix=a%2Fb%20c&uploads=");
}

/* 2013-05-24T00:00:00Z, the moment of the examples in "Authenticating Requests" of the S3 API reference. */
#define S3_NOW 1369353600

static void expect_s3(const char *method, const char *path, const char *query, const char *hash,
		      const struct sigv4_pair *extra, size_t n_extra, const char *signature)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	struct sigv4_pair headers[8] = {
	    {"host", "examplebucket.s3.amazonaws.com"},
	    {"x-amz-date", "20130524T000000Z"},
	    {"x-amz-content-sha256", hash},
	};
	struct sigv4 s = {.access_key_id = "AKIAIOSFODNN7EXAMPLE",
			  .secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
			  .region = "us-east-1",
			  .service = "s3",
			  .now = S3_NOW,
			  .method = method,
			  .path = path,
			  .query = query,
			  .headers = headers,
			  .n_headers = 3 + n_extra,
			  .payload_hash = hash};

	if (n_extra > 0)
		memcpy(headers + 3, extra, n_extra * sizeof(*extra));
	sigv4_authorization(&s, &out);
	assert_non_null(strstr(strbuf_str(&out), "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"));
	assert_non_null(strstr(strbuf_str(&out), "Signature="));
	assert_string_equal(strstr(strbuf_str(&out), "Signature=") + 10, signature);
	assert_null(strstr(strbuf_str(&out), "wJalr"));
}

static void requests_are_signed_as_in_the_examples_of_s3(void **state)
{
	static const struct sigv4_pair range[] = {{"range", "bytes=0-9"}};
	static const struct sigv4_pair put[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
						{"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
	_cleanup_strbuf_ struct strbuf path = STRBUF_INIT;

	(void)state;
	expect_s3("GET", "/test.txt", "", EMPTY_HASH, range, 1,
		  "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	sigv4_encode(&path, "/test$file.text", true);
	expect_s3("PUT", strbuf_str(&path), "", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072", put,
		  2, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
	expect_s3("GET", "/", "lifecycle=", EMPTY_HASH, NULL, 0,
		  "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	expect_s3("GET", "/", "max-keys=2&prefix=J", EMPTY_HASH, NULL, 0,
		  "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* From the Signature Version 4 test suite: get-vanilla, get-header-value-trim, get-vanilla-query-order-key-case. */
static void expect_suite(const char *query, const struct sigv4_pair *extra, size_t n_extra, const char *signature)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	struct sigv4_pair headers[6] = {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}};
	struct sigv4 s = {.access_key_id = "AKIDEXAMPLE",
			  .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
			  .region = "us-east-1",
			  .service = "service",
			  .now = 1440938160,
			  .method = "GET",
			  .path = "/",
			  .query = query,
			  .headers = headers,
			  .n_headers = 2 + n_extra,
			  .payload_hash = EMPTY_HASH};

	if (n_extra > 0)
		memcpy(headers + 2, extra, n_extra * sizeof(*extra));
	sigv4_authorization(&s, &out);
	assert_string_equal(strstr(strbuf_str(&out), "Signature=") + 10, signature);
}

static void requests_are_signed_as_in_the_test_suite(void **state)
{
	static const struct sigv4_pair trim[] = {{"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}};
	struct sigv4_pair pairs[] = {{"Param2", "value2"}, {"Param1", "value1"}};
	_cleanup_strbuf_ struct strbuf query = STRBUF_INIT;

	(void)state;
	expect_suite("", NULL, 0, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
	sigv4_query(&query, pairs, 2);
	expect_suite(strbuf_str(&query), NULL, 0, "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
	expect_suite("", trim, 2, "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sha256_gives_the_digests_of_fips_180),
	    cmocka_unit_test(a_running_hash_equals_the_one_at_once_and_starts_anew),
	    cmocka_unit_test(a_range_of_a_file_is_hashed_and_counted),
	    cmocka_unit_test(hmac_gives_the_codes_of_rfc_4231),
	    cmocka_unit_test(keys_are_percent_encoded_as_utf8_bytes),
	    cmocka_unit_test(the_query_is_sorted_and_encoded),
	    cmocka_unit_test(requests_are_signed_as_in_the_examples_of_s3),
	    cmocka_unit_test(requests_are_signed_as_in_the_test_suite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
