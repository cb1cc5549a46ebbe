/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/sign.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"

#define READ_CHUNK 65536

/*
 * EVP fails only when out of memory or when no SHA-256 provider can be loaded.
 * A hash that silently is not one would let corrupt data pass, so neither is
 * survived.
 */
static void must(int ok)
{
	if (ok != 1)
		abort();
}

struct sha256 {
	EVP_MD_CTX *ctx;
};

struct sha256 *sha256_new(void)
{
	struct sha256 *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx) {
		free(h);
		return NULL;
	}
	must(EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL));
	return h;
}

void sha256_update(struct sha256 *h, const void *data, size_t len)
{
	must(EVP_DigestUpdate(h->ctx, data, len));
}

void sha256_final_hex(struct sha256 *h, char out[SHA256_HEX_MAX])
{
	unsigned char raw[SHA256_LEN];

	must(EVP_DigestFinal_ex(h->ctx, raw, NULL));
	must(EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL));
	hex_encode(raw, sizeof(raw), out);
}

void sha256_free(struct sha256 *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

static void sha256_freep(struct sha256 **h)
{
	sha256_free(*h);
}

void sha256_hex(const void *data, size_t len, char out[SHA256_HEX_MAX])
{
	unsigned char raw[SHA256_LEN];

	must(EVP_Digest(data, len, raw, NULL, EVP_sha256(), NULL));
	hex_encode(raw, sizeof(raw), out);
}

int sha256_fd(int fd, off_t offset, uint64_t len, char out[SHA256_HEX_MAX], uint64_t *ret_len)
{
	_cleanup_(sha256_freep) struct sha256 *h = sha256_new();
	_cleanup_free_ char *buf = malloc(READ_CHUNK);
	uint64_t done = 0, hole = 0, data = 0; /* what is known to lie ahead */

	if (!h || !buf)
		return -ENOMEM;
	while (done < len) {
		uint64_t ahead;
		size_t want;
		ssize_t n;

		if (hole == 0 && data == 0)
			hole = hole_at(fd, offset + (off_t)done, len - done, &data);
		ahead = hole > 0 ? hole : data;
		want = ahead < READ_CHUNK ? (size_t)ahead : READ_CHUNK;
		n = hole > 0 ? (ssize_t)want : pread(fd, buf, want, offset + (off_t)done);
		if (hole > 0)
			memset(buf, 0, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		sha256_update(h, buf, (size_t)n);
		done += (uint64_t)n;
		*(hole > 0 ? &hole : &data) -= (uint64_t)n;
	}
	sha256_final_hex(h, out);
	if (ret_len)
		*ret_len = done;
	return 0;
}

void sign_load(void)
{
	EVP_sha256();
}

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, unsigned char out[SHA256_LEN])
{
	unsigned out_len = SHA256_LEN;

	if (!HMAC(EVP_sha256(), key, (int)key_len, data, len, out, &out_len))
		abort();
}

void base64_encode(struct strbuf *out, const void *data, size_t len)
{
	size_t room = (len + 2) / 3 * 4;

	strbuf_reserve(out, room + 1);
	if (out->failed || len == 0)
		return;
	EVP_EncodeBlock((unsigned char *)out->data + out->len, data, (int)len);
	out->len += room;
}

int base64_decode(struct strbuf *out, const char *text)
{
	size_t len = strlen(text), padding = 0;
	int n;

	if (len == 0 || len % 4 != 0)
		return -EINVAL;
	while (padding < 2 && text[len - 1 - padding] == '=')
		padding++;
	strbuf_reserve(out, len / 4 * 3 + 1);
	if (out->failed)
		return -ENOMEM;
	n = EVP_DecodeBlock((unsigned char *)out->data + out->len, (const unsigned char *)text, (int)len);
	if (n < 0)
		return -EINVAL;
	out->len += (size_t)n - padding;
	out->data[out->len] = '\0';
	return 0;
}

bool sha1_hex(const void *data, size_t len, char out[SHA1_HEX_MAX])
{
	unsigned char raw[(SHA1_HEX_MAX - 1) / 2];

	if (EVP_Digest(data, len, raw, NULL, EVP_sha1(), NULL) != 1)
		return false;
	hex_encode(raw, sizeof(raw), out);
	return true;
}

bool md5_data(const void *data, size_t len, unsigned char out[MD5_LEN])
{
	return EVP_Digest(data, len, out, NULL, EVP_md5(), NULL) == 1;
}
