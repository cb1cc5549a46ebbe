/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as text: the run of yajl over a document, UTF-8, strings with their escapes. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/json.h"
#include "oci/json_internal.h"
#include "oci/json_memory.h"

static size_t count_lines(const char *text, size_t len)
{
	size_t lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

/* yajl's reason ("parse error: premature EOF\n"), as part of one line. */
static int syntax_error(yajl_handle h, size_t at, const char *text, const char *source, struct error *err)
{
	unsigned char *msg = yajl_get_error(h, 0, NULL, 0);
	int n = msg ? (int)strcspn((char *)msg, "\n") : 0;

	while (n > 0 && (msg[n - 1] == '.' || msg[n - 1] == ' '))
		n--;
	return error_set(err, EINVAL, "%s: line %zu (byte %zu): %.*s", source, count_lines(text, at), at, n,
			 msg ? (char *)msg : "");
}

/* The memory, with what it points to, is the caller's: nothing of ours is lost in a jump. */
static int run_in(struct json_memory *m, const yajl_callbacks *callbacks, void *ctx, const char *text, size_t len,
		  const char *source, struct error *err)
{
	yajl_handle h;
	yajl_status status;
	size_t at;

	if (setjmp(m->exhausted))
		return error_set(err, ENOMEM, "%s: out of memory", source);
	h = yajl_alloc(callbacks, &m->funcs, ctx);
	status = yajl_parse(h, (const unsigned char *)text, len);
	at = yajl_get_bytes_consumed(h);
	if (status == yajl_status_ok) {
		status = yajl_complete_parse(h);
		at = len;
	}
	if (status == yajl_status_client_canceled)
		return -err->code;
	if (status != yajl_status_ok)
		return syntax_error(h, at < len ? at : len, text, source, err);
	return 0;
}

int json_run(const yajl_callbacks *callbacks, void *ctx, const char *text, size_t len, const char *source,
	     struct error *err)
{
	_cleanup_(json_memory_free) struct json_memory m;

	json_memory_init(&m);
	if (len > JSON_MAX_SIZE)
		return error_set(err, EFBIG, "%s: larger than %u MiB", source, JSON_MAX_SIZE >> 20);
	return run_in(&m, callbacks, ctx, text, len, source, err);
}

int json_parse_file(int dirfd, const char *path, const char *source, const struct json_table *table,
		    struct arena *arena, void *out, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = read_file_at(dirfd, path, JSON_MAX_SIZE, &text, &len);

	/* In own words: callers of the runtime search messages for those of strerror (permission denied ...). */
	switch (-r) {
	case 0:
		return json_parse(text, len, source, table, arena, out, err);
	case ENOENT:
		return error_set(err, ENOENT, "%s: not found", source);
	case EACCES:
	case EPERM:
		return error_set(err, -r, "%s: this user may not read it", source);
	case EISDIR:
	case ENOTDIR:
	case ELOOP:
		return error_set(err, -r, "%s: no regular file", source);
	case EFBIG:
		return error_set(err, EFBIG, "%s: larger than %u MiB", source, JSON_MAX_SIZE >> 20);
	default:
		return error_errno(err, r, "%s: can't be read", source);
	}
}

/* The length of the UTF-8 sequence at s (RFC 3629: shortest form, no surrogates, up to U+10FFFF), or 0. */
static size_t utf8_sequence(const unsigned char *s, size_t len)
{
	unsigned char c = s[0], low = 0x80, high = 0xBF;
	size_t n;

	if (c < 0x80)
		return 1;
	if (c < 0xC2 || c > 0xF4)
		return 0;
	n = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
	if (n > len)
		return 0;
	/* The first continuation byte's range keeps out overlong forms, surrogates and what is past U+10FFFF. */
	if (c == 0xE0)
		low = 0xA0;
	else if (c == 0xED)
		high = 0x9F;
	else if (c == 0xF0)
		low = 0x90;
	else if (c == 0xF4)
		high = 0x8F;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xBF)
			return 0;
	return n;
}

bool json_utf8_valid(const char *s, size_t len)
{
	uint64_t eight;
	size_t i = 0;

	while (i < len) {
		size_t n;

		/* ASCII is the usual. */
		for (; len - i >= sizeof(eight); i += sizeof(eight)) {
			memcpy(&eight, s + i, sizeof(eight));
			if (eight & UINT64_C(0x8080808080808080))
				break;
		}
		if (i == len)
			break;
		n = utf8_sequence((const unsigned char *)s + i, len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

const char *json_bad_string(const char *s, size_t len)
{
	if (len == 0)
		return NULL;
	if (memchr(s, 0, len))
		return "holds a NUL";
	/* yajl lets overlong forms and single surrogate escapes through. */
	return json_utf8_valid(s, len) ? NULL : "is no valid UTF-8";
}

static void write_escape(struct strbuf *out, unsigned char c)
{
	static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
	const char *p = strchr(from, c);

	if (c && p) {
		strbuf_addc(out, '\\');
		strbuf_addc(out, to[p - from]);
	} else {
		strbuf_addf(out, "\\u%04x", c);
	}
}

void json_write_string_n(struct strbuf *out, const char *s, size_t len)
{
	size_t done = 0, i = 0;

	strbuf_addc(out, '"');
	while (i < len) {
		unsigned char c = (unsigned char)s[i];
		size_t n = c < 0x80 ? 1 : utf8_sequence((const unsigned char *)s + i, len - i);

		if (n > 0 && c >= 0x20 && c != '"' && c != '\\') {
			i += n;
			continue;
		}
		strbuf_add(out, s + done, i - done);
		if (n > 0)
			write_escape(out, c);
		else
			strbuf_adds(out, "\xEF\xBF\xBD");
		done = ++i;
	}
	strbuf_add(out, s + done, len - done);
	strbuf_addc(out, '"');
}

void json_write_string(struct strbuf *out, const char *s)
{
	json_write_string_n(out, s, strlen(s));
}
