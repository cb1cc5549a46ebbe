/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of garbage: each name that is read can be written and read again. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "hooks/engine/garbage.h"
#include "tests/fuzz.h"

struct copy {
	struct stream_out out;
	struct strbuf line;
	uint64_t n;
};

static void add(void *ctx, const char *name)
{
	struct copy *c = ctx;

	c->n++;
	garbage_write(&c->out, &c->line, name);
}

static void count(void *ctx, const char *name)
{
	(void)name;
	++*(uint64_t *)ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("garbage", MFD_CLOEXEC);
	struct error err = ERROR_INIT;
	struct copy c = {.line = STRBUF_INIT};
	struct stream_in in;
	uint64_t n = 0;
	int r;

	FUZZ_CHECK(fd >= 0 && stream_out_open(&c.out, fd, 0) == 0);
	garbage_write_head(&c.out, &c.line, 0);
	stream_in_memory(&in, (const char *)data, size);
	r = garbage_read(&in, add, &c, &err);
	FUZZ_CHECK(r <= 0 && err.code == -r && !strchr(err.msg, '\n'));
	FUZZ_CHECK(stream_finish(&c.out, NULL) == 0);
	FUZZ_CHECK(stream_in_open(&in, fd, 0, c.out.written, false) == 0);
	FUZZ_CHECK(garbage_read(&in, count, &n, &err) == 0 && n == c.n);
	stream_in_close(&in);
	stream_out_close(&c.out);
	strbuf_free(&c.line);
	return 0;
}
