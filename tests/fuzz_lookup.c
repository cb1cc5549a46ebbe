/* SPDX-License-Identifier: Apache-2.0 */
/* A value at a dotted path: the first line is the path, the rest the document. */
#include <errno.h>
#include <string.h>

#include "oci/json.h"
#include "tests/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err = ERROR_INIT;
	const char *value = NULL, *eol = size ? memchr(data, '\n', size) : NULL;
	size_t path_len = eol ? (size_t)(eol - (const char *)data) : size;
	size_t doc_start = eol ? path_len + 1 : size;
	char *path = arena_strndup(&arena, (const char *)data, path_len);
	int r =
	    json_lookup_scalar((const char *)data + doc_start, size - doc_start, "input", path, &arena, &value, &err);

	FUZZ_CHECK(r == 0 || r == -ENOENT || r == -EINVAL);
	FUZZ_CHECK(err.code == -r && !strchr(err.msg, '\n'));
	FUZZ_CHECK((r == 0) == (value != NULL));
	if (value)
		FUZZ_CHECK(json_utf8_valid(value, strlen(value)));
	return 0;
}
