/* SPDX-License-Identifier: Apache-2.0 */
/* The file of `mounts add`, and what is to be done for its mounts: options, places, order. */
#include <string.h>

#include "oci/spec.h"
#include "runtime/mount_plan.h"
#include "tests/fuzz.h"

static void check_plan(const struct mount_plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct mount_op *op = &p->ops[i];

		FUZZ_CHECK(op->destination[0] == '/' && !strstr(op->destination, "//"));
		FUZZ_CHECK(!strstr(op->destination, "/../") && !strstr(op->destination, "/./"));
		FUZZ_CHECK(op->type && op->source);
		for (size_t k = 0; k < op->options.n_data; k++)
			FUZZ_CHECK(op->options.data[k]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct spec_linux linux_ = {0};
	struct spec spec = {.linux_ = &linux_};
	struct rootfs r = {.spec = &spec, .arena = &arena, .root_fd = -1, .live = true};
	struct mount_plan plan;
	struct error err = ERROR_INIT;
	const char *text = arena_strndup(&arena, (const char *)data, size);
	int e = spec_parse_mounts(text, size, "mounts.json", &arena, &spec.mounts, &spec.n_mounts, &err);

	FUZZ_CHECK(e <= 0 && err.code == -e && !strchr(err.msg, '\n'));
	if (e < 0)
		return 0;
	e = mount_plan_make(&r, &plan, &err);
	FUZZ_CHECK(e <= 0 && err.code == -e && !strchr(err.msg, '\n'));
	if (e == 0)
		check_plan(&plan);
	return 0;
}
