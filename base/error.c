/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* U+0080 to U+009F, of which a terminal takes some for the beginning of a command, as it does ESC. */
static bool is_c1(const char *s)
{
	return (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] >= 0x80 && (unsigned char)s[1] <= 0x9f;
}

void error_make_plain(char *s)
{
	for (; *s; s++)
		if (is_c1(s)) {
			*s++ = '?';
			*s = '?';
		} else if ((unsigned char)*s < 0x20 || *s == 0x7f) {
			*s = '?';
		}
}

static void set(struct error *err, int code, const char *fmt, va_list ap)
{
	err->code = code < 0 ? -code : code;
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	error_make_plain(err->msg);
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set(err, code, fmt, ap);
	va_end(ap);
	return -err->code;
}

int error_errno(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	set(err, code, fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", strerror(err->code));
	return -err->code;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
	char text[ERROR_MSG_MAX / 2];
	size_t len, room;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text) - 2, fmt, ap);
	va_end(ap);
	strcat(text, ": ");
	len = strlen(text);
	room = sizeof(err->msg) - len - 1;
	err->msg[room] = '\0'; /* what no longer fits is cut at its end */
	memmove(err->msg + len, err->msg, strlen(err->msg) + 1);
	memcpy(err->msg, text, len);
	error_make_plain(err->msg);
	return -err->code;
}
