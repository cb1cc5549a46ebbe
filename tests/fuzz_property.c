/* SPDX-License-Identifier: Apache-2.0 */
/* A property of a systemd unit, as an annotation has it: the first line is its name, the rest its value. */
#include <string.h>

#include "runtime/systemd_property.h"
#include "tests/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	char *name = arena_strndup(&arena, (const char *)data, size), *value = strchr(name, '\n');
	struct systemd_property p = {0};
	struct error err = ERROR_INIT;
	int r;

	if (!value)
		return 0;
	*value++ = '\0';
	r = systemd_property_parse(name, value, &arena, &p, &err);
	FUZZ_CHECK(r <= 0 && err.code == -r && !strchr(err.msg, '\n'));
	if (r < 0)
		return 0;
	FUZZ_CHECK(p.name[0] >= 'A' && p.name[0] <= 'Z' && strlen(p.name) <= 65);
	FUZZ_CHECK(strlen(p.type) > 0 && (strcmp(p.type, "as") == 0 || p.n_values == 1));
	for (size_t i = 0; i < p.n_values; i++)
		FUZZ_CHECK(p.values[i]);
	return 0;
}
