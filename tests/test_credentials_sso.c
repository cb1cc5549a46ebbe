/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles that sign in by IAM Identity Center: what `aws sso login` left is used as long as it is good. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "hooks/store/sign.h"
#include "tests/credentials_box.h"

#define ROLE "sso_account_id = 123456789012\nsso_role_name = Agents\n"
#define SESSION "[profile team]\nsso_session = corp\n" ROLE "[sso-session corp]\n"
#define PLACE "sso_start_url = https://corp.awsapps.com/start\nsso_region = eu-west-9\n"
#define GOOD "{\"accessToken\":\"s3cr3t\",\"expiresAt\":\"" NEVER "\",\"region\":\"eu-west-9\"}"
#define KEYS_OF_ROLE                                                                                                   \
	OK("{\"roleCredentials\":{\"accessKeyId\":\"ASIA7\",\"secretAccessKey\":\"sec7\",\"sessionToken\":\"tok7\","   \
	   "\"expiration\":4070908800000}}")

static char home[64], profiles[96], left[160]; /* what is made below HOME */

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
	close(fd);
}

/* ~/.aws/config, and what a sign-in known by that name left; NULL: nothing. */
static void signed_in(const char *config_text, const char *name, const char *token)
{
	char hash[SHA1_HEX_MAX];

	write_text(profiles, config_text);
	assert_true(sha1_hex(name, strlen(name), hash));
	snprintf(left, sizeof(left), "%s/.aws/sso/cache/%s.json", home, hash);
	if (token)
		write_text(left, token);
}

static int set_up_home(void **state)
{
	static const char *const below[] = {"", "/.aws", "/.aws/sso", "/.aws/sso/cache"};
	char path[96];

	set_up(state);
	strcpy(home, "/tmp/volrun-test-sso-XXXXXX");
	assert_non_null(mkdtemp(home));
	for (int i = 1; i < 4; i++) {
		snprintf(path, sizeof(path), "%s%s", home, below[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	snprintf(profiles, sizeof(profiles), "%s/.aws/config", home);
	setenv("HOME", home, 1);
	setenv("AWS_ENDPOINT_URL_SSO", url, 1);
	config.credentials.from = "profile";
	config.credentials.profile = "team";
	return 0;
}

static int tear_down_home(void **state)
{
	static const char *const below[] = {"/.aws/sso/cache", "/.aws/sso", "/.aws", ""};
	char path[96];

	unlink(profiles);
	unlink(left);
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s%s", home, below[i]);
		rmdir(path);
	}
	unsetenv("AWS_ENDPOINT_URL_SSO");
	return tear_down(state);
}

static void the_token_of_a_sign_in_gets_a_role_s_keys(void **state)
{
	(void)state;
	signed_in(SESSION PLACE, "corp", GOOD);
	script[0].reply = KEYS_OF_ROLE;
	get(CREDENTIALS_S3);
	assert_string_equal(got.id, "ASIA7");
	assert_string_equal(got.secret, "sec7");
	assert_string_equal(got.token, "tok7");
	saw(0, "GET /federation/credentials?role_name=Agents&account_id=123456789012 HTTP/1.1");
	saw(0, "x-amz-sso_bearer_token: s3cr3t");
	get(CREDENTIALS_S3);
	assert_int_equal(served, 1);
}

static void a_profile_of_the_older_kind_is_known_by_its_url(void **state)
{
	(void)state;
	signed_in("[profile team]\n" ROLE PLACE, "https://corp.awsapps.com/start",
		  "{\"accessToken\":\"s3cr3t\",\"expiresAt\":\"2099-01-01T00:00:00UTC\"}");
	script[0].reply = KEYS_OF_ROLE;
	get(CREDENTIALS_S3);
	assert_string_equal(got.id, "ASIA7");
}

static void keys_of_a_sign_in_assume_the_role_of_another_profile(void **state)
{
	(void)state;
	signed_in(
	    "[profile team]\nrole_arn = arn:r\nsource_profile = person\n[profile person]\nsso_session = corp\n" ROLE
	    "[sso-session corp]\n" PLACE,
	    "corp", GOOD);
	config.credentials.token_endpoint = url;
	script[0].reply = KEYS_OF_ROLE;
	script[1].reply = STS("3", NEVER);
	get(CREDENTIALS_S3);
	assert_string_equal(got.id, "ASIA3");
	saw(1, "Credential=ASIA7/");
}

static void of_profiles_that_the_configuration_names_the_token_lies_beside_them(void **state)
{
	(void)state;
	signed_in(SESSION PLACE, "corp", GOOD);
	config.credentials.config_file = profiles;
	setenv("HOME", "/nonexistent", 1);
	script[0].reply = KEYS_OF_ROLE;
	get(CREDENTIALS_S3);
	assert_string_equal(got.id, "ASIA7");
}

static void who_has_not_signed_in_is_told_how(void **state)
{
	(void)state;
	signed_in(SESSION PLACE, "corp", NULL);
	refused(CREDENTIALS_S3, EACCES,
		"profile team: its sign-in by SSO is missing: run aws sso login --profile team");
	assert_int_equal(served, 0);
}

static void a_sign_in_that_has_expired_is_not_sent(void **state)
{
	(void)state;
	signed_in(SESSION PLACE, "corp", "{\"accessToken\":\"s3cr3t\",\"expiresAt\":\"2020-01-01T00:00:00Z\"}");
	refused(CREDENTIALS_S3, EACCES, "has expired: run aws sso login");
	assert_int_equal(served, 0);
}

static void a_token_that_would_end_its_header_is_not_sent(void **state)
{
	(void)state;
	signed_in(SESSION PLACE, "corp", "{\"accessToken\":\"s3cr3t\\r\\nx: y\",\"expiresAt\":\"" NEVER "\"}");
	refused(CREDENTIALS_S3, EINVAL, "accessToken");
	assert_int_equal(served, 0);
}

static void a_token_s_file_that_is_none_is_said_so(void **state)
{
	(void)state;
	signed_in(SESSION PLACE, "corp", "[s3cr3t");
	refused(CREDENTIALS_S3, EACCES, "left no token that can be read");
	assert_int_equal(served, 0);
}

static void what_the_portal_refuses_is_said(void **state)
{
	(void)state;
	signed_in(SESSION PLACE, "corp", GOOD);
	script[0].reply = STATUS("401 x", "{\"message\":\"Session token not found or invalid\"}");
	refused(CREDENTIALS_S3, EACCES, "is no longer valid: run aws sso login --profile team");
}

static void an_answer_without_keys_is_no_answer(void **state)
{
	(void)state;
	signed_in(SESSION PLACE, "corp", GOOD);
	script[0].reply = OK("{\"roleCredentials\":{\"accessKeyId\":\"ASIA7\"}}");
	refused(CREDENTIALS_S3, EINVAL, "the portal of SSO");
}

static void a_session_that_is_nowhere_or_names_no_region_is_refused(void **state)
{
	(void)state;
	signed_in("[profile team]\nsso_session = corp\n" ROLE, "corp", GOOD);
	refused(CREDENTIALS_S3, EINVAL, "its sso-session corp is not in");
	write_text(profiles, SESSION "sso_start_url = https://corp\nsso_region = evil.example/\n");
	refused(CREDENTIALS_S3, EINVAL, "SSO needs sso_start_url, sso_region");
	assert_int_equal(served, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_home, tear_down_home)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_token_of_a_sign_in_gets_a_role_s_keys),
	    TEST(a_profile_of_the_older_kind_is_known_by_its_url),
	    TEST(keys_of_a_sign_in_assume_the_role_of_another_profile),
	    TEST(of_profiles_that_the_configuration_names_the_token_lies_beside_them),
	    TEST(who_has_not_signed_in_is_told_how),
	    TEST(a_sign_in_that_has_expired_is_not_sent),
	    TEST(a_token_that_would_end_its_header_is_not_sent),
	    TEST(a_token_s_file_that_is_none_is_said_so),
	    TEST(what_the_portal_refuses_is_said),
	    TEST(an_answer_without_keys_is_no_answer),
	    TEST(a_session_that_is_nowhere_or_names_no_region_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
