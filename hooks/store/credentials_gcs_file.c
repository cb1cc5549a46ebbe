/* SPDX-License-Identifier: Apache-2.0 */
/* Google's credential files: a service account's key (JWT bearer, RFC 7523), a person's refresh token, and others. */
#include "hooks/store/credentials_gcs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "hooks/store/sign_jwt.h"

#define TOKEN_URI "https://oauth2.googleapis.com/token"
#define FORM "content-type: application/x-www-form-urlencoded\n"

static const struct json_field format_fields[] = {
    JSON_FIELD(struct gcs_format, type, "type", JSON_STR),
    JSON_FIELD(struct gcs_format, field, "subject_token_field_name", JSON_STR),
    {NULL},
};
static const struct json_table format_table = {"format", sizeof(struct gcs_format), format_fields, 0};

static const struct json_field subject_fields[] = {
    JSON_FIELD(struct gcs_subject, file, "file", JSON_STR),
    JSON_FIELD(struct gcs_subject, url, "url", JSON_STR),
    JSON_FIELD(struct gcs_subject, environment_id, "environment_id", JSON_STR),
    JSON_FIELD(struct gcs_subject, executable, "executable", JSON_RAW),
    JSON_LIST(struct gcs_subject, headers, "headers", JSON_MAP_STR),
    JSON_FIELD(struct gcs_subject, format, "format", JSON_OBJ_PTR, .table = &format_table),
    {NULL},
};
static const struct json_table subject_table = {"credential_source", sizeof(struct gcs_subject), subject_fields, 0};

static const struct json_field file_fields[] = {
    JSON_FIELD(struct gcs_file, type, "type", JSON_STR),
    JSON_FIELD(struct gcs_file, client_email, "client_email", JSON_STR),
    JSON_FIELD(struct gcs_file, private_key, "private_key", JSON_STR),
    JSON_FIELD(struct gcs_file, private_key_id, "private_key_id", JSON_STR),
    JSON_FIELD(struct gcs_file, token_uri, "token_uri", JSON_STR),
    JSON_FIELD(struct gcs_file, client_id, "client_id", JSON_STR),
    JSON_FIELD(struct gcs_file, client_secret, "client_secret", JSON_STR),
    JSON_FIELD(struct gcs_file, refresh_token, "refresh_token", JSON_STR),
    JSON_FIELD(struct gcs_file, audience, "audience", JSON_STR),
    JSON_FIELD(struct gcs_file, subject_token_type, "subject_token_type", JSON_STR),
    JSON_FIELD(struct gcs_file, token_url, "token_url", JSON_STR),
    JSON_FIELD(struct gcs_file, impersonation_url, "service_account_impersonation_url", JSON_STR),
    JSON_FIELD(struct gcs_file, subject, "credential_source", JSON_OBJ_PTR, .table = &subject_table),
    {NULL},
};
static const struct json_table file_table = {"credentials", sizeof(struct gcs_file), file_fields, 0};

static void wipe_strbuf(struct strbuf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->len);
	strbuf_free(b);
}

static void wipe_text(const char *s)
{
	if (s)
		explicit_bzero((char *)s, strlen(s));
}

int credentials_gcs_take(const struct token_request *q, const struct token_reply *reply, struct credentials *ret,
			 struct error *err)
{
	struct token_answer answer;
	int r = token_read(q, reply, &answer, err);

	if (r < 0)
		return r;
	ret->kind = CREDENTIALS_BEARER;
	ret->token = answer.access_token;
	ret->lifetime_ns = answer.lifetime_ns;
	return 0;
}

static int post(struct credential_fetch *f, const char *url, const char *body, struct credentials *ret,
		struct error *err)
{
	struct token_request q = {
	    .who = "Google's token endpoint", .url = url ? url : TOKEN_URI, .headers = FORM, .body = body};
	_cleanup_token_reply_ struct token_reply reply = {0};
	int r;

	if (f->config->credentials.token_endpoint)
		q.url = f->config->credentials.token_endpoint;
	r = token_send(f->client, &q, &reply, err);
	return r < 0 ? r : credentials_gcs_take(&q, &reply, ret, err);
}

/* The claim is for the endpoint that is asked. */
static int service_account(struct credential_fetch *f, const struct gcs_file *file, struct credentials *ret,
			   struct error *err)
{
	_cleanup_(wipe_strbuf) struct strbuf claims = STRBUF_INIT, jwt = STRBUF_INIT, body = STRBUF_INIT;
	long long now = (long long)time(NULL);
	int r;

	if (!file->client_email || !file->private_key)
		return error_set(err, EINVAL, "a service account without client_email or private_key");
	strbuf_adds(&claims, "{\"iss\":");
	json_write_string(&claims, file->client_email);
	strbuf_adds(&claims, ",\"scope\":\"" GCS_SCOPE "\",\"aud\":");
	json_write_string(&claims, file->token_uri ? file->token_uri : TOKEN_URI);
	strbuf_addf(&claims, ",\"iat\":%lld,\"exp\":%lld}", now, now + 3600);
	r = claims.failed ? -ENOMEM
			  : jwt_sign_rs256(strbuf_str(&claims), file->private_key_id, file->private_key, &jwt);
	if (r == -EINVAL)
		return error_set(err, EINVAL, "the service account's private_key is no RSA key");
	token_form(&body, "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
	token_form(&body, "assertion", strbuf_str(&jwt));
	if (r < 0 || body.failed)
		return -ENOMEM;
	r = post(f, file->token_uri, strbuf_str(&body), ret, err);
	return r < 0 ? r : credentials_from(ret, "service account %.150s", file->client_email);
}

static int authorized_user(struct credential_fetch *f, const struct gcs_file *file, struct credentials *ret,
			   struct error *err)
{
	_cleanup_(wipe_strbuf) struct strbuf body = STRBUF_INIT;
	int r;

	if (!file->client_id || !file->client_secret || !file->refresh_token)
		return error_set(err, EINVAL, "an authorized_user without client_id, client_secret or refresh_token");
	token_form(&body, "grant_type", "refresh_token");
	token_form(&body, "client_id", file->client_id);
	token_form(&body, "client_secret", file->client_secret);
	token_form(&body, "refresh_token", file->refresh_token);
	if (body.failed)
		return -ENOMEM;
	r = post(f, file->token_uri, strbuf_str(&body), ret, err);
	return r < 0 ? r : credentials_from(ret, "a person's sign-in (authorized_user)");
}

static int by_type(struct credential_fetch *f, const struct gcs_file *file, struct credentials *ret, struct error *err)
{
	if (!file->type)
		return error_set(err, EINVAL, "no credentials: its \"type\" is missing");
	if (!strcmp(file->type, "service_account"))
		return service_account(f, file, ret, err);
	if (!strcmp(file->type, "authorized_user"))
		return authorized_user(f, file, ret, err);
	if (!strcmp(file->type, "external_account"))
		return credentials_gcs_external(f, file, ret, err);
	return error_set(err, EINVAL,
			 "credentials of type \"%.60s\" are none of service_account, authorized_user, external_account",
			 file->type);
}

int credentials_gcs_file(struct credential_fetch *f, const char *path, struct credentials *ret, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error why = ERROR_INIT;
	struct gcs_file file;
	char *text = NULL;
	int r = credentials_read_file(path, "the credentials' file", &text, err);

	if (r < 0)
		return error_set(err, EINVAL, "%s", (const char *)strdupa(err->msg));
	/* The parser's words might quote what it read. */
	r = json_parse(text, strlen(text), "credentials", &file_table, &arena, &file, &why);
	credentials_wipe(&text);
	if (r < 0)
		return error_set(err, EINVAL, "the credentials' file %s is no JSON that can be read", path);
	r = f->client ? by_type(f, &file, ret, err) : -EAGAIN;
	wipe_text(file.private_key);
	wipe_text(file.client_secret);
	wipe_text(file.refresh_token);
	return r < 0 && r != -EAGAIN && r != -ENOMEM && r != -EHOSTUNREACH ? error_wrap(err, "%s", path) : r;
}
