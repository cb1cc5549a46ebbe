/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What config.md asks beyond types: version, root, names, mounts, hooks. Where
 * the spec and runc differ, what runc accepts is accepted: callers were tested with it.
 */
#include "oci/check.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* The kernel's __NEW_UTS_LEN. */
#define HOSTNAME_LENGTH_MAX 64

bool check_has_namespace(const struct spec *spec, enum spec_ns type)
{
	return spec_find_namespace(spec, type) != NULL;
}

bool check_one_of(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(name, *list) == 0)
			return true;
	return false;
}

static int check_path_length(const char *place, const char *path, struct error *err)
{
	if (strlen(path) >= PATH_MAX)
		return error_set(err, EINVAL, "%s: longer than %d bytes", place, PATH_MAX - 1);
	return 0;
}

int check_absolute(const char *place, const char *path, struct error *err)
{
	if (path[0] != '/')
		return error_set(err, EINVAL, "%s: \"%s\" must be an absolute path", place, path);
	return check_path_length(place, path, err);
}

static const char *skip_digits(const char *s)
{
	while (isdigit((unsigned char)*s))
		s++;
	return s;
}

bool check_number_list(const char *s)
{
	for (;;) {
		const char *end = skip_digits(s);

		if (end == s)
			return false;
		if (*end == '-') {
			s = end + 1;
			end = skip_digits(s);
			if (end == s)
				return false;
		}
		if (*end == '\0')
			return true;
		if (*end != ',')
			return false;
		s = end + 1;
	}
}

/* SemVer 2.0.0 of major 1; what follows the numbers ("-rc5", "+dev") is not looked at more closely than its letters. */
static bool version_is_supported(const char *v)
{
	const char *end;

	if (strncmp(v, "1.", 2) != 0)
		return false;
	v += 2;
	end = skip_digits(v);
	if (end == v || *end != '.')
		return false;
	v = end + 1;
	end = skip_digits(v);
	if (end == v)
		return false;
	if (*end == '\0')
		return true;
	if (*end != '-' && *end != '+')
		return false;
	end++;
	return *end && end[strspn(end, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.+-")] == '\0';
}

static int check_version(const struct spec *spec, struct error *err)
{
	if (!version_is_supported(spec->oci_version))
		return error_set(err, EINVAL, "$.ociVersion: \"%s\" is not supported (this is %s; 1.x.y is read)",
				 spec->oci_version, OCI_VERSION);
	return 0;
}

static int check_root(const struct spec *spec, struct error *err)
{
	return check_path_length("$.root.path", spec->root->path, err);
}

static int check_uts_name(const struct spec *spec, const char *place, const char *name, struct error *err)
{
	if (!name)
		return 0;
	if (strlen(name) > HOSTNAME_LENGTH_MAX)
		return error_set(err, EINVAL, "%s: longer than %d bytes", place, HOSTNAME_LENGTH_MAX);
	if (!check_has_namespace(spec, SPEC_NS_UTS))
		return error_set(err, EINVAL, "%s: can't be set without a uts namespace", place);
	return 0;
}

static int check_names(const struct spec *spec, struct error *err)
{
	int r = check_uts_name(spec, "$.hostname", spec->hostname, err);

	return r < 0 ? r : check_uts_name(spec, "$.domainname", spec->domainname, err);
}

/* --- mounts -------------------------------------------------------------------- */

static bool mount_is_bind(const struct spec_mount *m)
{
	static const char *const bind[] = {"bind", "rbind", NULL};

	if (m->type && strcmp(m->type, "bind") == 0)
		return true;
	for (size_t i = 0; i < m->n_options; i++)
		if (check_one_of(m->options[i], bind))
			return true;
	return false;
}

static int check_mount(const char *place, const struct spec_mount *m, struct error *err)
{
	bool mapped = m->n_uid_mappings || m->n_gid_mappings;

	/* A relative destination is relative to "/": deprecated since 1.1, but runc goes on accepting it. */
	if (strlen(m->destination) >= PATH_MAX)
		return error_set(err, EINVAL, "%s.destination: longer than %d bytes", place, PATH_MAX - 1);
	if (m->source && strlen(m->source) >= PATH_MAX)
		return error_set(err, EINVAL, "%s.source: longer than %d bytes", place, PATH_MAX - 1);
	if (mount_is_bind(m) && !m->source)
		return error_set(err, EINVAL, "%s.source: missing (a bind mount needs one)", place);
	if (mapped && !mount_is_bind(m))
		return error_set(err, EINVAL, "%s: only a bind mount can have id mappings", place);
	if (mapped && (!m->n_uid_mappings || !m->n_gid_mappings))
		return error_set(err, EINVAL, "%s: needs uidMappings and gidMappings, or none", place);
	return 0;
}

int check_mounts(const struct spec *spec, struct error *err)
{
	for (size_t i = 0; i < spec->n_mounts; i++) {
		char place[40];
		int r;

		snprintf(place, sizeof(place), "$.mounts[%zu]", i);
		r = check_mount(place, &spec->mounts[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- hooks --------------------------------------------------------------------- */

static int check_hook_list(const char *name, const struct spec_hook *hooks, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		char place[64];
		int r;

		snprintf(place, sizeof(place), "$.hooks.%s[%zu].path", name, i);
		r = check_absolute(place, hooks[i].path, err);
		if (r < 0)
			return r;
		if (hooks[i].timeout && *hooks[i].timeout <= 0)
			return error_set(err, EINVAL, "$.hooks.%s[%zu].timeout: must be greater than 0", name, i);
	}
	return 0;
}

static int check_hooks(const struct spec *spec, struct error *err)
{
	const struct spec_hooks *h = spec->hooks;
	const struct {
		const char *name;
		const struct spec_hook *hooks;
		size_t n;
	} lists[] = {
	    {"prestart", h->prestart, h->n_prestart},
	    {"createRuntime", h->create_runtime, h->n_create_runtime},
	    {"createContainer", h->create_container, h->n_create_container},
	    {"startContainer", h->start_container, h->n_start_container},
	    {"poststart", h->poststart, h->n_poststart},
	    {"poststop", h->poststop, h->n_poststop},
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		int r = check_hook_list(lists[i].name, lists[i].hooks, lists[i].n, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int check_annotations(const struct spec *spec, struct error *err)
{
	static const char *const types[] = {"context", "fscontext", "defcontext", "rootcontext", NULL};
	const char *type;

	for (size_t i = 0; i < spec->n_annotations; i++)
		if (!spec->annotations[i].key[0])
			return error_set(err, EINVAL, "$.annotations: a key is empty");
	type = spec_annotation(spec, SPEC_MOUNT_CONTEXT_TYPE);
	if (type && !check_one_of(type, types))
		return error_set(err, EINVAL, "annotation " SPEC_MOUNT_CONTEXT_TYPE ": unknown type \"%s\"", type);
	return 0;
}

static int check_process(const struct spec *spec, struct error *err)
{
	return spec->process ? spec_check_process(spec->process, "$.process", err) : 0;
}

int spec_check(const struct spec *spec, struct error *err)
{
	static int (*const checks[])(const struct spec *, struct error *) = {
	    check_version, check_root,	check_names,	   check_process,
	    check_mounts,  check_hooks, check_annotations, check_linux,
	};

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		int r = checks[i](spec, err);

		if (r < 0)
			return r;
	}
	return 0;
}
