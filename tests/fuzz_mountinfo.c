/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of mountinfo, by each of their readers. */
#include "runtime/cgroup_v1.c"
#include "runtime/mount_cgroup.c"
#include "runtime/rootfs.c"
#include "tests/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	char *text = arena_strndup(&arena, (const char *)data, size), *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *pseudo = arena_strdup(&arena, line), *v1 = arena_strdup(&arena, line);
		const char *place = whole_pseudo_fs(pseudo, "/rootfs");
		struct mount_line m;

		if (place)
			FUZZ_CHECK(!path_is_beneath(place, "/rootfs"));
		if (parse_line(v1, &m) && is_place(m.mount)) {
			FUZZ_CHECK(!strchr(m.mount + strlen(CGROUP_ROOT "/"), '/'));
			keep_controllers(m.options);
		}
		place = hierarchy_of(line);
		if (place)
			FUZZ_CHECK(strncmp(place, CGROUP_ROOT "/", strlen(CGROUP_ROOT "/")) == 0);
	}
	return 0;
}
