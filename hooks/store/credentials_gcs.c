/* SPDX-License-Identifier: Apache-2.0 */
/* The chain for Google Cloud Storage. The file's kinds are in credentials_gcs_file.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "hooks/store/credentials_gcs.h"

#define METADATA_HOST "metadata.google.internal"
#define METADATA_PATH "/computeMetadata/v1/instance/service-accounts/default/token"

static bool configured_file(const struct store_config *config)
{
	return config->credentials.file;
}

static int from_config(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	const char *path = f->config->credentials.file;

	return path ? credentials_gcs_file(f, path, ret, err)
		    : credentials_tried(f, "the configuration (credentials.file)");
}

static int from_environment(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	const char *path = credentials_env("GOOGLE_APPLICATION_CREDENTIALS");

	return path ? credentials_gcs_file(f, path, ret, err)
		    : credentials_tried(f, "the environment (GOOGLE_APPLICATION_CREDENTIALS)");
}

/* What `gcloud auth application-default login` leaves. */
static int from_gcloud(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	const char *dir = credentials_env("CLOUDSDK_CONFIG"), *home = credentials_env("HOME");
	_cleanup_free_ char *path = NULL;

	if (!dir && !home)
		return credentials_tried(f, "gcloud's application default file (HOME is not set)");
	if (asprintf(&path, "%s%s/application_default_credentials.json", dir ? dir : home,
		     dir ? "" : "/.config/gcloud") < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (access(path, F_OK) < 0)
		return credentials_tried(f, "gcloud's application default file (%s)", path);
	return credentials_gcs_file(f, path, ret, err);
}

static bool configured_metadata(const struct store_config *config)
{
	return config->credentials.metadata_endpoint;
}

/* On Compute Engine, GKE (workload identity), Cloud Run. Nobody there: this is no such machine. */
static int from_metadata(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	const char *given = f->config->credentials.metadata_endpoint, *host = credentials_env("GCE_METADATA_HOST");
	struct token_request q = {.who = "the metadata server", .headers = "metadata-flavor: Google\n", .local = true};
	_cleanup_strbuf_ struct strbuf url = STRBUF_INIT;
	_cleanup_token_reply_ struct token_reply reply = {0};
	struct token_answer answer;
	struct error why = ERROR_INIT;
	size_t n = given ? strlen(given) : 0;
	int r;

	if (!f->client)
		return -EAGAIN;
	while (n > 0 && given[n - 1] == '/')
		n--;
	if (given)
		strbuf_addf(&url, "%.*s" METADATA_PATH, (int)n, given);
	else
		strbuf_addf(&url, "http://%s" METADATA_PATH, host ? host : METADATA_HOST);
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
	r = token_read(&q, &reply, &answer, err);
	if (r < 0)
		return r;
	*ret = (struct credentials){
	    .kind = CREDENTIALS_BEARER, .token = answer.access_token, .lifetime_ns = answer.lifetime_ns};
	return credentials_from(ret, "the metadata server at %.*s", (int)strcspn(q.url + 7, "/"), q.url + 7);
}

const struct credential_provider credentials_chain_gcs[] = {
    {"config", configured_file, from_config},
    {"environment", NULL, from_environment},
    {"gcloud", NULL, from_gcloud},
    {"instance-metadata", configured_metadata, from_metadata},
    {NULL},
};
