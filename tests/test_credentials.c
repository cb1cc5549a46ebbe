/* SPDX-License-Identifier: Apache-2.0 */
/* Where credentials come from: each step of the three chains against a server that answers as the real one does. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "hooks/store/azure_connection.h"
#include "hooks/store/sign_jwt.h"
#include "tests/credentials_box.h"

/* Of this test alone. */
static const char test_key[] = "-----BEGIN PRIVATE KEY-----\n"
			       "MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBANuTmb2PuG3HPNW+\n"
			       "cowOSe5v6AYK3mCKpbA4aSGWV/cPby7Vh5ek7Q6/cEdStqNWhj1O7lC11r2jUZeR\n"
			       "W80NRXBJwpGqFik1Dlqy8Byh/5OoLdYu95leHL5wDVvaNCzoAj9NofGut4jbI+Y8\n"
			       "3d0X1RTia2HE4mJIwLxf2btnJmjjAgMBAAECgYBD93Y5RQlzgZ6FEwRl8e5UjfMm\n"
			       "G6sl+wS6fVudd+oWoYJq3tGv0O9IB1371dCO0rOOuqXt+btUy/7viaD+4cLCIkdS\n"
			       "zKADHUR9VQjKU7e0iO5I9u1QNGGAcMq1ccjRkkeySq32Hu5RYP+6b3m05L8sWGbH\n"
			       "obv+IWMv1PR9AD/m4QJBAPfCdytwyn7dRsOXRD806use8caeNqy3beRvWsyaxfWm\n"
			       "QQNNs+pFpxVdmoShDhxo0m/rgDOdYEihD3PqJGteYCkCQQDi4SwJWYeiIbMftB4q\n"
			       "YcMn4oXymve1VjYXU4VGQfT0AlY+abwg0Hld+j601BZAZoQ5xetNojE0lEO/oyQi\n"
			       "6nIrAkBOf1J6dPXzU/BDr/1zeTSk4d0AbMgt2L/8jDtcb/0gY1hdz5SdOQxC/LEk\n"
			       "LFLoNV3XD+pCcC49VKoss5ZuXixhAkEAlnSm5GhoBv/8LskevBJq/hc9pv5XyPys\n"
			       "EFoF5uq0i+DE2sz5wnUeF1FtpjODsh+KDloPSkOGCA1OxFZnD3SUUwJBAMs4gueW\n"
			       "RkfrbeqzXbTlz1WVcz1UC0Sbu2bTAMlMQxevYrUFLIJQ8OqBjU2Z/4xZRBcDYvAb\n"
			       "SocnaPziD+t9k3M=\n"
			       "-----END PRIVATE KEY-----\n";
#define JSON_KEY                                                                                                       \
	"-----BEGIN PRIVATE KEY-----\\n"                                                                               \
	"MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBANuTmb2PuG3HPNW+\\n"                                          \
	"cowOSe5v6AYK3mCKpbA4aSGWV/cPby7Vh5ek7Q6/cEdStqNWhj1O7lC11r2jUZeR\\n"                                          \
	"W80NRXBJwpGqFik1Dlqy8Byh/5OoLdYu95leHL5wDVvaNCzoAj9NofGut4jbI+Y8\\n"                                          \
	"3d0X1RTia2HE4mJIwLxf2btnJmjjAgMBAAECgYBD93Y5RQlzgZ6FEwRl8e5UjfMm\\n"                                          \
	"G6sl+wS6fVudd+oWoYJq3tGv0O9IB1371dCO0rOOuqXt+btUy/7viaD+4cLCIkdS\\n"                                          \
	"zKADHUR9VQjKU7e0iO5I9u1QNGGAcMq1ccjRkkeySq32Hu5RYP+6b3m05L8sWGbH\\n"                                          \
	"obv+IWMv1PR9AD/m4QJBAPfCdytwyn7dRsOXRD806use8caeNqy3beRvWsyaxfWm\\n"                                          \
	"QQNNs+pFpxVdmoShDhxo0m/rgDOdYEihD3PqJGteYCkCQQDi4SwJWYeiIbMftB4q\\n"                                          \
	"YcMn4oXymve1VjYXU4VGQfT0AlY+abwg0Hld+j601BZAZoQ5xetNojE0lEO/oyQi\\n"                                          \
	"6nIrAkBOf1J6dPXzU/BDr/1zeTSk4d0AbMgt2L/8jDtcb/0gY1hdz5SdOQxC/LEk\\n"                                          \
	"LFLoNV3XD+pCcC49VKoss5ZuXixhAkEAlnSm5GhoBv/8LskevBJq/hc9pv5XyPys\\n"                                          \
	"EFoF5uq0i+DE2sz5wnUeF1FtpjODsh+KDloPSkOGCA1OxFZnD3SUUwJBAMs4gueW\\n"                                          \
	"RkfrbeqzXbTlz1WVcz1UC0Sbu2bTAMlMQxevYrUFLIJQ8OqBjU2Z/4xZRBcDYvAb\\n"                                          \
	"SocnaPziD+t9k3M=\\n"                                                                                          \
	"-----END PRIVATE KEY-----\\n"

/* --- S3 ------------------------------------------------------------------------------- */

static void a_web_identity_is_exchanged_for_a_role_at_sts(void **state)
{
	(void)state;
	config.credentials.token_file = file("oidc.to/ken\n");
	config.credentials.role_arn = "arn:aws:iam::1:role/r";
	config.credentials.token_endpoint = at("/");
	script[0].reply = STS("1", NEVER);
	get(CREDENTIALS_S3);
	assert_string_equal(got.id, "ASIA1");
	assert_string_equal(got.secret, "sts/secret+1");
	assert_string_equal(got.token, "session1==");
	saw(0, "POST / HTTP/1.1");
	saw(0, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr");
	saw(0, "WebIdentityToken=oidc.to%2Fken");
	get(CREDENTIALS_S3);
	assert_int_equal(served, 1);
}

static void the_environment_says_where_a_web_identity_is(void **state)
{
	(void)state;
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file("oidc"), 1);
	setenv("AWS_ROLE_ARN", "arn:r", 1);
	setenv("AWS_ENDPOINT_URL_STS", url, 1);
	script[0].reply = STS("2", NEVER);
	get(CREDENTIALS_S3);
	assert_string_equal(got.id, "ASIA2");
	unsetenv("AWS_ENDPOINT_URL_STS");
	unsetenv("AWS_ROLE_ARN");
}

static void what_sts_refuses_is_said_with_its_code_and_without_the_token(void **state)
{
	(void)state;
	config.credentials.token_file = file("s3cr3t");
	config.credentials.role_arn = "arn:r";
	config.credentials.token_endpoint = url;
	script[0].reply = STATUS("400 x", "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code>"
					  "<Message>s3cr3t</Message></Error></ErrorResponse>");
	refused(CREDENTIALS_S3, EACCES, "refused: 400 InvalidIdentityToken");
}

static void a_profile_has_keys(void **state)
{
	(void)state;
	config.credentials.file = file("[other]\naws_access_key_id = NO\n# c\n[team]\naws_access_key_id=AK\n"
				       "aws_secret_access_key = top\naws_session_token=tok\n");
	config.credentials.profile = "team";
	get(CREDENTIALS_S3);
	assert_string_equal(got.id, "AK");
	assert_string_equal(got.secret, "top");
	assert_string_equal(got.token, "tok");
	assert_int_equal(served, 0);
}

static void a_profile_assumes_a_role_with_the_keys_of_another(void **state)
{
	(void)state;
	setenv("AWS_SHARED_CREDENTIALS_FILE", file("[base]\naws_access_key_id=AKBASE\naws_secret_access_key=top\n"), 1);
	setenv("AWS_CONFIG_FILE",
	       file("[profile team]\nrole_arn = arn:team\nsource_profile=base\nexternal_id=x y\nregion=eu-west-9\n"),
	       1);
	config.credentials.profile = "team";
	config.credentials.token_endpoint = url;
	script[0].reply = STS("3", NEVER);
	get(CREDENTIALS_S3);
	assert_string_equal(got.id, "ASIA3");
	saw(0, "Credential=AKBASE/");
	saw(0, "/eu-west-9/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date");
	saw(0, "Action=AssumeRole&");
	saw(0, "ExternalId=x%20y");
	unsetenv("AWS_SHARED_CREDENTIALS_FILE");
	unsetenv("AWS_CONFIG_FILE");
}

static void a_profile_s_role_is_assumed_with_the_environment_s_keys(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "AKENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "top", 1);
	setenv("AWS_CONFIG_FILE", file("[profile team]\nrole_arn = arn:team\ncredential_source = Environment\n"), 1);
	config.credentials.profile = "team";
	config.credentials.token_endpoint = url;
	script[0].reply = STS("3", NEVER);
	get(CREDENTIALS_S3);
	assert_string_equal(got.id, "ASIA3");
	saw(0, "Credential=AKENV/");
	saw(0, "Action=AssumeRole&");
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	unsetenv("AWS_CONFIG_FILE");
}

static void a_profile_s_role_is_assumed_with_the_container_s_keys(void **state)
{
	(void)state;
	setenv("AWS_CONFIG_FILE", file("[profile team]\nrole_arn = arn:team\ncredential_source = EcsContainer\n"), 1);
	config.credentials.from = "profile";
	config.credentials.profile = "team";
	config.credentials.token_endpoint = url;
	config.credentials.container_uri = at("/v1/credentials");
	script[0].reply = KEYS("4");
	script[1].reply = STS("3", NEVER);
	get(CREDENTIALS_S3);
	assert_string_equal(got.id, "ASIA3");
	saw(0, "GET /v1/credentials ");
	saw(1, "Action=AssumeRole&");
	unsetenv("AWS_CONFIG_FILE");
}

static void a_credential_source_that_nobody_knows_is_refused(void **state)
{
	(void)state;
	config.credentials.config_file = file("[profile a]\nrole_arn=x\ncredential_source=Moon\n");
	config.credentials.profile = "a";
	refused(CREDENTIALS_S3, EINVAL, "credential_source is none of");
}

static void profiles_that_go_in_a_circle_are_refused(void **state)
{
	(void)state;
	config.credentials.config_file = file("[profile a]\nrole_arn=x\nsource_profile=b\n[profile b]\nrole_arn=y\n"
					      "source_profile=a\n");
	config.credentials.profile = "a";
	refused(CREDENTIALS_S3, EINVAL, "goes in a circle");
}

static void a_profile_runs_a_process(void **state)
{
	(void)state;
	config.credentials.config_file =
	    file("[default]\ncredential_process = printf '{\"Version\":1,\"AccessKeyId\":\"AKP\","
		 "\"SecretAccessKey\":\"x\",\"SessionToken\":\"t\",\"Expiration\":\"" NEVER "\"}'\n");
	get(CREDENTIALS_S3);
	assert_string_equal(got.id, "AKP");
	assert_string_equal(got.token, "t");
}

static void a_process_that_fails_is_said_so(void **state)
{
	(void)state;
	config.credentials.process = "echo s3cr3t; echo s3cr3t >&2; exit 3";
	refused(CREDENTIALS_S3, EACCES, "credential_process ended with status 3");
}

static void a_container_is_asked_with_its_token(void **state)
{
	(void)state;
	config.credentials.container_uri = at("/v1/credentials");
	config.credentials.container_token_file = file("Bearer pod-token\n");
	script[0].reply = KEYS("4");
	get(CREDENTIALS_S3);
	assert_string_equal(got.id, "ASIA4");
	assert_string_equal(got.token, "tok4");
	saw(0, "GET /v1/credentials HTTP/1.1");
	saw(0, "authorization: Bearer pod-token\r\n");
}

static void a_container_s_token_goes_to_nobody_else(void **state)
{
	static const char *const elsewhere[] = {"http://example.com/x", "http://127.0.0.1@example.com/",
						"http://127.0.0.1.example.com/", "ftp://127.0.0.1/"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++) {
		config.credentials.container_uri = elsewhere[i];
		refused(CREDENTIALS_S3, EINVAL, "is neither https, nor this machine");
	}
}

static void an_instance_is_asked_by_a_session(void **state)
{
	(void)state;
	config.credentials.metadata_endpoint = at("/");
	script[0].reply = OK("SESSION");
	script[1].reply = OK("my-role\n");
	script[2].reply = KEYS("5");
	get(CREDENTIALS_S3);
	assert_string_equal(got.id, "ASIA5");
	saw(0, "PUT /latest/api/token HTTP/1.1");
	saw(0, "x-aws-ec2-metadata-token-ttl-seconds: 21600");
	saw(1, "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1");
	saw(1, "x-aws-ec2-metadata-token: SESSION");
	saw(2, "GET /latest/meta-data/iam/security-credentials/my-role HTTP/1.1");
}

static void who_has_none_is_told_all_that_was_tried(void **state)
{
	(void)state;
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1", 1);
	refused(CREDENTIALS_S3, ENOENT,
		"no credentials: tried the configuration (access_key_id, secret_access_key_file), the environment "
		"(AWS_ACCESS_KEY_ID), web identity (AWS_WEB_IDENTITY_TOKEN_FILE), profile default "
		"(/nonexistent/.aws/credentials), the container (AWS_CONTAINER_CREDENTIALS_*), instance metadata did "
		"not answer: connection refused at http://127.0.0.1:1/latest/api/token");
	unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
}

static void a_source_named_by_the_configuration_is_the_only_one(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "AKENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "x", 1);
	config.credentials.from = "instance-metadata";
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	refused(CREDENTIALS_S3, ENOENT, "no credentials: tried instance metadata (off");
}

/* --- Google --------------------------------------------------------------------------- */

static void a_jwt_is_signed_as_openssl_does(void **state)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

	(void)state;
	assert_int_equal(jwt_sign_rs256("{\"iss\":\"me?>\"}", "k1", test_key, &out), 0);
	assert_string_equal(
	    strbuf_str(&out),
	    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsxIn0.eyJpc3MiOiJtZT8-In0."
	    "pbgbobomV7XVIh3GgOqqQHZxIeokpphdsTNT8kwK5V9wQaeYLikbbKa5PZapdJvjAatFfdY_zVm5edS8YUMZ2lqu39I2ZUVgq"
	    "HFqgo5Qdw-x6VaYeOf0AuTbG_FnsA_MwKpbnUX1iMr7LAijq9PP6T_h0GsnFuKac52LqX9hjZ0");
	assert_int_equal(jwt_sign_rs256("{}", NULL, "s3cr3t", &out), -EINVAL);
}

static void a_service_account_asks_with_a_signed_claim(void **state)
{
	(void)state;
	config.credentials.file =
	    file("{\"type\":\"service_account\",\"client_email\":\"a@b\",\"private_key_id\":\"k1\","
		 "\"private_key\":\"" JSON_KEY "\",\"token_uri\":\"https://oauth2.googleapis.com/token\"}");
	config.credentials.token_endpoint = at("/token");
	script[0].reply = TOKEN("sa", "3599");
	get(CREDENTIALS_GCS);
	assert_int_equal(got.kind, CREDENTIALS_BEARER);
	assert_string_equal(got.token, "ya29.sa");
	saw(0, "POST /token HTTP/1.1");
	saw(0, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=eyJhbGciOiJSUzI1NiIsInR5cCI6"
	       "IkpXVCIsImtpZCI6ImsxIn0.eyJpc3MiOiJhQGIiLCJzY29wZSI6");
}

static void a_person_s_refresh_token_is_taken_from_the_environment_s_file(void **state)
{
	(void)state;
	setenv(
	    "GOOGLE_APPLICATION_CREDENTIALS",
	    file(
		"{\"type\":\"authorized_user\",\"client_id\":\"id\",\"client_secret\":\"cs\",\"refresh_token\":\"1//r\"}"),
	    1);
	config.credentials.token_endpoint = url;
	script[0].reply = TOKEN("user", "3599");
	get(CREDENTIALS_GCS);
	assert_string_equal(got.token, "ya29.user");
	saw(0, "grant_type=refresh_token&client_id=id&client_secret=cs&refresh_token=1%2F%2Fr");
}

static void a_refresh_token_that_was_revoked_is_said_so(void **state)
{
	(void)state;
	config.credentials.file = file(
	    "{\"type\":\"authorized_user\",\"client_id\":\"id\",\"client_secret\":\"s3cr3t\",\"refresh_token\":\"r\"}");
	config.credentials.token_endpoint = url;
	script[0].reply = STATUS("400 x", "{\"error\":\"invalid_grant\",\"error_description\":\"s3cr3t was revoked\"}");
	refused(CREDENTIALS_GCS, EACCES, "refused: 400 invalid_grant");
}

static void a_federated_identity_is_exchanged_and_impersonates(void **state)
{
	char text[900];

	(void)state;
	snprintf(
	    text, sizeof(text),
	    "{\"type\":\"external_account\",\"audience\":\"//iam/pool\",\"subject_token_type\":"
	    "\"urn:ietf:params:oauth:token-type:jwt\",\"token_url\":\"%s/sts\",\"service_account_impersonation_url\":"
	    "\"%s/sa:generateAccessToken\",\"credential_source\":{\"url\":\"%s/subject\",\"headers\":{\"X-Who\":\"me\"},"
	    "\"format\":{\"type\":\"json\",\"subject_token_field_name\":\"id_token\"}}}",
	    url, url, url);
	config.credentials.file = file(text);
	script[0].reply = OK("{\"id_token\":\"the.subject\"}");
	script[1].reply = TOKEN("federated", "3600");
	script[2].reply = OK("{\"accessToken\":\"ya29.impersonated\",\"expireTime\":\"" NEVER "\"}");
	get(CREDENTIALS_GCS);
	assert_string_equal(got.token, "ya29.impersonated");
	saw(0, "x-who: me");
	saw(1, "POST /sts ");
	saw(1, "subject_token=the.subject");
	saw(1, "audience=%2F%2Fiam%2Fpool");
	saw(2, "POST /sa:generateAccessToken ");
	saw(2, "authorization: Bearer ya29.federated");
}

static void google_s_metadata_server_is_asked_with_its_header(void **state)
{
	(void)state;
	setenv("GCE_METADATA_HOST", url + strlen("http://"), 1);
	script[0].reply = TOKEN("gce", "3599");
	get(CREDENTIALS_GCS);
	assert_string_equal(got.token, "ya29.gce");
	saw(0, "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1");
	saw(0, "metadata-flavor: Google");
	unsetenv("GCE_METADATA_HOST");
}

/* --- Azure ---------------------------------------------------------------------------- */

static void a_client_secret_asks_entra(void **state)
{
	(void)state;
	setenv("AZURE_TENANT_ID", "tenant", 1);
	setenv("AZURE_CLIENT_ID", "client", 1);
	setenv("AZURE_CLIENT_SECRET", "a~b&c", 1);
	setenv("AZURE_AUTHORITY_HOST", at("/"), 1);
	script[0].reply = TOKEN("entra", "3599");
	get(CREDENTIALS_AZURE);
	assert_string_equal(got.token, "ya29.entra");
	saw(0, "POST /tenant/oauth2/v2.0/token HTTP/1.1");
	saw(0, "client_secret=a~b%26c");
	saw(0, "scope=https%3A%2F%2Fstorage.azure.com%2F.default");
	unsetenv("AZURE_CLIENT_SECRET");
	unsetenv("AZURE_AUTHORITY_HOST");
	unsetenv("AZURE_TENANT_ID");
	unsetenv("AZURE_CLIENT_ID");
}

static void a_federated_token_file_asks_entra(void **state)
{
	(void)state;
	config.credentials.token_file = file("k8s.jwt");
	config.credentials.tenant_id = "t";
	config.credentials.client_id = "c";
	config.credentials.token_endpoint = url;
	script[0].reply = TOKEN("wi", "3599");
	get(CREDENTIALS_AZURE);
	assert_string_equal(got.token, "ya29.wi");
	saw(0, "client_assertion=k8s.jwt");
}

static void the_managed_identity_s_expiry_may_be_a_string(void **state)
{
	(void)state;
	config.credentials.metadata_endpoint = url;
	script[0].reply = OK("{\"access_token\":\"mi\",\"expires_in\":\"86399\",\"expires_on\":\"1\"}");
	get(CREDENTIALS_AZURE);
	assert_string_equal(got.token, "mi");
	assert_true(got.lifetime_ns == 86399 * NSEC_PER_SEC);
	saw(0,
	    "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F");
	saw(0, "metadata: true");
}

static void a_program_is_foreseen_however_its_setting_is_written(void **state)
{
	(void)state;
	config.credentials.config_file = file("[default]\nregion = x\n");
	assert_false(credentials_run_program(&config));
	config.credentials.config_file = file("[default]\nCredential_Process = /bin/keys\n");
	assert_true(credentials_run_program(&config));
}

static void a_subject_from_beside_this_machine_comes_by_no_proxy(void **state)
{
	(void)state;
	config.credentials.file = file("{\"type\":\"external_account\",\"audience\":\"a\",\"subject_token_type\":\"t\","
				       "\"credential_source\":{\"url\":\"http://127.0.0.1:1/metadata/identity\"}}");
	setenv("http_proxy", url, 1);
	script[0].reply = OK("the.subject");
	refused(CREDENTIALS_GCS, EHOSTUNREACH, "credential_source.url did not answer");
	assert_int_equal(served, 0);
	unsetenv("http_proxy");
}

static void app_service_tells_the_moment_of_expiry_alone(void **state)
{
	static char reply[200];

	(void)state;
	config.credentials.metadata_endpoint = url;
	snprintf(reply, sizeof(reply), OK("{\"access_token\":\"mi\",\"expires_on\":\"%lld\"}"),
		 (long long)time(NULL) + 3600);
	script[0].reply = reply;
	get(CREDENTIALS_AZURE);
	assert_in_range(got.lifetime_ns / NSEC_PER_SEC, 3590, 3600);
}

#define ARC "/var/opt/azcmagent/tokens"

static void azure_arc_s_agent_is_shown_that_its_file_could_be_read(void **state)
{
	int fd;

	(void)state;
	setenv("IDENTITY_ENDPOINT", at("/metadata/identity/oauth2/token"), 1);
	setenv("IMDS_ENDPOINT", url, 1);
	script[0].reply = "HTTP/1.1 401 x\r\nConnection: close\r\nWWW-Authenticate: Basic realm=/etc/passwd\r\n\r\n";
	refused(CREDENTIALS_AZURE, EACCES, "names a file that is none of its own");
	credentials_close(source);
	source = NULL;
	script[1].reply =
	    "HTTP/1.1 401 x\r\nConnection: close\r\nWWW-Authenticate: Basic realm=" ARC "/volrun-test.key\r\n\r\n";
	script[2].reply = TOKEN("arc", "3600");
	if (geteuid() != 0)
		skip();
	assert_true(mkdir_p_at(AT_FDCWD, ARC, 0755) == 0);
	fd = open(ARC "/volrun-test.key", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write_all(fd, "proof", 5), 0);
	close(fd);
	get(CREDENTIALS_AZURE);
	unlink(ARC "/volrun-test.key");
	rmdir(ARC); /* both only where they are empty */
	rmdir("/var/opt/azcmagent");
	assert_string_equal(got.token, "ya29.arc");
	saw(1, "metadata: true");
	saw(2, "authorization: Basic proof");
	unsetenv("IDENTITY_ENDPOINT");
	unsetenv("IMDS_ENDPOINT");
}

static void a_connection_string_has_account_key_and_endpoint(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct azure_connection c;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(azure_connection_parse("DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5==;"
						"EndpointSuffix=core.chinacloudapi.cn",
						&arena, &c, &err),
			 0);
	assert_string_equal(c.account, "acc");
	assert_string_equal(c.key, "a2V5==");
	assert_string_equal(c.blob_endpoint, "https://acc.blob.core.chinacloudapi.cn");
	assert_int_equal(
	    azure_connection_parse("BlobEndpoint=http://h/a;SharedAccessSignature=?sv=1&sig=x%3D", &arena, &c, &err),
	    0);
	assert_string_equal(c.sas, "sv=1&sig=x%3D");
	assert_int_equal(azure_connection_parse("AccountName=s3cr3t", &arena, &c, &err), -EINVAL);
	assert_null(strstr(err.msg, "s3cr3t"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_web_identity_is_exchanged_for_a_role_at_sts),
	    TEST(the_environment_says_where_a_web_identity_is),
	    TEST(what_sts_refuses_is_said_with_its_code_and_without_the_token),
	    TEST(a_profile_has_keys),
	    TEST(a_profile_assumes_a_role_with_the_keys_of_another),
	    TEST(a_profile_s_role_is_assumed_with_the_environment_s_keys),
	    TEST(a_profile_s_role_is_assumed_with_the_container_s_keys),
	    TEST(a_credential_source_that_nobody_knows_is_refused),
	    TEST(profiles_that_go_in_a_circle_are_refused),
	    TEST(a_profile_runs_a_process),
	    TEST(a_process_that_fails_is_said_so),
	    TEST(a_container_is_asked_with_its_token),
	    TEST(a_container_s_token_goes_to_nobody_else),
	    TEST(an_instance_is_asked_by_a_session),
	    TEST(who_has_none_is_told_all_that_was_tried),
	    TEST(a_source_named_by_the_configuration_is_the_only_one),
	    TEST(a_jwt_is_signed_as_openssl_does),
	    TEST(a_service_account_asks_with_a_signed_claim),
	    TEST(a_person_s_refresh_token_is_taken_from_the_environment_s_file),
	    TEST(a_refresh_token_that_was_revoked_is_said_so),
	    TEST(a_federated_identity_is_exchanged_and_impersonates),
	    TEST(google_s_metadata_server_is_asked_with_its_header),
	    TEST(a_client_secret_asks_entra),
	    TEST(a_federated_token_file_asks_entra),
	    TEST(the_managed_identity_s_expiry_may_be_a_string),
	    TEST(a_program_is_foreseen_however_its_setting_is_written),
	    TEST(a_subject_from_beside_this_machine_comes_by_no_proxy),
	    TEST(app_service_tells_the_moment_of_expiry_alone),
	    TEST(azure_arc_s_agent_is_shown_that_its_file_could_be_read),
	    TEST(a_connection_string_has_account_key_and_endpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
