/* SPDX-License-Identifier: Apache-2.0 */
/* The applied table as a node keeps it. Its checksum is put behind the input. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "hooks/engine/applied_kept.h"
#include "tests/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("kept", MFD_CLOEXEC);
	struct error err = ERROR_INIT;
	struct kept_in k = {.in = {.fd = -1}};
	struct checksum c;
	uint64_t sum;
	struct applied_entry e;
	int r;

	checksum_init(&c);
	checksum_update(&c, data, size);
	sum = checksum_sum(&c);
	FUZZ_CHECK(fd >= 0 && write_all(fd, data, size) == 0 && write_all(fd, &sum, sizeof(sum)) == 0);
	if (kept_open(&k, fd, size + sizeof(sum), &err) < 0)
		return 0;
	FUZZ_CHECK(k.head.n_chain >= 1 && k.head.n_chain <= APPLIED_CHAIN_MAX);
	while ((r = kept_next(&k, &e, &err)) > 0)
		FUZZ_CHECK(path_is_safe_relative(e.path, strlen(e.path)) && e.tag[0]);
	FUZZ_CHECK(err.code == -r);
	kept_close(&k);
	return 0;
}
