/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/volumes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* It points into itself: it stays where it is. */
struct volumes_hook {
	struct spawn spawn;
	struct spawned run;
	const char *argv[5];
	size_t n_argv;
	char text[4 * ERROR_MSG_MAX]; /* its stderr: of several volumes, each with a warning */
	int input, sock, theirs;      /* its stdin, and the socket of the mounts; -1: none */
	int keep;
};

static int new_hook(const char *config, const char *command, struct arena *arena, struct volumes_hook **ret,
		    struct error *err)
{
	struct volumes_hook *h = arena_calloc(arena, 1, sizeof(*h));
	const char *path;
	int r;

	if (!h)
		return error_set(err, ENOMEM, "out of memory");
	r = own_program("volrun-hook", arena, &path, err);
	if (r < 0)
		return r;
	h->input = h->sock = h->theirs = -1;
	h->argv[h->n_argv++] = "volrun-hook";
	if (config)
		h->argv[h->n_argv++] = arena_printf(arena, "--config=%s", config);
	h->argv[h->n_argv++] = command;
	h->spawn = (struct spawn){.path = path, .argv = h->argv, .stderr_buf = h->text, .stderr_size = sizeof(h->text)};
	*ret = h;
	return 0;
}

/* Its line on stderr is the error. */
static int hook_result(int status, struct volumes_hook *h, struct strbuf *notes, struct error *err)
{
	if (status < 0)
		return status;
	if (status == 0) {
		add_notes(notes, h->text);
		return 0;
	}
	h->text[strcspn(h->text, "\n")] = '\0';
	return error_set(err, EIO, "%s", *h->text ? h->text : "volrun-hook failed without saying why");
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

/* --- before the container starts ----------------------------------------------------- */

static int start_hook(struct volumes_hook *h, struct arena *arena, struct error *err)
{
	_cleanup_close_ int stdin_child = -1;
	int pair[2], r = handshake_pair(pair, err);

	if (r < 0)
		return r;
	h->sock = pair[0];
	h->theirs = h->keep = pair[1];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, errno, "run volrun-hook: socketpair");
	h->input = pair[0];
	stdin_child = h->spawn.input_fd = pair[1];
	h->spawn.keep_fds = &h->keep;
	h->spawn.n_keep_fds = 1;
	h->argv[h->n_argv++] = arena_printf(arena, "--socket=%d", h->keep);
	return spawn_start(&h->spawn, &h->run, err);
}

void volumes_forget(struct volumes_hook *h)
{
	cleanup_close(&h->input);
	cleanup_close(&h->sock);
	cleanup_close(&h->theirs);
	h->input = h->sock = h->theirs = -1;
}

int volumes_begin(const char *config, struct arena *arena, struct volumes_hook **ret, struct error *err)
{
	struct volumes_hook *h;
	int r = new_hook(config, "prestart", arena, &h, err);

	if (r < 0)
		return r;
	r = start_hook(h, arena, err);
	if (r < 0) {
		volumes_forget(h);
		return r;
	}
	close(TAKE_FD(h->theirs));
	*ret = h;
	return 0;
}

/* A hook that is gone has said why, or its status tells. */
static void send_state(int fd, const struct strbuf *state)
{
	size_t done = 0;

	while (done < state->len) {
		ssize_t n = send(fd, state->data + done, state->len - done, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return;
		done += n > 0 ? (size_t)n : 0;
	}
	shutdown(fd, SHUT_WR);
}

int volumes_fetch(struct volumes_hook *h, const struct oci_state *state, struct arena *arena,
		  struct rootfs_volume ret[VOLUME_MAX], size_t *ret_n, struct strbuf *notes, struct error *err)
{
	_cleanup_strbuf_ struct strbuf input = STRBUF_INIT;
	_cleanup_close_ int sock = h->sock;
	size_t n = 0;
	int r;

	h->sock = -1;
	r = oci_state_write(&input, state, 0) < 0 || input.failed ? error_set(err, ENOMEM, "out of memory") : 0;
	if (r == 0)
		send_state(h->input, &input);
	close(TAKE_FD(h->input));
	if (r < 0) {
		struct error ignored = ERROR_INIT;

		spawn_finish(&h->spawn, &h->run, &ignored);
		return r;
	}
	r = hook_result(spawn_finish(&h->spawn, &h->run, err), h, notes, err);
	if (r == 0)
		r = receive(sock, arena, ret, &n, err);
	if (r < 0) {
		while (n)
			close(ret[--n].tree_fd);
		return r;
	}
	*ret_n = n;
	return 0;
}

void volumes_cancel(struct volumes_hook *h)
{
	struct error ignored = ERROR_INIT;

	volumes_forget(h);
	spawn_finish(&h->spawn, &h->run, &ignored);
}

/* --- after its end --------------------------------------------------------------------- */

int volumes_release(const char *config, const struct oci_state *state, struct strbuf *notes, struct error *err)
{
	_cleanup_strbuf_ struct strbuf input = STRBUF_INIT;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct volumes_hook *h;
	int r = new_hook(config, "poststop", &arena, &h, err);

	if (r < 0)
		return r;
	if (oci_state_write(&input, state, 0) < 0 || input.failed)
		return error_set(err, ENOMEM, "out of memory");
	h->spawn.input = strbuf_str(&input);
	h->spawn.input_len = input.len;
	return hook_result(spawn_run(&h->spawn, err), h, notes, err);
}
