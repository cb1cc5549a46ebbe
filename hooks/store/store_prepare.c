/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <string.h>

#include "hooks/config.h"
#include "hooks/store/http.h"
#include "hooks/store/sign.h"
#include "hooks/store/store.h"

/* libcurl, and OpenSSL's hashes, which look for themselves at their first use. */
static void *prepare(void *arg)
{
	unsigned char hash[SHA256_LEN];
	char hex[SHA256_HEX_MAX];

	http_prepare();
	sha256_hex("", 0, hex);
	hmac_sha256("", 0, "", 0, hash);
	return arg;
}

static pthread_t thread;
static bool begun;

void store_prepare(const struct store_config *config)
{
	if (!begun && config && config->type && strcmp(config->type, "filesystem") != 0)
		begun = pthread_create(&thread, NULL, prepare, NULL) == 0;
}

void store_prepare_end(void)
{
	if (begun)
		pthread_join(thread, NULL);
	begun = false;
}
