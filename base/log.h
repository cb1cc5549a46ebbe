/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - what the programs' mains and loops print. Libraries return errors
 * and never log.
 *
 * The JSON line is the one that containerd and podman parse:
 *     {"level":"error","msg":"...","time":"2026-08-20T12:00:00Z"}
 * With a JSON log file and no level asked for, exactly one object is ever written to
 * it, the final error (podman unmarshals the whole file at once); warnings then go to
 * stderr only.
 */
#ifndef VOLRUN_BASE_LOG_H
#define VOLRUN_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct error;

/*
 * Before the first line. file NULL: stderr only. The file is opened O_APPEND,
 * 0644; "journald:ID" and "syslog:ID" are no files but those services, with ID as the identifier,
 * and "file:" may stand before a path (all as crun has them). `program` and the level stand before text lines on
 * stderr ("volrun: error: ..."): callers of runc and youki look for the word.
 */
int log_open(const char *program, const char *file, bool json, enum log_level level, struct error *err);
bool log_has_file(void);
/* The level was asked for by the user: then the file has all lines of it, JSON or not. */
void log_level_asked(void);
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * A warning by who starts a container: its stderr is, or becomes, that of the container, where nobody expects it. So
 * it goes to a log file as any warning, but to stderr only where the level was asked for.
 */
void log_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define log_error(...) log_msg(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_msg(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_msg(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_DEBUG, __VA_ARGS__)

#endif
