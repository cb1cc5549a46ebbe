/* SPDX-License-Identifier: Apache-2.0 */
/* config.json with all its rules; also as a process.json and as a state. */
#include <string.h>

#include "oci/spec.h"
#include "oci/state.h"
#include "tests/fuzz.h"

static void check_error(int r, const struct error *err)
{
	FUZZ_CHECK(r <= 0 && err->code == -r && !strchr(err->msg, '\n'));
	FUZZ_CHECK((r == 0) == (err->msg[0] == '\0'));
}

static void try_spec(const char *text, size_t len, struct arena *arena)
{
	_cleanup_strbuf_ struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;
	struct error err = ERROR_INIT;
	struct spec spec;
	int r = spec_parse(text, len, "input", arena, &spec, &err);

	check_error(r, &err);
	if (r < 0)
		return;
	FUZZ_CHECK(spec.linux_ && spec.hooks && spec.root->path[0]);
	json_write(&first, &spec_table, &spec, 0);
	FUZZ_CHECK(!first.failed);
	FUZZ_CHECK(spec_parse(first.data, first.len, "written", arena, &spec, &err) == 0);
	json_write(&second, &spec_table, &spec, 0);
	FUZZ_CHECK(strcmp(first.data, second.data) == 0);
}

static void try_process(const char *text, size_t len, struct arena *arena)
{
	struct error err = ERROR_INIT;
	struct spec_process process;
	int r = json_parse(text, len, "input", &spec_process_table, arena, &process, &err);

	if (r == 0)
		r = spec_check_process(&process, "$", &err);
	check_error(r, &err);
	if (r == 0)
		FUZZ_CHECK(process.cwd[0] == '/' && process.n_args > 0 && !process.args[process.n_args]);
}

static void try_state(const char *text, size_t len, struct arena *arena)
{
	struct error err = ERROR_INIT;
	struct oci_state state;
	int r = oci_state_parse(text, len, arena, &state, &err);

	check_error(r, &err);
	if (r == 0)
		FUZZ_CHECK(!strchr(state.id, '/') && state.id[0] != '.' && state.bundle[0] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;

	try_spec((const char *)data, size, &arena);
	try_process((const char *)data, size, &arena);
	try_state((const char *)data, size, &arena);
	return 0;
}
