/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int num_parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	}
	if (v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int num_parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret)
{
	uint64_t v;
	int64_t n;
	int r;

	if (*s != '-') {
		r = num_parse_u64(s, INT64_MAX, &v);
		n = (int64_t)v;
	} else {
		r = num_parse_u64(s + 1, (uint64_t)INT64_MAX + 1, &v);
		n = r < 0 ? 0 : (int64_t)(~v + 1);
	}
	if (r < 0)
		return r;
	if (n < min || n > max)
		return -ERANGE;
	*ret = n;
	return 0;
}

int num_parse_mode(const char *s, unsigned *ret)
{
	unsigned v = 0;
	size_t len = strlen(s);

	if (len < 1 || len > 6)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '7')
			return -EINVAL;
		v = v * 8 + (unsigned)(*s - '0');
	}
	*ret = v;
	return 0;
}

/* Digits at *s, which is moved behind them. */
static int list_number(const char **s, size_t n_bits, size_t *ret)
{
	size_t n = 0;

	if (**s < '0' || **s > '9')
		return -EINVAL;
	for (; **s >= '0' && **s <= '9'; (*s)++) {
		n = n * 10 + (size_t)(**s - '0');
		if (n >= n_bits)
			return -ERANGE;
	}
	*ret = n;
	return 0;
}

int num_parse_list(const char *s, size_t n_bits, unsigned long *ret)
{
	const size_t word = 8 * sizeof(*ret);

	memset(ret, 0, n_bits / 8);
	for (;;) {
		size_t from, to;
		int r = list_number(&s, n_bits, &from);

		to = from;
		if (r == 0 && *s == '-') {
			s++;
			r = list_number(&s, n_bits, &to);
		}
		if (r < 0)
			return r;
		if (to < from)
			return -EINVAL;
		for (; from <= to; from++)
			ret[from / word] |= 1ul << from % word;
		if (*s == '\0')
			return 0;
		if (*s++ != ',')
			return -EINVAL;
	}
}

void hex_encode(const void *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = data;
	size_t i;

	for (i = 0; i < len; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * len] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_decode(const char *hex, void *out, size_t len)
{
	unsigned char *p = out;
	size_t i;

	if (strlen(hex) != 2 * len)
		return -EINVAL;
	for (i = 0; i < len; i++) {
		int hi = hex_digit(hex[2 * i]), lo = hex_digit(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		p[i] = (unsigned char)(hi << 4 | lo);
	}
	return 0;
}

uint64_t hash64(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	while (len--)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}

void random_bytes(void *out, size_t len)
{
	unsigned char *p = out;

	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			abort(); /* a nonce that repeats would be worse */
		p += n;
		len -= (size_t)n;
	}
}
