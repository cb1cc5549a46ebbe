/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_memory.h - the memory of one run of yajl, which looks at no result of its allocator: one that fails
 * must not return to it.
 */
#ifndef VOLRUN_OCI_JSON_MEMORY_H
#define VOLRUN_OCI_JSON_MEMORY_H

#include <setjmp.h>
#include <yajl/yajl_common.h>

struct json_block;

struct json_memory {
	jmp_buf exhausted; /* where to go instead; set by who calls yajl */
	struct json_block *blocks;
	yajl_alloc_funcs funcs; /* for yajl_alloc */
};

void json_memory_init(struct json_memory *m);
/* All of it, also what yajl would free in yajl_free. */
void json_memory_free(struct json_memory *m);

#endif
