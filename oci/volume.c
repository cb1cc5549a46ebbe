/* SPDX-License-Identifier: Apache-2.0 */
/* Volume declarations: which annotations they are, their syntax, and what they must not be together. */
#include "oci/volume.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/path.h"
#include "oci/volume_expand.h"

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define SUFFIX_MAX 40
/* name, path, mode and each option once: more can't be right. */
#define FIELDS_MAX 8
#define DEFAULT_WORKSPACE "default"

const char *const volume_default_prefixes[] = {"/tmp", "/mnt", "/opt", "/home", "/data", "/workspace", "/root", NULL};

bool volume_name_valid(const char *name)
{
	size_t len = strlen(name);

	return len >= 2 && len <= VOLUME_NAME_MAX && strspn(name, NAME_CHARS "._-") == len &&
	       strchr(NAME_CHARS, name[0]) && strchr(NAME_CHARS, name[len - 1]) && !strstr(name, "..");
}

/* Names of stores and containers are others' to judge; this keeps odd text out of paths and messages. */
static bool plain_name(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= VOLUME_NAME_MAX && strspn(s, NAME_CHARS "._-") == len;
}

/* The key itself, or with a suffix, which may still be wrong. */
static bool is_volume_key(const char *key)
{
	size_t n = strlen(VOLUME_KEY);

	return strncmp(key, VOLUME_KEY, n) == 0 && (key[n] == '\0' || key[n] == '.');
}

const char *volume_prepared(const struct spec *spec)
{
	for (size_t i = 0; i < spec->n_annotations; i++)
		if (strcmp(spec->annotations[i].key, VOLUME_PREPARED_KEY) == 0)
			return spec->annotations[i].value;
	return NULL;
}

bool volume_declared(const struct spec *spec)
{
	for (size_t i = 0; i < spec->n_annotations; i++)
		if (is_volume_key(spec->annotations[i].key))
			return !volume_prepared(spec);
	return false;
}

static int check_key(const char *key, struct error *err)
{
	const char *suffix = key + strlen(VOLUME_KEY);
	size_t len;

	if (!*suffix)
		return 0;
	len = strlen(++suffix);
	if (len == 0 || len > SUFFIX_MAX || strspn(suffix, NAME_CHARS "_-") != len)
		return error_set(err, EINVAL, "the key's suffix must be 1 to %d letters, digits, \"_\" or \"-\"",
				 SUFFIX_MAX);
	return 0;
}

/* --- one value ------------------------------------------------------------------ */

static int split(char *value, char *fields[FIELDS_MAX], size_t *ret_n, struct error *err)
{
	char *save = NULL;
	size_t n = 0;

	for (char *f = strtok_r(value, " \t", &save); f; f = strtok_r(NULL, " \t", &save)) {
		if (n == FIELDS_MAX)
			return error_set(err, EINVAL, "more than %d fields", FIELDS_MAX);
		fields[n++] = f;
	}
	if (n < 2)
		return error_set(err, EINVAL, "must be \"<name> <mount_path> [ro|rw] [option=value ...]\"");
	*ret_n = n;
	return 0;
}

static int parse_owner(const char *value, struct volume_request *v, struct error *err)
{
	char uid[16];
	uint64_t u, g;
	size_t len = strcspn(value, ":");

	if (!value[len] || len >= sizeof(uid))
		return error_set(err, EINVAL, "owner=%s: must be <uid>:<gid>", value);
	memcpy(uid, value, len);
	uid[len] = '\0';
	if (num_parse_u64(uid, UINT32_MAX - 1, &u) < 0 || num_parse_u64(value + len + 1, UINT32_MAX - 1, &g) < 0)
		return error_set(err, EINVAL, "owner=%s: must be <uid>:<gid>", value);
	v->owner_uid = (uint32_t)u;
	v->owner_gid = (uint32_t)g;
	v->has_owner = true;
	return 0;
}

static int parse_store(const char *value, struct volume_request *v, struct error *err)
{
	if (!plain_name(value))
		return error_set(err, EINVAL, "store=%s: no name of a store", value);
	v->store = value;
	return 0;
}

static int parse_container(const char *value, struct volume_request *v, struct error *err)
{
	if (!plain_name(value))
		return error_set(err, EINVAL, "container=%s: no name of a container", value);
	v->container = value;
	return 0;
}

static int parse_wait(const char *value, struct volume_request *v, struct error *err)
{
	if (duration_parse(value, &v->wait_ns) < 0)
		return error_set(err, EINVAL, "wait=%s: no duration (90s, 5m, 0)", value);
	return 0;
}

static int parse_sync(const char *value, struct volume_request *v, struct error *err)
{
	if (duration_parse(value, &v->sync_ns) < 0)
		return error_set(err, EINVAL, "sync=%s: no duration (30s, 5m)", value);
	if (v->sync_ns < NSEC_PER_SEC)
		return error_set(err, EINVAL, "sync=%s: must be 1s or more", value);
	return 0;
}

static int parse_delete(const char *value, struct volume_request *v, struct error *err)
{
	if (strcmp(value, "wait") != 0)
		return error_set(err, EINVAL, "delete=%s: must be wait", value);
	v->delete_waits = true;
	return 0;
}

static const struct {
	const char *name;
	int (*parse)(const char *value, struct volume_request *v, struct error *err);
} options[] = {
    {"store", parse_store}, {"container", parse_container}, {"wait", parse_wait},
    {"sync", parse_sync},   {"owner", parse_owner},	    {"delete", parse_delete},
};

static int parse_option(char *field, struct volume_request *v, unsigned *seen, struct error *err)
{
	char *eq = strchr(field, '=');

	if (!eq && (strcmp(field, "ro") == 0 || strcmp(field, "rw") == 0))
		return error_set(err, EINVAL, "\"%s\" must stand once, right after the mount path", field);
	if (!eq)
		return error_set(err, EINVAL, "\"%s\" is no option (option=value)", field);
	*eq = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (strcmp(field, options[i].name) != 0)
			continue;
		if (*seen & 1u << i)
			return error_set(err, EINVAL, "option %s stands there twice", field);
		*seen |= 1u << i;
		return options[i].parse(eq + 1, v, err);
	}
	return error_set(err, EINVAL, "unknown option \"%s\"", field);
}

/* --- mount path ------------------------------------------------------------------ */

static int check_prefix(const char *path, const char *const *prefixes, struct arena *arena, struct error *err)
{
	_cleanup_strbuf_ struct strbuf list = STRBUF_INIT;

	for (size_t i = 0; prefixes[i]; i++) {
		const char *prefix = path_normalize(arena, prefixes[i]);

		if (!prefix)
			return error_set(err, ENOMEM, "out of memory");
		if (path_is_beneath(path, prefix))
			return 0;
		strbuf_addf(&list, "%s%s", i ? ", " : "", prefix);
	}
	if (!prefixes[0])
		return error_set(err, EINVAL,
				 "mount path \"%s\" is absolute, and the configuration allows no such path", path);
	return error_set(err, EINVAL, "mount path \"%s\" is not under an allowed prefix (%s)", path, strbuf_str(&list));
}

/* Where the runtime itself mounts and writes: a volume there could lend it files of the container's making. */
static int check_not_system(const char *path, struct error *err)
{
	static const char *const system_dirs[] = {"/proc", "/sys", "/dev"};

	if (strcmp(path, "/") == 0)
		return error_set(err, EINVAL, "the mount path is the container's root");
	for (size_t i = 0; i < ARRAY_SIZE(system_dirs); i++)
		if (path_is_beneath(path, system_dirs[i]))
			return error_set(err, EINVAL, "mount path \"%s\" is in %s", path, system_dirs[i]);
	return 0;
}

static int resolve_path(const struct spec *spec, const struct volume_context *ctx, const char *text,
			struct arena *arena, const char **ret, struct error *err)
{
	const char *const *prefixes = ctx->mount_prefixes ? ctx->mount_prefixes : volume_default_prefixes;
	const char *path = text;
	int r;

	if (text[0] != '/') {
		if (!spec->process || !spec->process->cwd)
			return error_set(err, EINVAL, "mount path \"%s\" is relative, but there is no process.cwd",
					 text);
		path = arena_printf(arena, "%s/%s", spec->process->cwd, text);
		if (!path)
			return error_set(err, ENOMEM, "out of memory");
	}
	if (path_has_dotdot(path))
		return error_set(err, EINVAL, "mount path \"%s\" has a \"..\"", path);
	path = path_normalize(arena, path);
	if (!path)
		return error_set(err, ENOMEM, "out of memory");
	r = check_not_system(path, err);
	if (r < 0)
		return r;
	/* Segments of at most 255 bytes, PATH_MAX in all. */
	if (strlen(path) >= 4096 || !path_is_safe_relative(path + 1, strlen(path) - 1))
		return error_set(err, EINVAL, "mount path \"%s\" is too long", path);
	if (text[0] == '/') {
		r = check_prefix(path, prefixes, arena, err);
		if (r < 0)
			return r;
	}
	*ret = path;
	return 0;
}

/* --- one declaration --------------------------------------------------------------- */

static int parse_value(const struct spec *spec, const struct volume_context *ctx, const struct volume_values *values,
		       const char *value, struct arena *arena, struct volume_request *v, struct error *err)
{
	char *fields[FIELDS_MAX], *copy;
	const char *path;
	unsigned seen = 0;
	size_t n = 0, i = 2;
	int r;

	if (strlen(value) > VOLUME_VALUE_MAX)
		return error_set(err, EINVAL, "longer than %d bytes", VOLUME_VALUE_MAX);
	if (!volume_text_valid(value))
		return error_set(err, EINVAL, "has control characters or is no valid UTF-8");
	copy = arena_strdup(arena, value);
	if (!copy)
		return error_set(err, ENOMEM, "out of memory");
	r = split(copy, fields, &n, err);
	if (r == 0)
		r = volume_expand(fields[0], values, arena, &v->name, err);
	if (r < 0)
		return r;
	if (!volume_name_valid(v->name))
		return error_set(err, EINVAL,
				 "name \"%s\" must be 2 to %d of A-Z a-z 0-9 . _ -, begin and end with a letter or "
				 "digit, and have no \"..\"",
				 v->name, VOLUME_NAME_MAX);
	r = volume_expand(fields[1], values, arena, &path, err);
	if (r == 0)
		r = resolve_path(spec, ctx, path, arena, &v->mount_path, err);
	if (n > 2 && (strcmp(fields[2], "ro") == 0 || strcmp(fields[2], "rw") == 0)) {
		v->ro = strcmp(fields[2], "ro") == 0;
		i++;
	}
	for (; r == 0 && i < n; i++)
		r = parse_option(fields[i], v, &seen, err);
	return r;
}

/* --- all together -------------------------------------------------------------------- */

static bool same_store(const struct volume_request *a, const struct volume_request *b)
{
	return !a->store || !b->store || strcmp(a->store, b->store) == 0;
}

/* Against those before it. */
static int check_against(const struct volume_set *set, const struct volume_request *v, struct error *err)
{
	for (size_t i = 0; i < set->n_volumes; i++) {
		const struct volume_request *o = &set->volumes[i];

		if (strcmp(o->name, v->name) == 0 && same_store(o, v))
			return error_set(err, EINVAL, "volume \"%s\" is declared by %s already", v->name,
					 o->annotation);
		if (strcmp(o->mount_path, v->mount_path) == 0)
			return error_set(err, EINVAL, "mount path \"%s\" is taken by %s already", v->mount_path,
					 o->annotation);
		if (path_is_beneath(v->mount_path, o->mount_path))
			return error_set(err, EINVAL, "mount path \"%s\" is inside the volume at \"%s\" (%s)",
					 v->mount_path, o->mount_path, o->annotation);
		if (path_is_beneath(o->mount_path, v->mount_path))
			return error_set(err, EINVAL, "the volume at \"%s\" (%s) is inside mount path \"%s\"",
					 o->mount_path, o->annotation, v->mount_path);
	}
	return 0;
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct volume_request *)a)->mount_path, ((const struct volume_request *)b)->mount_path);
}

static int add_volume(const struct spec *spec, const struct volume_context *ctx, const struct volume_values *values,
		      const struct json_pair *annotation, struct arena *arena, struct volume_set *set,
		      struct error *err)
{
	struct volume_request v = {.annotation = annotation->key, .wait_ns = -1};
	int r = check_key(annotation->key, err);

	if (r == 0)
		r = parse_value(spec, ctx, values, annotation->value, arena, &v, err);
	if (r < 0)
		return r;
	if (v.container && ctx->container_name && strcmp(v.container, ctx->container_name) != 0)
		return 0;
	if (set->n_volumes == VOLUME_MAX)
		return error_set(err, EINVAL, "more than %d volumes", VOLUME_MAX);
	r = check_against(set, &v, err);
	if (r == 0)
		set->volumes[set->n_volumes++] = v;
	return r;
}

int volume_parse(const struct spec *spec, const struct volume_context *ctx, struct arena *arena, struct volume_set *ret,
		 struct error *err)
{
	struct volume_set set = {.workspace = ctx->workspace ? ctx->workspace : DEFAULT_WORKSPACE};
	struct volume_values values = {.workspace = set.workspace, .args = spec_annotation(spec, VOLUME_ARGS_KEY)};
	size_t n = 0;

	if (!volume_name_valid(set.workspace))
		return error_set(err, EINVAL, "workspace \"%s\" is no valid name", set.workspace);
	set.volumes = arena_calloc(arena, VOLUME_MAX, sizeof(*set.volumes));
	if (!set.volumes)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < spec->n_annotations; i++) {
		const struct json_pair *annotation = &spec->annotations[i];
		int r;

		if (!is_volume_key(annotation->key))
			continue;
		if (++n > VOLUME_DECLARED_MAX)
			r = error_set(err, EINVAL, "more than %d volumes are declared", VOLUME_DECLARED_MAX);
		else
			r = add_volume(spec, ctx, &values, annotation, arena, &set, err);
		if (r < 0)
			return error_wrap(err, "annotation %.*s", (int)strlen(VOLUME_KEY) + 2 + SUFFIX_MAX,
					  annotation->key);
	}
	qsort(set.volumes, set.n_volumes, sizeof(*set.volumes), compare_paths);
	*ret = set;
	return 0;
}

size_t volume_place(const char *const *destinations, size_t n, const char *path)
{
	size_t place = n;

	for (size_t i = 0; i < n; i++)
		if (!destinations[i])
			continue;
		else if (path_is_beneath(path, destinations[i]))
			place = n;
		else if (place == n && path_is_beneath(destinations[i], path))
			place = i;
	return place;
}
