/* SPDX-License-Identifier: Apache-2.0 */
/* The chain for S3. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hooks/store/credentials_impl.h"

static bool configured_keys(const struct store_config *config)
{
	return config->access_key_id || config->secret_access_key || config->secret_access_key_file;
}

/* A secret by reference, or in clear. */
static int from_config(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	const struct store_config *config = f->config;
	int r;

	if (!configured_keys(config))
		return credentials_tried(f, "the configuration (access_key_id, secret_access_key_file)");
	r = credentials_copy(config->access_key_id, "access_key_id", &ret->id, err);
	if (r < 0)
		return r;
	if (config->secret_access_key_file)
		r = credentials_read_line(config->secret_access_key_file, &ret->secret, err);
	else if (credentials_usable(config->secret_access_key))
		r = credentials_copy(config->secret_access_key, "secret_access_key", &ret->secret, err);
	else
		return error_set(err, EINVAL, "access_key_id without a secret (secret_access_key_file)");
	if (r == 0 && config->session_token_file)
		r = credentials_read_line(config->session_token_file, &ret->token, err);
	return r < 0 ? r : credentials_from(ret, "the configuration (access_key_id)");
}

int credentials_aws_environment(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	const char *id = credentials_env("AWS_ACCESS_KEY_ID"), *secret = credentials_env("AWS_SECRET_ACCESS_KEY");
	const char *token = credentials_env("AWS_SESSION_TOKEN");
	int r;

	if (!id && !secret)
		return credentials_tried(f, "the environment (AWS_ACCESS_KEY_ID)");
	if (!credentials_usable(id) || !credentials_usable(secret) || (token && !credentials_usable(token)))
		return error_set(err, EINVAL,
				 "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must both be set to real values");
	r = credentials_copy(id, "AWS_ACCESS_KEY_ID", &ret->id, err);
	if (r == 0)
		r = credentials_copy(secret, "AWS_SECRET_ACCESS_KEY", &ret->secret, err);
	if (r == 0 && token)
		r = credentials_copy(token, "AWS_SESSION_TOKEN", &ret->token, err);
	return r < 0 ? r : credentials_from(ret, "the environment (AWS_ACCESS_KEY_ID)");
}

static bool configured_web_identity(const struct store_config *config)
{
	return config->credentials.token_file;
}

static bool configured_profile(const struct store_config *config)
{
	const struct credentials_config *c = &config->credentials;

	return c->profile || c->file || c->config_file || c->process;
}

static bool configured_container(const struct store_config *config)
{
	return config->credentials.container_uri;
}

static bool configured_instance(const struct store_config *config)
{
	return config->credentials.metadata_endpoint;
}

const struct credential_provider credentials_chain_s3[] = {
    {"config", configured_keys, from_config},
    {"environment", NULL, credentials_aws_environment},
    {"web-identity", configured_web_identity, credentials_aws_web_identity},
    {"profile", configured_profile, credentials_aws_profile},
    {"container", configured_container, credentials_aws_container},
    {"instance-metadata", configured_instance, credentials_aws_instance},
    {NULL},
};
