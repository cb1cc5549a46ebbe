/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_scope.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/spawn.h"
#include "base/strbuf.h"
#include "base/sys.h"
#include "hooks/program_path.h"

#define PROGRAM "volrun-systemd"
#define TIMEOUT_NS (30 * NSEC_PER_SEC)
#define NAME_SHOWN 64

static void add_property(struct strbuf *b, const char *name, const char *type, const char *values)
{
	strbuf_addf(b, "%s{\"name\":\"%s\",\"type\":\"%s\",\"values\":[%s]}", b->data[b->len - 1] == '[' ? "" : ",",
		    name, type, values);
}

/* As runtime/systemd.h says. */
static void make_unit(struct strbuf *b, pid_t keeper, const char *container)
{
	char text[128], name[NAME_SHOWN + 1];
	size_t n;

	for (n = 0; n < NAME_SHOWN && container[n]; n++)
		name[n] = isalnum((unsigned char)container[n]) || strchr("_.-", container[n]) ? container[n] : '?';
	name[n] = '\0';
	strbuf_addf(b, "{\"unit\":\"volrun-keeper-%d.scope\",\"properties\":[", (int)keeper);
	snprintf(text, sizeof(text), "\"volumes of container %s\"", name);
	add_property(b, "Description", "s", text);
	snprintf(text, sizeof(text), "\"%d\"", (int)keeper);
	add_property(b, "PIDs", "au", text);
	snprintf(text, sizeof(text), "\"%d000000\"", SCOPE_STOP_SEC);
	add_property(b, "TimeoutStopUSec", "t", text);
	/* Stopped before these, then. */
	add_property(b, "After", "as",
		     "\"network.target\",\"network-online.target\",\"remote-fs.target\",\"local-fs.target\"");
	add_property(b, "CollectMode", "s", "\"inactive-or-failed\"");
	strbuf_adds(b, "]}");
}

/* In a child: nothing of the caller's stays open. */
static void run(const char *path, pid_t keeper, const char *container)
{
	const char *const argv[] = {PROGRAM, "start", geteuid() == 0 ? NULL : "--user", NULL};
	struct strbuf unit = STRBUF_INIT;
	struct error ignored = ERROR_INIT;
	int null = open("/dev/null", O_RDWR);

	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	sys_close_range(3, ~0U, 0);
	make_unit(&unit, keeper, container);
	if (!unit.failed)
		spawn_run(&(struct spawn){.path = path,
					  .argv = argv,
					  .input = unit.data,
					  .input_len = unit.len,
					  .timeout_ns = TIMEOUT_NS,
					  .new_session = true},
			  &ignored);
}

void keeper_scope_start(pid_t keeper, const char *container)
{
	char path[PATH_MAX];

	if (access("/run/systemd/system", F_OK) < 0)
		return;
	program_path(PROGRAM, path);
	if (access(path, X_OK) < 0 || spawn_orphan() != 0)
		return;
	run(path, keeper, container);
	_exit(0);
}
