/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/mount_idmap.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"

#define RANGES_MAX 340 /* as many as the kernel takes (UID_GID_MAP_MAX_EXTENTS) */

static int parse_number(const char **text, const char *end, char after, struct arena *arena, uint32_t *ret)
{
	const char *stop = after ? memchr(*text, after, (size_t)(end - *text)) : end;
	uint64_t value;
	char *copy;

	if (!stop)
		return -EINVAL;
	copy = arena_strndup(arena, *text, (size_t)(stop - *text));
	if (!copy)
		return -ENOMEM;
	if (num_parse_u64(copy, UINT32_MAX - 1, &value) < 0)
		return -EINVAL;
	*text = after ? stop + 1 : stop;
	*ret = (uint32_t)value;
	return 0;
}

/* "@": the second number is an id of the container, which the user namespace maps. */
static int make_absolute(struct spec_id_mapping *m, const struct spec_id_mapping *maps, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t offset = m->host_id - maps[i].container_id;

		if (m->host_id >= maps[i].container_id && offset < maps[i].size) {
			if (m->size > maps[i].size - offset)
				return -ERANGE;
			m->host_id = maps[i].host_id + offset;
			return 0;
		}
	}
	return -ERANGE;
}

/* From `text` to `end`: "[@]FS-HOST-SIZE", several with "#" between them. */
static int parse_ranges(const char *text, const char *end, const struct spec_id_mapping *container, size_t n_container,
			struct arena *arena, struct spec_id_mapping **ret, size_t *ret_n)
{
	struct spec_id_mapping *maps;
	size_t n = 1, i = 0;

	for (const char *p = text; p < end; p++)
		n += *p == '#';
	maps = n <= RANGES_MAX ? arena_calloc(arena, n, sizeof(*maps)) : NULL;
	if (!maps)
		return n <= RANGES_MAX ? -ENOMEM : -E2BIG;
	for (; i < n; i++) {
		size_t len = strcspn(text, "#;");
		const char *stop = text + len;
		bool relative = *text == '@';
		int r;

		text += relative;
		r = parse_number(&text, stop, '-', arena, &maps[i].container_id);
		if (r == 0)
			r = parse_number(&text, stop, '-', arena, &maps[i].host_id);
		if (r == 0)
			r = parse_number(&text, stop, '\0', arena, &maps[i].size);
		if (r == 0 && maps[i].size == 0)
			r = -EINVAL;
		if (r == 0 && relative)
			r = make_absolute(&maps[i], container, n_container);
		if (r < 0)
			return r;
		text = stop + (stop < end);
	}
	*ret = maps;
	*ret_n = n;
	return 0;
}

static int parse_value(const char *option, const struct spec_linux *l, struct arena *arena, struct spec_linux *ret,
		       struct error *err)
{
	const char *p = strchr(option, '=') + 1;
	int r = 0;

	while (r == 0 && *p) {
		const char *end = p + strcspn(p, ";");

		if (strncmp(p, "uids=", 5) == 0)
			r = parse_ranges(p + 5, end, l->uid_mappings, l->n_uid_mappings, arena, &ret->uid_mappings,
					 &ret->n_uid_mappings);
		else if (strncmp(p, "gids=", 5) == 0)
			r = parse_ranges(p + 5, end, l->gid_mappings, l->n_gid_mappings, arena, &ret->gid_mappings,
					 &ret->n_gid_mappings);
		else
			r = -EINVAL;
		p = end + (*end == ';');
	}
	if (r == -ERANGE)
		return error_set(err, EINVAL, "option \"%s\": the container's user namespace does not map the range",
				 option);
	if (r == 0 && (!ret->n_uid_mappings || !ret->n_gid_mappings))
		r = -EINVAL;
	if (r < 0)
		return error_set(err, -r, "option \"%s\": not of the form uids=FS-HOST-SIZE#...;gids=FS-HOST-SIZE#...",
				 option);
	return 0;
}

/* The last of the options "idmap", "idmap=...", "ridmap", "ridmap=..."; NULL: none. */
static const char *find_option(const struct spec_mount *m)
{
	for (size_t i = m->n_options; i > 0; i--) {
		const char *o = m->options[i - 1], *name = o + (*o == 'r');

		if (strncmp(name, "idmap", 5) == 0 && (name[5] == '\0' || name[5] == '='))
			return o;
	}
	return NULL;
}

int mount_idmap_parse(const struct spec_mount *m, const struct spec_linux *l, bool in_userns, struct arena *arena,
		      struct mount_idmap *ret, struct error *err)
{
	const char *option = find_option(m);
	struct mount_idmap map = {.recursive = option && *option == 'r'};
	int r = 0;

	if (m->n_uid_mappings || m->n_gid_mappings) {
		map.own = true;
		map.mapping.uid_mappings = m->uid_mappings;
		map.mapping.n_uid_mappings = m->n_uid_mappings;
		map.mapping.gid_mappings = m->gid_mappings;
		map.mapping.n_gid_mappings = m->n_gid_mappings;
	} else if (option && strchr(option, '=')) {
		map.own = true;
		r = parse_value(option, l, arena, &map.mapping, err);
	}
	map.wanted = option || map.own;
	if (r == 0 && map.wanted && !map.own && !in_userns)
		r = error_set(err, EINVAL,
			      "option \"%s\": neither the mount nor the container has id mappings (uidMappings, "
			      "gidMappings)",
			      option);
	if (r == 0)
		*ret = map;
	return r;
}
