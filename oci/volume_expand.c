/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "oci/json.h"
#include "oci/volume.h"
#include "oci/volume_expand.h"

bool volume_text_valid(const char *s)
{
	if (!json_utf8_valid(s, strlen(s)))
		return false;
	for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
		if ((*p < 0x20 && *p != '\t') || *p == 0x7F)
			return false;
		if (p[0] == 0xC2 && p[1] >= 0x80 && p[1] <= 0x9F)
			return false;
	}
	return true;
}

static int look_up_arg(const char *placeholder, const char *path, const struct volume_values *values,
		       struct arena *arena, const char **ret, struct error *err)
{
	int r;

	if (!values->args)
		return error_set(err, EINVAL, "%s: there is no annotation " VOLUME_ARGS_KEY, placeholder);
	if (strlen(values->args) > VOLUME_ARGS_MAX)
		return error_set(err, EINVAL, "%s: annotation " VOLUME_ARGS_KEY ": longer than %d bytes", placeholder,
				 VOLUME_ARGS_MAX);
	r = json_lookup_scalar(values->args, strlen(values->args), "annotation " VOLUME_ARGS_KEY, path, arena, ret,
			       err);
	if (r < 0) {
		/* To the caller an absent key is a fault of the declaration. */
		if (r == -ENOENT)
			err->code = EINVAL;
		return error_wrap(err, "%s", placeholder);
	}
	return 0;
}

/* The value of the placeholder at s, which begins with '$'; *ret_len is the placeholder's length. */
static int placeholder_value(const char *s, const struct volume_values *values, struct arena *arena, const char **ret,
			     size_t *ret_len, struct error *err)
{
	static const char workspace[] = "$workspace", args[] = "$args[";
	const char *path, *placeholder;
	size_t len;

	if (strncmp(s, workspace, strlen(workspace)) == 0) {
		*ret = values->workspace;
		*ret_len = strlen(workspace);
		return 0;
	}
	if (strncmp(s, args, strlen(args)) != 0)
		return error_set(err, EINVAL, "\"%s\": a \"$\" must begin $workspace or $args[KEY]", s);
	s += strlen(args);
	len = strcspn(s, "]");
	if (!s[len])
		return error_set(err, EINVAL, "\"$args[%s\": the \"]\" is missing", s);
	path = arena_strndup(arena, s, len);
	placeholder = arena_printf(arena, "$args[%.*s]", (int)len, s);
	if (!path || !placeholder)
		return error_set(err, ENOMEM, "out of memory");
	*ret_len = strlen(args) + len + 1;
	return look_up_arg(placeholder, path, values, arena, ret, err);
}

static int check_value(const char *placeholder, size_t len, const char *value, struct error *err)
{
	if (!*value)
		return error_set(err, EINVAL, "%.*s: stands for an empty text", (int)len, placeholder);
	if (!volume_text_valid(value) || value[strcspn(value, " \t")])
		return error_set(err, EINVAL, "%.*s: stands for a text with white space or control characters",
				 (int)len, placeholder);
	return 0;
}

static int append_value(struct strbuf *out, const char **s, const struct volume_values *values, struct arena *arena,
			struct error *err)
{
	const char *value = NULL;
	size_t len = 0;
	int r = placeholder_value(*s, values, arena, &value, &len, err);

	if (r == 0)
		r = check_value(*s, len, value, err);
	if (r < 0)
		return r;
	strbuf_adds(out, value);
	if (out->len > VOLUME_VALUE_MAX)
		return error_set(err, EINVAL, "%.*s: makes the text longer than %d bytes", (int)len, *s,
				 VOLUME_VALUE_MAX);
	*s += len;
	return 0;
}

int volume_expand(const char *field, const struct volume_values *values, struct arena *arena, const char **ret,
		  struct error *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	const char *s = field, *text;
	size_t n = 0;

	while (*s) {
		size_t plain = strcspn(s, "$");

		strbuf_add(&out, s, plain);
		s += plain;
		if (!*s)
			break;
		if (++n > VOLUME_PLACEHOLDERS_MAX)
			return error_set(err, EINVAL, "more than %d placeholders in \"%s\"", VOLUME_PLACEHOLDERS_MAX,
					 field);
		int r = append_value(&out, &s, values, arena, err);

		if (r < 0)
			return r;
	}
	text = out.failed ? NULL : arena_strndup(arena, strbuf_str(&out), out.len);
	if (!text)
		return error_set(err, ENOMEM, "out of memory");
	*ret = text;
	return 0;
}
