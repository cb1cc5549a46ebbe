/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_callers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/engine/ids.h"

int hook_request(int hook_fd, struct arena *a, struct keeper_request *ret, int *ret_fd, struct error *err)
{
	size_t n = 1;
	int fd = -1, r = keeper_receive(hook_fd, &keeper_request_table, a, ret, &fd, &n, err);

	*ret_fd = fd;
	if (r == 0 && (n != 1 || (ret->adopt && ret->n_volumes != 1)))
		return error_set(err, EPROTO, "keeper: a request without the container's process");
	return r;
}

int caller_accept(int listen_fd)
{
	_cleanup_close_ int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred who;
	socklen_t len = sizeof(who);

	/* The directory keeps others out already. */
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || (who.uid != 0 && who.uid != geteuid()))
		return -EAGAIN;
	return TAKE_FD(fd);
}

int caller_command(int fd, struct arena *a, const char **ret)
{
	struct error ignored = ERROR_INIT;
	struct keeper_command c;
	size_t n = 0;

	if (keeper_receive(fd, &keeper_command_table, a, &c, NULL, &n, &ignored) < 0)
		return 0;
	*ret = c.command;
	return 1;
}

void caller_answer(int fd, const struct hold *h, const struct keeper_outcome *o)
{
	_cleanup_free_ struct keeper_result *results = calloc(h->n + 1, sizeof(*results));
	bool is_whole = o->error || o->results;
	struct keeper_outcome outcome = *o;
	struct error ignored = ERROR_INIT;

	if (!is_whole)
		outcome.results = results;
	for (size_t i = 0; results && !is_whole && i < h->n; i++) {
		if (!h->volumes[i].lease)
			continue;
		results[outcome.n_results] = h->volumes[i].synced;
		results[outcome.n_results].name = h->volumes[i].request->name;
		/* Of a lost lease, say, which no commit was tried of. */
		if (h->volumes[i].aside)
			results[outcome.n_results].error = "the lease was lost to another holder";
		outcome.n_results++;
	}
	keeper_send(fd, &keeper_outcome_table, &outcome, NULL, 0, &ignored);
}

int caller_means(const char *command, int32_t pid, struct error *err)
{
	return atoi(command + strlen(KEEPER_HAS)) == pid ? 0 : error_set(err, ESRCH, "it is another container's");
}

int hook_answer(int hook_fd, const struct hold *h, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char *lines = arena_strdup(&a, strbuf_str(&h->warnings)), *line, *rest;
	struct keeper_answer answer = {.warnings = arena_calloc(&a, h->n * 2 + 1, sizeof(char *))};
	int fds[IO_MAX_FDS];

	answer.chowned = h->ids && h->ids->on_disk;
	if (!lines || !answer.warnings)
		return error_set(err, ENOMEM, "out of memory");
	for (line = strtok_r(lines, "\n", &rest); line && answer.n_warnings < h->n * 2;
	     line = strtok_r(NULL, "\n", &rest))
		answer.warnings[answer.n_warnings++] = line;
	for (size_t i = 0; i < h->n; i++)
		fds[h->volumes[i].index] = h->volumes[i].tree_fd;
	return keeper_send(hook_fd, &keeper_answer_table, &answer, fds, h->n, err);
}

bool hook_gave_up(int hook_fd)
{
	char c;

	return recv(hook_fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void hook_answer_failure(int hook_fd, const struct error *why)
{
	struct keeper_answer answer = {.error = why->msg};
	struct error ignored = ERROR_INIT;

	keeper_send(hook_fd, &keeper_answer_table, &answer, NULL, 0, &ignored);
}
