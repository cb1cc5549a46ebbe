/* SPDX-License-Identifier: Apache-2.0 */
/* Records: what is believed is sorted, beneath directories, and can be written and read again. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "hooks/engine/hardlinks.h"
#include "hooks/engine/record.h"
#include "hooks/engine/xattrs.h"
#include "tests/fuzz.h"

static void check_entry(const struct manifest *m, size_t i)
{
	const struct entry *e = &m->entries[i];

	FUZZ_CHECK(path_is_safe_relative(e->path, strlen(e->path)));
	FUZZ_CHECK(i == 0 || strcmp(m->entries[i - 1].path, e->path) < 0);
	FUZZ_CHECK(e->type == ENTRY_FILE || (e->type == ENTRY_SYMLINK) == (e->target != NULL));
	FUZZ_CHECK(e->type != ENTRY_FILE || !e->link || hardlink_ok(m, e));
	FUZZ_CHECK(!e->xattrs || (xattrs_valid(e->xattrs) && (e->type == ENTRY_FILE || e->type == ENTRY_DIR)));
	FUZZ_CHECK(!e->object || (e->type == ENTRY_FILE && path_is_safe_relative(e->object, strlen(e->object))));
	FUZZ_CHECK(e->offset + e->size <= INT64_MAX && (e->mode & ~01777) == 0);
	FUZZ_CHECK(manifest_find(m, e->path) == e);
}

static void write_again(const struct manifest *m)
{
	_cleanup_(stream_out_close) struct stream_out out = {.fd = -1};
	_cleanup_(stream_in_close) struct stream_in in = {.fd = -1};
	_cleanup_(manifest_free) struct manifest again = {0};
	_cleanup_close_ int fd = memfd_create("record", MFD_CLOEXEC);
	struct error err = ERROR_INIT;

	FUZZ_CHECK(fd >= 0 && stream_out_open(&out, fd, 0) == 0);
	FUZZ_CHECK(record_write(&out, m, NULL, &err) == 0 && stream_finish(&out, NULL) == 0);
	FUZZ_CHECK(stream_in_open(&in, fd, 0, out.written, false) == 0);
	FUZZ_CHECK(record_read(&in, &again, &err) == 0 && again.n == m->n);
}

/* A delta is applied to a tree; what comes out can be written as a whole, if it is one. */
static void apply(struct manifest *delta)
{
	static const char base[] =
	    "{\"format\":1,\"kind\":\"base\",\"epoch\":1,\"seq\":1,\"entries\":3,\"mode\":0,\"uid\":0,\"gid\":0,\"mtime\":0}\n"
	    "{\"path\":\"a\",\"type\":\"dir\"}\n"
	    "{\"path\":\"a/f\",\"type\":\"symlink\",\"target\":\"x\",\"tag\":\"t\"}\n"
	    "{\"path\":\"b\",\"type\":\"gone\",\"tag\":\"t\"}\n";
	_cleanup_(manifest_free) struct manifest m = {0};
	struct error err = ERROR_INIT;
	struct stream_in in;

	stream_in_memory(&in, base, sizeof(base) - 1);
	FUZZ_CHECK(record_read(&in, &m, &err) == 0);
	if (record_apply(&m, delta, &err) == 0 && manifest_check(&m, &err) == 0)
		write_again(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(manifest_free) struct manifest m = {0};
	struct error err = ERROR_INIT;
	struct stream_in in;
	int r;

	stream_in_memory(&in, (const char *)data, size);
	r = record_read(&in, &m, &err);
	FUZZ_CHECK(r <= 0 && err.code == -r && !strchr(err.msg, '\n'));
	for (size_t i = 0; i < m.n; i++)
		check_entry(&m, i);
	if (r == 0 && record_is_delta(&m))
		apply(&m);
	else if (r == 0)
		write_again(&m);
	return 0;
}
