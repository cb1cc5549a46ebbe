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
/* Before them. */
struct plan_message {
	const char **destinations;
	size_t n_destinations;
};

static const struct json_field plan_fields[] = {
    JSON_LIST(struct plan_message, destinations, "destinations", JSON_ARR_STR, .required = true,
	      .max_count = VOLUME_MAX),
    {NULL},
};
static const struct json_table plan_table = {"plan", sizeof(struct plan_message), plan_fields, JSON_STRICT};

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

/* Each line "warning: ..." of a hook that succeeded becomes a note to be shown, without that word: who prints it adds
 * it.
 */
static void add_notes(struct strbuf *notes, char *text)
{
	static const char prefix[] = "warning: ";
	char *line, *rest;

	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		bool warns = strncmp(line, prefix, strlen(prefix)) == 0;

		if (warns)
			strbuf_addc(notes, NOTE_SHOWN);
		strbuf_addf(notes, "%s\n", line + (warns ? strlen(prefix) : 0));
	}
}

/* It points into itself: it stays where it is. */
struct volumes_hook {
	struct spawn spawn;
	struct spawned run;
	const char *argv[8];
	size_t n_argv;
	char text[4 * ERROR_MSG_MAX]; /* its stderr: of several volumes, each with a warning */
	int input, sock, theirs;      /* its stdin, and the socket of the mounts; -1: none */
	int keep[3];		      /* its end of that, and both ends of the one between it and the keeper */
	struct {
		const char *path, *argv[4];
		char option[48]; /* the hook's */
	} keeper;
};

enum { KEEP_MOUNTS, KEEP_KEEPER, KEEP_HOOK };

/* checkpoint: the option's value, or NULL. */
static int new_hook(const char *config, const char *command, const char *checkpoint, struct arena *arena,
		    struct volumes_hook **ret, struct error *err)
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
	if (checkpoint)
		h->argv[h->n_argv++] = arena_printf(arena, "--checkpoint=%s", checkpoint);
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

static int receive_plan(int sock, struct arena *arena, struct rootfs_volume *ret, size_t *ret_n, struct error *err)
{
	char text[VOLUME_MAX * (PATH_MAX + 16)];
	struct plan_message plan;
	ssize_t len;
	size_t i;
	int r;

	do {
		len = recv(sock, text, sizeof(text), 0);
	} while (len < 0 && errno == EINTR);
	if (len <= 0)
		return len < 0 ? error_errno(err, errno, "receive the volumes' places from volrun-hook") : 0;
	r = json_parse(text, (size_t)len, "volrun-hook", &plan_table, arena, &plan, err);
	for (i = 0; r == 0 && i < plan.n_destinations; i++) {
		ret[i] = (struct rootfs_volume){.tree_fd = -1};
		if (plan.destinations[i][0] != '/')
			return error_set(err, EPROTO, "volrun-hook sent a message that makes no sense");
		ret[i].destination = path_normalize(arena, plan.destinations[i]);
		if (!ret[i].destination)
			return error_set(err, ENOMEM, "out of memory");
	}
	if (r == 0)
		*ret_n = plan.n_destinations;
	return r;
}

static int receive_mount(int sock, struct arena *arena, struct rootfs_volume *v, struct error *err)
{
	char text[PATH_MAX + 64];
	_cleanup_close_ int fd = -1;
	struct volume_message m;
	size_t n_fds = 1;
	ssize_t len = recv_fds(sock, text, sizeof(text), &fd, &n_fds);
	const char *destination;
	int r;

	if (len <= 0)
		return error_errno(err, len < 0 ? (int)len : ECONNRESET, "receive a mount from volrun-hook");
	if (n_fds == 0)
		fd = -1;
	r = json_parse(text, (size_t)len, "volrun-hook", &message_table, arena, &m, err);
	if (r < 0)
		return r;
	destination = path_normalize(arena, m.destination);
	if (fd < 0 || !destination || strcmp(destination, v->destination) != 0)
		return error_set(err, EPROTO, "volrun-hook sent a message that makes no sense");
	v->tree_fd = TAKE_FD(fd);
	v->kind = !m.directory ? VOLUME_MOUNT : m.ro ? VOLUME_DIRECTORY_RO : VOLUME_DIRECTORY;
	return 0;
}

/* --- before the container starts ----------------------------------------------------- */

/* What will be the hook makes the keeper, and is told of it: each closes the other one's end when it is executed. */
static void fork_keeper(void *ctx)
{
	struct volumes_hook *h = ctx;
	pid_t pid = fork();

	if (pid == 0) {
		fd_cloexec(h->keep[KEEP_HOOK], true);
		execv(h->keeper.path, (char *const *)h->keeper.argv);
		_exit(127);
	}
	fd_cloexec(h->keep[KEEP_KEEPER], true);
	snprintf(h->keeper.option, sizeof(h->keeper.option), "--keeper=%d,%d", h->keep[KEEP_HOOK], (int)pid);
}

static int plan_keeper(struct volumes_hook *h, const char *config, struct arena *arena, struct error *err)
{
	int r = own_program("volrun-keeper", arena, &h->keeper.path, err);

	if (r < 0)
		return r;
	h->keeper.argv[0] = "volrun-keeper";
	h->keeper.argv[1] = arena_printf(arena, "--socket=%d", h->keep[KEEP_KEEPER]);
	h->keeper.argv[2] = arena_printf(arena, "--config=%s", config ? config : "");
	h->argv[h->n_argv++] = h->keeper.option;
	h->spawn.last = fork_keeper;
	h->spawn.last_ctx = h;
	return h->keeper.argv[1] && h->keeper.argv[2] ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int start_hook(struct volumes_hook *h, const char *config, struct arena *arena, struct error *err)
{
	_cleanup_close_ int stdin_child = -1, keepers = -1, hooks = -1;
	int pair[2], r = handshake_pair(pair, err);

	if (r < 0)
		return r;
	h->sock = pair[0];
	h->theirs = h->keep[KEEP_MOUNTS] = pair[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, errno, "run volrun-keeper: socketpair");
	keepers = h->keep[KEEP_KEEPER] = pair[0];
	hooks = h->keep[KEEP_HOOK] = pair[1];
	r = plan_keeper(h, config, arena, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, errno, "run volrun-hook: socketpair");
	h->input = pair[0];
	stdin_child = h->spawn.input_fd = pair[1];
	h->spawn.keep_fds = h->keep;
	h->spawn.n_keep_fds = ARRAY_SIZE(h->keep);
	h->argv[h->n_argv++] = arena_printf(arena, "--socket=%d", h->theirs);
	return spawn_start(&h->spawn, &h->run, err);
}

void volumes_forget(struct volumes_hook *h)
{
	cleanup_close(&h->input);
	cleanup_close(&h->sock);
	cleanup_close(&h->theirs);
	h->input = h->sock = h->theirs = -1;
}

int volumes_begin(const char *config, const char *checkpoint, struct arena *arena, struct volumes_hook **ret,
		  struct error *err)
{
	struct volumes_hook *h;
	int r = new_hook(config, "prestart", checkpoint, arena, &h, err);

	if (r < 0)
		return r;
	r = start_hook(h, config, arena, err);
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

int volumes_plan(struct volumes_hook *h, const struct oci_state *state, struct arena *arena,
		 struct rootfs_volume ret[VOLUME_MAX], size_t *ret_n, struct error *err)
{
	_cleanup_strbuf_ struct strbuf input = STRBUF_INIT;

	if (oci_state_write(&input, state, 0) < 0 || input.failed)
		return error_set(err, ENOMEM, "out of memory");
	send_state(h->input, &input);
	close(TAKE_FD(h->input));
	*ret_n = 0;
	return receive_plan(h->sock, arena, ret, ret_n, err);
}

int volumes_fetch(struct volumes_hook *h, struct arena *arena, struct rootfs_volume *volumes, size_t n,
		  struct error *err)
{
	size_t i = 0;
	int r = 0;

	for (; i < n && r == 0; i++)
		r = receive_mount(h->sock, arena, &volumes[i], err);
	while (r < 0 && i > 0)
		if (volumes[--i].tree_fd >= 0)
			close(TAKE_FD(volumes[i].tree_fd));
	return r;
}

int volumes_end(struct volumes_hook *h, struct strbuf *notes, struct error *err)
{
	int status = spawn_finish(&h->spawn, &h->run, err);

	volumes_forget(h);
	return hook_result(status, h, notes, err);
}

void volumes_cancel(struct volumes_hook *h)
{
	struct error ignored = ERROR_INIT;

	volumes_forget(h);
	spawn_finish(&h->spawn, &h->run, &ignored);
}

/* --- while it stands still, and after its end ------------------------------------------- */

static int run_hook(const char *config, const char *command, const char *checkpoint, const struct oci_state *state,
		    struct strbuf *notes, struct error *err)
{
	_cleanup_strbuf_ struct strbuf input = STRBUF_INIT;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct volumes_hook *h;
	int r = new_hook(config, command, checkpoint, &arena, &h, err);

	if (r < 0)
		return r;
	if (oci_state_write(&input, state, 0) < 0 || input.failed)
		return error_set(err, ENOMEM, "out of memory");
	h->spawn.input = strbuf_str(&input);
	h->spawn.input_len = input.len;
	return hook_result(spawn_run(&h->spawn, err), h, notes, err);
}

int volumes_checkpoint(const char *config, const struct oci_state *state, const char *file, struct strbuf *notes,
		       struct error *err)
{
	return run_hook(config, "checkpoint", file, state, notes, err);
}

int volumes_release(const char *config, const struct oci_state *state, struct strbuf *notes, struct error *err)
{
	return run_hook(config, "poststop", NULL, state, notes, err);
}
