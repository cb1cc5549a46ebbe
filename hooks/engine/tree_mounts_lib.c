/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmount's functions that tree_mounts.c calls, loaded with the first call: it
 * brings libblkid, libselinux and libpcre2 (base/dynlib.h).
 */
#include <config.h>
#include <libmount.h>

#include "base/dynlib.h"

static struct dynlib lib = DYNLIB_INIT(SONAME_MOUNT);

struct libmnt_table *mnt_new_table(void)
{
	return DYNLIB_CALL(&lib, mnt_new_table);
}

void mnt_unref_table(struct libmnt_table *t)
{
	DYNLIB_CALL(&lib, mnt_unref_table, t);
}

int mnt_table_set_parser_errcb(struct libmnt_table *t, int (*cb)(struct libmnt_table *, const char *, int))
{
	return DYNLIB_CALL(&lib, mnt_table_set_parser_errcb, t, cb);
}

int mnt_table_parse_stream(struct libmnt_table *t, FILE *f, const char *name)
{
	return DYNLIB_CALL(&lib, mnt_table_parse_stream, t, f, name);
}

int mnt_table_next_fs(struct libmnt_table *t, struct libmnt_iter *iter, struct libmnt_fs **ret)
{
	return DYNLIB_CALL(&lib, mnt_table_next_fs, t, iter, ret);
}

struct libmnt_iter *mnt_new_iter(int direction)
{
	return DYNLIB_CALL(&lib, mnt_new_iter, direction);
}

void mnt_free_iter(struct libmnt_iter *iter)
{
	DYNLIB_CALL(&lib, mnt_free_iter, iter);
}

int mnt_fs_get_id(struct libmnt_fs *fs)
{
	return DYNLIB_CALL(&lib, mnt_fs_get_id, fs);
}

int mnt_fs_get_parent_id(struct libmnt_fs *fs)
{
	return DYNLIB_CALL(&lib, mnt_fs_get_parent_id, fs);
}

const char *mnt_fs_get_optional_fields(struct libmnt_fs *fs)
{
	return DYNLIB_CALL(&lib, mnt_fs_get_optional_fields, fs);
}

dev_t mnt_fs_get_devno(struct libmnt_fs *fs)
{
	return DYNLIB_CALL(&lib, mnt_fs_get_devno, fs);
}

const char *mnt_fs_get_root(struct libmnt_fs *fs)
{
	return DYNLIB_CALL(&lib, mnt_fs_get_root, fs);
}

const char *mnt_fs_get_target(struct libmnt_fs *fs)
{
	return DYNLIB_CALL(&lib, mnt_fs_get_target, fs);
}
