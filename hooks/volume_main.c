/* SPDX-License-Identifier: Apache-2.0 */
/* volrun-volume - what `volrun volume ...` runs. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "hooks/confine.h"
#include "hooks/doctor.h"
#include "hooks/volume_cmd.h"
#include "oci/volume.h"

static void print_help(FILE *f)
{
	fputs("usage: volrun volume [OPTIONS] COMMAND\n\n", f);
	for (const struct volume_command *v = volume_commands; v->name; v++)
		fprintf(f, "  %s %s\n      %s\n", v->name, v->args, v->help);
	fputs(
	    "\n"
	    "  --config=FILE     this configuration instead of /etc/volrun/config.json and its relatives\n"
	    "  --store=NAME      of this store (default: the configuration's default store)\n"
	    "  --workspace=NAME  of this workspace (default: the configuration's)\n"
	    "  --json            as JSON\n"
	    "  --wait=DURATION   for a lease, or for a drain's end (default: a lease not at all, a drain without limit)\n"
	    "  --force           rm: also what was set aside; drain: ends the containers that have volumes (TERM, KILL after\n"
	    "                    30s); unmount: though a sandbox still has it; recover: though the store has nothing of it\n"
	    "  --owner=USER      create: whose it is\n"
	    "  --check           inspect: read the whole volume in the store; fails when it is not sound\n"
	    "  --help\n",
	    f);
}

#define NAME_RULE "2 to 255 of A-Za-z0-9._-, a letter or digit at both ends, no \"..\""

static int fill(struct volume_cmd *c, const struct config *config, const char *store, struct error *err)
{
	c->config = config;
	c->store = config_store(config, store);
	if (!c->store)
		return error_set(err, EINVAL, "the configuration has no store \"%s\"", store);
	if (!c->workspace)
		c->workspace = config->identity.workspace;
	if (!volume_name_valid(c->workspace))
		return error_set(err, EINVAL, "workspace \"%.300s\" is not a valid name (" NAME_RULE ")", c->workspace);
	if (c->name && !volume_name_valid(c->name))
		return error_set(err, EINVAL, "volume \"%.300s\" is not a valid name (" NAME_RULE ")", c->name);
	return 0;
}

static int run(const struct volume_command *command, struct volume_cmd *c, const char *store)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err = ERROR_INIT;
	struct config config;
	int r;

	if (command->mounts)
		confine_allow_mounts();
	r = confine_rights(&err);
	c->config_path = config_absolute(c->config_path, &arena);
	if (r == 0)
		r = config_load(c->config_path, &arena, &config, &err);
	if (r == 0 && !config_runs_programs(&config))
		r = confine_filter(&err);
	if (r == 0)
		r = fill(c, &config, store, &err);
	if (r == 0)
		r = command->run(c, &arena, &err);
	if (fflush(stdout) != 0 && r == 0)
		r = error_set(&err, EIO, "the output can't be written");
	if (r < 0)
		fprintf(stderr, "volrun volume: %s\n", err.msg);
	if (confine_refused() >= 0)
		fprintf(stderr, "warning: the program was refused system call %d, which is not on its list\n",
			confine_refused());
	return r < 0 ? 1 : 0;
}

static int bad_usage(void)
{
	print_help(stderr);
	return 2;
}

/* With the help's place, not all of it: the one line that matters would scroll away. */
static int bad_value(const char *what, const char *value)
{
	struct error err = ERROR_INIT; /* replaces control characters */

	error_set(&err, EINVAL, "%s \"%.100s\"; see volrun volume --help", what, value);
	fprintf(stderr, "volrun volume: %s\n", err.msg);
	return 2;
}

static const struct option options[] = {{"config", required_argument, NULL, 'c'},
					{"store", required_argument, NULL, 's'},
					{"workspace", required_argument, NULL, 'w'},
					{"json", no_argument, NULL, 'j'},
					{"check", no_argument, NULL, 'k'},
					{"force", no_argument, NULL, 'f'},
					{"wait", required_argument, NULL, 't'},
					{"owner", required_argument, NULL, 'o'},
					{"completion", required_argument, NULL, 'C'},
					{"help", no_argument, NULL, 'h'},
					{NULL}};

/* true: it is one, and was taken. */
static bool take_option(struct volume_cmd *c, int o)
{
	switch (o) {
	case 'c':
		c->config_path = optarg;
		return true;
	case 'w':
		c->workspace = optarg;
		return true;
	case 'j':
		return c->json = true;
	case 'k':
		return c->check = true;
	case 'f':
		return c->force = true;
	case 'o':
		c->owner = optarg;
		return true;
	case 't':
		return c->has_wait = true;
	default:
		return false;
	}
}

static int find_and_run(struct volume_cmd *c, const char *name, const char *store)
{
	for (const struct volume_command *v = volume_commands; v->name; v++) {
		if (strcmp(name, v->name) != 0)
			continue;
		if (c->n_args < v->min_args || (v->max_args >= 0 && c->n_args > v->max_args)) {
			fprintf(stderr, "usage: volrun volume %s %s\n", v->name, v->args);
			return 2;
		}
		c->name = v->named && c->n_args > 0 ? c->args[0] : NULL;
		return run(v, c, store);
	}
	return bad_value("there is no command", name);
}

int main(int argc, char **argv)
{
	const char *store = NULL, *shell = NULL;
	struct error err = ERROR_INIT;
	struct volume_cmd c = {0};
	int o;

	/* `volrun doctor` is here, where the stores are. */
	if (argc > 1 && strcmp(argv[1], "doctor") == 0)
		return doctor_main(argc - 1, argv + 1);
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (o == 'h') {
			print_help(stdout);
			return 0;
		}
		if (o == 's')
			store = optarg;
		else if (o == 'C')
			shell = optarg;
		else if (o == 't' && (duration_parse(optarg, &c.wait_ns) < 0 || c.wait_ns < 0))
			return bad_value("--wait: no duration (90s, 5m, 0):", optarg);
		else if (!take_option(&c, o))
			return 2; /* getopt has said which */
	}
	if (shell && volume_completion(shell, &err) < 0)
		fprintf(stderr, "volrun volume: %s\n", err.msg);
	if (shell)
		return err.code ? 2 : 0;
	if (optind == argc)
		return bad_usage();
	c.args = argv + optind + 1;
	c.n_args = argc - optind - 1;
	return find_and_run(&c, argv[optind], store);
}
