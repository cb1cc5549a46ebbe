/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/pod_note.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/engine/keeper_name.h"
#include "hooks/keeper_socket.h"

#define NOTE_MAX 128
#define WANT_MAX 1024
#define NAME_ROOM (sizeof("wants-") + KEEPER_KEY_MAX)

/* An id is whatever an engine says. */
static char *name_of(const char *kind, const char *pod, char buf[NAME_ROOM])
{
	char key[KEEPER_KEY_MAX];

	keeper_key(pod, "", key);
	snprintf(buf, NAME_ROOM, "%s-%s", kind, key);
	return buf;
}

static char *pod_name(const char *pod, char buf[NAME_ROOM])
{
	return name_of("pod", pod, buf);
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

	if (dir < 0)
		return;
	unlinkat(dir, pod_name(pod, file), 0);
	remove_tree_at(dir, name_of("wants", pod, file));
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
	pod_forget(run_dir, pod);
	return false;
}

/* --- what is waited for -------------------------------------------------------------------- */

int pod_volume_order(const char *store_a, const char *volume_a, const char *store_b, const char *volume_b)
{
	int r = strcmp(store_a, store_b);

	return r ? r : strcmp(volume_a, volume_b);
}

static int open_wants(const char *run_dir, const char *pod, bool make)
{
	_cleanup_close_ int dir = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[NAME_ROOM];

	if (dir < 0)
		return -errno;
	name_of("wants", pod, name);
	if (make && mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Empty it is of no use to anybody. */
static void tidy(const char *run_dir, const char *pod)
{
	_cleanup_close_ int dir = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[NAME_ROOM];

	if (dir >= 0)
		unlinkat(dir, name_of("wants", pod, name), AT_REMOVEDIR);
}

int pod_want(const char *run_dir, const char *pod, const char *container, const char *keeper, const char *store,
	     const char *volume)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *text = arena_printf(&a, "%s\n%s\n%s", keeper, store, volume);
	_cleanup_close_ int dir = open_wants(run_dir, pod, true);

	if (dir < 0 || !text)
		return dir < 0 ? dir : -ENOMEM;
	return write_file_atomic_at(dir, container, text, strlen(text), 0600, false);
}

void pod_want_over(const char *run_dir, const char *pod, const char *container)
{
	_cleanup_close_ int dir = open_wants(run_dir, pod, false);

	if (dir >= 0)
		unlinkat(dir, container, 0);
	tidy(run_dir, pod);
}

/* Of one waiter; who died is forgotten. */
static bool wants_before(int dir, const char *container, const char *store, const char *volume)
{
	char *text = NULL, *rest = NULL, *keeper, *his_store, *his_volume;
	bool before = false;

	if (read_file_at(dir, container, WANT_MAX, &text, NULL) < 0)
		return false;
	keeper = strtok_r(text, "\n", &rest);
	his_store = strtok_r(NULL, "\n", &rest);
	his_volume = strtok_r(NULL, "\n", &rest);
	if (keeper && keeper_alive(keeper))
		before = his_store && his_volume && pod_volume_order(his_store, his_volume, store, volume) < 0;
	else
		unlinkat(dir, container, 0);
	free(text);
	return before;
}

bool pod_wants_before(const char *run_dir, const char *pod, const char *store, const char *volume)
{
	_cleanup_close_ int fd = open_wants(run_dir, pod, false);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	bool found = false;

	if (!dir)
		return false;
	TAKE_FD(fd);
	/* With a dot: one that is being written, too. */
	while (!found && (d = readdir(dir)))
		found = !strchr(d->d_name, '.') && wants_before(dirfd(dir), d->d_name, store, volume);
	if (!found)
		tidy(run_dir, pod);
	return found;
}
