/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci_hooks.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/spawn.h"

static int run_one(const char *kind, size_t index, const struct spec_hook *hook, const struct strbuf *input,
		   struct error *err)
{
	const char *const fallback_argv[] = {hook->path, NULL};
	char output[700] = "";
	struct spawn s = {
	    .path = hook->path,
	    .argv = hook->n_args ? hook->args : fallback_argv,
	    .envp = hook->n_env ? hook->env : NULL /* as runc and crun: the runtime's */,
	    .input = strbuf_str(input),
	    .input_len = input->len,
	    .stderr_buf = output,
	    .stderr_size = sizeof(output),
	    .timeout_ns = hook->timeout ? *hook->timeout * NSEC_PER_SEC : 0,
	};
	int r = spawn_run(&s, err);

	if (r == 0)
		return 0;
	if (r < 0)
		return error_wrap(err, "error running %s hook #%zu (%s)", kind, index, hook->path);
	for (size_t n = strlen(output); n && (output[n - 1] == '\n' || output[n - 1] == ' ');)
		output[--n] = '\0';
	return error_set(err, EIO, "error running %s hook #%zu (%s): exit status %d%s%s", kind, index, hook->path, r,
			 *output ? ": " : "", output);
}

/* runtime.md wants `pid` and the rest as `state` prints them. */
static int state_text(struct strbuf *out, const struct oci_state *state, struct error *err)
{
	if (oci_state_write(out, state, 0) < 0 || out->failed)
		return error_set(err, ENOMEM, "out of memory");
	return 0;
}

int oci_hooks_run(const char *kind, const struct spec_hook *hooks, size_t n, const struct oci_state *state,
		  struct error *err)
{
	_cleanup_strbuf_ struct strbuf input = STRBUF_INIT;
	int r = n ? state_text(&input, state, err) : 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = run_one(kind, i, &hooks[i], &input, err);
	return r;
}

void oci_hooks_run_all(const char *kind, const struct spec_hook *hooks, size_t n, const struct oci_state *state,
		       struct strbuf *notes)
{
	_cleanup_strbuf_ struct strbuf input = STRBUF_INIT;
	struct error err = ERROR_INIT;

	if (n && state_text(&input, state, &err) < 0) {
		strbuf_addf(notes, "%s\n", err.msg);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (run_one(kind, i, &hooks[i], &input, &err) < 0)
			strbuf_addf(notes, "%s\n", err.msg);
}
