/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <dirent.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/store/http.h"

#define DIRECTORY "/etc/ssl/certs"

/* As c_rehash(1) names a certificate by its subject: 1d3472b9.0 */
static bool is_hashed(const char *name)
{
	size_t i = 0;

	while (isxdigit((unsigned char)name[i]))
		i++;
	return i == 8 && strcmp(name + i, ".0") == 0;
}

const char *http_ca_directory(void)
{
	_cleanup_closedir_ DIR *dir = opendir(DIRECTORY);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (is_hashed(e->d_name))
			return DIRECTORY;
	return NULL;
}
