/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_internal.h - what the reading files of oci/json* share: a run of yajl
 * over one document, and its messages. Nobody else includes it.
 */
#ifndef VOLRUN_OCI_JSON_INTERNAL_H
#define VOLRUN_OCI_JSON_INTERNAL_H

#include <yajl/yajl_parse.h>

#include "oci/json.h"

/*
 * Runs the callbacks over the text. A callback that returns 0 has set *err and
 * ends the run. Syntax errors name the line and the byte. 0, -EINVAL, -EFBIG, or
 * what the callback set.
 */
int json_run(const yajl_callbacks *callbacks, void *ctx, const char *text, size_t len, const char *source,
	     struct error *err);

/* Why a decoded string is refused ("holds a NUL", "is no valid UTF-8"), or NULL. */
const char *json_bad_string(const char *s, size_t len);

/* As json_write_string, for len bytes. */
void json_write_string_n(struct strbuf *out, const char *s, size_t len);

/* The plain kind of an optional scalar (JSON_OPT_U32: JSON_U32), else the kind itself. */
enum json_kind json_kind_base(enum json_kind kind);
/* The kind of an array's or a map's elements. */
enum json_kind json_kind_element(enum json_kind kind);
bool json_kind_is_array(enum json_kind kind);
bool json_kind_is_map(enum json_kind kind);
/* Bytes of a scalar in its struct. */
size_t json_scalar_size(enum json_kind kind);
/* Bytes of one element of a list's field. */
size_t json_element_size(const struct json_field *field);

#endif
