/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - what the programs' mains and loops print. Libraries return errors
 * and never log.
 *
 * The JSON line is the one that containerd and podman parse:
 *     {"level":"error","msg":"...","time":"2026-08-20T12:00:00Z"}
 * With a log file and without debug, exactly one object is ever written to it,
 * the final error (podman unmarshals the whole file at once); warnings then go
 * to stderr only.
 */
#ifndef VOLRUN_BASE_LOG_H
#define VOLRUN_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct error;

/*
 * Before the first line. file NULL: stderr only. The file is opened O_APPEND,
 * 0644. `program` stands before text lines on stderr ("volrun: ...").
 */
int log_open(const char *program, const char *file, bool json, enum log_level level, struct error *err);
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_msg(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_msg(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_msg(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_DEBUG, __VA_ARGS__)

#endif
