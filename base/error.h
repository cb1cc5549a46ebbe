/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - how a function says what went wrong.
 *
 * `struct error` is owned by the caller, fixed in size and never null: it is
 * the last parameter of every function that can fail with more than an errno.
 * There is nothing to free, it survives out-of-memory and crosses a socket in
 * one write. A function returns 0 (or a count) or a negative errno, and then
 * it has set the error; it writes its `ret_...` parameters only on success.
 *
 * Each layer adds in front what it was doing, so that the user reads one line:
 *     create c1: volume data: lease held by node-a (container c0, ...)
 */
#ifndef VOLRUN_BASE_ERROR_H
#define VOLRUN_BASE_ERROR_H

#include <stdarg.h>

#define ERROR_MSG_MAX 1024

struct error {
	int code;		 /* a positive errno; 0: none */
	char msg[ERROR_MSG_MAX]; /* one line, no newline; cut when longer */
};

/* The usual way to make one: struct error err = ERROR_INIT; */
#define ERROR_INIT                                                                                                     \
	{                                                                                                              \
		0, ""                                                                                                  \
	}

/*
 * Sets the error to `code` (a positive or negative errno) and the message.
 * Returns -code, so that `return error_set(err, EINVAL, "...")` reads well.
 * Control characters in the message are replaced by '?'.
 */
int error_set(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As error_set, and adds ": " and strerror(code). For failed system calls. */
int error_errno(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<text>: " in front of the message. Returns -err->code. */
int error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One line that a terminal only shows, whatever a hostile name carried in: control characters (ASCII's, and those of
 * UTF-8 above them) become '?'. Other bytes above 0x7f stay. */
void error_make_plain(char *s);

#endif
