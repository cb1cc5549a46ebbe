/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations of volumes. Lines: process.cwd, the workspace, dev.volrun.args,
 * then one annotation a line: what stands before the first ':' is the key's end.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "oci/volume.h"
#include "tests/fuzz.h"

static void check_set(const struct volume_set *set)
{
	FUZZ_CHECK(volume_name_valid(set->workspace) && set->n_volumes <= VOLUME_MAX);
	for (size_t i = 0; i < set->n_volumes; i++) {
		const struct volume_request *v = &set->volumes[i];

		FUZZ_CHECK(volume_name_valid(v->name));
		FUZZ_CHECK(v->mount_path[0] == '/' && !path_has_dotdot(v->mount_path));
		FUZZ_CHECK(path_is_safe_relative(v->mount_path + 1, strlen(v->mount_path + 1)));
		FUZZ_CHECK(!path_is_beneath(v->mount_path, "/proc") && !path_is_beneath(v->mount_path, "/sys"));
		FUZZ_CHECK(v->wait_ns >= -1 && (v->sync_ns == 0 || v->sync_ns >= 1000000000));
		for (size_t k = 0; k < i; k++) {
			FUZZ_CHECK(strcmp(set->volumes[k].mount_path, v->mount_path) < 0);
			FUZZ_CHECK(!path_is_beneath(v->mount_path, set->volumes[k].mount_path));
		}
	}
}

/* The next line, ended by a NUL; *s moves behind it. */
static char *next_line(char **s)
{
	char *line = *s;
	size_t len = strcspn(line, "\n");

	*s = line + len + (line[len] != '\0');
	line[len] = '\0';
	return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err = ERROR_INIT;
	struct json_pair pairs[32];
	char *text = arena_strndup(&arena, (const char *)data, size);
	struct spec_process process = {.cwd = next_line(&text)};
	struct volume_context ctx = {.workspace = next_line(&text), .container_name = "main"};
	struct spec spec = {.annotations = pairs, .process = process.cwd[0] == '/' ? &process : NULL};
	struct volume_set set = {0};
	int r;

	pairs[spec.n_annotations++] = (struct json_pair){VOLUME_ARGS_KEY, next_line(&text)};
	while (*text && spec.n_annotations < ARRAY_SIZE(pairs)) {
		char *line = next_line(&text), *colon = strchr(line, ':');

		if (colon)
			*colon = '\0';
		pairs[spec.n_annotations++] = (struct json_pair){
		    arena_printf(&arena, VOLUME_KEY "%s", colon ? line : ""), colon ? colon + 1 : line};
	}
	r = volume_parse(&spec, &ctx, &arena, &set, &err);
	FUZZ_CHECK(r <= 0 && err.code == -r && !strchr(err.msg, '\n'));
	if (r == 0)
		check_set(&set);
	return 0;
}
