/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/store/azure.h"
#include "hooks/store/azure_connection.h"
#include "hooks/store/endpoint.h"

#define NAME_MAX_CHARACTERS 1024

void azure_endpoint_free(struct azure_endpoint *e)
{
	free(e->account);
	free(e->container);
	free(e->host);
	free(e->base);
	free(e->prefix);
	free(e->url);
	memset(e, 0, sizeof(*e));
}

static bool container_valid(const char *c)
{
	size_t n = strlen(c);

	if (!strcmp(c, "$root") || !strcmp(c, "$web"))
		return true;
	return n >= 3 && n <= 63 && strspn(c, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && !strstr(c, "--") &&
	       c[0] != '-' && c[n - 1] != '-';
}

static bool account_valid(const char *a)
{
	size_t n = strlen(a);

	/* Azure's own have 3 to 24 letters and digits; emulators take others. */
	return n > 0 && n <= 63 && strspn(a, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

/* Given, or of the address: its path's part at an emulator, else its host's first label. */
static const char *account_of(const struct store_config *config, const struct azure_connection *c, const char *host,
			      const char *path, struct arena *arena)
{
	const char *given = config->account ? config->account : c->account;

	if (!given)
		given = secure_getenv("AZURE_STORAGE_ACCOUNT");
	if (given && given[0])
		return given;
	if (path[0])
		return path + 1;
	return endpoint_is_address(host) ? "" : arena_strndup(arena, host, strcspn(host, ".:"));
}

static int fill(const struct store_config *config, const char *account, const char *host, const char *path, bool tls,
		struct azure_endpoint *e)
{
	bool add = !path[0] && endpoint_is_address(host) && account[0];

	e->tls = tls;
	e->account = strdup(account);
	e->container = strdup(config->container);
	e->host = strdup(host);
	if (asprintf(&e->base, "%s%s%s", path, add ? "/" : "", add ? account : "") < 0)
		e->base = NULL;
	if (asprintf(&e->url, "%s://%s", tls ? "https" : "http", host) < 0)
		e->url = NULL;
	if (endpoint_prefix(config->prefix, &e->prefix) < 0)
		e->prefix = NULL;
	return e->account && e->container && e->host && e->base && e->url && e->prefix ? 0 : -ENOMEM;
}

int azure_endpoint_init(const struct store_config *config, struct azure_endpoint *ret, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	char host[ENDPOINT_HOST_MAX], path[ENDPOINT_HOST_MAX];
	struct azure_connection c;
	struct azure_endpoint e = {0};
	const char *url, *account;
	bool tls;
	int r;

	if (!config->container || !container_valid(config->container))
		return error_set(err, EINVAL, "store \"%s\": container is missing or no container's name",
				 config->name);
	r = azure_connection_of(config, &arena, &c, err);
	if (r < 0)
		return error_wrap(err, "store \"%s\"", config->name);
	url = config->endpoint ? config->endpoint : c.blob_endpoint;
	account = config->account ? config->account : secure_getenv("AZURE_STORAGE_ACCOUNT");
	if (!url && account && account_valid(account))
		url = arena_printf(&arena, "https://%s.blob.core.windows.net", account);
	if (!url)
		return error_set(err, EINVAL, "store \"%s\": account is missing", config->name);
	if (endpoint_split(url, &tls, host, path) < 0)
		return error_set(err, EINVAL, "store \"%s\": endpoint must be http(s)://host[:port][/account]",
				 config->name);
	account = account_of(config, &c, host, path, &arena);
	if (!account || (account[0] && !account_valid(account)))
		return error_set(err, EINVAL, "store \"%s\": account is no account's name", config->name);
	r = fill(config, account, host, path, tls, &e);
	if (r < 0) {
		azure_endpoint_free(&e);
		return error_set(err, ENOMEM, "store \"%s\": out of memory", config->name);
	}
	*ret = e;
	return 0;
}

/* Characters as Azure counts them, in UTF-16. */
static size_t count(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) == 0x80 ? 0 : ((unsigned char)*s >= 0xf0 ? 2 : 1);
	return n;
}

bool azure_name_valid(const char *prefix, const char *key)
{
	if (count(prefix) + count(key) > NAME_MAX_CHARACTERS)
		return false;
	for (const char *p = key; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < 0x20 || c == 0x7f || c == '\\')
			return false;
		if (c == '.' && (p[1] == '/' || !p[1]))
			return false;
		/* U+FFFE and U+FFFF can't stand in XML. */
		if (c == 0xef && (unsigned char)p[1] == 0xbf && (unsigned char)p[2] >= 0xbe)
			return false;
	}
	return true;
}
