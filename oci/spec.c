/* SPDX-License-Identifier: Apache-2.0 */
/* Loading config.json and process.json. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/spec.h"

/* What callers may rely on, then the rules. */
static int finish(struct spec *spec, const char *source, struct arena *arena, struct error *err)
{
	if (!spec->linux_)
		spec->linux_ = arena_alloc(arena, sizeof(*spec->linux_));
	if (!spec->hooks)
		spec->hooks = arena_alloc(arena, sizeof(*spec->hooks));
	if (!spec->linux_ || !spec->hooks)
		return error_set(err, ENOMEM, "%s: out of memory", source);
	if (spec_check(spec, err) < 0)
		return error_wrap(err, "%s", source);
	return 0;
}

int spec_load(const char *bundle, struct arena *arena, struct spec *ret, struct error *err)
{
	_cleanup_close_ int fd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct spec spec;
	int r;

	/* Not in strerror's words, which callers take for a missing or forbidden command. */
	if (fd < 0)
		return error_set(err, errno, "bundle %s: %s", bundle,
				 errno == ENOENT ? "not found" : "can't be opened as a folder");
	r = json_parse_file(fd, "config.json", "config.json", &spec_table, arena, &spec, err);
	if (r == -ENOENT)
		return error_wrap(err, "bundle %s", bundle);
	if (r == 0)
		r = finish(&spec, "config.json", arena, err);
	if (r == 0)
		*ret = spec;
	return r;
}

int spec_load_file(const char *path, struct arena *arena, struct spec *ret, struct error *err)
{
	struct spec spec;
	int r = json_parse_file(AT_FDCWD, path, path, &spec_table, arena, &spec, err);

	if (r == 0)
		r = finish(&spec, path, arena, err);
	if (r == 0)
		*ret = spec;
	return r;
}

int spec_parse(const char *text, size_t len, const char *source, struct arena *arena, struct spec *ret,
	       struct error *err)
{
	struct spec spec;
	int r = json_parse(text, len, source, &spec_table, arena, &spec, err);

	if (r == 0)
		r = finish(&spec, source, arena, err);
	if (r == 0)
		*ret = spec;
	return r;
}

int spec_load_process(const char *path, struct arena *arena, struct spec_process *ret, struct error *err)
{
	struct spec_process process;
	int r = json_parse_file(AT_FDCWD, path, path, &spec_process_table, arena, &process, err);

	if (r < 0)
		return r;
	if (spec_check_process(&process, "$", err) < 0)
		return error_wrap(err, "%s", path);
	*ret = process;
	return 0;
}

const struct spec_namespace *spec_find_namespace(const struct spec *spec, enum spec_ns type)
{
	const struct spec_linux *l = spec->linux_;

	for (size_t i = 0; l && i < l->n_namespaces; i++)
		if (l->namespaces[i].type == (int)type)
			return &l->namespaces[i];
	return NULL;
}

const char *spec_annotation(const struct spec *spec, const char *key)
{
	return json_pair_get(spec->annotations, spec->n_annotations, key);
}
