/* SPDX-License-Identifier: Apache-2.0 */
/* The process that has logind's lock while a keeper commits. */
#include "hooks/keeper_inhibit.h"

#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define BUS "/run/dbus/system_bus_socket"

/* A bus that takes calls and never answers. */
static int silent_bus(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = BUS};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 5) < 0)
		return -1;
	return setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=" BUS, 1) < 0 ? -1 : fd;
}

static void it_keeps_no_descriptor_of_the_keeper(void **state)
{
	int bus = silent_bus(), ends[2];
	struct pollfd p = {.events = POLLIN};
	pid_t pid;

	(void)state;
	assert_true(bus >= 0);
	assert_int_equal(pipe(ends), 0);
	pid = inhibit_begin("c1");
	assert_true(pid > 0);
	/* As a volume's lock, which is the next one's when the keeper has closed it. */
	close(ends[1]);
	p.fd = ends[0];
	assert_int_equal(poll(&p, 1, 2000), 1);
	inhibit_end(pid);
	close(ends[0]);
	close(bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_keeps_no_descriptor_of_the_keeper),
	};

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/run", "tmpfs", 0, NULL) < 0 || mkdir("/run/systemd", 0755) < 0 ||
	    mkdir("/run/systemd/seats", 0755) < 0 || mkdir("/run/dbus", 0755) < 0)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
