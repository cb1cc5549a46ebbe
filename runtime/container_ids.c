/* SPDX-License-Identifier: Apache-2.0 */
/* Ids by a regular expression, for `kill --regex` and `delete --regex`. */
#include <dirent.h>
#include <errno.h>
#include <regex.h>

#include "base/cleanup.h"
#include "runtime/state_dir.h"

static void free_regex(regex_t *regex)
{
	regfree(regex);
}

static int add(const char *id, struct arena *arena, const char ***ids, size_t *n)
{
	/* Powers of two: doubled when full. */
	if ((*n & (*n - 1)) == 0) {
		const char **more = arena_calloc(arena, *n ? *n * 2 : 1, sizeof(*more));

		if (!more)
			return -ENOMEM;
		for (size_t i = 0; i < *n; i++)
			more[i] = (*ids)[i];
		*ids = more;
	}
	(*ids)[*n] = arena_strdup(arena, id);
	return (*ids)[(*n)++] ? 0 : -ENOMEM;
}

int container_ids_matching(const char *root, const char *pattern, struct arena *arena, const char ***ret, size_t *ret_n,
			   struct error *err)
{
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_(free_regex) regex_t regex;
	const char **ids = NULL;
	struct dirent *e;
	size_t n = 0;
	int r = regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB);

	if (r != 0) {
		char why[128];

		regerror(r, &regex, why, sizeof(why));
		return error_set(err, EINVAL, "--regex: \"%s\" is no regular expression: %s", pattern, why);
	}
	dir = opendir(root);
	if (!dir && errno != ENOENT)
		return error_errno(err, errno, "open the state directory %s", root);
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.' && regexec(&regex, e->d_name, 0, NULL, 0) == 0 &&
		    add(e->d_name, arena, &ids, &n) < 0)
			return error_set(err, ENOMEM, "out of memory");
	*ret = ids;
	*ret_n = n;
	return 0;
}
