/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_callers.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

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

void caller_answer(int fd, const struct hold *h, const char *error)
{
	_cleanup_free_ struct keeper_result *results = calloc(h->n + 1, sizeof(*results));
	struct keeper_outcome outcome = {.error = error, .results = results};
	struct error ignored = ERROR_INIT;

	for (size_t i = 0; results && !error && i < h->n; i++) {
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
