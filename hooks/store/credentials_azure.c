/* SPDX-License-Identifier: Apache-2.0 */
/* The chain for Azure: an account's key or a signature, else a token from Entra ID. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/store/azure_connection.h"
#include "hooks/store/credentials_impl.h"

#define AUTHORITY "https://login.microsoftonline.com"
#define SCOPE "https://storage.azure.com/.default"
#define RESOURCE "https%3A%2F%2Fstorage.azure.com%2F"
#define METADATA "http://169.254.169.254"

static void wipe_strbuf(struct strbuf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->len);
	strbuf_free(b);
}

/* --- keys and signatures ---------------------------------------------------------------- */

static int take_key(const char *text, const char *where, struct credentials *ret, struct error *err)
{
	ret->kind = CREDENTIALS_SHARED_KEY;
	return credentials_copy(text, "the account's key", &ret->secret, err) < 0 ? -err->code
										  : credentials_from(ret, "%s", where);
}

static int take_sas(const char *text, const char *where, struct credentials *ret, struct error *err)
{
	int r;

	ret->kind = CREDENTIALS_SAS;
	r = credentials_copy(text + (text[0] == '?'), "the shared access signature", &ret->token, err);
	if (r == 0 && !strstr(ret->token, "sig="))
		r = error_set(err, EINVAL, "the shared access signature has no sig=");
	return r < 0 ? r : credentials_from(ret, "%s", where);
}

static bool configured_keys(const struct store_config *c)
{
	return c->account_key || c->account_key_file || c->sas_token || c->sas_token_file || c->connection_string ||
	       c->connection_string_file;
}

static int from_connection(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct azure_connection c;
	int r = azure_connection_of(f->config, &arena, &c, err);

	if (r < 0)
		return r;
	r = c.key   ? take_key(c.key, "the connection string", ret, err)
	    : c.sas ? take_sas(c.sas, "the connection string", ret, err)
		    : -ENOENT;
	return r;
}

static int from_config(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	const struct store_config *c = f->config;
	_cleanup_wipe_ char *text = NULL;
	int r = 0;

	if (!configured_keys(c))
		return credentials_tried(
		    f, "the configuration (account_key_file, sas_token_file, connection_string_file)");
	if (c->connection_string || c->connection_string_file)
		return from_connection(f, ret, err);
	if (c->account_key_file || c->sas_token_file)
		r = credentials_read_line(c->account_key_file ? c->account_key_file : c->sas_token_file, &text, err);
	if (r < 0)
		return r;
	if (c->account_key_file || c->account_key)
		return take_key(text ? text : c->account_key, "the configuration (account_key)", ret, err);
	return take_sas(text ? text : c->sas_token, "the configuration (sas_token)", ret, err);
}

/* --- Entra ID --------------------------------------------------------------------------- */

struct client {
	const char *tenant, *id;
};

/* "Tenant or client" of the configuration, else of the environment. NULL: not set, or nothing that can be one. */
static const char *identifier(const char *given, const char *variable)
{
	const char *v = given ? given : credentials_env(variable);

	return v && strspn(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == strlen(v) ? v
														: NULL;
}

static struct client client_of(const struct store_config *c)
{
	return (struct client){identifier(c->credentials.tenant_id, "AZURE_TENANT_ID"),
			       identifier(c->credentials.client_id, "AZURE_CLIENT_ID")};
}

static int take_token(const struct token_request *q, const struct token_reply *reply, struct credentials *ret,
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

/* OAuth 2.0 client credentials, with a secret or a signed assertion. */
static int ask_entra(struct credential_fetch *f, const struct client *client, const char *secret, const char *assertion,
		     struct credentials *ret, struct error *err)
{
	const char *authority = f->config->credentials.token_endpoint;
	struct token_request q = {.who = "Entra ID", .headers = "content-type: application/x-www-form-urlencoded\n"};
	_cleanup_(wipe_strbuf) struct strbuf body = STRBUF_INIT;
	_cleanup_strbuf_ struct strbuf url = STRBUF_INIT;
	_cleanup_token_reply_ struct token_reply reply = {0};
	size_t n;
	int r;

	if (!authority)
		authority = credentials_env("AZURE_AUTHORITY_HOST");
	if (!authority)
		authority = AUTHORITY;
	n = strlen(authority);
	while (n > 0 && authority[n - 1] == '/')
		n--;
	strbuf_addf(&url, "%s%.*s/%s/oauth2/v2.0/token", strstr(authority, "://") ? "" : "https://", (int)n, authority,
		    client->tenant);
	token_form(&body, "grant_type", "client_credentials");
	token_form(&body, "client_id", client->id);
	token_form(&body, "scope", SCOPE);
	if (assertion) {
		token_form(&body, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
		token_form(&body, "client_assertion", assertion);
	} else {
		token_form(&body, "client_secret", secret);
	}
	if (url.failed || body.failed)
		return -ENOMEM;
	q.url = strbuf_str(&url);
	q.body = strbuf_str(&body);
	r = token_send(f->client, &q, &reply, err);
	return r < 0 ? r : take_token(&q, &reply, ret, err);
}

static int by_secret(struct credential_fetch *f, const char *secret, struct credentials *ret, struct error *err)
{
	struct client client = client_of(f->config);
	int r;

	if (!client.tenant || !client.id || !credentials_usable(secret))
		return error_set(err, EINVAL,
				 "a client secret needs AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (or "
				 "credentials.tenant_id, client_id and client_secret_file)");
	if (!f->client)
		return -EAGAIN;
	r = ask_entra(f, &client, secret, NULL, ret, err);
	return r < 0 ? r : credentials_from(ret, "Entra ID, client %.80s by its secret", client.id);
}

static bool configured_secret(const struct store_config *c)
{
	return c->credentials.client_secret_file;
}

static int from_secret_file(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	_cleanup_wipe_ char *secret = NULL;
	int r = credentials_read_line(f->config->credentials.client_secret_file, &secret, err);

	return r < 0 ? r : by_secret(f, secret, ret, err);
}

static int from_environment(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	const char *key = credentials_env("AZURE_STORAGE_KEY"), *sas = credentials_env("AZURE_STORAGE_SAS_TOKEN");
	const char *secret = credentials_env("AZURE_CLIENT_SECRET");
	int r;

	if (f->config->credentials.client_secret_file)
		return from_secret_file(f, ret, err);
	r = from_connection(f, ret, err);
	if (r != -ENOENT)
		return r;
	if (key)
		return take_key(key, "the environment (AZURE_STORAGE_KEY)", ret, err);
	if (sas)
		return take_sas(sas, "the environment (AZURE_STORAGE_SAS_TOKEN)", ret, err);
	if (secret)
		return by_secret(f, secret, ret, err);
	return credentials_tried(f, "the environment (AZURE_CLIENT_SECRET)");
}

static bool configured_federation(const struct store_config *c)
{
	return c->credentials.token_file;
}

static int from_federation(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	const char *path = f->config->credentials.token_file;
	struct client client = client_of(f->config);
	_cleanup_wipe_ char *assertion = NULL;
	int r;

	if (!path)
		path = credentials_env("AZURE_FEDERATED_TOKEN_FILE");
	if (!path)
		return credentials_tried(f, "workload identity (AZURE_FEDERATED_TOKEN_FILE)");
	if (!client.tenant || !client.id)
		return error_set(err, EINVAL,
				 "workload identity needs AZURE_TENANT_ID and AZURE_CLIENT_ID (credentials.tenant_id, "
				 "client_id)");
	if (!f->client)
		return -EAGAIN;
	r = credentials_read_line(path, &assertion, err);
	if (r == 0)
		r = ask_entra(f, &client, NULL, assertion, ret, err);
	return r < 0 ? r : credentials_from(ret, "workload identity, client %.80s", client.id);
}

/* --- managed identity --------------------------------------------------------------------- */

static bool configured_metadata(const struct store_config *c)
{
	return c->credentials.metadata_endpoint;
}

static void add_client(struct strbuf *url, const char *id)
{
	if (id)
		strbuf_addf(url, "&client_id=%s", id);
}

/* App Service, Functions, Container Apps: an address and a header in the environment. */
static bool app_service(const struct credential_fetch *f, const char *id, struct strbuf *url, struct strbuf *headers)
{
	const char *endpoint = credentials_env("IDENTITY_ENDPOINT"), *header = credentials_env("IDENTITY_HEADER");

	if (f->config->credentials.metadata_endpoint || !endpoint || !header || !credentials_usable(header))
		return false;
	strbuf_addf(url, "%s?api-version=2019-08-01&resource=%s", endpoint, RESOURCE);
	add_client(url, id);
	strbuf_addf(headers, "x-identity-header: %s\n", header);
	return true;
}

static void instance(const struct credential_fetch *f, const char *id, struct strbuf *url, struct strbuf *headers)
{
	const char *base = f->config->credentials.metadata_endpoint;
	size_t n;

	if (!base)
		base = credentials_env("AZURE_POD_IDENTITY_AUTHORITY_HOST");
	if (!base)
		base = METADATA;
	n = strlen(base);
	while (n > 0 && base[n - 1] == '/')
		n--;
	strbuf_addf(url, "%.*s/metadata/identity/oauth2/token?api-version=2018-02-01&resource=%s", (int)n, base,
		    RESOURCE);
	add_client(url, id);
	strbuf_adds(headers, "metadata: true\n");
}

/*
 * A machine of one's own under Azure Arc: its agent first names a file that only root and the agent's group read, and
 * answers who shows that this could be read.
 */
#define ARC_TOKENS "/var/opt/azcmagent/tokens/"
#define ARC_CHALLENGE "Basic realm="

static int arc_proof(const struct token_reply *reply, struct strbuf *headers, struct error *err)
{
	const char *path = reply->challenge + strlen(ARC_CHALLENGE);
	_cleanup_wipe_ char *proof = NULL;
	size_t n;
	int r;

	if (reply->status != 401 || strncmp(reply->challenge, ARC_CHALLENGE, strlen(ARC_CHALLENGE)) != 0)
		return error_set(err, EACCES, "Azure Arc's agent did not say how to ask (status %d)", reply->status);
	n = strlen(path);
	if (strncmp(path, ARC_TOKENS, strlen(ARC_TOKENS)) != 0 || strchr(path + strlen(ARC_TOKENS), '/') || n < 5 ||
	    strcmp(path + n - 4, ".key") != 0)
		return error_set(err, EACCES, "Azure Arc's agent names a file that is none of its own");
	r = credentials_read_line(path, &proof, err);
	if (r == 0)
		strbuf_addf(headers, "authorization: Basic %s\n", proof);
	return r;
}

static int from_arc(struct credential_fetch *f, const char *endpoint, const char *id, struct credentials *ret,
		    struct error *err)
{
	struct token_request q = {.who = "Azure Arc's agent", .headers = "metadata: true\n", .local = true};
	_cleanup_(wipe_strbuf) struct strbuf headers = STRBUF_INIT;
	_cleanup_strbuf_ struct strbuf url = STRBUF_INIT;
	_cleanup_token_reply_ struct token_reply first = {0}, second = {0};
	int r;

	strbuf_addf(&url, "%s?api-version=2020-06-01&resource=%s", endpoint, RESOURCE);
	add_client(&url, id);
	if (url.failed)
		return -ENOMEM;
	q.url = strbuf_str(&url);
	r = token_send(f->client, &q, &first, err);
	strbuf_adds(&headers, q.headers);
	if (r == 0)
		r = arc_proof(&first, &headers, err);
	if (r == 0 && headers.failed)
		r = -ENOMEM;
	if (r < 0)
		return r;
	q.headers = strbuf_str(&headers);
	r = token_send(f->client, &q, &second, err);
	if (r == 0)
		r = take_token(&q, &second, ret, err);
	return r < 0 ? r : credentials_from(ret, "Azure Arc's agent at %.150s", endpoint);
}

static int from_managed_identity(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	const char *id = identifier(f->config->credentials.client_id, "AZURE_CLIENT_ID");
	const char *arc = credentials_env("IDENTITY_ENDPOINT");
	struct token_request q = {.who = "the managed identity's endpoint", .local = true};
	_cleanup_(wipe_strbuf) struct strbuf headers = STRBUF_INIT;
	_cleanup_strbuf_ struct strbuf url = STRBUF_INIT;
	_cleanup_token_reply_ struct token_reply reply = {0};
	struct error why = ERROR_INIT;
	int r;

	if (!f->client)
		return -EAGAIN;
	if (!f->config->credentials.metadata_endpoint && arc && credentials_env("IMDS_ENDPOINT") &&
	    !credentials_env("IDENTITY_HEADER"))
		return from_arc(f, arc, id, ret, err);
	if (!app_service(f, id, &url, &headers))
		instance(f, id, &url, &headers);
	if (url.failed || headers.failed)
		return -ENOMEM;
	q.url = strbuf_str(&url);
	q.headers = strbuf_str(&headers);
	r = token_send(f->client, &q, &reply, &why);
	if (r == -ENETUNREACH)
		return credentials_tried(f, "%s", why.msg);
	if (r == 0)
		r = take_token(&q, &reply, ret, err);
	else
		*err = why;
	return r < 0 ? r
		     : credentials_from(ret, "the managed identity%s%.80s at %.*s", id ? " " : "", id ? id : "",
					(int)strcspn(q.url, "?"), q.url);
}

const struct credential_provider credentials_chain_azure[] = {
    {"config", configured_keys, from_config},
    {"environment", configured_secret, from_environment},
    {"workload-identity", configured_federation, from_federation},
    {"managed-identity", configured_metadata, from_managed_identity},
    {NULL},
};
