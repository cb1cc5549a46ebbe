/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_splice.h - where something stands in a JSON text, for who changes a little of it and leaves the rest as it is
 * (members that no table here knows, numbers as they were written). The text must have been parsed before: it is not
 * checked again.
 */
#ifndef VOLRUN_OCI_JSON_SPLICE_H
#define VOLRUN_OCI_JSON_SPLICE_H

#include <stddef.h>

/* Text from..to, of one value. */
struct json_span {
	const char *from, *to;
};

/* The value of the object's member whose key is written so, without escapes. -ENOENT. */
int json_span_member(struct json_span object, const char *key, struct json_span *ret);
/* The i-th value of an array. -ENOENT. */
int json_span_element(struct json_span array, size_t i, struct json_span *ret);

#endif
