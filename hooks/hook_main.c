/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volrun-hook - gives a container its volumes before it starts (prestart), and
 * waits for their sync-back when it is deleted (poststop). The container's
 * state comes on stdin, as for every OCI hook. Errors: one line on stderr.
 */
#include <config.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/num.h"
#include "hooks/confine.h"
#include "hooks/hook.h"
#include "hooks/keeper_spawn.h"

#define STATE_MAX_SIZE (1u << 20)

static const char usage[] = "usage: volrun-hook [--config=FILE] prestart --socket=FD  < state.json\n"
			    "       volrun-hook [--config=FILE] poststop              < state.json\n"
			    "\n"
			    "Gives a container the volumes that its annotations declare, and syncs them back.\n"
			    "volrun runs it; see volrun(8).\n"
			    "\n"
			    "  --config=FILE  this configuration instead of /etc/volrun/config.json and its relatives\n"
			    "  --socket=FD    where the runtime takes the mounts\n"
			    "  --help, --version\n";

static int read_state(struct arena *arena, struct oci_state *ret, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = read_fd(STDIN_FILENO, STATE_MAX_SIZE, &text, &len);

	if (r < 0)
		return error_set(err, r, "the container's state on stdin can't be read (error %d)", -r);
	return oci_state_parse(text, len, arena, ret, err);
}

static int run(const char *config, int sock, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_close_ int keeper = -1;
	struct oci_state state;
	pid_t pid = -1;
	int r = 0;

	/* The state comes when there is a container: until then the keeper loads what it needs. */
	if (sock >= 0) {
		fd_cloexec(sock, true);
		r = keeper_start(&pid, &keeper, err);
	}
	if (r == 0)
		r = confine(err);
	if (r == 0)
		r = read_state(&arena, &state, err);
	if (r < 0)
		return r;
	return sock >= 0 ? hook_prestart(config, &state, sock, keeper, pid, err) : hook_poststop(config, &state, err);
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
						{"help", no_argument, NULL, 'h'},
						{"version", no_argument, NULL, 'v'},
						{NULL}};
	const char *config = NULL;
	struct error err = ERROR_INIT;
	int64_t sock = -1;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c') {
			config = optarg;
		} else if (c == 's' && num_parse_i64(optarg, 0, INT32_MAX, &sock) == 0) {
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
	if (optind != argc - 1 || (strcmp(argv[optind], "prestart") != 0 && strcmp(argv[optind], "poststop") != 0) ||
	    (sock < 0) != (strcmp(argv[optind], "poststop") == 0))
		return bad_usage();
	if (run(config, (int)sock, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.msg);
	return 1;
}
