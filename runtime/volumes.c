/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/volumes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/spawn.h"
#include "runtime/handshake.h"
#include "runtime/sealed_self.h"

/* What volrun-hook sends with each mount. */
struct volume_message {
	const char *destination;
	bool ro, directory;
};

static const struct json_field message_fields[] = {
    JSON_FIELD(struct volume_message, destination, "destination", JSON_STR, .required = true),
    JSON_FIELD(struct volume_message, ro, "ro", JSON_BOOL),
    JSON_FIELD(struct volume_message, directory, "directory", JSON_BOOL),
    {NULL},
};
static const struct json_table message_table = {"volume", sizeof(struct volume_message), message_fields, JSON_STRICT};

int own_program(const char *name, struct arena *arena, const char **ret, struct error *err)
{
	char self[PATH_MAX];
	const char *path = NULL;

	if (self_path(self, sizeof(self)) > 0) {
		path = arena_printf(arena, "%.*s%s", (int)(path_basename(self) - self), self, name);
		if (path && access(path, X_OK) == 0) {
			*ret = path;
			return 0;
		}
	}
	path = arena_printf(arena, "%s/%s", PKGLIBEXECDIR, name);
	if (!path)
		return error_set(err, ENOMEM, "out of memory");
	if (access(path, X_OK) < 0)
		return error_set(err, EIO, "%s is not installed: it is neither beside volrun nor in %s", name,
				 PKGLIBEXECDIR);
	*ret = path;
	return 0;
}

/* Each line "warning: ..." of a hook that succeeded becomes a note, without that word: who prints it adds it. */
static void add_notes(struct strbuf *notes, char *text)
{
	static const char prefix[] = "warning: ";
	char *line, *rest;

	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		strbuf_addf(notes, "%s\n", line + (strncmp(line, prefix, strlen(prefix)) ? 0 : strlen(prefix)));
}

/* Runs the hook; its line on stderr becomes the error. */
static int run_hook(const char *config, const char *command, int socket, const struct oci_state *state,
		    struct strbuf *notes, struct error *err)
{
	_cleanup_strbuf_ struct strbuf input = STRBUF_INIT;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	char text[4 * ERROR_MSG_MAX] = ""; /* of several volumes, each with a warning */
	const char *argv[5], *path;
	size_t n = 0;
	int r = own_program("volrun-hook", &arena, &path, err);

	if (r < 0)
		return r;
	argv[n++] = "volrun-hook";
	if (config)
		argv[n++] = arena_printf(&arena, "--config=%s", config);
	argv[n++] = command;
	if (socket >= 0)
		argv[n++] = arena_printf(&arena, "--socket=%d", socket);
	argv[n] = NULL;
	if (oci_state_write(&input, state, 0) < 0 || input.failed)
		return error_set(err, ENOMEM, "out of memory");
	r = spawn_run(&(struct spawn){.path = path,
				      .argv = argv,
				      .input = strbuf_str(&input),
				      .input_len = input.len,
				      .keep_fds = &socket,
				      .n_keep_fds = socket >= 0 ? 1 : 0,
				      .stderr_buf = text,
				      .stderr_size = sizeof(text)},
		      err);
	if (r < 0)
		return r;
	if (r == 0) {
		add_notes(notes, text);
		return 0;
	}
	text[strcspn(text, "\n")] = '\0';
	return error_set(err, EIO, "%s", *text ? text : "volrun-hook failed without saying why");
}

static int receive(int sock, struct arena *arena, struct rootfs_volume *ret, size_t *ret_n, struct error *err)
{
	char text[PATH_MAX + 64];
	struct volume_message m;

	for (;;) {
		_cleanup_close_ int fd = -1;
		size_t n_fds = 1;
		ssize_t len = recv_fds(sock, text, sizeof(text), &fd, &n_fds);
		int r;

		if (len < 0)
			return error_errno(err, (int)len, "receive a mount from volrun-hook");
		if (n_fds == 0)
			fd = -1;
		if (len == 0)
			return 0;
		r = json_parse(text, (size_t)len, "volrun-hook", &message_table, arena, &m, err);
		if (r < 0)
			return r;
		if (fd < 0 || m.destination[0] != '/' || *ret_n >= VOLUME_MAX)
			return error_set(err, EPROTO, "volrun-hook sent a message that makes no sense");
		ret[*ret_n] = (struct rootfs_volume){.destination = path_normalize(arena, m.destination),
						     .tree_fd = fd,
						     .kind = !m.directory ? VOLUME_MOUNT
							     : m.ro	  ? VOLUME_DIRECTORY_RO
									  : VOLUME_DIRECTORY};
		if (!ret[*ret_n].destination)
			return error_set(err, ENOMEM, "out of memory");
		fd = -1;
		(*ret_n)++;
	}
}

int volumes_fetch(const char *config, const struct oci_state *state, struct arena *arena,
		  struct rootfs_volume ret[VOLUME_MAX], size_t *ret_n, struct strbuf *notes, struct error *err)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	int pair[2], r;
	size_t n = 0;

	r = handshake_pair(pair, err);
	if (r < 0)
		return r;
	ours = pair[0];
	theirs = pair[1];
	r = run_hook(config, "prestart", theirs, state, notes, err);
	close(TAKE_FD(theirs));
	if (r == 0)
		r = receive(ours, arena, ret, &n, err);
	if (r < 0) {
		while (n)
			close(ret[--n].tree_fd);
		return r;
	}
	*ret_n = n;
	return 0;
}

int volumes_release(const char *config, const struct oci_state *state, struct strbuf *notes, struct error *err)
{
	return run_hook(config, "poststop", -1, state, notes, err);
}
