/* SPDX-License-Identifier: Apache-2.0 */
/* volrun-volume - what `volrun volume ...` runs. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "hooks/volume_cmd.h"
#include "oci/volume.h"

static const struct {
	const char *name, *args, *help;
	int (*run)(const struct volume_cmd *c, struct arena *a, struct error *err);
} commands[] = {
    {"ls", "", "the volumes of a workspace in a store, who holds them, and what this node kept of them", volume_cmd_ls},
    {"inspect", " NAME", "all that is known of one volume, as JSON", volume_cmd_inspect},
    {"status", "", "the volumes in this node's cache, and the keepers at work", volume_cmd_status},
};

static void print_help(FILE *f)
{
	size_t i;

	fputs("usage: volrun volume [OPTIONS] COMMAND\n\n", f);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %s%-*s  %s\n", commands[i].name, (int)(14 - strlen(commands[i].name)), commands[i].args,
			commands[i].help);
	fputs("\n"
	      "  --config=FILE     this configuration instead of /etc/volrun/config.json and its relatives\n"
	      "  --store=NAME      of this store (default: the configuration's default store)\n"
	      "  --workspace=NAME  of this workspace (default: the configuration's)\n"
	      "  --json            as JSON\n"
	      "  --check           inspect: read the whole volume in the store; fails when it is not sound\n"
	      "  --help\n",
	      f);
}

static int fill(struct volume_cmd *c, const struct config *config, const char *store, struct error *err)
{
	c->config = config;
	c->store = config_store(config, store);
	if (!c->store)
		return error_set(err, EINVAL, "the configuration has no store \"%s\"", store);
	if (!c->workspace)
		c->workspace = config->identity.workspace;
	if (!volume_name_valid(c->workspace))
		return error_set(err, EINVAL, "workspace \"%s\" is not a valid name", c->workspace);
	if (c->name && !volume_name_valid(c->name))
		return error_set(err, EINVAL, "volume \"%s\" is not a valid name", c->name);
	return 0;
}

static int run(size_t command, struct volume_cmd *c, const char *config_path, const char *store)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err = ERROR_INIT;
	struct config config;
	int r;

	r = config_load(config_path, &arena, &config, &err);
	if (r == 0)
		r = fill(c, &config, store, &err);
	if (r == 0)
		r = commands[command].run(c, &arena, &err);
	if (r < 0)
		fprintf(stderr, "volrun volume: %s\n", err.msg);
	return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
						{"store", required_argument, NULL, 's'},
						{"workspace", required_argument, NULL, 'w'},
						{"json", no_argument, NULL, 'j'},
						{"check", no_argument, NULL, 'k'},
						{"help", no_argument, NULL, 'h'},
						{NULL}};
	const char *config = NULL, *store = NULL;
	struct volume_cmd c = {0};
	size_t i;
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			config = optarg;
			break;
		case 's':
			store = optarg;
			break;
		case 'w':
			c.workspace = optarg;
			break;
		case 'j':
			c.json = true;
			break;
		case 'k':
			c.check = true;
			break;
		case 'h':
			print_help(stdout);
			return 0;
		default:
			print_help(stderr);
			return 2;
		}
	}
	for (i = 0; optind < argc && i < ARRAY_SIZE(commands); i++) {
		bool named = commands[i].args[0];

		if (strcmp(argv[optind], commands[i].name) != 0 || argc - optind != 1 + named)
			continue;
		c.name = named ? argv[optind + 1] : NULL;
		return run(i, &c, config, store);
	}
	print_help(stderr);
	return 2;
}
