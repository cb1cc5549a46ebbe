/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args.h - the command line, by tables. One table per command, whose offsets
 * point into the struct that receives the values; the same table prints the
 * help.
 *
 * Accepted, as runc and crun and their callers need it: --flag=value,
 * --flag value, -x value, -xvalue, --flag, --flag=true|false, clustered short
 * flags (-it), long options with one dash (-no-subreaper), "--" as the end of
 * the options.
 */
#ifndef VOLRUN_RUNTIME_ARGS_H
#define VOLRUN_RUNTIME_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

enum arg_kind {
	ARG_BOOL,   /* bool */
	ARG_STR,    /* const char *; the last one wins */
	ARG_LIST,   /* struct arg_list; repeatable */
	ARG_IGNORE, /* a flag that is accepted and has no effect */
	ARG_IGNORE_VALUE,
};

struct arg_list {
	const char **items; /* NULL-terminated when not NULL */
	size_t n;
};

struct arg_option {
	const char *name; /* long name; NULL ends the table */
	char letter;	  /* short name; 0: none */
	enum arg_kind kind;
	size_t offset;
	const char *value; /* what the help calls the value */
	const char *help;  /* NULL: not shown */
};

/* Options after the first positional belong to the positional (exec, kill, ps, and the global options). */
#define ARGS_STOP_AT_POSITIONAL 1u

/*
 * Reads argv[0..argc). out is the struct of the offsets; what is not given
 * stays as it is. *ret_help: --help or -h was given, the rest was not read.
 * -EINVAL: `flag needs an argument: --root` (podman looks for these words),
 * `unknown option: --x`, `--detach: "maybe" is neither true nor false`.
 */
int args_parse(const struct arg_option *table, unsigned flags, int argc, char **argv, void *out, struct arena *arena,
	       struct arg_list *ret_positionals, bool *ret_help, struct error *err);

/* Prints the options of a table on stdout, one per line. */
void args_print_help(const struct arg_option *table);

#endif
