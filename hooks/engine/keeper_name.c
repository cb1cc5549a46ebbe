/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/keeper_name.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/confine.h"

const char *keeper_name(pid_t pid, struct arena *a)
{
	_cleanup_right_ struct right right = right_raise(CAP_SYS_PTRACE); /* of a /proc that hides processes */
	_cleanup_free_ char *stat = NULL;
	char path[32];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_file_at(AT_FDCWD, path, 4096, &stat, NULL) < 0)
		return NULL;
	p = strrchr(stat, ')');
	if (p && (strncmp(p, ") Z", 3) == 0 || strncmp(p, ") X", 3) == 0))
		return NULL;
	/* After the name come the fields 3 and on; 22 is the start time (proc(5)). */
	for (int field = 2; p && field < 22; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	return p ? arena_printf(a, "%d %.*s", (int)pid, (int)strcspn(p, " "), p) : NULL;
}

bool keeper_alive(const char *name)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	long pid = name ? strtol(name, NULL, 10) : 0;
	const char *now = pid > 0 && pid <= INT_MAX && pid != getpid() ? keeper_name((pid_t)pid, &a) : NULL;

	return now && strcmp(now, name) == 0;
}
