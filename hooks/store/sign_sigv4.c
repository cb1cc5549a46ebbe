/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/sign_sigv4.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "hooks/store/sign.h"

void sigv4_encode(struct strbuf *out, const char *text, bool keep_slash)
{
	static const char hex[] = "0123456789ABCDEF";
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (strchr(plain, c) || (c == '/' && keep_slash)) {
			strbuf_addc(out, (char)c);
		} else {
			strbuf_addc(out, '%');
			strbuf_addc(out, hex[c >> 4]);
			strbuf_addc(out, hex[c & 15]);
		}
	}
}

/* By name, then by value. What is encoded sorts as what is not, for the names that S3 has. */
static int compare(const void *a, const void *b)
{
	const struct sigv4_pair *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : strcmp(x->value, y->value);
}

void sigv4_query(struct strbuf *out, struct sigv4_pair *pairs, size_t n)
{
	qsort(pairs, n, sizeof(*pairs), compare);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			strbuf_addc(out, '&');
		sigv4_encode(out, pairs[i].name, false);
		strbuf_addc(out, '=');
		sigv4_encode(out, pairs[i].value, false);
	}
}

void sigv4_date(time_t now, char out[SIGV4_DATE_MAX])
{
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(out, SIGV4_DATE_MAX, "%Y%m%dT%H%M%SZ", &tm);
}

/* Without blanks around it, and with one where several stand in a row. */
static void add_trimmed(struct strbuf *out, const char *value)
{
	bool blank = false, any = false;

	for (; *value; value++) {
		if (*value == ' ' || *value == '\t') {
			blank = any;
			continue;
		}
		if (blank)
			strbuf_addc(out, ' ');
		blank = false;
		any = true;
		strbuf_addc(out, *value);
	}
}

static void add_names(struct strbuf *out, const struct sigv4 *s)
{
	for (size_t i = 0; i < s->n_headers; i++)
		strbuf_addf(out, "%s%s", i > 0 ? ";" : "", s->headers[i].name);
}

static void canonical_hash(const struct sigv4 *s, char ret[SHA256_HEX_MAX])
{
	_cleanup_strbuf_ struct strbuf c = STRBUF_INIT;

	strbuf_addf(&c, "%s\n%s\n%s\n", s->method, s->path, s->query);
	for (size_t i = 0; i < s->n_headers; i++) {
		strbuf_addf(&c, "%s:", s->headers[i].name);
		add_trimmed(&c, s->headers[i].value);
		strbuf_addc(&c, '\n');
	}
	strbuf_addc(&c, '\n');
	add_names(&c, s);
	strbuf_addf(&c, "\n%s", s->payload_hash);
	sha256_hex(strbuf_str(&c), c.len, ret);
}

/* The secret never signs itself: a key for the day, the region and the service does. */
static void signing_key(const struct sigv4 *s, const char day[9], unsigned char ret[SHA256_LEN])
{
	_cleanup_strbuf_ struct strbuf secret = STRBUF_INIT;

	strbuf_addf(&secret, "AWS4%s", s->secret_access_key);
	hmac_sha256(strbuf_str(&secret), secret.len, day, strlen(day), ret);
	if (secret.data)
		explicit_bzero(secret.data, secret.len);
	hmac_sha256(ret, SHA256_LEN, s->region, strlen(s->region), ret);
	hmac_sha256(ret, SHA256_LEN, s->service, strlen(s->service), ret);
	hmac_sha256(ret, SHA256_LEN, "aws4_request", 12, ret);
}

void sigv4_authorization(const struct sigv4 *s, struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	char date[SIGV4_DATE_MAX], day[9], hash[SHA256_HEX_MAX], signature[SHA256_HEX_MAX];
	unsigned char key[SHA256_LEN], raw[SHA256_LEN];

	qsort(s->headers, s->n_headers, sizeof(*s->headers), compare);
	sigv4_date(s->now, date);
	memcpy(day, date, 8);
	day[8] = '\0';
	canonical_hash(s, hash);
	strbuf_addf(&text, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s", date, day, s->region, s->service, hash);
	signing_key(s, day, key);
	hmac_sha256(key, sizeof(key), strbuf_str(&text), text.len, raw);
	explicit_bzero(key, sizeof(key));
	hex_encode(raw, sizeof(raw), signature);
	strbuf_addf(out, "AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=", s->access_key_id, day,
		    s->region, s->service);
	add_names(out, s);
	strbuf_addf(out, ", Signature=%s", signature);
	if (text.failed)
		out->failed = true;
}
