/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes as text: what is valid can be given to a file, which then has just that. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "hooks/engine/xattrs.h"
#include "tests/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *text = arena_strndup(&a, (const char *)data, size);
	struct xattrs_lost lost = {0};
	const char *got = NULL;

	FUZZ_CHECK(fd >= 0 && text);
	/* A file system that holds fewer says so. */
	if (!xattrs_valid(text) || xattrs_write(fd, text, true) < 0)
		return 0;
	FUZZ_CHECK(xattrs_read(fd, &a, &got, &lost) == 0 && xattrs_equal(got, text));
	FUZZ_CHECK(xattrs_write(fd, NULL, false) == 0);
	FUZZ_CHECK(xattrs_read(fd, &a, &got, &lost) == 0 && !got);
	return 0;
}
