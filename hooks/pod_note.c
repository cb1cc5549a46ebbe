/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/pod_note.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/engine/keeper_name.h"
#include "hooks/keeper_socket.h"

#define NOTE_MAX 128
#define NAME_ROOM (sizeof("pod-") + KEEPER_KEY_MAX)

/* An id is whatever an engine says. */
static char *pod_name(const char *pod, char buf[NAME_ROOM])
{
	char key[KEEPER_KEY_MAX];

	keeper_key(pod, "", key);
	snprintf(buf, NAME_ROOM, "pod-%s", key);
	return buf;
}

int pod_note(const char *run_dir, const char *pod, pid_t init, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *name = keeper_name(init, &a);
	int r = name ? mkdir_p_at(AT_FDCWD, run_dir, 0700) : -ESRCH;
	_cleanup_close_ int dir = r < 0 ? -1 : open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char file[NAME_ROOM];
	struct stat st;

	if (r == 0 && (dir < 0 || fstat(dir, &st) < 0))
		r = -errno;
	if (r == 0 && (st.st_uid != geteuid() || (st.st_mode & 022)))
		r = -EPERM;
	if (r == 0)
		r = write_file_atomic_at(dir, pod_name(pod, file), name, strlen(name), 0600, false);
	return r < 0 ? error_set(err, r, "run_dir %s: the pod can't be noted (error %d)", run_dir, -r) : 0;
}

void pod_forget(const char *run_dir, const char *pod)
{
	_cleanup_close_ int dir = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char file[NAME_ROOM];

	if (dir >= 0)
		unlinkat(dir, pod_name(pod, file), 0);
}

bool pod_lives(const char *run_dir, const char *pod)
{
	_cleanup_close_ int dir = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *name = NULL;
	char file[NAME_ROOM];

	if (dir < 0 || read_file_at(dir, pod_name(pod, file), NOTE_MAX, &name, NULL) < 0)
		return false;
	if (keeper_alive(name))
		return true;
	/* It was killed, or its delete never came. */
	unlinkat(dir, file, 0);
	return false;
}
