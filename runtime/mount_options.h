/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_options.h - the option names of a mount (runtime-spec 1.3.0,
 * config-linux.md "Linux mount options"; mount(8)) as flags. Pure.
 *
 * A name that is not in the table is data for the file system, which alone
 * knows whether it is right: "size=64k", "gid=5", "newinstance".
 */
#ifndef VOLRUN_RUNTIME_MOUNT_OPTIONS_H
#define VOLRUN_RUNTIME_MOUNT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

#define MOUNT_PROPAGATION_MAX 4

/* Newer than the C library's <sys/mount.h>. */
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

struct mount_options {
	/*
	 * MOUNT_ATTR_* of this mount, and with its submounts (rro ...). `clr` holds what an
	 * option named to be off; an access time option sets its value in `set` and
	 * all of MOUNT_ATTR__ATIME in `clr`, as mount_setattr(2) wants it.
	 */
	uint64_t attr_set, attr_clr;
	uint64_t rec_set, rec_clr;
	/* MS_SYNCHRONOUS, MS_DIRSYNC, MS_MANDLOCK, MS_LAZYTIME, MS_I_VERSION: of the superblock. */
	unsigned long sb_set;
	/* MS_SHARED etc., perhaps with MS_REC, in the order in which they were named. */
	unsigned long propagation[MOUNT_PROPAGATION_MAX];
	size_t n_propagation;
	bool bind, recursive; /* bind; rbind sets both */
	bool remount, copyup, idmap, copy_symlink, src_nofollow, dest_nofollow;
	/* "key=value" or "key"; one option with unescaped commas becomes several. */
	const char **data;
	size_t n_data;
};

/* Options later in the list win over earlier ones. Strings go to the arena. */
int mount_options_parse(const char *const *options, size_t n, struct arena *arena, struct mount_options *ret,
			struct error *err);

/* The flags of mount(2): attributes, superblock flags; not bind, remount nor propagation. */
unsigned long mount_options_ms(const struct mount_options *o);

/* "rslave", "private" ... to MS_*; 0 when unknown. */
unsigned long mount_propagation(const char *name);

/* The names in the table, sorted, for `features`: NULL-terminated, in the arena. */
int mount_option_names(struct arena *arena, const char ***ret, struct error *err);

#endif
