/* SPDX-License-Identifier: Apache-2.0 */
/* The state JSON of runtime.md, and container ids. */
#include "oci/state.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#define ID_MAX 255

const char *const oci_status_names[] = {
    [OCI_CREATING] = "creating", [OCI_CREATED] = "created", [OCI_RUNNING] = "running",
    [OCI_STOPPED] = "stopped",	 [OCI_PAUSED] = "paused",   NULL,
};

/* In the order in which runc prints them. pid stands there even when 0: callers decode it. */
#define STATE_SPEC_FIELDS                                                                                              \
	JSON_FIELD(struct oci_state, oci_version, "ociVersion", JSON_STR, .required = true),                           \
	    JSON_FIELD(struct oci_state, id, "id", JSON_STR, .required = true),                                        \
	    JSON_FIELD(struct oci_state, pid, "pid", JSON_I32, .write_empty = true),                                   \
	    JSON_FIELD(struct oci_state, status, "status", JSON_ENUM, .names = oci_status_names, .required = true),    \
	    JSON_FIELD(struct oci_state, bundle, "bundle", JSON_STR, .required = true)

static const struct json_field state_fields[] = {
    STATE_SPEC_FIELDS,
    JSON_FIELD(struct oci_state, rootfs, "rootfs", JSON_STR),
    JSON_FIELD(struct oci_state, created, "created", JSON_STR),
    JSON_FIELD(struct oci_state, systemd_scope, "systemd-scope", JSON_STR),
    JSON_LIST(struct oci_state, annotations, "annotations", JSON_MAP_STR),
    JSON_FIELD(struct oci_state, owner, "owner", JSON_STR, .write_empty = true),
    {NULL},
};
const struct json_table oci_state_table = {"state", sizeof(struct oci_state), state_fields, 0};

static const struct json_field hook_state_fields[] = {
    STATE_SPEC_FIELDS,
    JSON_LIST(struct oci_state, annotations, "annotations", JSON_MAP_STR),
    {NULL},
};
static const struct json_table hook_state_table = {"state", sizeof(struct oci_state), hook_state_fields, 0};

int oci_state_write(struct strbuf *out, const struct oci_state *s, int indent)
{
	json_write(out, &hook_state_table, s, indent);
	return out->failed ? -ENOMEM : 0;
}

int oci_state_parse(const char *text, size_t len, struct arena *arena, struct oci_state *ret, struct error *err)
{
	struct oci_state s;
	int r = json_parse(text, len, "state", &oci_state_table, arena, &s, err);

	if (r < 0)
		return r;
	if (s.pid < 0)
		return error_set(err, EINVAL, "state: $.pid: %d is no process id", s.pid);
	if (s.bundle[0] != '/')
		return error_set(err, EINVAL, "state: $.bundle: must be an absolute path");
	if (oci_id_check(s.id, err) < 0)
		return error_wrap(err, "state: $.id");
	*ret = s;
	return 0;
}

int oci_id_check(const char *id, struct error *err)
{
	size_t len = strlen(id);

	if (len == 0)
		return error_set(err, EINVAL, "container id cannot be empty");
	if (len > ID_MAX)
		return error_set(err, EINVAL, "invalid container id: longer than %d characters", ID_MAX);
	if (id[0] == '.')
		return error_set(err, EINVAL, "invalid container id \"%s\": starts with a dot", id);
	if (strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-") != len)
		return error_set(err, EINVAL,
				 "invalid character in the container ID \"%s\": only letters, digits and _ + . - are "
				 "allowed",
				 id);
	return 0;
}
