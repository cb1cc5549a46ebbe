/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's functions that sign*.c call, loaded with the first call: a start of
 * what the cache holds already hashes nothing (base/dynlib.h).
 */
#include <config.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

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

const EVP_MD *EVP_sha1(void)
{
	return DYNLIB_CALL(&lib, EVP_sha1);
}

unsigned char *HMAC(const EVP_MD *type, const void *key, int key_len, const unsigned char *data, size_t len,
		    unsigned char *out, unsigned *out_len)
{
	return DYNLIB_CALL(&lib, HMAC, type, key, key_len, data, len, out, out_len);
}

const EVP_MD *EVP_md5(void)
{
	return DYNLIB_CALL(&lib, EVP_md5);
}

int EVP_EncodeBlock(unsigned char *out, const unsigned char *in, int len)
{
	return DYNLIB_CALL(&lib, EVP_EncodeBlock, out, in, len);
}

int EVP_DecodeBlock(unsigned char *out, const unsigned char *in, int len)
{
	return DYNLIB_CALL(&lib, EVP_DecodeBlock, out, in, len);
}

/* --- keys (sign_jwt.c) ---------------------------------------------------------------- */

BIO *BIO_new_mem_buf(const void *data, int len)
{
	return DYNLIB_CALL(&lib, BIO_new_mem_buf, data, len);
}

int BIO_free(BIO *b)
{
	return DYNLIB_CALL(&lib, BIO_free, b);
}

EVP_PKEY *PEM_read_bio_PrivateKey(BIO *b, EVP_PKEY **out, pem_password_cb *ask, void *ctx)
{
	return DYNLIB_CALL(&lib, PEM_read_bio_PrivateKey, b, out, ask, ctx);
}

void EVP_PKEY_free(EVP_PKEY *key)
{
	DYNLIB_CALL(&lib, EVP_PKEY_free, key);
}

int EVP_PKEY_get_base_id(const EVP_PKEY *key)
{
	return DYNLIB_CALL(&lib, EVP_PKEY_get_base_id, key);
}

int EVP_PKEY_get_size(const EVP_PKEY *key)
{
	return DYNLIB_CALL(&lib, EVP_PKEY_get_size, key);
}

int EVP_DigestSignInit(EVP_MD_CTX *ctx, EVP_PKEY_CTX **key_ctx, const EVP_MD *type, ENGINE *e, EVP_PKEY *key)
{
	return DYNLIB_CALL(&lib, EVP_DigestSignInit, ctx, key_ctx, type, e, key);
}

int EVP_DigestSign(EVP_MD_CTX *ctx, unsigned char *out, size_t *out_len, const unsigned char *data, size_t len)
{
	return DYNLIB_CALL(&lib, EVP_DigestSign, ctx, out, out_len, data, len);
}
