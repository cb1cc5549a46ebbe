/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/spec.h"
#include "runtime/command.h"

struct options {
	const char *bundle, *file;
	bool rootless;
};

static const struct arg_option spec_options[] = {
    {"bundle", 'b', ARG_STR, offsetof(struct options, bundle), "DIR", "the bundle's directory (.)"},
    {"file", 'f', ARG_STR, offsetof(struct options, file), "FILE", "the file's name (config.json)"},
    {"rootless", 0, ARG_BOOL, offsetof(struct options, rootless), NULL,
     "for a user who is not root: with a user namespace"},
    {NULL},
};

static int run_spec(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	_cleanup_close_ int dir = -1, fd = -1;
	struct options o = {.bundle = ".", .file = "config.json"};
	struct arg_list args;
	int r = command_parse(&command_spec, argc, argv, 0, 0, &o, &arena, &args, err);

	(void)g;
	if (r <= 0)
		return r;
	if (spec_example(&text, o.rootless, geteuid(), getegid()) < 0 || text.failed)
		return error_set(err, ENOMEM, "out of memory");
	dir = open(o.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_errno(err, errno, "open the bundle %s", o.bundle);
	fd = openat(dir, o.file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EEXIST)
		return error_set(err, EEXIST, "file %s exists. Remove it first", o.file);
	if (fd < 0)
		return error_errno(err, errno, "make %s", o.file);
	r = write_all(fd, text.data, text.len);
	return r < 0 ? error_errno(err, r, "write %s", o.file) : 0;
}

const struct command command_spec = {
    "spec", "[options]", "write an example of a config.json", spec_options, 0, run_spec, 1,
};
