/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of table fields: which are lists, of what, and how large in their struct. */
#include "oci/json_internal.h"

enum json_kind json_kind_base(enum json_kind kind)
{
	switch (kind) {
	case JSON_OPT_BOOL:
		return JSON_BOOL;
	case JSON_OPT_I32:
		return JSON_I32;
	case JSON_OPT_I64:
		return JSON_I64;
	case JSON_OPT_U16:
		return JSON_U16;
	case JSON_OPT_U32:
		return JSON_U32;
	case JSON_OPT_U64:
		return JSON_U64;
	default:
		return kind;
	}
}

enum json_kind json_kind_element(enum json_kind kind)
{
	switch (kind) {
	case JSON_ARR_ENUM:
		return JSON_ENUM;
	case JSON_ARR_U32:
		return JSON_U32;
	case JSON_ARR_I64:
		return JSON_I64;
	case JSON_ARR_OBJ:
	case JSON_MAP_OBJ:
		return JSON_OBJ;
	default: /* JSON_ARR_STR, JSON_MAP_STR */
		return JSON_STR;
	}
}

bool json_kind_is_array(enum json_kind kind)
{
	return kind >= JSON_ARR_STR && kind <= JSON_ARR_OBJ;
}

bool json_kind_is_map(enum json_kind kind)
{
	return kind == JSON_MAP_STR || kind == JSON_MAP_OBJ;
}

size_t json_scalar_size(enum json_kind kind)
{
	switch (json_kind_base(kind)) {
	case JSON_BOOL:
		return sizeof(bool);
	case JSON_I32:
	case JSON_U32:
		return sizeof(uint32_t);
	case JSON_I64:
	case JSON_U64:
		return sizeof(uint64_t);
	case JSON_U16:
		return sizeof(uint16_t);
	case JSON_ENUM:
		return sizeof(int);
	default: /* JSON_STR, JSON_RAW */
		return sizeof(char *);
	}
}

size_t json_element_size(const struct json_field *field)
{
	if (field->kind == JSON_MAP_STR)
		return sizeof(struct json_pair);
	if (field->kind == JSON_ARR_OBJ || field->kind == JSON_MAP_OBJ)
		return field->table->size;
	return json_scalar_size(json_kind_element(field->kind));
}
