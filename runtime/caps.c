/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/caps.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

#define BIT(n) (UINT64_C(1) << (n))

struct sets {
	uint64_t effective, permitted, inheritable;
};

static int sets_get(struct sets *ret)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (capget(&header, data) < 0)
		return -errno;
	ret->effective = data[0].effective | (uint64_t)data[1].effective << 32;
	ret->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	ret->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	return 0;
}

static int sets_put(const struct sets *s)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
	    {(uint32_t)s->effective, (uint32_t)s->permitted, (uint32_t)s->inheritable},
	    {(uint32_t)(s->effective >> 32), (uint32_t)(s->permitted >> 32), (uint32_t)(s->inheritable >> 32)},
	};

	return capset(&header, data) < 0 ? -errno : 0;
}

/* libcap takes any case and plain numbers; the spec knows only "CAP_..." names. */
static int name_to_number(const char *name)
{
	cap_value_t value;

	if (strncasecmp(name, "CAP_", 4) != 0 || cap_from_name(name, &value) < 0 || value < 0 || value > 63)
		return -1;
	return value;
}

bool caps_known(const char *name)
{
	return name_to_number(name) >= 0;
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		if (n == len && memcmp(p, word, len) == 0)
			return true;
		p += n;
	}
	return false;
}

static void ignored_add(struct strbuf *list, const char *name)
{
	if (has_word(strbuf_str(list), name))
		return;
	if (list->len)
		strbuf_addc(list, ' ');
	strbuf_adds(list, name);
}

/* The mask of the names that are within `allowed`. */
static uint64_t plan_set(const char **names, size_t n, uint64_t allowed, struct strbuf *unknown, struct strbuf *denied)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < n; i++) {
		int number = name_to_number(names[i]);

		if (number >= 0 && (allowed & BIT(number)))
			mask |= BIT(number);
		else
			ignored_add(number < 0 ? unknown : denied, names[i]);
	}
	return mask;
}

/* The kernel ends the list of capabilities with EINVAL. */
static uint64_t bounding_get(void)
{
	uint64_t mask = 0;

	for (int i = 0; i < 64; i++) {
		int r = prctl(PR_CAPBSET_READ, i, 0, 0, 0);

		if (r < 0)
			break;
		if (r > 0)
			mask |= BIT(i);
	}
	return mask;
}

/* In the arena, NULL when it is empty. */
static int list_take(const struct strbuf *list, struct arena *arena, const char **ret, struct error *err)
{
	const char *text = list->len ? arena_strdup(arena, strbuf_str(list)) : NULL;

	if (list->failed || (list->len && !text))
		return error_set(err, ENOMEM, "capabilities: out of memory");
	*ret = text;
	return 0;
}

int caps_plan(const struct spec_caps *spec, struct arena *arena, struct caps *ret, struct caps_left_out *ret_left,
	      struct error *err)
{
	_cleanup_strbuf_ struct strbuf unknown = STRBUF_INIT, list = STRBUF_INIT, ambient = STRBUF_INIT;
	struct caps_left_out left = {NULL, NULL, NULL};
	struct caps c = {0};
	struct sets now = {0};
	uint64_t bound;
	int r;

	if (spec) {
		r = sets_get(&now);
		if (r < 0)
			return error_errno(err, r, "cannot read this process's capabilities");
		bound = bounding_get();
		c.bounding = plan_set(spec->bounding, spec->n_bounding, bound, &unknown, &list);
		c.permitted = plan_set(spec->permitted, spec->n_permitted, now.permitted, &unknown, &list);
		/* capset(2): effective within permitted, what becomes inheritable within the bounding set. */
		c.effective = plan_set(spec->effective, spec->n_effective, c.permitted, &unknown, &list);
		c.inheritable = plan_set(spec->inheritable, spec->n_inheritable,
					 now.inheritable | (now.permitted & c.bounding), &unknown, &list);
		c.ambient = plan_set(spec->ambient, spec->n_ambient, c.permitted & c.inheritable, &unknown, &ambient);
		r = list_take(&unknown, arena, &left.unknown, err);
		if (r == 0)
			r = list_take(&list, arena, &left.ignored, err);
		if (r == 0)
			r = list_take(&ambient, arena, &left.not_ambient, err);
		if (r < 0)
			return r;
	}
	*ret = c;
	*ret_left = left;
	return 0;
}

int caps_apply_bounding(const struct caps *c, struct error *err)
{
	for (int i = 0; i < 64; i++) {
		if ((c->bounding & BIT(i)) || prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL) /* the kernel's last one was before */
			break;
		/* Without CAP_SETPCAP: only what isn't there anyway. */
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) != 0)
			return error_set(err, EPERM, "cannot drop capability %d from the bounding set: %s", i,
					 strerror(EPERM));
	}
	/* Without it, leaving uid 0 clears the permitted set before caps_apply can reduce it to what was asked. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "cannot keep capabilities over the change of user");
	return 0;
}

int caps_apply(const struct caps *c, struct error *err)
{
	struct sets s = {.effective = c->effective, .permitted = c->permitted, .inheritable = c->inheritable};
	int r;

	r = sets_put(&s);
	if (r < 0)
		return error_errno(err, r, "cannot set the capability sets");
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return error_errno(err, errno, "cannot clear the keep-capabilities flag");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_errno(err, errno, "cannot clear the ambient capabilities");
	for (int i = 0; i < 64; i++) {
		if ((c->ambient & BIT(i)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
			return error_errno(err, errno, "cannot raise ambient capability %d", i);
	}
	return 0;
}

int caps_names(struct arena *arena, const char ***ret, struct error *err)
{
	const char **names = arena_calloc(arena, 65, sizeof(*names));
	size_t n = 0;

	if (!names)
		return error_set(err, ENOMEM, "capabilities: out of memory");
	for (int i = 0; i < 64 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++) {
		char *name = cap_to_name(i);
		bool known = name && strncmp(name, "cap_", 4) == 0;
		char *copy = known ? arena_strdup(arena, name) : NULL;

		cap_free(name);
		if (!known) /* newer than the library: it has only a number */
			continue;
		if (!copy)
			return error_set(err, ENOMEM, "capabilities: out of memory");
		for (char *p = copy; *p; p++)
			*p = (char)toupper((unsigned char)*p);
		names[n++] = copy;
	}
	*ret = names;
	return 0;
}
