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
#include "base/io.h"
#include "base/spawn.h"
#include "hooks/engine/volume.h"
#include "hooks/keeper_note.h"
#include "hooks/keeper_scope.h"
#include "hooks/keeper_spawn.h"
#include "hooks/program_path.h"

#define KEEPER "volrun-keeper"

static int start(pid_t (*make)(void), char *config_option, pid_t *ret_pid, int *ret_sock, struct error *err)
{
	char path[PATH_MAX], option[32];
	char *const argv[] = {(char *)KEEPER, option, config_option, NULL};
	_cleanup_close_ int ours = -1, theirs = -1;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, errno, "can't make a socket for the keeper (error %d)", errno);
	ours = pair[0];
	theirs = pair[1];
	program_path(KEEPER, path);
	if (access(path, X_OK) < 0)
		return error_set(err, ENOEXEC, "the program %s is missing", path);
	snprintf(option, sizeof(option), "--socket=%d", theirs);
	pid = make();
	if (pid < 0)
		return error_set(err, errno, "can't start the keeper (error %d)", errno);
	if (pid == 0) {
		fcntl(theirs, F_SETFD, 0);
		execv(path, argv);
		_exit(127);
	}
	*ret_pid = pid;
	*ret_sock = TAKE_FD(ours);
	return 0;
}

int keeper_start(const char *config, pid_t *ret_pid, int *ret_sock, struct error *err)
{
	char option[PATH_MAX + sizeof("--config=")];

	snprintf(option, sizeof(option), "--config=%s", config ? config : "");
	return start(fork, option, ret_pid, ret_sock, err);
}

static int hand_over(int sock, const struct keeper_request *request, int lock_fd, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct keeper_answer answer;
	size_t n = 0;
	int r;

	r = keeper_send(sock, &keeper_request_table, request, &lock_fd, 1, err);
	if (r == 0)
		r = keeper_receive(sock, &keeper_answer_table, &arena, &answer, NULL, &n, err);
	if (r == -ENODATA)
		return error_set(err, EIO, "the keeper ended without an answer");
	return r == 0 && answer.error ? error_set(err, EIO, "%s", answer.error) : r;
}

int keeper_start_adopter(struct volume *v, const struct keeper_note *note, struct error *err)
{
	struct keeper_request request = note->request;
	_cleanup_close_ int sock = -1;
	pid_t pid;
	int r;

	request.adopt = true;
	/* Who starts it may be a keeper, and live longer. */
	r = start(spawn_orphan, NULL, &pid, &sock, err);
	if (r == 0)
		r = hand_over(sock, &request, v->cache.lock_fd, err);
	if (r == 0)
		keeper_scope_start(pid, request.id);
	/* The lock is of the open file, which the other one has too: closing it here frees nothing. */
	cache_unlock(&v->cache);
	return r;
}
