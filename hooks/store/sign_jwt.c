/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/sign_jwt.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/store/sign.h"
#include "oci/json.h"

#define SIGNATURE_MAX 2048 /* of a key of 16,384 bits */

/* RFC 4648 §5, without padding. */
static void add_base64url(struct strbuf *out, const void *data, size_t len)
{
	size_t from = out->len;

	base64_encode(out, data, len);
	if (out->failed)
		return;
	for (size_t i = from; i < out->len; i++) {
		if (out->data[i] == '+')
			out->data[i] = '-';
		else if (out->data[i] == '/')
			out->data[i] = '_';
		else if (out->data[i] == '=')
			out->data[out->len = i] = '\0';
	}
}

static void free_key(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void free_context(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

static EVP_PKEY *read_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"") : NULL;

	BIO_free(bio);
	return key;
}

int jwt_sign_rs256(const char *claims, const char *key_id, const char *private_key, struct strbuf *out)
{
	_cleanup_(free_key) EVP_PKEY *key = read_key(private_key);
	_cleanup_(free_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
	_cleanup_strbuf_ struct strbuf header = STRBUF_INIT;
	unsigned char signature[SIGNATURE_MAX];
	size_t from = out->len, len = sizeof(signature);

	if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || (size_t)EVP_PKEY_get_size(key) > len)
		return -EINVAL;
	strbuf_adds(&header, "{\"alg\":\"RS256\",\"typ\":\"JWT\"");
	if (key_id) {
		strbuf_adds(&header, ",\"kid\":");
		json_write_string(&header, key_id);
	}
	strbuf_addc(&header, '}');
	add_base64url(out, strbuf_str(&header), header.len);
	strbuf_addc(out, '.');
	add_base64url(out, claims, strlen(claims));
	if (!context || header.failed || out->failed)
		return -ENOMEM;
	if (EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(context, signature, &len, (const unsigned char *)out->data + from, out->len - from) != 1)
		return -EINVAL;
	strbuf_addc(out, '.');
	add_base64url(out, signature, len);
	return out->failed ? -ENOMEM : 0;
}
