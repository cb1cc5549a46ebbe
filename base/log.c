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
} logger = {"volrun", -1, false, LOG_WARNING};

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

void log_msg(enum log_level level, const char *fmt, ...)
{
	_cleanup_strbuf_ struct strbuf line = STRBUF_INIT;
	char msg[2 * ERROR_MSG_MAX];
	va_list ap;

	if (level > logger.level)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	/* Callers read the whole file as one object: only the error goes there, unless debugging. */
	if (logger.fd >= 0 && (level == LOG_ERROR || logger.level == LOG_DEBUG)) {
		add_line(&line, level, msg, logger.json);
		if (!line.failed)
			(void)write_all(logger.fd, line.data, line.len);
		strbuf_reset(&line);
	}
	if (logger.fd < 0 && logger.json)
		add_line(&line, level, msg, true);
	else
		strbuf_addf(&line, "%s: %s%s\n", logger.program, level == LOG_WARNING ? "warning: " : "", msg);
	if (!line.failed)
		(void)write_all(STDERR_FILENO, line.data, line.len);
}
