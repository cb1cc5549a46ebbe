/* SPDX-License-Identifier: Apache-2.0 */
/* Applied tables. */
#include <string.h>

#include "base/path.h"
#include "hooks/engine/applied.h"
#include "tests/fuzz.h"

static void check_table(const struct applied *a)
{
	for (size_t i = 0; i < a->n; i++) {
		FUZZ_CHECK(path_is_safe_relative(a->entries[i].path, strlen(a->entries[i].path)));
		FUZZ_CHECK(a->entries[i].tag[0] && applied_find(a, a->entries[i].path) == i);
	}
}

/* A whole table; else a delta on this one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char whole[] =
	    "{\"format\":1,\"kind\":\"applied\",\"epoch\":1,\"seq\":1,\"record\":\"x\"}\n"
	    "{\"path\":\"b\",\"tag\":\"t\",\"sha256\":"
	    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}\n{\"end\":1}\n";
	struct applied a = {0};
	struct error err = ERROR_INIT;
	struct stream_in in;
	int r;

	stream_in_memory(&in, (const char *)data, size);
	r = applied_read(in, &a, &err);
	FUZZ_CHECK(r <= 0 && err.code == -r && !strchr(err.msg, '\n'));
	check_table(&a);
	applied_free(&a);
	stream_in_memory(&in, whole, sizeof(whole) - 1);
	FUZZ_CHECK(applied_read(in, &a, &err) == 0);
	stream_in_memory(&in, (const char *)data, size);
	applied_apply(&a, in, &err);
	check_table(&a);
	applied_free(&a);
	return 0;
}
