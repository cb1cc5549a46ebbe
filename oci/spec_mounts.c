/* SPDX-License-Identifier: Apache-2.0 */
/* A file of mounts alone, for `mounts add|remove`: the array, or an object whose member "mounts" is it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/check.h"
#include "oci/spec_tables.h"

#define FILE_MAX (1u << 20)

struct mounts_file {
	struct spec_mount *mounts;
	size_t n_mounts;
};

static const struct json_field fields[] = {
    JSON_LIST(struct mounts_file, mounts, "mounts", JSON_ARR_OBJ, .table = &spec_mount_table),
    {NULL},
};
static const struct json_table table = {"mounts", sizeof(struct mounts_file), fields, JSON_EMPTY_ABSENT};

int spec_parse_mounts(const char *text, size_t len, const char *source, struct arena *arena, struct spec_mount **ret,
		      size_t *ret_n, struct error *err)
{
	_cleanup_strbuf_ struct strbuf whole = STRBUF_INIT;
	bool array = text[strspn(text, " \t\r\n")] == '[';
	struct mounts_file file;
	struct spec spec;
	int r;

	if (array)
		strbuf_adds(&whole, "{\"mounts\":");
	strbuf_add(&whole, text, len);
	if (array)
		strbuf_addc(&whole, '}');
	if (whole.failed)
		return error_set(err, ENOMEM, "out of memory");
	r = json_parse(whole.data, whole.len, source, &table, arena, &file, err);
	if (r < 0)
		return r;
	spec = (struct spec){.mounts = file.mounts, .n_mounts = file.n_mounts};
	if (check_mounts(&spec, err) < 0)
		return error_wrap(err, "%s", source);
	*ret = file.mounts;
	*ret_n = file.n_mounts;
	return 0;
}

int spec_load_mounts(const char *path, struct arena *arena, struct spec_mount **ret, size_t *ret_n, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = read_file_at(AT_FDCWD, path, FILE_MAX, &text, &len);

	if (r < 0)
		return error_errno(err, r, "%s", path);
	return spec_parse_mounts(text, len, path, arena, ret, ret_n, err);
}
