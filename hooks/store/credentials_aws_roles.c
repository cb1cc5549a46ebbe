/* SPDX-License-Identifier: Apache-2.0 */
/* STS: a role for a web identity's token (IAM roles for service accounts), or for other keys (AssumeRole). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "hooks/store/credentials_impl.h"
#include "hooks/store/s3_xml.h"
#include "hooks/store/sign.h"
#include "hooks/store/sign_sigv4.h"

static bool is_region(const char *s)
{
	return s && s[0] && strlen(s) <= 40 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s);
}

/* The regional endpoint, without '/' at its end. */
static int sts_url(const struct credential_fetch *f, const char *region, struct strbuf *out)
{
	const char *given = f->config->credentials.token_endpoint;
	size_t n;

	if (!given)
		given = credentials_env("AWS_ENDPOINT_URL_STS");
	if (given) {
		n = strlen(given);
		while (n > 0 && given[n - 1] == '/')
			n--;
		strbuf_add(out, given, n);
	} else {
		strbuf_addf(out, "https://sts.%s.amazonaws.com%s", region, !strncmp(region, "cn-", 3) ? ".cn" : "");
	}
	return out->failed ? -ENOMEM : 0;
}

static const char *region_of(const struct credential_fetch *f, const struct aws_role *role)
{
	const char *all[] = {role->region, f->config->region, credentials_env("AWS_REGION"),
			     credentials_env("AWS_DEFAULT_REGION")};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (is_region(all[i]))
			return all[i];
	return "us-east-1";
}

/* AssumeRole is signed with the keys that assume it. */
static int sign_headers(const char *url, const char *region, const struct credentials *by, const char *body,
			struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf authorization = STRBUF_INIT, host = STRBUF_INIT;
	char hash[SHA256_HEX_MAX], date[SIGV4_DATE_MAX];
	const char *name = strstr(url, "://");
	struct sigv4_pair headers[4];
	size_t n = 0;
	struct sigv4 s;
	time_t now = time(NULL);

	name = name ? name + 3 : url;
	strbuf_add(&host, name, strcspn(name, "/"));
	sha256_hex(body, strlen(body), hash);
	sigv4_date(now, date);
	headers[n++] = (struct sigv4_pair){"content-type", "application/x-www-form-urlencoded"};
	headers[n++] = (struct sigv4_pair){"host", strbuf_str(&host)};
	headers[n++] = (struct sigv4_pair){"x-amz-date", date};
	if (by->token)
		headers[n++] = (struct sigv4_pair){"x-amz-security-token", by->token};
	s = (struct sigv4){.access_key_id = by->id,
			   .secret_access_key = by->secret,
			   .region = region,
			   .service = "sts",
			   .now = now,
			   .method = "POST",
			   .path = "/",
			   .query = "",
			   .headers = headers,
			   .n_headers = n,
			   .payload_hash = hash};
	sigv4_authorization(&s, &authorization);
	for (size_t i = 0; i < n; i++)
		strbuf_addf(out, "%s: %s\n", headers[i].name, headers[i].value);
	strbuf_addf(out, "authorization: %s\n", strbuf_str(&authorization));
	return out->failed || host.failed || authorization.failed ? -ENOMEM : 0;
}

static int field(const struct token_reply *reply, const char *name, char **ret, struct error *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	int r = s3_xml_any(strbuf_str(&reply->body), reply->body.len, name, &text);

	if (r == 0)
		r = credentials_copy(strbuf_str(&text), "the answer of STS", ret, err);
	if (text.data)
		explicit_bzero(text.data, text.len);
	return r < 0 ? error_set(err, EINVAL, "STS answered without %s", name) : 0;
}

static int read_answer(const struct token_reply *reply, struct credentials *ret, struct error *err)
{
	_cleanup_free_ char *expiration = NULL;
	int r = field(reply, "AccessKeyId", &ret->id, err);

	if (r == 0)
		r = field(reply, "SecretAccessKey", &ret->secret, err);
	if (r == 0)
		r = field(reply, "SessionToken", &ret->token, err);
	if (r == 0)
		r = field(reply, "Expiration", &expiration, err);
	if (r == 0 && token_until(expiration, &ret->lifetime_ns) < 0)
		r = error_set(err, EINVAL, "STS answered without a readable Expiration");
	return r;
}

static void wipe_strbuf(struct strbuf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->len);
	strbuf_free(b);
}

static int form(const struct aws_role *role, const struct credentials *by, const char *token, struct strbuf *out)
{
	char session[48];
	uint64_t nonce;

	random_bytes(&nonce, sizeof(nonce));
	snprintf(session, sizeof(session), "volrun-%016llx", (unsigned long long)nonce);
	token_form(out, "Action", by ? "AssumeRole" : "AssumeRoleWithWebIdentity");
	token_form(out, "Version", "2011-06-15");
	token_form(out, "RoleArn", role->arn);
	token_form(out, "RoleSessionName", role->session_name ? role->session_name : session);
	if (role->external_id)
		token_form(out, "ExternalId", role->external_id);
	if (token)
		token_form(out, "WebIdentityToken", token);
	return out->failed ? -ENOMEM : 0;
}

int credentials_aws_assume(struct credential_fetch *f, const struct aws_role *role, const struct credentials *by,
			   struct credentials *ret, struct error *err)
{
	_cleanup_(wipe_strbuf) struct strbuf body = STRBUF_INIT, headers = STRBUF_INIT;
	_cleanup_strbuf_ struct strbuf url = STRBUF_INIT;
	_cleanup_token_reply_ struct token_reply reply = {0};
	_cleanup_wipe_ char *token = NULL;
	const char *region = region_of(f, role);
	struct token_request q = {.who = "STS"};
	int r = 0;

	if (!f->client)
		return -EAGAIN;
	if (role->token_file)
		r = credentials_read_line(role->token_file, &token, err);
	if (r < 0)
		return r;
	if (sts_url(f, region, &url) < 0 || form(role, by, token, &body) < 0)
		return -ENOMEM;
	if (by)
		r = sign_headers(strbuf_str(&url), region, by, strbuf_str(&body), &headers);
	else
		strbuf_adds(&headers, "content-type: application/x-www-form-urlencoded\n");
	strbuf_adds(&url, "/");
	if (r < 0 || headers.failed || url.failed)
		return -ENOMEM;
	q.url = strbuf_str(&url);
	q.headers = strbuf_str(&headers);
	q.body = strbuf_str(&body);
	r = token_send(f->client, &q, &reply, err);
	if (r == 0)
		r = reply.status == 200 ? read_answer(&reply, ret, err) : token_refused(&q, &reply, err);
	return r < 0 ? r : credentials_from(ret, "role %.150s from %.80s", role->arn, q.url);
}

int credentials_aws_web_identity(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	const struct credentials_config *c = &f->config->credentials;
	struct aws_role role = {
	    .arn = c->role_arn ? c->role_arn : credentials_env("AWS_ROLE_ARN"),
	    .session_name = c->role_session_name ? c->role_session_name : credentials_env("AWS_ROLE_SESSION_NAME"),
	    .token_file = c->token_file ? c->token_file : credentials_env("AWS_WEB_IDENTITY_TOKEN_FILE"),
	};

	if (!role.token_file)
		return credentials_tried(f, "web identity (AWS_WEB_IDENTITY_TOKEN_FILE)");
	if (!role.arn)
		return error_set(err, EINVAL, "a web identity without its role (AWS_ROLE_ARN, credentials.role_arn)");
	return credentials_aws_assume(f, &role, NULL, ret, err);
}
