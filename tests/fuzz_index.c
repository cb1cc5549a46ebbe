/* SPDX-License-Identifier: Apache-2.0 */
/* The index beside a tree. Its checksum is put behind the input. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "hooks/engine/index.h"
#include "hooks/engine/xattrs.h"
#include "tests/fuzz.h"

static void check_manifest(const struct manifest *m)
{
	FUZZ_CHECK(m->root.type == ENTRY_DIR && !*m->root.path);
	for (size_t i = 0; i < m->n; i++) {
		const struct entry *e = &m->entries[i];

		FUZZ_CHECK(path_is_safe_relative(e->path, strlen(e->path)) && e->type < ENTRY_REMOVED);
		FUZZ_CHECK((e->mode & ~01777) == 0 && (e->type != ENTRY_SYMLINK || *e->target));
		FUZZ_CHECK(!e->xattrs || xattrs_valid(e->xattrs));
		FUZZ_CHECK(i == 0 || strcmp(m->entries[i - 1].path, e->path) <= 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(manifest_free) struct manifest m = {0}, again = {0};
	uint64_t sum;
	_cleanup_free_ char *text = malloc(size + sizeof(sum));
	struct checksum c;
	char dir[] = "/tmp/volrun-fuzz-XXXXXX";
	struct error err = ERROR_INIT;
	struct volume v = {0};

	FUZZ_CHECK(text && mkdtemp(dir));
	v.cache.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	memcpy(text, data, size);
	checksum_init(&c);
	checksum_update(&c, data, size);
	sum = checksum_sum(&c);
	memcpy(text + size, &sum, sizeof(sum));
	FUZZ_CHECK(write_file_atomic_at(v.cache.dir_fd, "index", text, size + sizeof(sum), 0600, false) == 0);
	if (index_load(&v, &m) == 0) {
		check_manifest(&m);
		FUZZ_CHECK(index_write(&v, &m, &err) == 0 && index_load(&v, &again) == 0 && again.n == m.n);
	}
	unlinkat(v.cache.dir_fd, "index", 0);
	close(v.cache.dir_fd);
	rmdir(dir);
	return 0;
}
