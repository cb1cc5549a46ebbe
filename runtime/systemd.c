/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/spawn.h"
#include "runtime/volumes.h"

static const struct json_field property_fields[] = {
    JSON_FIELD(struct systemd_property, name, "name", JSON_STR, .required = true),
    JSON_FIELD(struct systemd_property, type, "type", JSON_STR, .required = true),
    JSON_LIST(struct systemd_property, values, "values", JSON_ARR_STR),
    {NULL},
};
static const struct json_table property_table = {"property", sizeof(struct systemd_property), property_fields,
						 JSON_STRICT};
static const struct json_field unit_fields[] = {
    JSON_FIELD(struct systemd_unit, unit, "unit", JSON_STR, .required = true),
    JSON_LIST(struct systemd_unit, properties, "properties", JSON_ARR_OBJ, .table = &property_table),
    {NULL},
};
const struct json_table systemd_unit_table = {"unit", sizeof(struct systemd_unit), unit_fields, JSON_STRICT};

static int run(const char *verb, const struct systemd_unit *u, bool rootless, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_strbuf_ struct strbuf input = STRBUF_INIT;
	const char *argv[4] = {"volrun-systemd", verb, rootless ? "--user" : NULL, NULL}, *path;
	char text[ERROR_MSG_MAX] = "";
	int r = own_program("volrun-systemd", &arena, &path, err);

	if (r < 0)
		return error_wrap(err, "--systemd-cgroup");
	json_write(&input, &systemd_unit_table, u, 0);
	if (input.failed)
		return error_set(err, ENOMEM, "out of memory");
	r = spawn_run(&(struct spawn){.path = path,
				      .argv = argv,
				      .input = strbuf_str(&input),
				      .input_len = input.len,
				      .stderr_buf = text,
				      .stderr_size = sizeof(text)},
		      err);
	if (r <= 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	return error_set(err, EIO, "systemd: %s", *text ? text : "volrun-systemd failed without saying why");
}

int systemd_start(const struct systemd_unit *u, bool rootless, struct error *err)
{
	return run("start", u, rootless, err);
}

int systemd_set(const struct systemd_unit *u, bool rootless, struct error *err)
{
	return u->n_properties ? run("set", u, rootless, err) : 0;
}

int systemd_stop(const char *unit, bool rootless, struct error *err)
{
	return run("stop", &(struct systemd_unit){.unit = unit}, rootless, err);
}

int systemd_cgroup_of(pid_t pid, enum cgroup_mode mode, struct arena *arena, const char **ret, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	const char *line, *start = mode == CGROUP_V2 ? "0::" : ":name=systemd:";
	char file[40];

	snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
	line = read_file_at(AT_FDCWD, file, 1 << 16, &text, NULL) == 0 ? strstr(text, start) : NULL;
	line = line ? line + strlen(start) : NULL;
	if (!line || *line != '/')
		return error_set(err, ESRCH, "the container's init is in no cgroup of systemd");
	*ret = arena_printf(arena, "%.*s", (int)strcspn(line, "\n"), line);
	return *ret ? 0 : error_set(err, ENOMEM, "out of memory");
}
