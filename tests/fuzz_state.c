/* SPDX-License-Identifier: Apache-2.0 */
/* state.json of a container's directory, as it could be torn or forged. */
#include <string.h>

#include "runtime/state_dir.h"
#include "tests/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_strbuf_ struct strbuf first = STRBUF_INIT, second = STRBUF_INIT, shown = STRBUF_INIT;
	struct error err = ERROR_INIT;
	struct container_state state;
	struct oci_state oci;
	int r = json_parse((const char *)data, size, "state.json", &container_state_table, &arena, &state, &err);

	FUZZ_CHECK(r <= 0 && err.code == -r && !strchr(err.msg, '\n'));
	if (r < 0)
		return 0;
	FUZZ_CHECK(state.id && state.bundle && state.oci_version);
	json_write(&first, &container_state_table, &state, 0);
	FUZZ_CHECK(json_parse(first.data, first.len, "written", &container_state_table, &arena, &state, &err) == 0);
	json_write(&second, &container_state_table, &state, 0);
	FUZZ_CHECK(strcmp(first.data, second.data) == 0);
	/* As `state` prints it. */
	oci = container_oci_state(&state, OCI_STOPPED);
	json_write(&shown, &oci_state_table, &oci, 2);
	FUZZ_CHECK(!shown.failed && oci.pid == 0);
	return 0;
}
