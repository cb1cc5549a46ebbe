/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/mount_options.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/sys.h"

enum option_kind {
	OPT_NONE,    /* known, nothing to do */
	OPT_SET,     /* attribute on */
	OPT_CLEAR,   /* attribute off */
	OPT_REC_SET, /* with submounts */
	OPT_REC_CLEAR,
	OPT_SB_SET, /* superblock flag */
	OPT_SB_CLEAR,
	OPT_PROPAGATION,
	OPT_BIND,
	OPT_RBIND,
	OPT_BOOL, /* a bool member, its offset in `value` */
};

#define OFFSET(member) offsetof(struct mount_options, member)

/*
 * Access times are an enumeration within MOUNT_ATTR__ATIME: RELATIME is 0, the
 * kernel's default, and what is left when noatime or strictatime is taken back.
 */
static const struct option {
	const char *name;
	enum option_kind kind;
	uint64_t value;
} table[] = {
    {"async", OPT_SB_CLEAR, MS_SYNCHRONOUS},
    {"atime", OPT_CLEAR, MOUNT_ATTR_NOATIME},
    {"bind", OPT_BIND, 0},
    {"copy-symlink", OPT_BOOL, OFFSET(copy_symlink)},
    {"defaults", OPT_NONE, 0},
    {"dest-nofollow", OPT_BOOL, OFFSET(dest_nofollow)},
    {"dev", OPT_CLEAR, MOUNT_ATTR_NODEV},
    {"diratime", OPT_CLEAR, MOUNT_ATTR_NODIRATIME},
    {"dirsync", OPT_SB_SET, MS_DIRSYNC},
    {"exec", OPT_CLEAR, MOUNT_ATTR_NOEXEC},
    {"idmap", OPT_BOOL, OFFSET(idmap)},
    {"iversion", OPT_SB_SET, MS_I_VERSION},
    {"lazytime", OPT_SB_SET, MS_LAZYTIME},
    {"loud", OPT_NONE, 0},
    {"mand", OPT_SB_SET, MS_MANDLOCK},
    {"noatime", OPT_SET, MOUNT_ATTR_NOATIME},
    {"nodev", OPT_SET, MOUNT_ATTR_NODEV},
    {"nodiratime", OPT_SET, MOUNT_ATTR_NODIRATIME},
    {"noexec", OPT_SET, MOUNT_ATTR_NOEXEC},
    {"noiversion", OPT_SB_CLEAR, MS_I_VERSION},
    {"nolazytime", OPT_SB_CLEAR, MS_LAZYTIME},
    {"nomand", OPT_SB_CLEAR, MS_MANDLOCK},
    {"norelatime", OPT_CLEAR, MOUNT_ATTR_RELATIME},
    {"nostrictatime", OPT_CLEAR, MOUNT_ATTR_STRICTATIME},
    {"nosuid", OPT_SET, MOUNT_ATTR_NOSUID},
    {"nosymfollow", OPT_SET, MOUNT_ATTR_NOSYMFOLLOW},
    {"private", OPT_PROPAGATION, MS_PRIVATE},
    {"ratime", OPT_REC_CLEAR, MOUNT_ATTR_NOATIME},
    {"rbind", OPT_RBIND, 0},
    {"rdev", OPT_REC_CLEAR, MOUNT_ATTR_NODEV},
    {"rdiratime", OPT_REC_CLEAR, MOUNT_ATTR_NODIRATIME},
    {"relatime", OPT_SET, MOUNT_ATTR_RELATIME},
    {"remount", OPT_BOOL, OFFSET(remount)},
    {"rexec", OPT_REC_CLEAR, MOUNT_ATTR_NOEXEC},
    {"ridmap", OPT_BOOL, OFFSET(idmap)},
    {"rnoatime", OPT_REC_SET, MOUNT_ATTR_NOATIME},
    {"rnodev", OPT_REC_SET, MOUNT_ATTR_NODEV},
    {"rnodiratime", OPT_REC_SET, MOUNT_ATTR_NODIRATIME},
    {"rnoexec", OPT_REC_SET, MOUNT_ATTR_NOEXEC},
    {"rnorelatime", OPT_REC_CLEAR, MOUNT_ATTR_RELATIME},
    {"rnostrictatime", OPT_REC_CLEAR, MOUNT_ATTR_STRICTATIME},
    {"rnosuid", OPT_REC_SET, MOUNT_ATTR_NOSUID},
    {"rnosymfollow", OPT_REC_SET, MOUNT_ATTR_NOSYMFOLLOW},
    {"ro", OPT_SET, MOUNT_ATTR_RDONLY},
    {"rprivate", OPT_PROPAGATION, MS_PRIVATE | MS_REC},
    {"rrelatime", OPT_REC_SET, MOUNT_ATTR_RELATIME},
    {"rro", OPT_REC_SET, MOUNT_ATTR_RDONLY},
    {"rrw", OPT_REC_CLEAR, MOUNT_ATTR_RDONLY},
    {"rshared", OPT_PROPAGATION, MS_SHARED | MS_REC},
    {"rslave", OPT_PROPAGATION, MS_SLAVE | MS_REC},
    {"rstrictatime", OPT_REC_SET, MOUNT_ATTR_STRICTATIME},
    {"rsuid", OPT_REC_CLEAR, MOUNT_ATTR_NOSUID},
    {"rsymfollow", OPT_REC_CLEAR, MOUNT_ATTR_NOSYMFOLLOW},
    {"runbindable", OPT_PROPAGATION, MS_UNBINDABLE | MS_REC},
    {"rw", OPT_CLEAR, MOUNT_ATTR_RDONLY},
    {"shared", OPT_PROPAGATION, MS_SHARED},
    {"silent", OPT_NONE, 0},
    {"slave", OPT_PROPAGATION, MS_SLAVE},
    {"src-nofollow", OPT_BOOL, OFFSET(src_nofollow)},
    {"strictatime", OPT_SET, MOUNT_ATTR_STRICTATIME},
    {"suid", OPT_CLEAR, MOUNT_ATTR_NOSUID},
    {"symfollow", OPT_CLEAR, MOUNT_ATTR_NOSYMFOLLOW},
    {"sync", OPT_SB_SET, MS_SYNCHRONOUS},
    {"tmpcopyup", OPT_BOOL, OFFSET(copyup)},
    {"unbindable", OPT_PROPAGATION, MS_UNBINDABLE},
};

static const struct option *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

static void atime_change(uint64_t *set, uint64_t *clr, uint64_t atime, bool on)
{
	bool chosen = *clr & MOUNT_ATTR__ATIME;

	if (!on) {
		/* Only what is in force can be taken back: "noatime,nostrictatime" stays noatime. */
		if (chosen ? (*set & MOUNT_ATTR__ATIME) != atime : atime != MOUNT_ATTR_NOATIME)
			return;
		atime = MOUNT_ATTR_RELATIME;
	}
	*set = (*set & ~(uint64_t)MOUNT_ATTR__ATIME) | atime;
	*clr |= MOUNT_ATTR__ATIME;
}

static void attr_change(uint64_t *set, uint64_t *clr, uint64_t attr, bool on)
{
	if ((attr & MOUNT_ATTR__ATIME) == attr) {
		atime_change(set, clr, attr, on);
	} else if (on) {
		*set |= attr;
		*clr &= ~attr;
	} else {
		*set &= ~attr;
		*clr |= attr;
	}
}

static int apply(struct mount_options *o, const struct option *opt, struct error *err)
{
	switch (opt->kind) {
	case OPT_NONE:
		break;
	case OPT_SET:
	case OPT_CLEAR:
		attr_change(&o->attr_set, &o->attr_clr, opt->value, opt->kind == OPT_SET);
		break;
	case OPT_REC_SET:
	case OPT_REC_CLEAR:
		attr_change(&o->rec_set, &o->rec_clr, opt->value, opt->kind == OPT_REC_SET);
		break;
	case OPT_SB_SET:
		o->sb_set |= opt->value;
		break;
	case OPT_SB_CLEAR:
		o->sb_set &= ~opt->value;
		break;
	case OPT_PROPAGATION:
		if (o->n_propagation == MOUNT_PROPAGATION_MAX)
			return error_set(err, EINVAL, "more than %d propagation options", MOUNT_PROPAGATION_MAX);
		o->propagation[o->n_propagation++] = opt->value;
		break;
	case OPT_RBIND:
		o->recursive = true;
		o->bind = true;
		break;
	case OPT_BIND:
		o->bind = true;
		break;
	case OPT_BOOL:
		*(bool *)((char *)o + opt->value) = true;
		break;
	}
	return 0;
}

/* The length up to the next comma that no backslash hides (overlay's lowerdir has such). */
static size_t data_len(const char *s)
{
	size_t n = 0;

	while (s[n] && s[n] != ',')
		n += s[n] == '\\' && s[n + 1] ? 2 : 1;
	return n;
}

static int add_data(struct mount_options *o, const char *option, size_t room, struct arena *arena, struct error *err)
{
	while (*option) {
		size_t len = data_len(option);

		if (len) {
			if (o->n_data == room)
				return error_set(err, E2BIG, "too many options");
			o->data[o->n_data] = arena_strndup(arena, option, len);
			if (!o->data[o->n_data++])
				return error_set(err, ENOMEM, "out of memory");
		}
		option += len + (option[len] == ',');
	}
	return 0;
}

int mount_options_parse(const char *const *options, size_t n, struct arena *arena, struct mount_options *ret,
			struct error *err)
{
	struct mount_options o = {0};
	size_t room = n;
	int r;

	for (size_t i = 0; i < n; i++)
		for (const char *p = options[i]; *p; p++)
			room += *p == ',';
	o.data = arena_calloc(arena, room + 1, sizeof(*o.data));
	if (!o.data)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		const struct option *opt = find(options[i]);

		/* crun's "idmap=uids=...;gids=...": who makes the tree reads the value. */
		if (!opt && (strncmp(options[i], "idmap=", 6) == 0 || strncmp(options[i], "ridmap=", 7) == 0))
			opt = find("idmap");
		r = opt ? apply(&o, opt, err) : add_data(&o, options[i], room, arena, err);
		if (r < 0)
			return r;
	}
	*ret = o;
	return 0;
}

unsigned long mount_options_ms(const struct mount_options *o)
{
	static const struct {
		uint64_t attr;
		unsigned long ms;
	} map[] = {
	    {MOUNT_ATTR_RDONLY, MS_RDONLY},	    {MOUNT_ATTR_NOSUID, MS_NOSUID},
	    {MOUNT_ATTR_NODEV, MS_NODEV},	    {MOUNT_ATTR_NOEXEC, MS_NOEXEC},
	    {MOUNT_ATTR_NODIRATIME, MS_NODIRATIME}, {MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW},
	};
	unsigned long ms = o->sb_set;

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (o->attr_set & map[i].attr)
			ms |= map[i].ms;
	if (o->attr_clr & MOUNT_ATTR__ATIME) {
		uint64_t atime = o->attr_set & MOUNT_ATTR__ATIME;

		ms |= atime == MOUNT_ATTR_NOATIME	? MS_NOATIME
		      : atime == MOUNT_ATTR_STRICTATIME ? MS_STRICTATIME
							: MS_RELATIME;
	}
	return ms;
}

unsigned long mount_propagation(const char *name)
{
	const struct option *opt = find(name);

	return opt && opt->kind == OPT_PROPAGATION ? opt->value : 0;
}

int mount_option_names(struct arena *arena, const char ***ret, struct error *err)
{
	const char **names = arena_calloc(arena, ARRAY_SIZE(table) + 1, sizeof(*names));

	if (!names)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		names[i] = table[i].name;
	*ret = names;
	return 0;
}
