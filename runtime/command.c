/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/num.h"
#include "runtime/handshake.h"

const struct command *const commands[] = {
    &command_create,	 &command_start,
    &command_run,	 &command_exec,
    &command_kill,	 &command_delete,
    &command_state,	 &command_list,
    &command_ps,	 &command_pause,
    &command_resume,	 &command_update,
    &command_events,	 &command_mounts,
    &command_checkpoint, &command_restore,
    &command_spec,	 &command_features,
    &command_volume,	 &command_doctor,
    &command_install,	 NULL,
};

void command_print_help(const struct command *c)
{
	printf("volrun %s - %s\n\nUsage: volrun [global options] %s %s\n\nOptions:\n", c->name, c->summary, c->name,
	       c->usage);
	args_print_help(c->options);
}

int command_parse(const struct command *c, int argc, char **argv, size_t min, size_t max, void *options,
		  struct arena *arena, struct arg_list *ret_positionals, struct error *err)
{
	struct arg_list positionals;
	bool help;
	int r = args_parse(c->options, c->flags, argc, argv, options, arena, &positionals, &help, err);

	if (r < 0)
		return error_wrap(err, "Incorrect Usage: volrun %s", c->name);
	if (help) {
		command_print_help(c);
		return 0;
	}
	if (positionals.n < min || positionals.n > max)
		return error_set(err, EINVAL, "Incorrect Usage: volrun %s: %s; the usage is: volrun %s %s", c->name,
				 positionals.n < min ? "an argument is missing" : "too many arguments", c->name,
				 c->usage);
	*ret_positionals = positionals;
	return 1;
}

void command_log_notes(const struct strbuf *notes, enum notes_reader reader)
{
	const char *p = strbuf_str(notes);

	while (*p) {
		bool shown = *p == NOTE_SHOWN;
		int len = (int)strcspn(p += shown, "\n");

		if (reader == NOTES_OF_USER || (reader == NOTES_FOREGROUND && shown && !log_has_file()))
			log_warning("%.*s", len, p);
		else
			log_note("%.*s", len, p);
		p += len + (p[len] == '\n');
	}
}

int command_parse_number(const char *option, const char *text, unsigned max, unsigned *ret, struct error *err)
{
	uint64_t n;

	if (!text)
		return 0;
	if (num_parse_u64(text, max, &n) < 0)
		return error_set(err, EINVAL, "%s: \"%s\" is not a number from 0 to %u", option, text, max);
	*ret = (unsigned)n;
	return 0;
}
