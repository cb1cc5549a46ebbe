/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign.h - hashes, by OpenSSL's EVP. The only header through which the rest
 * of hooks/ reaches OpenSSL.
 */
#ifndef VOLRUN_HOOKS_SIGN_H
#define VOLRUN_HOOKS_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/strbuf.h"

#define SHA256_LEN 32
#define SHA256_HEX_MAX 65 /* with the NUL */

struct sha256; /* a running hash */

struct sha256 *sha256_new(void); /* NULL: out of memory */
void sha256_update(struct sha256 *h, const void *data, size_t len);
void sha256_final_hex(struct sha256 *h, char out[SHA256_HEX_MAX]); /* and starts anew */
void sha256_free(struct sha256 *h);

void sha256_hex(const void *data, size_t len, char out[SHA256_HEX_MAX]);
/* Of [offset, offset+len) of a file (len UINT64_MAX: to the end); *ret_len (may be NULL) gets the bytes hashed. 0 or a
 * negative errno. */
int sha256_fd(int fd, off_t offset, uint64_t len, char out[SHA256_HEX_MAX], uint64_t *ret_len);

/* Loads what hashes, and does nothing with it yet. Nobody needs to call it. */
void sign_load(void);

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, unsigned char out[SHA256_LEN]);

/* SHA-1, by which some name their files; it guards nothing. False: OpenSSL has none. */
#define SHA1_HEX_MAX 41
bool sha1_hex(const void *data, size_t len, char out[SHA1_HEX_MAX]);

/* MD5, for stores that compare it with what arrived; not against anybody. False: OpenSSL has none (FIPS). */
#define MD5_LEN 16
bool md5_data(const void *data, size_t len, unsigned char out[MD5_LEN]);

/*
 * MD5 in base64, of memory (data) or a part of a file, and with it the sha256 where the caller knows it. -EBADMSG: the
 * file is shorter, or the sha256 another one. ret "": there is no MD5.
 */
#define MD5_BASE64_MAX 25
int md5_body(const void *data, int fd, off_t offset, uint64_t size, const char *sha256, char ret[MD5_BASE64_MAX]);

struct md5;		   /* a running hash */
struct md5 *md5_new(void); /* NULL: out of memory, or there is none */
void md5_update(struct md5 *h, const void *data, size_t len);
void md5_final(struct md5 *h, char ret[MD5_BASE64_MAX]);
void md5_free(struct md5 *h);

/* RFC 4648 §4, with padding, on one line. Fails only through out->failed. */
void base64_encode(struct strbuf *out, const void *data, size_t len);
/* Appends the bytes. -EINVAL: it is none. -ENOMEM. */
int base64_decode(struct strbuf *out, const char *text);

#endif
