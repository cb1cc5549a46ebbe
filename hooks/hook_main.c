/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volrun-hook - gives a container its volumes before it starts (prestart), and
 * waits for their sync-back when it is deleted (poststop). The container's
 * state comes on stdin, as for every OCI hook. Errors: one line on stderr.
 */
#include <config.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/num.h"
#include "hooks/config.h"
#include "hooks/confine.h"
#include "hooks/hook.h"
#include "hooks/keeper_spawn.h"

#define STATE_MAX_SIZE (1u << 20)

static const char usage[] = "usage: volrun-hook [--config=FILE] createRuntime|prestart  < state.json\n"
			    "       volrun-hook [--config=FILE] precreate               < config.json\n"
			    "       volrun-hook [--config=FILE] poststop                < state.json\n"
			    "       volrun-hook [--config=FILE] prestart --socket=FD --keeper=FD,PID    < state.json\n"
			    "       volrun-hook [--config=FILE] checkpoint --checkpoint=FILE            < state.json\n"
			    "\n"
			    "Gives a container the volumes that its annotations declare, and syncs them back:\n"
			    "as an OCI hook of runc, crun, Podman or another engine (see volrun-hook(8)). The runtime\n"
			    "volrun runs it by itself, with a socket.\n"
			    "\n"
			    "  --config=FILE  this configuration instead of /etc/volrun/config.json and its relatives\n"
			    "  --socket=FD    where the runtime takes the mounts\n"
			    "  --keeper=FD,PID  the socket of a keeper that has been started already, and its process\n"
			    "  --checkpoint=FILE  what a checkpoint notes of the volumes, for a restore\n"
			    "  --help, --version\n";

/* Stages of the OCI spec, and what is done in them. */
static const struct stage {
	const char *name;
	bool takes, sock, config, notes;
} stages[] = {{"precreate", true, false, true, false},
	      {"createRuntime", true, false, false, false},
	      {"prestart", true, true, false, false},
	      {"checkpoint", false, false, false, true},
	      {"poststop", false, false, false, false}};

static bool fits(const struct stage *s, bool has_socket, bool has_checkpoint)
{
	return has_socket ? s->sock : s->notes == has_checkpoint;
}

static const struct stage *find_stage(const char *name, bool has_socket, bool has_checkpoint)
{
	for (size_t i = 0; i < ARRAY_SIZE(stages); i++)
		if (strcmp(stages[i].name, name) == 0)
			return fits(&stages[i], has_socket, has_checkpoint) ? &stages[i] : NULL;
	return NULL;
}

static int read_state(struct arena *arena, struct oci_state *ret, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = read_fd(STDIN_FILENO, STATE_MAX_SIZE, &text, &len);

	if (r < 0)
		return error_set(err, r, "the container's state on stdin can't be read (error %d)", -r);
	return oci_state_parse(text, len, arena, ret, err);
}

/* Started already, or to be; it waits for its request. */
struct keeper {
	int sock;
	pid_t pid;
};

/* FD,PID */
static int parse_keeper(const char *text, struct keeper *ret)
{
	char fd[16];
	size_t len = strcspn(text, ",");
	int64_t sock, pid;

	if (len >= sizeof(fd) || text[len] != ',')
		return -EINVAL;
	memcpy(fd, text, len);
	fd[len] = '\0';
	if (num_parse_i64(fd, 3, INT32_MAX, &sock) < 0 || num_parse_i64(text + len + 1, -1, INT32_MAX, &pid) < 0)
		return -EINVAL;
	*ret = (struct keeper){(int)sock, (pid_t)pid};
	return 0;
}

static int run(const char *config, const char *checkpoint, const struct stage *stage, int sock,
	       const struct keeper *given, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_close_ int keeper = given->sock;
	struct oci_state state;
	pid_t pid = given->pid;
	int r = 0;

	config = config_absolute(config, &arena);
	if (sock >= 0)
		fd_cloexec(sock, true);
	/* The state comes when there is a container: until then the keeper loads what it needs. */
	if (keeper < 0 && stage->takes)
		r = keeper_start(config, &pid, &keeper, err);
	else if (keeper >= 0 && pid < 0)
		r = error_set(err, EAGAIN, "can't start the keeper: no more processes can be made");
	else if (keeper >= 0)
		fd_cloexec(keeper, true);
	if (stage->takes && !stage->config && sock < 0)
		confine_allow_mounts();
	if (r == 0)
		r = confine(err);
	if (r == 0 && stage->config)
		return hook_precreate(config, keeper, pid, err);
	if (r == 0)
		r = read_state(&arena, &state, err);
	if (r < 0)
		return r;
	if (stage->notes)
		return hook_checkpoint(config, &state, checkpoint, err);
	return stage->takes ? hook_prestart(config, &state, checkpoint, sock, keeper, pid, err)
			    : hook_poststop(config, &state, err);
}

/* Not every engine shows what a hook has to say. */
static void tell_log(const struct error *err)
{
	struct error ignored = ERROR_INIT;

	if (log_open("volrun-hook", "journald:volrun-hook", false, LOG_ERROR, &ignored) == 0 ||
	    log_open("volrun-hook", "syslog:volrun-hook", false, LOG_ERROR, &ignored) == 0)
		log_msg(LOG_ERROR, "%s", err->msg);
}

static int bad_usage(void)
{
	fputs(usage, stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
						{"socket", required_argument, NULL, 's'},
						{"keeper", required_argument, NULL, 'k'},
						{"checkpoint", required_argument, NULL, 'n'},
						{"help", no_argument, NULL, 'h'},
						{"version", no_argument, NULL, 'v'},
						{NULL}};
	const char *config = NULL, *checkpoint = NULL;
	struct keeper keeper = {-1, -1};
	struct error err = ERROR_INIT;
	const struct stage *stage;
	int64_t sock = -1;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c') {
			config = optarg;
		} else if (c == 'n') {
			checkpoint = optarg;
		} else if (c == 's' && num_parse_i64(optarg, 0, INT32_MAX, &sock) == 0) {
			continue;
		} else if (c == 'k' && parse_keeper(optarg, &keeper) == 0) {
			continue;
		} else if (c == 'h') {
			fputs(usage, stdout);
			return 0;
		} else if (c == 'v') {
			puts("volrun-hook " PACKAGE_VERSION);
			return 0;
		} else {
			return bad_usage();
		}
	}
	stage = optind == argc - 1 ? find_stage(argv[optind], sock >= 0, checkpoint) : NULL;
	if (!stage || (keeper.sock >= 0 && sock < 0))
		return bad_usage();
	if (run(config, checkpoint, stage, (int)sock, &keeper, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.msg);
	if (sock < 0)
		tell_log(&err);
	return 1;
}
