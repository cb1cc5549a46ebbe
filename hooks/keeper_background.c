/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_background.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/sys.h"
#include "hooks/config.h"
#include "hooks/confine.h"
#include "hooks/store/credentials.h"
#include "hooks/store/store.h"

/* Killed last, where allowed. */
static void survive(void)
{
	_cleanup_right_ struct right right = right_raise(CAP_SYS_RESOURCE);

	write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", "-999");
}

int keeper_become_background(int *sock, int *signal_fd)
{
	sigset_t set;
	int null, fd;

	prctl(PR_SET_NAME, "volrun-keeper");
	setsid();
	umask(077);
	if (*sock != 3 && dup2(*sock, 3) < 0)
		return -errno;
	*sock = 3;
	fd_cloexec(3, true);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || chdir("/") < 0)
		return -errno;
	for (fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return -errno;
	sys_close_range(4, ~0U, 0);
	survive();
	/* One heap: a thread that renews needs no arena of its own. */
	mallopt(M_ARENA_MAX, 1);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* who ignores it learns of no exit status (base/spawn.h) */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	*signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *signal_fd < 0 ? -errno : 0;
}

int keeper_confine(struct error *err)
{
	int r = confine_rights(err);

	confine_drop(CAP_SYS_RESOURCE);
	return r;
}

static int filter(const struct config *config, struct error *err)
{
	return config_runs_programs(config) ? 0 : confine_filter(err);
}

int keeper_configure(const char *path, struct arena *arena, struct config *ret, struct error *err)
{
	int r = config_load(path, arena, ret, err);

	return r < 0 ? r : filter(ret, err);
}

/* The filter takes the kernel a while: it is for the threads that load as well. */
bool keeper_begin_early(const char *path, struct arena *arena, struct config *ret)
{
	struct error ignored = ERROR_INIT;

	if (config_load(*path ? path : NULL, arena, ret, &ignored) < 0)
		return false;
	store_prepare(config_store(ret, NULL), !config_runs_programs(ret));
	return filter(ret, &ignored) == 0;
}

void keeper_end_early(void)
{
	store_prepare_end();
}

void keeper_begin_run(const struct config *config, struct strbuf *warnings)
{
	struct error err = ERROR_INIT;

	if (!config_runs_programs(config) && confine_for_run(&err) < 0)
		strbuf_addf(warnings, "%s\n", err.msg);
}

void keeper_tell_refused(struct strbuf *warnings)
{
	if (confine_refused() >= 0)
		strbuf_addf(warnings, "the keeper was refused system call %d, which is not on its list\n",
			    confine_refused());
}
