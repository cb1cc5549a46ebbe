/* SPDX-License-Identifier: Apache-2.0 */
/* A file of the cache of compiled seccomp filters: the first byte is the length of the key that is looked for. */
#include <string.h>

#include "base/arena.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_internal.h"
#include "tests/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct seccomp_program p = {0};
	struct strbuf key = {0};
	size_t key_len;
	char *file;

	if (size == 0)
		return 0;
	/* The end of the file is the key, as in one that fits. */
	key_len = data[0] < size ? data[0] : size - 1;
	key.data = arena_strndup(&arena, (const char *)data + size - key_len, key_len);
	key.len = key_len;
	file = arena_alloc(&arena, size);
	memcpy(file, data + 1, size - 1);
	if (seccomp_cache_parse(file, size - 1, &key, &p)) {
		const char *end = (const char *)(p.prog.filter + p.prog.len);

		FUZZ_CHECK(p.prog.len > 0 && (const char *)p.prog.filter > file && end <= file + size - 1);
	}
	return 0;
}
