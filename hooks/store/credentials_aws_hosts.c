/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials from beside this machine: of a container (ECS, EKS pod identity) or an instance (EC2, IMDSv2). */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "hooks/store/credentials_impl.h"
#include "oci/json.h"

#define ECS_HOST "http://169.254.170.2"
#define INSTANCE_HOST "http://169.254.169.254"
#define INSTANCE_HOST_IPV6 "http://[fd00:ec2::254]"
#define INSTANCE_PATH "/latest/meta-data/iam/security-credentials/"

struct answer {
	const char *code, *id, *secret, *token, *session_token, *expiration;
};
static const struct json_field answer_fields[] = {
    JSON_FIELD(struct answer, code, "Code", JSON_STR),
    JSON_FIELD(struct answer, id, "AccessKeyId", JSON_STR),
    JSON_FIELD(struct answer, secret, "SecretAccessKey", JSON_STR),
    JSON_FIELD(struct answer, token, "Token", JSON_STR),
    JSON_FIELD(struct answer, session_token, "SessionToken", JSON_STR),
    JSON_FIELD(struct answer, expiration, "Expiration", JSON_STR),
    {NULL},
};
static const struct json_table answer_table = {"answer", sizeof(struct answer), answer_fields, JSON_EMPTY_ABSENT};

static void wipe_text(const char *s)
{
	if (s)
		explicit_bzero((char *)s, strlen(s));
}

static int take(const struct answer *a, const char *who, struct credentials *ret, struct error *err)
{
	const char *token = a->token ? a->token : a->session_token;
	int r;

	if (a->code && strcmp(a->code, "Success") != 0)
		return error_set(err, EACCES, "%s has no credentials: %.60s", who, a->code);
	r = credentials_copy(a->id, "AccessKeyId", &ret->id, err);
	if (r == 0)
		r = credentials_copy(a->secret, "SecretAccessKey", &ret->secret, err);
	if (r == 0 && token)
		r = credentials_copy(token, "Token", &ret->token, err);
	if (r == 0 && a->expiration && token_until(a->expiration, &ret->lifetime_ns) < 0)
		r = error_set(err, EINVAL, "Expiration can't be read");
	return r < 0 ? error_wrap(err, "%s", who) : 0;
}

int credentials_aws_json(const char *text, size_t len, const char *who, struct credentials *ret, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error ignored = ERROR_INIT;
	struct answer a;
	int r;

	/* The parser's words might quote what it read. */
	if (json_parse(text, len, "answer", &answer_table, &arena, &a, &ignored) < 0)
		return error_set(err, EINVAL, "%s gave no credentials that can be read", who);
	r = take(&a, who, ret, err);
	wipe_text(a.secret);
	wipe_text(a.token);
	wipe_text(a.session_token);
	return r;
}

/* --- containers ----------------------------------------------------------------------- */

/* Without TLS a token goes to this machine and to the link-local addresses of ECS and EKS alone. */
static bool may_be_asked(const char *uri)
{
	static const char *const known[] = {"169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "localhost", "[::1]"};
	size_t n;

	if (!strncasecmp(uri, "https://", 8))
		return true;
	if (strncasecmp(uri, "http://", 7) != 0)
		return false;
	uri += 7;
	n = strcspn(uri, "/?#");
	if (memchr(uri, '@', n))
		return false;
	n = uri[0] == '[' ? strcspn(uri, "]") + 1 : strcspn(uri, ":/?#");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i]) == n && !strncasecmp(uri, known[i], n))
			return true;
	if (n < 16 && !strncmp(uri, "127.", 4)) {
		char address[16];
		struct in_addr in;

		memcpy(address, uri, n);
		address[n] = '\0';
		return inet_pton(AF_INET, address, &in) == 1;
	}
	return false;
}

static int container_uri(const struct credential_fetch *f, struct strbuf *out)
{
	const char *relative = credentials_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = credentials_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");

	if (f->config->credentials.container_uri)
		strbuf_adds(out, f->config->credentials.container_uri);
	else if (relative)
		strbuf_addf(out, ECS_HOST "%s%s", relative[0] == '/' ? "" : "/", relative);
	else if (full)
		strbuf_adds(out, full);
	else
		return -ENOENT;
	return out->failed ? -ENOMEM : 0;
}

static int container_headers(const struct credential_fetch *f, struct strbuf *out, struct error *err)
{
	const char *path = f->config->credentials.container_token_file, *value;
	_cleanup_wipe_ char *token = NULL;
	int r = 0;

	if (!path)
		path = credentials_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	value = path ? NULL : credentials_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	if (path)
		r = credentials_read_file(path, "the container's token file", &token, err);
	if (r < 0)
		return error_set(err, EINVAL, "%s", (const char *)strdupa(err->msg));
	if (token) {
		token[strcspn(token, "\r\n")] = '\0';
		value = token;
	}
	/* It may hold a blank ("Basic ..."), but no end of line. */
	for (const char *p = value; p && *p; p++)
		if (*p < 0x20 || *p >= 0x7f)
			return error_set(err, EINVAL, "the container's authorization token can't stand in a header");
	if (value)
		strbuf_addf(out, "authorization: %s\n", value);
	return out->failed ? -ENOMEM : 0;
}

static void wipe_strbuf(struct strbuf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->len);
	strbuf_free(b);
}

int credentials_aws_container(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	_cleanup_strbuf_ struct strbuf uri = STRBUF_INIT;
	_cleanup_(wipe_strbuf) struct strbuf headers = STRBUF_INIT;
	_cleanup_token_reply_ struct token_reply reply = {0};
	struct token_request q = {.who = "the container's credentials", .local = true};
	int r = container_uri(f, &uri);

	if (r == -ENOENT)
		return credentials_tried(f, "the container (AWS_CONTAINER_CREDENTIALS_*)");
	if (r < 0)
		return r;
	q.url = strbuf_str(&uri);
	if (!may_be_asked(q.url))
		return error_set(
		    err, EINVAL,
		    "the container's credentials: %.200s is neither https, nor this machine, nor an address of "
		    "ECS or EKS",
		    q.url);
	if (!f->client)
		return -EAGAIN;
	r = container_headers(f, &headers, err);
	if (r < 0)
		return r;
	q.headers = strbuf_str(&headers);
	r = token_send(f->client, &q, &reply, err);
	if (r == 0 && reply.status != 200)
		r = token_refused(&q, &reply, err);
	if (r == 0)
		r = credentials_aws_json(strbuf_str(&reply.body), reply.body.len, q.who, ret, err);
	return r < 0 ? r
		     : credentials_from(ret, "the container's credentials at %.*s", (int)strcspn(q.url, "?"), q.url);
}

/* --- instances ------------------------------------------------------------------------ */

static int instance_get(struct credential_fetch *f, const char *base, const char *session, const char *path,
			struct token_reply *ret, struct error *err)
{
	_cleanup_strbuf_ struct strbuf url = STRBUF_INIT, headers = STRBUF_INIT;
	struct token_request q = {.who = "instance metadata", .local = true};
	int r;

	strbuf_addf(&url, "%s%s", base, path);
	strbuf_addf(&headers, "x-aws-ec2-metadata-token: %s\n", session);
	if (url.failed || headers.failed)
		return -ENOMEM;
	q.url = strbuf_str(&url);
	q.headers = strbuf_str(&headers);
	r = token_send(f->client, &q, ret, err);
	return r == 0 && ret->status != 200 ? token_refused(&q, ret, err) : r;
}

/* IMDSv2: a session first. Nobody there is no error: this is no such machine. */
static int instance_session(struct credential_fetch *f, const char *base, char **ret, struct error *err)
{
	_cleanup_strbuf_ struct strbuf url = STRBUF_INIT;
	_cleanup_token_reply_ struct token_reply reply = {0};
	struct token_request q = {.who = "instance metadata",
				  .method = "PUT",
				  .headers = "x-aws-ec2-metadata-token-ttl-seconds: 21600\n",
				  .body = "",
				  .local = true};
	struct error why = ERROR_INIT;
	int r;

	strbuf_addf(&url, "%s/latest/api/token", base);
	if (url.failed)
		return -ENOMEM;
	q.url = strbuf_str(&url);
	r = token_send(f->client, &q, &reply, &why);
	if (r == -ENETUNREACH)
		return credentials_tried(f, "%s", why.msg);
	if (r < 0) {
		*err = why;
		return r;
	}
	if (reply.status != 200)
		return token_refused(&q, &reply, err);
	return credentials_copy(strbuf_str(&reply.body), "the session of instance metadata", ret, err);
}

/* The role's name: the first line. */
static int instance_role(struct credential_fetch *f, const char *base, const char *session, char **ret,
			 struct error *err)
{
	_cleanup_token_reply_ struct token_reply reply = {0};
	int r = instance_get(f, base, session, INSTANCE_PATH, &reply, err);
	_cleanup_free_ char *name = NULL;

	if (r == -EACCES && reply.status == 404)
		return credentials_tried(f, "instance metadata (this instance has no role)");
	if (r < 0)
		return r;
	name = strndup(strbuf_str(&reply.body), strcspn(strbuf_str(&reply.body), "\r\n"));
	if (!name)
		return -ENOMEM;
	if (!credentials_usable(name) || strpbrk(name, "/?#%"))
		return error_set(err, EINVAL, "instance metadata names a role that can't be one");
	*ret = TAKE_PTR(name);
	return 0;
}

static const char *instance_base(const struct credential_fetch *f, char ret[256])
{
	const char *given = f->config->credentials.metadata_endpoint;
	const char *mode = credentials_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
	size_t n;

	if (!given)
		given = credentials_env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	if (!given)
		given = mode && !strcasecmp(mode, "IPv6") ? INSTANCE_HOST_IPV6 : INSTANCE_HOST;
	n = strlen(given);
	while (n > 0 && given[n - 1] == '/')
		n--;
	snprintf(ret, 256, "%.*s", (int)n, given);
	return ret;
}

int credentials_aws_instance(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	_cleanup_wipe_ char *session = NULL;
	_cleanup_free_ char *role = NULL;
	_cleanup_strbuf_ struct strbuf path = STRBUF_INIT;
	_cleanup_token_reply_ struct token_reply reply = {0};
	const char *off = credentials_env("AWS_EC2_METADATA_DISABLED");
	char base[256];
	int r;

	if (off && !strcasecmp(off, "true"))
		return credentials_tried(f, "instance metadata (off by AWS_EC2_METADATA_DISABLED)");
	if (!f->client)
		return -EAGAIN;
	r = instance_session(f, instance_base(f, base), &session, err);
	if (r == 0)
		r = instance_role(f, base, session, &role, err);
	if (r < 0)
		return r;
	strbuf_addf(&path, INSTANCE_PATH "%s", role);
	if (path.failed)
		return -ENOMEM;
	r = instance_get(f, base, session, strbuf_str(&path), &reply, err);
	if (r == 0)
		r = credentials_aws_json(strbuf_str(&reply.body), reply.body.len, "instance metadata", ret, err);
	return r < 0 ? r : credentials_from(ret, "instance metadata at %.100s, role %.100s", base, role);
}
