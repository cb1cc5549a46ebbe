/* SPDX-License-Identifier: Apache-2.0 */
/* command.h - the commands of volrun and what they share. */
#ifndef VOLRUN_RUNTIME_COMMAND_H
#define VOLRUN_RUNTIME_COMMAND_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "runtime/args.h"

/* The options before the command. */
struct globals {
	const char *root; /* where the containers' directories are */
	bool root_given;  /* it was named on the command line */
	const char *log, *log_format, *log_level;
	bool debug;
	bool systemd_cgroup;	    /* cgroupsPath is "slice:prefix:name" */
	const char *cgroup_manager; /* "cgroupfs", "systemd", "disabled"; NULL: cgroupfs */
	const char *rootless;	    /* "true", "false", "auto"; NULL: auto */
	bool is_rootless;	    /* what that comes to */
	bool version;
};

struct command {
	const char *name;
	const char *usage; /* what follows the name */
	const char *summary;
	const struct arg_option *options;
	unsigned flags; /* ARGS_* */
	/*
	 * argv after the command's name. Returns the exit status, or a negative
	 * errno with err set: main prints it and exits with failure_status.
	 */
	int (*run)(const struct globals *g, int argc, char **argv, struct error *err);
	int failure_status;
};

extern const struct command command_create, command_start, command_state, command_kill, command_delete, command_run,
    command_list, command_spec, command_exec, command_ps, command_pause, command_resume, command_update, command_events,
    command_mounts, command_features, command_checkpoint, command_restore, command_volume, command_doctor,
    command_install;

/* All of them, ended by NULL, in the order of the help. */
extern const struct command *const commands[];

/*
 * Parses a command's arguments and prints its help when asked for. Returns 1:
 * go on, 0: help was printed, or a negative errno. Between min and max positionals are
 * required.
 */
int command_parse(const struct command *c, int argc, char **argv, size_t min, size_t max, void *options,
		  struct arena *arena, struct arg_list *ret_positionals, struct error *err);
void command_print_help(const struct command *c);

enum notes_reader {
	NOTES_OF_CONTAINER, /* stderr is, or becomes, the container's: see log_note */
	NOTES_FOREGROUND,   /* the same, but without a log file lines with NOTE_SHOWN (handshake.h) are warnings */
	NOTES_OF_USER,
};

/* Logs each line of notes as a warning. */
void command_log_notes(const struct strbuf *notes, enum notes_reader reader);

/* --preserve-fds and the like. */
int command_parse_number(const char *option, const char *text, unsigned max, unsigned *ret, struct error *err);

#endif
