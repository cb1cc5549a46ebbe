/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/create_defaults.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

const struct spec_process *spec_no_process(void)
{
	static const char *const none[] = {NULL};
	static const struct spec_process process = {
	    .cwd = "/", .args = (const char **)none, .env = (const char **)none};

	return &process;
}

static bool have_selinux(void)
{
	struct statfs fs;

	return statfs("/sys/fs/selinux", &fs) == 0 && fs.f_type == SELINUX_MAGIC;
}

static struct spec_id_mapping *map_one(uint32_t container_id, uint32_t host_id, struct arena *arena)
{
	struct spec_id_mapping *m = arena_calloc(arena, 1, sizeof(*m));

	if (m)
		*m = (struct spec_id_mapping){.container_id = container_id, .host_id = host_id, .size = 1};
	return m;
}

static int default_mappings(struct spec *spec, struct arena *arena, struct error *err)
{
	const struct spec_namespace *user = spec_find_namespace(spec, SPEC_NS_USER);
	struct spec_linux *l = spec->linux_;

	if (!user || user->path)
		return 0;
	if (!l->n_uid_mappings) {
		l->uid_mappings = map_one(spec->process->user.uid, geteuid(), arena);
		l->n_uid_mappings = 1;
	}
	if (!l->n_gid_mappings) {
		l->gid_mappings = map_one(spec->process->user.gid, getegid(), arena);
		l->n_gid_mappings = 1;
	}
	return l->uid_mappings && l->gid_mappings ? 0 : error_set(err, ENOMEM, "out of memory");
}

int create_defaults(struct spec *spec, bool start, struct arena *arena, struct error *err)
{
	if (!spec->process && start)
		return error_set(err, EINVAL, "config.json: $.process: missing");
	if (!spec->process) {
		struct spec_process *process = arena_alloc(arena, sizeof(*process));

		if (!process)
			return error_set(err, ENOMEM, "out of memory");
		*process = *spec_no_process();
		spec->process = process;
	}
	if ((spec->process->selinux_label || spec->linux_->mount_label) && !have_selinux())
		spec->process->selinux_label = spec->linux_->mount_label = NULL;
	return default_mappings(spec, arena, err);
}
