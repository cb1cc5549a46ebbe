/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "hooks/store/sign.h"

#define READ_CHUNK 131072

struct md5 {
	EVP_MD_CTX *ctx;
	bool failed;
};

struct md5 *md5_new(void)
{
	struct md5 *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx || EVP_DigestInit_ex(h->ctx, EVP_md5(), NULL) != 1) {
		md5_free(h);
		return NULL;
	}
	return h;
}

void md5_update(struct md5 *h, const void *data, size_t len)
{
	h->failed |= EVP_DigestUpdate(h->ctx, data, len) != 1;
}

void md5_final(struct md5 *h, char ret[MD5_BASE64_MAX])
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	unsigned char raw[MD5_LEN];

	ret[0] = '\0';
	if (h->failed || EVP_DigestFinal_ex(h->ctx, raw, NULL) != 1)
		return;
	base64_encode(&text, raw, sizeof(raw));
	snprintf(ret, MD5_BASE64_MAX, "%s", strbuf_str(&text));
}

void md5_free(struct md5 *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

static void md5_freep(struct md5 **h)
{
	md5_free(*h);
}

static void sha256_freep(struct sha256 **h)
{
	sha256_free(*h);
}

static int feed(struct md5 *md5, struct sha256 *sha, int fd, off_t offset, uint64_t size)
{
	_cleanup_free_ char *buf = malloc(READ_CHUNK);

	if (!buf)
		return -ENOMEM;
	while (size > 0) {
		ssize_t n = pread(fd, buf, size < READ_CHUNK ? (size_t)size : READ_CHUNK, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		if (md5)
			md5_update(md5, buf, (size_t)n);
		if (sha)
			sha256_update(sha, buf, (size_t)n);
		offset += n;
		size -= (uint64_t)n;
	}
	return 0;
}

int md5_body(const void *data, int fd, off_t offset, uint64_t size, const char *sha256, char ret[MD5_BASE64_MAX])
{
	_cleanup_(md5_freep) struct md5 *md5 = md5_new();
	_cleanup_(sha256_freep) struct sha256 *sha = sha256 ? sha256_new() : NULL;
	char hex[SHA256_HEX_MAX];
	int r = 0;

	if (sha256 && !sha)
		return -ENOMEM;
	ret[0] = '\0';
	if (data && md5)
		md5_update(md5, data, (size_t)size);
	if (data && sha)
		sha256_update(sha, data, (size_t)size);
	if (!data && size > 0)
		r = feed(md5, sha, fd, offset, size);
	if (r == 0 && sha) {
		sha256_final_hex(sha, hex);
		r = strcmp(hex, sha256) == 0 ? 0 : -EBADMSG;
	}
	if (r == 0 && md5)
		md5_final(md5, ret);
	return r;
}
