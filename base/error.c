/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line, whatever a hostile name carried in. Bytes above 0x7f stay (UTF-8). */
static void sanitize(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

static void set(struct error *err, int code, const char *fmt, va_list ap)
{
	err->code = code < 0 ? -code : code;
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	sanitize(err->msg);
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
	sanitize(err->msg);
	return -err->code;
}
