/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_inhibit.h"

#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"

#define LOGIN "org.freedesktop.login1"
#define OBJECT "/org/freedesktop/login1"
#define MANAGER LOGIN ".Manager"

/* sd-bus(3), whose library may be there or not. */
struct bus;
struct message;
typedef int open_fn(struct bus **);
typedef int call_fn(struct bus *, const char *, const char *, const char *, const char *, void *, struct message **,
		    const char *, ...);

/* The lock is a descriptor in the answer, and there as long as that is. */
static int take_lock(const char *container)
{
	void *library = dlopen("libsystemd.so.0", RTLD_NOW);
	struct message *answer = NULL;
	struct bus *bus = NULL;
	open_fn *open_system;
	call_fn *call;
	char why[160];

	if (!library)
		return -1;
	open_system = (open_fn *)dlsym(library, "sd_bus_open_system");
	call = (call_fn *)dlsym(library, "sd_bus_call_method");
	if (!open_system || !call || open_system(&bus) < 0)
		return -1;
	snprintf(why, sizeof(why), "volumes of container %.80s are being synced back", container);
	return call(bus, LOGIN, OBJECT, MANAGER, "Inhibit", NULL, &answer, "ssss", "shutdown", "volrun", why, "delay");
}

pid_t inhibit_begin(const char *container)
{
	pid_t pid, keeper = getpid();

	/* logind's own sign that it runs (sd_login_monitor(3)), which may outlive it, and the way to it. */
	if (access("/run/systemd/seats", F_OK) < 0 || access("/run/dbus/system_bus_socket", F_OK) < 0)
		return 0;
	pid = fork();
	if (pid > 0)
		return pid;
	if (pid < 0)
		return 0;
	/* It may outlive the release of a volume whose lock the keeper had then: a copy of it would keep it locked. */
	sys_close_range(3, ~0U, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_NAME, "volrun-inhibit");
	if (getppid() == keeper && take_lock(container) >= 0)
		for (;;)
			poll(NULL, 0, -1);
	_exit(0);
}

void inhibit_end(pid_t child)
{
	if (child <= 0)
		return;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}
