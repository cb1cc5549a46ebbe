/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

#define SECRET_MAX 8192

/* Also what goes into a header must not end it. */
static bool usable(const char *s)
{
	if (!s || !s[0])
		return false;
	for (; *s; s++)
		if (*s <= 0x20 || *s >= 0x7f)
			return false;
	return true;
}

/* The first line of a file, without blanks at its end. */
static int read_secret(const struct store_config *config, const char *path, char **ret, struct error *err)
{
	char *text = NULL;
	int r = read_file_at(AT_FDCWD, path, SECRET_MAX, &text, NULL);

	if (r < 0)
		return error_set(err, EINVAL, "store \"%s\": the credentials' file %s can't be read (%s)", config->name,
				 path,
				 r == -ENOENT	? "it is missing"
				 : r == -EACCES ? "this user may not"
						: "input/output failed");
	text[strcspn(text, "\r\n \t")] = '\0';
	if (!usable(text)) {
		explicit_bzero(text, strlen(text));
		free(text);
		return error_set(err, EINVAL, "store \"%s\": the credentials' file %s holds none", config->name, path);
	}
	*ret = text;
	return 0;
}

static int copy(const char *text, char **ret)
{
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

/* From the configuration: a secret by reference, or in clear. -ENOENT: it names none. */
static int from_config(const struct store_config *config, struct credentials *ret, struct error *err)
{
	int r;

	if (!config->access_key_id && !config->secret_access_key && !config->secret_access_key_file)
		return -ENOENT;
	if (!usable(config->access_key_id))
		return error_set(err, EINVAL, "store \"%s\": access_key_id is missing or can't be one", config->name);
	if (config->secret_access_key_file)
		r = read_secret(config, config->secret_access_key_file, &ret->secret_access_key, err);
	else if (usable(config->secret_access_key))
		r = copy(config->secret_access_key, &ret->secret_access_key);
	else
		return error_set(err, EINVAL, "store \"%s\": access_key_id without a secret (secret_access_key_file)",
				 config->name);
	if (r == 0 && config->session_token_file)
		r = read_secret(config, config->session_token_file, &ret->session_token, err);
	return r < 0 ? r : copy(config->access_key_id, &ret->access_key_id);
}

static int from_environment(const struct store_config *config, struct credentials *ret, struct error *err)
{
	const char *id = secure_getenv("AWS_ACCESS_KEY_ID"), *secret = secure_getenv("AWS_SECRET_ACCESS_KEY");
	const char *token = secure_getenv("AWS_SESSION_TOKEN");
	int r;

	if ((!id || !id[0]) && (!secret || !secret[0]))
		return -ENOENT;
	if (!usable(id) || !usable(secret) || (token && token[0] && !usable(token)))
		return error_set(
		    err, EINVAL,
		    "store \"%s\": AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must both be set to real values",
		    config->name);
	r = copy(id, &ret->access_key_id);
	if (r == 0)
		r = copy(secret, &ret->secret_access_key);
	if (r == 0 && token && token[0])
		r = copy(token, &ret->session_token);
	return r;
}

/* In this order; the first that does not say -ENOENT decides. */
static int (*const providers[])(const struct store_config *config, struct credentials *ret, struct error *err) = {
    from_config,
    from_environment,
};

int credentials_load(const struct store_config *config, struct credentials *ret, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(providers); i++) {
		struct credentials c = {NULL, NULL, NULL};
		int r = providers[i](config, &c, err);

		if (r == 0) {
			*ret = c;
			return 0;
		}
		credentials_free(&c);
		if (r == -ENOMEM)
			return error_set(err, ENOMEM, "store \"%s\": out of memory", config->name);
		if (r != -ENOENT)
			return r;
	}
	return error_set(
	    err, ENOENT,
	    "store \"%s\": no credentials: neither the configuration (access_key_id, secret_access_key_file) nor "
	    "the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) has any",
	    config->name);
}

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void credentials_free(struct credentials *c)
{
	wipe(&c->access_key_id);
	wipe(&c->secret_access_key);
	wipe(&c->session_token);
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool credentials_equal(const struct credentials *a, const struct credentials *b)
{
	return same(a->access_key_id, b->access_key_id) && same(a->secret_access_key, b->secret_access_key) &&
	       same(a->session_token, b->session_token);
}
