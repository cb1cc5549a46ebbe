/* SPDX-License-Identifier: Apache-2.0 */
/* Applied tables. */
#include <string.h>

#include "base/path.h"
#include "hooks/engine/applied.h"
#include "tests/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct applied a = {0};
	struct error err = ERROR_INIT;
	struct stream_in in;
	int r;

	stream_in_memory(&in, (const char *)data, size);
	r = applied_read(in, &a, &err);
	FUZZ_CHECK(r <= 0 && err.code == -r && !strchr(err.msg, '\n'));
	for (size_t i = 0; i < a.n; i++) {
		FUZZ_CHECK(path_is_safe_relative(a.entries[i].path, strlen(a.entries[i].path)));
		FUZZ_CHECK(a.entries[i].tag[0] && applied_find(&a, a.entries[i].path) == i);
	}
	applied_free(&a);
	return 0;
}
