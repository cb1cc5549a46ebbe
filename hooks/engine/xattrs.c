/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/xattrs.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "base/strbuf.h"

#define USER "user."
#define USER_LEN (sizeof(USER) - 1)
/* Of XATTR_NAME_MAX, which counts the namespace. */
#define NAME_LEN_MAX (255 - USER_LEN)
#define VALUE_LEN_MAX 65536

bool xattrs_equal(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* --- the text --------------------------------------------------------------------- */

/* One attribute of the text: where its parts are, in hex. */
struct part {
	const char *name, *value;
	size_t name_len, value_len; /* in bytes of the attribute */
};

/* 1; 0 at the end; -EINVAL. */
static int next_part(const char **text, struct part *ret)
{
	static const char digits[] = "0123456789abcdef";
	const char *s = *text;
	size_t name, value;

	if (!*s)
		return 0;
	name = strspn(s, digits);
	if (name == 0 || name % 2 || name / 2 > NAME_LEN_MAX || s[name] != ':')
		return -EINVAL;
	*ret = (struct part){.name = s, .name_len = name / 2, .value = s + name + 1};
	value = strspn(ret->value, digits);
	if (value % 2 || value / 2 > VALUE_LEN_MAX || ret->value[value] != ',')
		return -EINVAL;
	ret->value_len = value / 2;
	*text = ret->value + value + 1;
	return 1;
}

static bool has_nul(const struct part *p)
{
	for (size_t i = 0; i < p->name_len; i++)
		if (p->name[2 * i] == '0' && p->name[2 * i + 1] == '0')
			return true;
	return false;
}

/* Hex keeps the order of the bytes. */
static int compare_names(const struct part *a, const struct part *b)
{
	size_t n = a->name_len < b->name_len ? a->name_len : b->name_len;
	int cmp = memcmp(a->name, b->name, 2 * n);

	return cmp ? cmp : a->name_len < b->name_len ? -1 : a->name_len > b->name_len;
}

bool xattrs_valid(const char *text)
{
	struct part p, last = {0};
	size_t bytes = 0, n = 0;
	int r;

	while ((r = next_part(&text, &p)) > 0) {
		bytes += p.name_len + p.value_len;
		if (has_nul(&p) || (n > 0 && compare_names(&last, &p) >= 0) || bytes > XATTRS_MAX_BYTES ||
		    ++n > XATTRS_MAX_COUNT)
			return false;
		last = p;
	}
	return r == 0 && n > 0;
}

/* --- of a file ------------------------------------------------------------------------ */

/* The kernel's list of names; *ret_len 0: there are none, or no support for them. */
static int list_names(const char *path, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *list = NULL;
	ssize_t n = listxattr(path, NULL, 0);

	*ret_len = 0;
	if (n < 0)
		return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
	if (n == 0)
		return 0;
	list = malloc((size_t)n);
	if (!list)
		return -ENOMEM;
	n = listxattr(path, list, (size_t)n);
	if (n < 0)
		return errno == ERANGE ? -ESTALE : -errno;
	/* Each name ends with a NUL; the rest relies on it. */
	if (n > 0 && list[n - 1] != '\0')
		return -EINVAL;
	*ret_len = (size_t)n;
	*ret = TAKE_PTR(list);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the namespace "user", sorted, within their list. */
static int pick_names(char *list, size_t len, char ***ret, size_t *ret_n, struct xattrs_lost *lost)
{
	size_t n = 0;

	*ret = NULL;
	*ret_n = 0;
	for (char *s = list; s < list + len; s += strlen(s) + 1) {
		n += !strncmp(s, USER, USER_LEN) && s[USER_LEN];
		if (lost && (!strncmp(s, "system.posix_acl_", 17) || !strcmp(s, "security.capability")))
			lost->acl = true;
	}
	if (n == 0)
		return 0;
	*ret = calloc(n, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	for (char *s = list; s < list + len; s += strlen(s) + 1)
		if (!strncmp(s, USER, USER_LEN) && s[USER_LEN])
			(*ret)[(*ret_n)++] = s;
	qsort(*ret, n, sizeof(**ret), by_name);
	return 0;
}

static void add_hex(struct strbuf *text, const void *data, size_t len, char end)
{
	strbuf_reserve(text, 2 * len + 2);
	if (text->failed)
		return;
	hex_encode(data, len, text->data + text->len);
	text->len += 2 * len;
	strbuf_addc(text, end);
}

/* Adds one; *bytes counts. -EFBIG: past the bounds. */
static int read_one(const char *path, const char *name, char *value, struct strbuf *text, size_t *bytes)
{
	ssize_t n = getxattr(path, name, value, VALUE_LEN_MAX);

	if (n < 0)
		return errno == ENODATA ? -ESTALE : errno == ERANGE || errno == E2BIG ? -EFBIG : -errno;
	*bytes += strlen(name) - USER_LEN + (size_t)n;
	if (*bytes > XATTRS_MAX_BYTES)
		return -EFBIG;
	add_hex(text, name + USER_LEN, strlen(name) - USER_LEN, ':');
	add_hex(text, value, (size_t)n, ',');
	return text->failed ? -ENOMEM : 0;
}

int xattrs_read(int fd, struct arena *a, const char **ret, struct xattrs_lost *lost)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	_cleanup_free_ char *list = NULL, *value = NULL;
	_cleanup_free_ char **names = NULL;
	size_t len, n = 0, bytes = 0;
	char path[FD_PATH_MAX];
	int r;

	/* By /proc: these calls take no O_PATH. */
	r = list_names(fd_path(fd, path), &list, &len);
	if (r == 0 && len > 0)
		r = pick_names(list, len, &names, &n, lost);
	if (r == 0 && n > 0 && !(value = malloc(VALUE_LEN_MAX)))
		r = -ENOMEM;
	if (r == 0 && n > XATTRS_MAX_COUNT)
		r = -EFBIG;
	for (size_t i = 0; i < n && r == 0; i++)
		r = read_one(path, names[i], value, &text, &bytes);
	if (r == -EFBIG && lost) {
		lost->large = true;
		n = 0;
		r = 0;
	}
	if (r < 0)
		return r;
	*ret = n > 0 ? arena_strndup(a, text.data, text.len) : NULL;
	return n > 0 && !*ret ? -ENOMEM : 0;
}

/* The attributes that the text hasn't got go. */
static int remove_others(const char *path, const char *text)
{
	_cleanup_free_ char *list = NULL;
	_cleanup_free_ char **names = NULL;
	size_t len, n = 0;
	int r;

	r = list_names(path, &list, &len);
	if (r == 0 && len > 0)
		r = pick_names(list, len, &names, &n, NULL);
	for (size_t i = 0; i < n && r == 0; i++) {
		char hex[2 * NAME_LEN_MAX + 1];
		const char *rest = text ? text : "";
		bool wanted = false;
		struct part p;

		hex_encode(names[i] + USER_LEN, strlen(names[i]) - USER_LEN, hex);
		while (!wanted && next_part(&rest, &p) > 0)
			wanted = 2 * p.name_len == strlen(hex) && !memcmp(p.name, hex, 2 * p.name_len);
		if (!wanted && removexattr(path, names[i]) < 0 && errno != ENODATA)
			r = -errno;
	}
	return r;
}

static int write_one(const char *path, const struct part *p, char *hex, unsigned char *value)
{
	char name[USER_LEN + NAME_LEN_MAX + 1] = USER;

	memcpy(hex, p->name, 2 * p->name_len);
	hex[2 * p->name_len] = '\0';
	hex_decode(hex, name + USER_LEN, p->name_len);
	name[USER_LEN + p->name_len] = '\0';
	memcpy(hex, p->value, 2 * p->value_len);
	hex[2 * p->value_len] = '\0';
	hex_decode(hex, value, p->value_len);
	return setxattr(path, name, value, p->value_len, 0) < 0 ? -errno : 0;
}

int xattrs_write(int fd, const char *text, bool made)
{
	_cleanup_free_ unsigned char *value = NULL;
	_cleanup_free_ char *hex = NULL;
	char path[FD_PATH_MAX];
	struct part p;
	int r = 0;

	fd_path(fd, path);
	if (!made)
		r = remove_others(path, text);
	if (r < 0 || !text)
		return r;
	value = malloc(VALUE_LEN_MAX);
	hex = malloc(2 * VALUE_LEN_MAX + 1);
	if (!value || !hex)
		return -ENOMEM;
	while (r == 0 && next_part(&text, &p) > 0)
		r = write_one(path, &p, hex, value);
	return r;
}
