/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main of a fuzzer in `make check`: runs its entry point over the files of its
 * corpus, $srcdir/tests/corpus/NAME for a program fuzz_NAME, or over the files given.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "tests/fuzz.h"

static int replay(int dirfd, const char *name)
{
	_cleanup_free_ char *data = NULL;
	size_t len;
	int r = read_file_at(dirfd, name, 16 << 20, &data, &len);
	uint8_t *exact;

	if (r < 0) {
		fprintf(stderr, "%s: %s\n", name, strerror(-r));
		return r;
	}
	/* In a buffer of just that size: a sanitizer sees a read past its end. */
	exact = malloc(len ? len : 1);
	memcpy(exact, data, len);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	return 0;
}

static int replay_corpus(const char *dir)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	struct dirent *entry;
	int n = 0;

	if (!d) {
		fprintf(stderr, "%s: %s\n", dir, strerror(errno));
		return 1;
	}
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		if (replay(dirfd(d), entry->d_name) < 0)
			return 1;
		n++;
	}
	printf("%s: %d inputs\n", dir, n);
	return n == 0;
}

int main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir"), *name = strstr(program_invocation_short_name, "fuzz_");
	char dir[PATH_MAX];

	for (int i = 1; i < argc; i++)
		if (replay(AT_FDCWD, argv[i]) < 0)
			return 1;
	if (argc > 1)
		return 0;
	if (!name)
		return 1;
	snprintf(dir, sizeof(dir), "%s/tests/corpus/%s", srcdir ? srcdir : ".", name + strlen("fuzz_"));
	return replay_corpus(dir);
}
