/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/criu_names.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/json.h"

#define FILE_MAX (1u << 20)

struct names {
	const char **names;
	size_t n_names;
};

static const struct json_field fields[] = {
    JSON_LIST(struct names, names, "names", JSON_ARR_STR, .max_count = CRIU_NAMES_MAX),
    {NULL},
};
static const struct json_table table = {"names", sizeof(struct names), fields, JSON_STRICT};

int criu_names_save(int images_fd, const char *file, const char *const *names, size_t n, struct error *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	int r;

	strbuf_addc(&text, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			strbuf_addc(&text, ',');
		json_write_string(&text, names[i]);
	}
	strbuf_addc(&text, ']');
	if (text.failed)
		return error_set(err, ENOMEM, "out of memory");
	r = write_file_atomic_at(images_fd, file, text.data, text.len, 0600, false);
	return r < 0 ? error_errno(err, r, "write %s", file) : 0;
}

int criu_names_parse(const char *text, size_t len, const char *file, struct arena *arena, const char ***ret,
		     size_t *ret_n, struct error *err)
{
	_cleanup_strbuf_ struct strbuf whole = STRBUF_INIT;
	struct names n;
	int r;

	strbuf_adds(&whole, "{\"names\":");
	strbuf_add(&whole, text, len);
	strbuf_addc(&whole, '}');
	if (whole.failed)
		return error_set(err, ENOMEM, "out of memory");
	r = json_parse(whole.data, whole.len, file, &table, arena, &n, err);
	if (r < 0)
		return r;
	*ret = n.names;
	*ret_n = n.n_names;
	return 0;
}

int criu_names_load(int images_fd, const char *file, struct arena *arena, const char ***ret, size_t *ret_n,
		    struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = read_file_at(images_fd, file, FILE_MAX, &text, &len);

	if (r < 0)
		return error_errno(err, r, "read %s of the checkpoint", file);
	return criu_names_parse(text, len, file, arena, ret, ret_n, err);
}
