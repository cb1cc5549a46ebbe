/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/plain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/path.h"
#include "oci/json.h"

int plain_init(struct plain *p, const struct volume *v, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *prefix = volume_key_plain(&a, v, "");

	if (!prefix)
		return error_set(err, ENOMEM, "out of memory");
	p->len = strlen(prefix);
	if (p->len >= STORE_KEY_MAX)
		return error_set(err, EINVAL, "its name is too long for a key");
	memcpy(p->prefix, prefix, p->len + 1);
	return 0;
}

bool plain_publishable(const struct plain *p, const char *path)
{
	size_t len = strlen(path);

	const size_t links = sizeof(PLAIN_SYMLINKS) - 1;

	if (len > STORE_KEY_MAX - p->len)
		return false;
	/* Beneath it too: where keys are paths of files, it can't be a directory. */
	if (!strncmp(path, PLAIN_SYMLINKS, links) && (path[links] == '\0' || path[links] == '/'))
		return false;
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	return json_utf8_valid(path, len);
}

char *plain_key(const struct plain *p, const char *path, char buf[STORE_KEY_MAX + 1])
{
	memcpy(buf, p->prefix, p->len);
	snprintf(buf + p->len, STORE_KEY_MAX + 1 - p->len, "%s", path);
	return buf;
}

/* A segment that leads elsewhere than to a child. */
static bool has_hostile_segment(const char *path)
{
	for (;;) {
		size_t n = strcspn(path, "/");

		if ((n == 0 && path[0]) || (n == 1 && path[0] == '.') || (n == 2 && !memcmp(path, "..", 2)))
			return true;
		if (!path[n] || !path[n + 1])
			return false;
		path += n + 1;
	}
}

enum plain_kind plain_classify(const struct plain *p, const char *key, uint64_t size, char ret_path[STORE_KEY_MAX + 1])
{
	const char *path = key + p->len;
	size_t len;
	bool marker;

	if (strncmp(key, p->prefix, p->len) != 0 || has_hostile_segment(path))
		return PLAIN_HOSTILE;
	len = strlen(path);
	if (len == 0)
		return PLAIN_SELF;
	if (!strcmp(path, PLAIN_SYMLINKS))
		return PLAIN_LINKS;
	marker = path[len - 1] == '/';
	if (len > STORE_KEY_MAX - p->len || (marker && size > 0))
		return PLAIN_ODD;
	len -= marker;
	memcpy(ret_path, path, len);
	ret_path[len] = '\0';
	if (!plain_publishable(p, ret_path) || !path_is_safe_relative(ret_path, len))
		return PLAIN_ODD;
	return marker ? PLAIN_MARKER : PLAIN_FILE;
}

void plain_mark(uint64_t seq, const unsigned char sha256[SHA256_LEN], const char *key, char ret[STORE_MARK_MAX])
{
	char content[SHA256_HEX_MAX], place[SHA256_HEX_MAX];

	hex_encode(sha256, SHA256_LEN, content);
	sha256_hex(key, strlen(key), place);
	snprintf(ret, STORE_MARK_MAX, "%" PRIu64 "/%s/%s", seq, content, place);
}

bool plain_mark_parse(const char *mark, const char *key, uint64_t *ret_seq, unsigned char ret_sha256[SHA256_LEN])
{
	char seq[24], content[SHA256_HEX_MAX], place[SHA256_HEX_MAX];
	const char *slash = strchr(mark, '/');

	if (!slash || (size_t)(slash - mark) >= sizeof(seq) || strlen(slash + 1) != 2 * (SHA256_HEX_MAX - 1) + 1)
		return false;
	memcpy(seq, mark, (size_t)(slash - mark));
	seq[slash - mark] = '\0';
	memcpy(content, slash + 1, sizeof(content) - 1);
	content[sizeof(content) - 1] = '\0';
	sha256_hex(key, strlen(key), place);
	return slash[SHA256_HEX_MAX] == '/' && !strcmp(slash + SHA256_HEX_MAX + 1, place) &&
	       num_parse_u64(seq, UINT64_MAX, ret_seq) == 0 && hex_decode(content, ret_sha256, SHA256_LEN) == 0;
}
