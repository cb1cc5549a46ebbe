/* SPDX-License-Identifier: Apache-2.0 */
/* _symlinks.json: no path of it leads out of a volume. */
#include <string.h>

#include "base/path.h"
#include "hooks/engine/symlinks.h"
#include "tests/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err = ERROR_INIT;
	struct symlinks s = {0};
	int r = symlinks_parse((const char *)data, size, &arena, &s, &err);

	FUZZ_CHECK(r <= 0 && err.code == -r && !strchr(err.msg, '\n'));
	for (size_t i = 0; i < s.n_links; i++) {
		FUZZ_CHECK(path_is_safe_relative(s.links[i].key, strlen(s.links[i].key)));
		FUZZ_CHECK(s.links[i].value[0]);
	}
	return 0;
}
