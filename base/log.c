/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/unix.h"

/* The native protocol of systemd's journal and syslog's, each a datagram per message. */
#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define SYSLOG_SOCKET "/dev/log"

enum log_sink { SINK_FILE, SINK_JOURNAL, SINK_SYSLOG };

static struct {
	const char *program;
	int fd; /* of the log file or socket; -1: none */
	enum log_sink sink;
	const char *identifier; /* for a socket */
	bool json;
	enum log_level level;
	bool asked;
} logger = {"volrun", -1, SINK_FILE, NULL, false, LOG_WARNING, false};

static const char *const level_names[] = {"error", "warning", "info", "debug"};
/* syslog(3): LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG. */
static const int priorities[] = {3, 4, 6, 7};
#define FACILITY_USER (1 << 3)

/* What follows "prefix:", or NULL. */
static const char *after(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(text, prefix, n) == 0 && text[n] == ':' ? text + n + 1 : NULL;
}

static int open_sink(const char *where, int *ret_fd, struct error *err)
{
	const char *journal = after(where, "journald"), *syslog = after(where, "syslog"), *file = after(where, "file");
	const char *path = journal ? JOURNAL_SOCKET : SYSLOG_SOCKET;
	int fd;

	logger.sink = journal ? SINK_JOURNAL : syslog ? SINK_SYSLOG : SINK_FILE;
	logger.identifier = journal ? journal : syslog;
	if (logger.sink == SINK_FILE) {
		path = file ? file : where;
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		fd = fd < 0 ? -errno : fd;
	} else {
		fd = unix_connect(path, SOCK_DGRAM);
	}
	if (fd < 0)
		return error_errno(err, fd, "open log file %s", path);
	*ret_fd = fd;
	return 0;
}

int log_open(const char *program, const char *file, bool json, enum log_level level, struct error *err)
{
	int fd = -1, r = file && *file ? open_sink(file, &fd, err) : 0;

	if (r < 0)
		return r;
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

bool log_has_file(void)
{
	return logger.fd >= 0;
}

void log_level_asked(void)
{
	logger.asked = true;
}

/* In both protocols a line ends a message or field. */
static void add_datagram(struct strbuf *b, enum log_level level, const char *msg)
{
	size_t at;

	if (logger.sink == SINK_JOURNAL)
		strbuf_addf(b, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=", priorities[level], logger.identifier);
	else
		strbuf_addf(b, "<%d>%s: ", FACILITY_USER | priorities[level], logger.identifier);
	at = b->len;
	strbuf_addf(b, "%s", msg);
	for (size_t i = at; !b->failed && i < b->len; i++)
		if (b->data[i] == '\n')
			b->data[i] = ' ';
	if (logger.sink == SINK_JOURNAL)
		strbuf_addc(b, '\n');
}

static void write_file(enum log_level level, const char *msg)
{
	_cleanup_strbuf_ struct strbuf line = STRBUF_INIT;

	/* Callers read a file of JSON as one object: only the error goes there, unless they asked for more. */
	if (logger.fd < 0 || (level != LOG_ERROR && logger.json && !logger.asked))
		return;
	if (logger.sink == SINK_FILE)
		add_line(&line, level, msg, logger.json);
	else
		add_datagram(&line, level, msg);
	if (!line.failed)
		(void)write_all(logger.fd, line.data, line.len);
}

static void write_stderr(enum log_level level, const char *msg)
{
	_cleanup_strbuf_ struct strbuf line = STRBUF_INIT;
	char text[2 * ERROR_MSG_MAX + 64];

	/* With a file that is where one looks for them. */
	if (level == LOG_DEBUG && logger.fd >= 0)
		return;
	if (logger.fd < 0 && (logger.json || level == LOG_DEBUG))
		add_line(&line, level, msg, logger.json);
	/* On the stack: that there is no memory can still be said. */
	snprintf(text, sizeof(text), "%s: %s: %s\n", logger.program, level_names[level], msg);
	if (line.len && !line.failed)
		(void)write_all(STDERR_FILENO, line.data, line.len);
	else
		(void)write_all(STDERR_FILENO, text, strlen(text));
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
