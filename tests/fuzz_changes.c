/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of changes (conflicts/<epoch>/changes.json): what is passed on leads nowhere and can be shown. */
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "hooks/engine/changes.h"
#include "tests/fuzz.h"

static bool is_plain(const char *s)
{
	return strspn(s, "abcdefghijklmnopqrstuvwxyz") == strlen(s);
}

static int see(void *ctx, const struct conflict_change *c, struct error *err)
{
	bool file = strcmp(c->type, "file") == 0 && strcmp(c->change, "deleted") != 0;

	(void)ctx;
	(void)err;
	FUZZ_CHECK(is_plain(c->change) && is_plain(c->type));
	FUZZ_CHECK(path_is_safe_relative(c->name, strlen(c->name)));
	FUZZ_CHECK(!c->rawpath || strspn(c->rawpath, "0123456789abcdefABCDEF") == strlen(c->rawpath));
	FUZZ_CHECK(!file || (path_is_safe_relative(c->key, strlen(c->key)) && strlen(c->sha256) == 64));
	FUZZ_CHECK(strcmp(c->type, "symlink") != 0 || strcmp(c->change, "deleted") == 0 || c->link);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct error err = ERROR_INIT;
	struct conflict_note note;
	struct stream_in in;
	int r;

	stream_in_memory(&in, (const char *)data, size);
	r = changes_read(&in, &a, &note, see, NULL, &err);
	FUZZ_CHECK(r <= 0 && err.code == -r && !strchr(err.msg, '\n'));
	return 0;
}
