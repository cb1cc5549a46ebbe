/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LETTERS_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

bool endpoint_is_address(const char *host)
{
	char name[64];
	size_t n = strcspn(host, ":");
	struct in_addr a;

	if (host[0] == '[')
		return true;
	if (n >= sizeof(name))
		return false;
	memcpy(name, host, n);
	name[n] = '\0';
	return inet_pton(AF_INET, name, &a) == 1 || !strcasecmp(name, "localhost");
}

static int split_path(const char *text, char ret_path[ENDPOINT_HOST_MAX])
{
	size_t n = strlen(text);

	while (n > 0 && text[n - 1] == '/')
		n--;
	if (n == 0 && !ret_path)
		return 0;
	if (!ret_path || n >= ENDPOINT_HOST_MAX || strspn(text, LETTERS_DIGITS "-._~/") < n)
		return -EINVAL;
	memcpy(ret_path, text, n);
	ret_path[n] = '\0';
	return 0;
}

int endpoint_split(const char *text, bool *ret_tls, char host[ENDPOINT_HOST_MAX], char ret_path[ENDPOINT_HOST_MAX])
{
	bool tls = !strncasecmp(text, "https://", 8);
	size_t n;

	if (!tls && strncasecmp(text, "http://", 7) != 0)
		return -EINVAL;
	text += tls ? 8 : 7;
	n = strcspn(text, "/");
	if (n == 0 || n >= ENDPOINT_HOST_MAX || split_path(text + n, ret_path) < 0)
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	if (strspn(host, LETTERS_DIGITS "-.:[]_") != n)
		return -EINVAL;
	if (n > 4 && tls && !strcmp(host + n - 4, ":443"))
		host[n - 4] = '\0';
	if (n > 3 && !tls && !strcmp(host + n - 3, ":80"))
		host[n - 3] = '\0';
	*ret_tls = tls;
	return 0;
}

int endpoint_prefix(const char *text, char **ret)
{
	size_t n;

	if (!text)
		text = "";
	text += strspn(text, "/");
	n = strlen(text);
	while (n > 0 && text[n - 1] == '/')
		n--;
	return asprintf(ret, "%.*s%s", (int)n, text, n > 0 ? "/" : "") < 0 ? -ENOMEM : 0;
}
