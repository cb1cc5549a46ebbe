/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workload identity federation (RFC 8693): a token of another issuer, from a file or a URL, is exchanged for one of
 * Google's, and that, if wished, for a service account's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "hooks/store/credentials_gcs.h"

#define TOKEN_URL "https://sts.googleapis.com/v1/token"

static void wipe_strbuf(struct strbuf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->len);
	strbuf_free(b);
}

/* The text itself, or a member of the JSON that it is. */
static int take_subject(const struct gcs_subject *s, const char *text, char **ret, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *field = s->format && s->format->field ? s->format->field : "access_token";
	struct error ignored = ERROR_INIT;
	const char *found = NULL;
	int r;

	if (!s->format || !s->format->type || !strcmp(s->format->type, "text")) {
		size_t n = strcspn(text, " \t\r\n");

		*ret = strndup(text, n);
		if (!*ret)
			return -ENOMEM;
	} else if (!strcmp(s->format->type, "json")) {
		r = json_lookup_scalar(text, strlen(text), "token", field, &arena, &found, &ignored);
		if (r < 0)
			return error_set(err, EINVAL, "the subject's token has no member \"%.60s\"", field);
		*ret = strdup(found);
		explicit_bzero((char *)found, strlen(found));
		if (!*ret)
			return -ENOMEM;
	} else {
		return error_set(err, EINVAL, "credential_source.format is neither text nor json");
	}
	return credentials_usable(*ret) ? 0 : error_set(err, EINVAL, "the subject's token is none");
}

/* Of this machine or its metadata: no proxy is to see what it says, nor could one reach the same. */
static bool is_beside(const char *url)
{
	static const char *const hosts[] = {"http://169.254.", "http://127.", "http://localhost", "http://[::1]",
					    "http://metadata."};

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
		if (!strncasecmp(url, hosts[i], strlen(hosts[i])))
			return true;
	return false;
}

static int subject_from_url(struct credential_fetch *f, const struct gcs_subject *s, char **ret, struct error *err)
{
	struct token_request q = {.who = "credential_source.url", .url = s->url, .local = is_beside(s->url)};
	_cleanup_token_reply_ struct token_reply reply = {0};
	_cleanup_(wipe_strbuf) struct strbuf headers = STRBUF_INIT;
	int r;

	for (size_t i = 0; i < s->n_headers; i++) {
		if (strpbrk(s->headers[i].key, "\r\n:") || strpbrk(s->headers[i].value, "\r\n"))
			return error_set(err, EINVAL, "credential_source.headers: one can't be a header");
		strbuf_addf(&headers, "%s: %s\n", s->headers[i].key, s->headers[i].value);
	}
	if (headers.failed)
		return -ENOMEM;
	q.headers = strbuf_str(&headers);
	r = token_send(f->client, &q, &reply, err);
	if (r < 0 || reply.status != 200)
		return r < 0 ? r : token_refused(&q, &reply, err);
	return take_subject(s, strbuf_str(&reply.body), ret, err);
}

static int subject_token(struct credential_fetch *f, const struct gcs_subject *s, char **ret, struct error *err)
{
	_cleanup_wipe_ char *text = NULL;
	int r;

	if (s && s->file) {
		r = credentials_read_file(s->file, "the subject's token file", &text, err);
		if (r < 0)
			return error_set(err, EINVAL, "%s", (const char *)strdupa(err->msg));
		return take_subject(s, text, ret, err);
	}
	if (s && s->url && !s->environment_id)
		return subject_from_url(f, s, ret, err);
	return error_set(
	    err, EINVAL,
	    "an external_account whose credential_source is neither a file nor a url (%s is not supported)",
	    s && s->environment_id ? "that of AWS"
	    : s && s->executable   ? "an executable"
				   : "none");
}

static int exchange(struct credential_fetch *f, const struct gcs_file *file, const char *subject,
		    struct credentials *ret, struct error *err)
{
	struct token_request q = {.who = "the token exchange",
				  .url = file->token_url ? file->token_url : TOKEN_URL,
				  .headers = "content-type: application/x-www-form-urlencoded\n"};
	_cleanup_token_reply_ struct token_reply reply = {0};
	_cleanup_(wipe_strbuf) struct strbuf body = STRBUF_INIT;
	int r;

	if (f->config->credentials.token_endpoint)
		q.url = f->config->credentials.token_endpoint;
	token_form(&body, "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
	token_form(&body, "audience", file->audience);
	token_form(&body, "scope", file->impersonation_url ? GCS_SCOPE_CLOUD : GCS_SCOPE);
	token_form(&body, "requested_token_type", "urn:ietf:params:oauth:token-type:access_token");
	token_form(&body, "subject_token", subject);
	token_form(&body, "subject_token_type", file->subject_token_type);
	if (body.failed)
		return -ENOMEM;
	q.body = strbuf_str(&body);
	r = token_send(f->client, &q, &reply, err);
	return r < 0 ? r : credentials_gcs_take(&q, &reply, ret, err);
}

struct granted {
	const char *token, *expires;
};
static const struct json_field granted_fields[] = {
    JSON_FIELD(struct granted, token, "accessToken", JSON_STR),
    JSON_FIELD(struct granted, expires, "expireTime", JSON_STR),
    {NULL},
};
static const struct json_table granted_table = {"answer", sizeof(struct granted), granted_fields, 0};

/* generateAccessToken: *c becomes the service account's. */
static int impersonate(struct credential_fetch *f, const char *url, struct credentials *c, struct error *err)
{
	struct token_request q = {
	    .who = "the impersonation", .url = url, .body = "{\"scope\":[\"" GCS_SCOPE "\"],\"lifetime\":\"3600s\"}"};
	_cleanup_token_reply_ struct token_reply reply = {0};
	_cleanup_(wipe_strbuf) struct strbuf headers = STRBUF_INIT;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error ignored = ERROR_INIT;
	struct granted granted;
	int r;

	strbuf_addf(&headers, "content-type: application/json\nauthorization: Bearer %s\n", c->token);
	if (headers.failed)
		return -ENOMEM;
	q.headers = strbuf_str(&headers);
	r = token_send(f->client, &q, &reply, err);
	if (r < 0 || reply.status != 200)
		return r < 0 ? r : token_refused(&q, &reply, err);
	if (json_parse(strbuf_str(&reply.body), reply.body.len, "answer", &granted_table, &arena, &granted, &ignored) <
		0 ||
	    token_until(granted.expires, &c->lifetime_ns) < 0)
		return error_set(err, EINVAL, "the impersonation gave no token that can be read");
	credentials_wipe(&c->token);
	r = credentials_copy(granted.token, "the token of the impersonation", &c->token, err);
	if (granted.token)
		explicit_bzero((char *)granted.token, strlen(granted.token));
	return r;
}

int credentials_gcs_external(struct credential_fetch *f, const struct gcs_file *file, struct credentials *ret,
			     struct error *err)
{
	_cleanup_wipe_ char *subject = NULL;
	int r;

	if (!file->audience || !file->subject_token_type)
		return error_set(err, EINVAL, "an external_account without audience or subject_token_type");
	r = subject_token(f, file->subject, &subject, err);
	if (r == 0)
		r = exchange(f, file, subject, ret, err);
	if (r == 0 && file->impersonation_url)
		r = impersonate(f, file->impersonation_url, ret, err);
	return r < 0 ? r : credentials_from(ret, "workload identity %.150s", file->audience);
}
