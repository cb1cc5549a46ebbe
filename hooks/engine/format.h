/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - documents in the store say which format they are of (volumes.md §3, "Formats"), so that a newer volrun
 * can change them and an older one neither misreads nor rewrites what it doesn't know.
 *
 *     {"format": 2, "epoch": 7, ..., "something new": true}
 */
#ifndef VOLRUN_HOOKS_FORMAT_H
#define VOLRUN_HOOKS_FORMAT_H

#include "oci/json.h"

/* Of every document. One that says nothing is of format 1. */
#define FORMAT_KNOWN 1

/*
 * json_parse, of a document or the header of one, whose table is strict: what this version doesn't know would be lost
 * when it writes the document again. -ENOTSUP: it is of a newer format, whatever else is in it; the message says to
 * upgrade.
 */
int format_parse(const char *text, size_t len, const char *source, const struct json_table *table, struct arena *arena,
		 void *out, struct error *err);

#endif
