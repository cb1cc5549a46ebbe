/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"

static struct {
	const char *program;
	int fd; /* of the log file; -1: none */
	bool json;
	enum log_level level;
	bool asked;
} logger = {"volrun", -1, false, LOG_WARNING, false};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

int log_open(const char *program, const char *file, bool json, enum log_level level, struct error *err)
{
	int fd = -1;

	if (file && *file) {
		fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (fd < 0)
			return error_errno(err, errno, "open log file %s", file);
	}
	logger.program = program;
	logger.fd = fd;
	logger.json = json;
	logger.level = level;
	return 0;
}

/* JSON's escapes; a byte that is no ASCII is passed as it is when it can be UTF-8, so messages hold UTF-8 or '?'. */
static void add_json_string(struct strbuf *b, const char *s)
{
	strbuf_addc(b, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			strbuf_addf(b, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			strbuf_addf(b, "\\u%04x", c);
		else
			strbuf_addc(b, *s);
	}
	strbuf_addc(b, '"');
}

static void add_line(struct strbuf *b, enum log_level level, const char *msg, bool json)
{
	char when[CLOCK_RFC3339_MAX];

	clock_rfc3339(NULL, when);
	if (json) {
		strbuf_addf(b, "{\"level\":\"%s\",\"msg\":", level_names[level]);
		add_json_string(b, msg);
		strbuf_addf(b, ",\"time\":\"%s\"}\n", when);
	} else {
		strbuf_addf(b, "time=\"%s\" level=%s msg=", when, level_names[level]);
		add_json_string(b, msg);
		strbuf_addc(b, '\n');
	}
}

void log_level_asked(void)
{
	logger.asked = true;
}

static void write_file(enum log_level level, const char *msg)
{
	_cleanup_strbuf_ struct strbuf line = STRBUF_INIT;

	/* Callers read a file of JSON as one object: only the error goes there, unless they asked for more. */
	if (logger.fd < 0 || (level != LOG_ERROR && logger.json && !logger.asked))
		return;
	add_line(&line, level, msg, logger.json);
	if (!line.failed)
		(void)write_all(logger.fd, line.data, line.len);
}

static void write_stderr(enum log_level level, const char *msg)
{
	_cleanup_strbuf_ struct strbuf line = STRBUF_INIT;

	if (logger.fd < 0 && logger.json)
		add_line(&line, level, msg, true);
	else
		strbuf_addf(&line, "%s: %s%s\n", logger.program, level == LOG_WARNING ? "warning: " : "", msg);
	if (!line.failed)
		(void)write_all(STDERR_FILENO, line.data, line.len);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	char msg[2 * ERROR_MSG_MAX];
	va_list ap;

	if (level > logger.level)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	write_file(level, msg);
	write_stderr(level, msg);
}

void log_note(const char *fmt, ...)
{
	char msg[2 * ERROR_MSG_MAX];
	va_list ap;

	if (logger.level < LOG_WARNING)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	write_file(LOG_WARNING, msg);
	if (logger.asked)
		write_stderr(LOG_WARNING, msg);
}
