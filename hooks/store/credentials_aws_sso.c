/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IAM Identity Center ("SSO"): a person signs in by `aws sso login`, which leaves a token in a file; with that the
 * portal gives keys of a role. The token is read anew each time, and never written: renewing it is aws' business.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/store/credentials_impl.h"
#include "hooks/store/sign.h"
#include "oci/json.h"

struct sign_in {
	const char *token, *expires;
};
static const struct json_field sign_in_fields[] = {
    JSON_FIELD(struct sign_in, token, "accessToken", JSON_STR),
    JSON_FIELD(struct sign_in, expires, "expiresAt", JSON_STR),
    {NULL},
};
static const struct json_table sign_in_table = {"token", sizeof(struct sign_in), sign_in_fields, JSON_EMPTY_ABSENT};

struct role_keys {
	const char *id, *secret, *token;
	int64_t expires_ms; /* since the epoch */
};
static const struct json_field role_keys_fields[] = {
    JSON_FIELD(struct role_keys, id, "accessKeyId", JSON_STR),
    JSON_FIELD(struct role_keys, secret, "secretAccessKey", JSON_STR),
    JSON_FIELD(struct role_keys, token, "sessionToken", JSON_STR),
    JSON_FIELD(struct role_keys, expires_ms, "expiration", JSON_I64),
    {NULL},
};
static const struct json_table role_keys_table = {"keys", sizeof(struct role_keys), role_keys_fields, 0};
static const struct json_field answer_fields[] = {
    {.name = "roleCredentials", .kind = JSON_OBJ, .table = &role_keys_table},
    {NULL},
};
static const struct json_table answer_table = {"answer", sizeof(struct role_keys), answer_fields, 0};

static void wipe_text(const char *s)
{
	if (s)
		explicit_bzero((char *)s, strlen(s));
}

/* It becomes part of a host's name. */
static bool is_region(const char *s)
{
	return s && s[0] && strlen(s) <= 40 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s);
}

static int expired(const struct aws_sso *sso, const char *what, struct error *err)
{
	return error_set(err, EACCES, "profile %s: its sign-in by SSO %s: run aws sso login --profile %s", sso->profile,
			 what, sso->profile);
}

/*
 * "~/.aws/sso/cache/<sha1 of the session's name, or of the URL>.json"; of profiles that the configuration names, or
 * where there is no HOME, beside these.
 */
static int token_path(const struct credential_fetch *f, const struct aws_sso *sso, struct strbuf *out)
{
	const char *name = sso->session ? sso->session : sso->start_url;
	const char *end = strrchr(sso->config_path, '/'), *home = credentials_env("HOME");
	char hash[SHA1_HEX_MAX];

	if (!sha1_hex(name, strlen(name), hash))
		return -EOPNOTSUPP;
	if (home && !f->config->credentials.config_file)
		strbuf_addf(out, "%s/.aws/", home);
	else
		strbuf_add(out, sso->config_path, end ? (size_t)(end - sso->config_path) + 1 : 0);
	strbuf_addf(out, "sso/cache/%s.json", hash);
	return out->failed ? -ENOMEM : 0;
}

static int take_token(const struct aws_sso *sso, const struct sign_in *s, char **ret, struct error *err)
{
	char until[40];
	int64_t left;

	/* Old ones end in "UTC". */
	snprintf(until, sizeof(until), "%.*sZ", s->expires ? (int)strcspn(s->expires, "ZU") : 0,
		 s->expires ? s->expires : "");
	if (!s->token || token_until(until, &left) < 0)
		return expired(sso, "left no token that can be read", err);
	if (left <= 1)
		return expired(sso, "has expired", err);
	return credentials_copy(s->token, "accessToken", ret, err);
}

static int read_token(const struct credential_fetch *f, const struct aws_sso *sso, char **ret, struct error *err)
{
	_cleanup_strbuf_ struct strbuf path = STRBUF_INIT;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_wipe_ char *text = NULL;
	struct error ignored = ERROR_INIT;
	struct sign_in s;
	int r = token_path(f, sso, &path);

	if (r < 0)
		return error_set(err, -r, "profile %s: the token's file can't be named", sso->profile);
	r = credentials_read_file(strbuf_str(&path), "the token of the sign-in by SSO", &text, err);
	if (r == -ENOENT)
		return expired(sso, "is missing", err);
	if (r < 0)
		return r;
	if (json_parse(text, strlen(text), "token", &sign_in_table, &arena, &s, &ignored) < 0)
		return expired(sso, "left no token that can be read", err);
	r = take_token(sso, &s, ret, err);
	wipe_text(s.token);
	return r;
}

static int portal_url(const struct aws_sso *sso, struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf query = STRBUF_INIT;
	const char *given = credentials_env("AWS_ENDPOINT_URL_SSO");
	size_t n = given ? strlen(given) : 0;

	while (n > 0 && given[n - 1] == '/')
		n--;
	if (given)
		strbuf_add(out, given, n);
	else
		strbuf_addf(out, "https://portal.sso.%s.amazonaws.com%s", sso->region,
			    !strncmp(sso->region, "cn-", 3) ? ".cn" : "");
	token_form(&query, "role_name", sso->role);
	token_form(&query, "account_id", sso->account);
	strbuf_addf(out, "/federation/credentials?%s", strbuf_str(&query));
	return out->failed || query.failed ? -ENOMEM : 0;
}

static int take_keys(const struct role_keys *k, struct credentials *ret, struct error *err)
{
	int64_t left = k->expires_ms / 1000 - (int64_t)time(NULL);
	int r = credentials_copy(k->id, "accessKeyId", &ret->id, err);

	if (r == 0)
		r = credentials_copy(k->secret, "secretAccessKey", &ret->secret, err);
	if (r == 0)
		r = credentials_copy(k->token, "sessionToken", &ret->token, err);
	ret->lifetime_ns = left <= 0 ? 1 : (left > 86400 ? 86400 : left) * NSEC_PER_SEC;
	return r;
}

static int read_keys(const struct token_request *q, const struct token_reply *reply, struct credentials *ret,
		     struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error ignored = ERROR_INIT;
	struct role_keys keys;
	int r;

	if (json_parse(strbuf_str(&reply->body), reply->body.len, "answer", &answer_table, &arena, &keys, &ignored) < 0)
		return error_set(err, EINVAL, "%s answered without keys", q->who);
	r = take_keys(&keys, ret, err);
	wipe_text(keys.secret);
	wipe_text(keys.token);
	return r < 0 ? error_wrap(err, "%s", q->who) : 0;
}

static void wipe_strbuf(struct strbuf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->len);
	strbuf_free(b);
}

static int ask(struct credential_fetch *f, const struct aws_sso *sso, const char *token, struct credentials *ret,
	       struct error *err)
{
	_cleanup_(wipe_strbuf) struct strbuf headers = STRBUF_INIT;
	_cleanup_token_reply_ struct token_reply reply = {0};
	_cleanup_strbuf_ struct strbuf url = STRBUF_INIT;
	struct token_request q = {.who = "the portal of SSO"};
	int r;

	strbuf_addf(&headers, "x-amz-sso_bearer_token: %s\n", token);
	if (portal_url(sso, &url) < 0 || headers.failed)
		return -ENOMEM;
	q.url = strbuf_str(&url);
	q.headers = strbuf_str(&headers);
	r = token_send(f->client, &q, &reply, err);
	if (r == 0 && reply.status == 401)
		return expired(sso, "is no longer valid", err);
	if (r == 0)
		r = reply.status == 200 ? read_keys(&q, &reply, ret, err) : token_refused(&q, &reply, err);
	return r < 0 ? r : credentials_from(ret, "profile %.100s by SSO, role %.100s", sso->profile, sso->role);
}

int credentials_aws_sso(struct credential_fetch *f, const struct aws_sso *sso, struct credentials *ret,
			struct error *err)
{
	_cleanup_wipe_ char *token = NULL;
	int r;

	if (!sso->start_url || !sso->account || !sso->role || !is_region(sso->region) || !sso->config_path)
		return error_set(err, EINVAL,
				 "profile %s: SSO needs sso_start_url, sso_region, sso_account_id and sso_role_name",
				 sso->profile);
	if (!f->client)
		return -EAGAIN;
	r = read_token(f, sso, &token, err);
	return r < 0 ? r : ask(f, sso, token, ret, err);
}
