/* SPDX-License-Identifier: Apache-2.0 */
/* The applied table as a node keeps it. Its hash, which is no secret, is put behind the input. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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
	char sha256[SHA256_HEX_MAX];
	struct applied_entry e;
	int r;

	sha256_hex(data, size, sha256);
	FUZZ_CHECK(fd >= 0 && write_all(fd, data, size) == 0 && write_all(fd, sha256, sizeof(sha256)) == 0);
	if (kept_open(&k, fd, size + sizeof(sha256), &err) < 0)
		return 0;
	FUZZ_CHECK(k.head.n_chain >= 1 && k.head.n_chain <= APPLIED_CHAIN_MAX);
	while ((r = kept_next(&k, &e, &err)) > 0)
		FUZZ_CHECK(path_is_safe_relative(e.path, strlen(e.path)) && e.tag[0]);
	FUZZ_CHECK(err.code == -r);
	kept_close(&k);
	return 0;
}
