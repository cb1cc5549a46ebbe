/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "hooks/keeper_hold.h"

/* A mapping that is only the file's bytes: nothing of it was written, so that nothing is lost when it goes. */
struct mapping {
	uintptr_t start, end;
	int file; /* read-only, of a file */
};

static void drop(const struct mapping *m, unsigned long anonymous_kib)
{
	if (m->file && anonymous_kib == 0)
		madvise((void *)m->start, m->end - m->start, MADV_DONTNEED); /* refused: they stay */
}

void keeper_memory_trim(const struct hold *h)
{
	struct mapping m = {0};
	char line[512], perms[5], path[2];
	unsigned long start, end, kib;
	FILE *f;

	for (size_t i = 0; i < h->n; i++)
		if (h->volumes[i].v.store)
			store_rest(h->volumes[i].v.store);
	malloc_trim(0);
	f = fopen("/proc/self/smaps", "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		int n = sscanf(line, "%lx-%lx %4s %*s %*s %*s %1s", &start, &end, perms, path);

		if (n >= 3)
			m = (struct mapping){start, end,
					     n == 4 && path[0] == '/' && perms[1] == '-' && perms[3] == 'p'};
		else if (sscanf(line, "Anonymous: %lu kB", &kib) == 1)
			drop(&m, kib);
	}
	fclose(f);
}
