/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci_hooks.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/spawn.h"

/* What all hooks of one kind share. */
struct batch {
	const char *kind;
	struct strbuf input; /* the state */
	const char *const *env;
	int stdout_fd, stderr_fd; /* -1: none */
};

static void batch_free(struct batch *b)
{
	strbuf_free(&b->input);
	cleanup_close(&b->stdout_fd);
	cleanup_close(&b->stderr_fd);
}

static int open_output(const struct oci_state *state, const char *key, int *ret, struct error *err)
{
	const char *path = NULL;

	for (size_t i = 0; i < state->n_annotations; i++)
		if (strcmp(state->annotations[i].key, key) == 0)
			path = state->annotations[i].value;
	if (!path)
		return 0;
	/* A fifo that nobody reads is an error, and not a wait without end. */
	*ret = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (*ret >= 0)
		fcntl(*ret, F_SETFL, O_APPEND);
	return *ret < 0 ? error_errno(err, errno, "open %s, of the annotation %s", path, key) : 0;
}

/* runtime.md wants `pid` and the rest as `state` prints them. */
static int batch_begin(struct batch *b, const struct oci_state *state, struct error *err)
{
	int r = 0;

	if (oci_state_write(&b->input, state, 0) < 0 || b->input.failed)
		return error_set(err, ENOMEM, "out of memory");
	if (!b->env)
		r = open_output(state, "run.oci.hooks.stdout", &b->stdout_fd, err);
	if (!b->env && r == 0)
		r = open_output(state, "run.oci.hooks.stderr", &b->stderr_fd, err);
	return r;
}

/* "exit status 1: what it said", "signal: killed" */
static void describe(int status, char *said, char *out, size_t size)
{
	size_t len = strlen(said);
	int signal = status - 128;
	char name[64] = "";

	while (len && (said[len - 1] == '\n' || said[len - 1] == ' '))
		said[--len] = '\0';
	if (signal > 0 && signal < NSIG)
		snprintf(name, sizeof(name), " (signal: %s)", strsignal(signal));
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	snprintf(out, size, "%d%s%s%s", status, name, len ? ": " : "", said);
}

/* Returns 0 when it ran; how it ended is in *ret_status and, for a failure, in text. */
static int run_one(const struct batch *b, const struct spec_hook *hook, int *ret_status, char *text, size_t size,
		   struct error *err)
{
	const char *const fallback_argv[] = {hook->path, NULL};
	char output[700] = "";
	struct spawn s = {
	    .path = hook->path,
	    .argv = hook->n_args ? hook->args : fallback_argv,
	    .envp = hook->env ? hook->env : b->env,
	    .input = strbuf_str(&b->input),
	    .input_len = b->input.len,
	    .stdout_fd = b->stdout_fd,
	    .stderr_fd = b->stderr_fd,
	    .stderr_buf = output,
	    .stderr_size = sizeof(output),
	    .timeout_ns = hook->timeout ? *hook->timeout * NSEC_PER_SEC : 0,
	    .new_group = true,
	};
	int r = spawn_run(&s, err);

	if (r < 0)
		return r;
	describe(r, output, text, size);
	*ret_status = r;
	return 0;
}

int oci_hooks_run(const char *kind, const struct spec_hook *hooks, size_t n, const struct oci_state *state,
		  const char *const *env, struct error *err)
{
	_cleanup_(batch_free) struct batch b = {kind, STRBUF_INIT, env, -1, -1};
	int r = n ? batch_begin(&b, state, err) : 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		char text[800];
		int status = 0;

		r = run_one(&b, &hooks[i], &status, text, sizeof(text), err);
		if (r == 0 && status != 0)
			r = error_set(err, EIO, "%s: exit status %s", hooks[i].path, text);
		if (r < 0)
			return error_wrap(err, "error running %s hook #%zu", kind, i);
	}
	return r < 0 ? error_wrap(err, "%s hooks", kind) : 0;
}

void oci_hooks_run_all(const char *kind, const struct spec_hook *hooks, size_t n, const struct oci_state *state,
		       struct strbuf *notes)
{
	_cleanup_(batch_free) struct batch b = {kind, STRBUF_INIT, NULL, -1, -1};
	struct error err = ERROR_INIT;

	/* A file that can't be opened is no reason not to run them. */
	if (n && batch_begin(&b, state, &err) < 0)
		strbuf_addf(notes, "%s hooks: %s\n", kind, err.msg);
	for (size_t i = 0; i < n; i++) {
		char text[800];
		int status = 0;

		if (run_one(&b, &hooks[i], &status, text, sizeof(text), &err) < 0)
			strbuf_addf(notes, "error running %s hook #%zu: %s\n", kind, i, err.msg);
		else if (status != 0)
			strbuf_addf(notes, "%s hook failed with exit code %s (#%zu, %s)\n", kind, text, i,
				    hooks[i].path);
	}
}
