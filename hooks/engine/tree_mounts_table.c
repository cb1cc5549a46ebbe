/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/tree_mounts_table.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

/* Lines that libmount can't read are skipped, not printed: the keeper has no terminal. */
static int skip_bad_line(struct libmnt_table *t, const char *file, int line)
{
	(void)t, (void)file, (void)line;
	return 1;
}

/*
 * What libmount is to see of a mountinfo: not where a mount's bytes come from. That is what somebody in the container
 * wrote there, and "/dev/root" would be looked up, in /proc/cmdline and by libblkid: of the namespace that this process
 * is in, where each of these is what the container put in its place.
 */
static bool read_lines(int proc_fd, const char *path, struct strbuf *ret)
{
	int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		const char *end = strstr(line, " - ");

		if (end) {
			strbuf_add(ret, line, (size_t)(end - line));
			strbuf_adds(ret, " - none none rw\n");
		}
	}
	return f && feof(f) && ret->len > 0 && !ret->failed;
}

struct libmnt_table *mount_table_read(int proc_fd, const char *path)
{
	_cleanup_strbuf_ struct strbuf lines = STRBUF_INIT;
	_cleanup_fclose_ FILE *f = read_lines(proc_fd, path, &lines) ? fmemopen(lines.data, lines.len, "r") : NULL;
	struct libmnt_table *t = f ? mnt_new_table() : NULL;

	if (t && (mnt_table_set_parser_errcb(t, skip_bad_line) != 0 || mnt_table_parse_stream(t, f, path) != 0)) {
		mnt_unref_table(t);
		t = NULL;
	}
	return t;
}
