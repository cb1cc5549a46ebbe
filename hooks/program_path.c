/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/program_path.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void program_path(const char *name, char ret[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - strlen(name) - 2);
	char *slash;

	ret[n > 0 ? n : 0] = '\0';
	slash = strrchr(ret, '/');
	if (slash) {
		strcpy(slash + 1, name);
		if (access(ret, X_OK) == 0)
			return;
	}
	snprintf(ret, PATH_MAX, "%s/%s", PKGLIBEXECDIR, name);
}
