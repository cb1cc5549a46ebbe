/* SPDX-License-Identifier: Apache-2.0 */
/* volrun: the runtime's command line. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "oci/spec.h"
#include "runtime/command.h"
#include "runtime/sealed_self.h"
#include "runtime/volumes.h"

static const struct arg_option global_options[] = {
    {"root", 0, ARG_STR, offsetof(struct globals, root), "DIR", "where the state of containers is kept (/run/volrun)"},
    {"log", 0, ARG_STR, offsetof(struct globals, log), "FILE",
     "also write errors to this file, or to journald:ID or syslog:ID"},
    {"log-format", 0, ARG_STR, offsetof(struct globals, log_format), "FORMAT", "text (default) or json"},
    {"log-level", 0, ARG_STR, offsetof(struct globals, log_level), "LEVEL", "error, warning (default), info, debug"},
    {"debug", 0, ARG_BOOL, offsetof(struct globals, debug), NULL, "the same as --log-level debug"},
    {"systemd-cgroup", 0, ARG_BOOL, offsetof(struct globals, systemd_cgroup), NULL,
     "cgroupsPath is slice:prefix:name, as systemd's cgroup driver writes it"},
    {"cgroup-manager", 0, ARG_STR, offsetof(struct globals, cgroup_manager), "NAME",
     "cgroupfs (default), systemd, disabled"},
    {"rootless", 0, ARG_STR, offsetof(struct globals, rootless), "BOOL", "true, false or auto (default)"},
    {"criu", 0, ARG_IGNORE_VALUE, 0, "PATH", NULL},
    {"version", 'v', ARG_BOOL, offsetof(struct globals, version), NULL, "show the version"},
    {"version", 'V', ARG_BOOL, offsetof(struct globals, version), NULL, NULL}, /* crun's */
    {NULL},
};

static void print_help(void)
{
	printf("volrun - an OCI container runtime whose containers have volumes in object storage\n\n"
	       "Usage: volrun [global options] COMMAND [options] [arguments]\n\nCommands:\n");
	for (const struct command *const *c = commands; *c; c++)
		printf("  %-10s %s\n", (*c)->name, (*c)->summary);
	printf("\nGlobal options:\n");
	args_print_help(global_options);
}

/* The last line is crun's, by whose words `podman info` and scripts know what a runtime can do. */
static void print_version(struct arena *arena)
{
	struct error none = ERROR_INIT;
	const char *path;

	printf("volrun version %s\ncommit: %s\nspec: %s\n%s+SELINUX +APPARMOR +CAP +SECCOMP +EBPF +CRIU +YAJL\n",
	       PACKAGE_VERSION, VOLRUN_COMMIT, OCI_VERSION,
	       own_program("volrun-systemd", arena, &path, &none) == 0 ? "+SYSTEMD " : "");
}

/* Descriptors 0 to 2 must be something, or the first file that is opened becomes somebody's stdout. */
static void open_stdio(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) < 0)
			_exit(1);
}

static int parse_level(const struct globals *g, enum log_level *ret, struct error *err)
{
	static const char *const names[] = {"error", "warning", "info", "debug", NULL};

	*ret = g->debug ? LOG_DEBUG : LOG_WARNING;
	if (!g->log_level)
		return 0;
	for (int i = 0; names[i]; i++)
		if (strcmp(g->log_level, names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	return error_set(err, EINVAL, "--log-level: \"%s\" is none of error, warning, info, debug", g->log_level);
}

static int open_log(const struct globals *g, struct error *err)
{
	const char *format = g->log_format ? g->log_format : "text";
	enum log_level level;
	int r = parse_level(g, &level, err);

	if (r < 0)
		return r;
	if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0)
		return error_set(err, EINVAL, "--log-format: \"%s\" is neither text nor json", format);
	if (g->debug || g->log_level)
		log_level_asked();
	return log_open("volrun", g->log, strcmp(format, "json") == 0, level, err);
}

/* Not in the host's user namespace: then what root may do is limited. */
static bool in_user_namespace(void)
{
	char text[128] = "";
	int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	unsigned inside = 1, outside = 1, count = 0;

	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) > 0)
		sscanf(text, "%u %u %u", &inside, &outside, &count);
	close(fd);
	return inside != 0 || outside != 0 || count != UINT32_MAX;
}

/* As runc: who is root in a user namespace and is called so, has a system of his own (a container), with a /run. */
static bool is_called_root(void)
{
	const char *user = getenv("USER");

	return geteuid() == 0 && user && strcmp(user, "root") == 0;
}

static int settle_globals(struct globals *g, struct arena *arena, struct error *err)
{
	const char *rootless = g->rootless ? g->rootless : "auto", *dir = getenv("XDG_RUNTIME_DIR");
	bool unprivileged = geteuid() != 0 || in_user_namespace();

	if (strcmp(rootless, "auto") == 0)
		g->is_rootless = unprivileged;
	else if (strcmp(rootless, "true") == 0)
		g->is_rootless = true;
	else if (strcmp(rootless, "false") != 0)
		return error_set(err, EINVAL, "--rootless: \"%s\" is none of true, false, auto", rootless);
	if (g->cgroup_manager && strcmp(g->cgroup_manager, "cgroupfs") != 0 &&
	    strcmp(g->cgroup_manager, "systemd") != 0 && strcmp(g->cgroup_manager, "disabled") != 0)
		return error_set(err, EINVAL, "--cgroup-manager: \"%s\" is none of cgroupfs, systemd, disabled",
				 g->cgroup_manager);
	g->root_given = g->root != NULL;
	if (!g->root)
		g->root = dir && *dir && unprivileged && !is_called_root() ? arena_printf(arena, "%s/volrun", dir)
									   : "/run/volrun";
	if (!g->root || strcmp(g->root, "/") == 0 || !*g->root)
		return error_set(err, EINVAL, "--root: the state directory can't be \"/\" or empty");
	return 0;
}

static const struct command *find_command(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

/* Runs the command; returns the exit status or a negative errno. *ret_failure: the status for an error. */
static int run(int argc, char **argv, int *ret_failure, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct globals g = {.root = NULL};
	struct arg_list rest;
	const struct command *c;
	bool help;
	int r = args_parse(global_options, ARGS_STOP_AT_POSITIONAL, argc - 1, argv + 1, &g, &arena, &rest, &help, err);

	if (r < 0)
		return error_wrap(err, "Incorrect Usage");
	if (g.version) {
		print_version(&arena);
		return 0;
	}
	if (help || rest.n == 0 || strcmp(rest.items[0], "help") == 0) {
		print_help();
		return 0;
	}
	r = settle_globals(&g, &arena, err);
	if (r == 0)
		r = open_log(&g, err);
	if (r < 0)
		return r;
	c = find_command(rest.items[0]);
	if (!c) {
		*ret_failure = 3;
		return error_set(err, EINVAL,
				 "No help topic for '%s': volrun has no such command; `volrun --help` lists them",
				 rest.items[0]);
	}
	*ret_failure = c->failure_status;
	log_debug("%s: containers in %s%s", c->name, g.root, g.is_rootless ? ", rootless" : "");
	return c->run(&g, (int)rest.n - 1, (char **)rest.items + 1, err);
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	int failure = 1, r;

	open_stdio();
	self_remember(argv);
	r = run(argc, argv, &failure, &err);
	if (r < 0) {
		log_error("%s", err.msg);
		return failure;
	}
	/* Output that could not be written is a failure, too. */
	return fflush(stdout) == 0 ? r : failure;
}
