/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the keeper. It makes itself a background process (keeper_main.c). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "hooks/hook.h"

#define KEEPER "volrun-keeper"

/* Beside this program, else where it was installed. */
static void keeper_path(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof("/" KEEPER));
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (slash) {
		strcpy(slash + 1, KEEPER);
		if (access(path, X_OK) == 0)
			return;
	}
	snprintf(path, PATH_MAX, "%s/%s", PKGLIBEXECDIR, KEEPER);
}

int hook_start_keeper(int *ret_sock, struct error *err)
{
	char path[PATH_MAX], option[32];
	char *const argv[] = {(char *)KEEPER, option, NULL};
	_cleanup_close_ int ours = -1, theirs = -1;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, errno, "can't make a socket for the keeper (error %d)", errno);
	ours = pair[0];
	theirs = pair[1];
	keeper_path(path);
	if (access(path, X_OK) < 0)
		return error_set(err, ENOEXEC, "the program %s is missing", path);
	snprintf(option, sizeof(option), "--socket=%d", theirs);
	pid = fork();
	if (pid < 0)
		return error_set(err, errno, "can't start the keeper (error %d)", errno);
	if (pid == 0) {
		fcntl(theirs, F_SETFD, 0);
		execv(path, argv);
		_exit(127);
	}
	*ret_sock = TAKE_FD(ours);
	return 0;
}
