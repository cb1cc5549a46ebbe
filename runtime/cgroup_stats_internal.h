/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_stats_internal.h - between cgroup_stats.c and what v1 and v2 have for it. */
#ifndef VOLRUN_RUNTIME_CGROUP_STATS_INTERNAL_H
#define VOLRUN_RUNTIME_CGROUP_STATS_INTERNAL_H

#include <stdbool.h>

#include "runtime/cgroup_internal.h"
#include "runtime/cgroup_stats.h"

/* A number of a file; "max" is UINT64_MAX; 0 when it can't be read. */
uint64_t stats_number(int fd, const char *file);
/* The number after a key in a flat keyed file; 0 when it can't be read. */
uint64_t stats_key(int fd, const char *file, const char *key);

/* A comma, unless the next value is the first of its object or list. */
void stats_comma(struct strbuf *out);
/* JSON: `"name":N`, with a comma before it unless it is the first member of its object. */
void stats_member(struct strbuf *out, const char *name, uint64_t value);
/* Begins a member that is an object or a list: `"name":` and the bracket. */
void stats_open(struct strbuf *out, const char *name, char bracket);
/* {"limit":...,"usage":...,"max":...,"failcnt":...} */
void stats_memory_entry(struct strbuf *out, const char *name, uint64_t limit, uint64_t usage, uint64_t max,
			uint64_t failcnt);
/* "raw": every line "key number" of memory.stat. */
void stats_raw(struct strbuf *out, int fd);
/* `"name":[...]` of the numbers of a list such as "0-3,8"; nothing when there are none. */
void stats_cpu_list(struct strbuf *out, const char *name, int fd, const char *file);

/* Called for each page size that the hierarchy has a file "hugetlb.<size>.<suffix>" of. */
void stats_hugetlb(struct strbuf *out, int fd, const char *suffix,
		   void (*entry)(struct strbuf *out, int fd, const char *size));

void cgroup_stats_v1(const struct cgroup *cg, struct strbuf *out);
void cgroup_stats_v2(const struct cgroup *cg, struct strbuf *out);

#endif
