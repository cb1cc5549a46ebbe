/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's functions that sign*.c call, loaded with the first call: a start of
 * what the cache holds already hashes nothing (base/dynlib.h).
 */
#include <config.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/dynlib.h"

static struct dynlib lib = DYNLIB_INIT(SONAME_OPENSSL);

int EVP_Digest(const void *data, size_t len, unsigned char *out, unsigned *out_len, const EVP_MD *type, ENGINE *impl)
{
	return DYNLIB_CALL(&lib, EVP_Digest, data, len, out, out_len, type, impl);
}

EVP_MD_CTX *EVP_MD_CTX_new(void)
{
	return DYNLIB_CALL(&lib, EVP_MD_CTX_new);
}

void EVP_MD_CTX_free(EVP_MD_CTX *ctx)
{
	DYNLIB_CALL(&lib, EVP_MD_CTX_free, ctx);
}

int EVP_DigestInit_ex(EVP_MD_CTX *ctx, const EVP_MD *type, ENGINE *impl)
{
	return DYNLIB_CALL(&lib, EVP_DigestInit_ex, ctx, type, impl);
}

int EVP_DigestUpdate(EVP_MD_CTX *ctx, const void *data, size_t len)
{
	return DYNLIB_CALL(&lib, EVP_DigestUpdate, ctx, data, len);
}

int EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *out, unsigned *out_len)
{
	return DYNLIB_CALL(&lib, EVP_DigestFinal_ex, ctx, out, out_len);
}

const EVP_MD *EVP_sha256(void)
{
	return DYNLIB_CALL(&lib, EVP_sha256);
}

unsigned char *HMAC(const EVP_MD *type, const void *key, int key_len, const unsigned char *data, size_t len,
		    unsigned char *out, unsigned *out_len)
{
	return DYNLIB_CALL(&lib, HMAC, type, key, key_len, data, len, out, out_len);
}
