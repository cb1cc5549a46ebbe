/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/config.h"
#include "hooks/hook.h"
#include "hooks/identity.h"
#include "hooks/keeper_socket.h"
#include "hooks/pod_note.h"
#include "oci/volume.h"

/* Under what the callers of delete allow (volumes.md §8). */
#define DELETE_WAIT_NS (4 * NSEC_PER_SEC)

#define TOKEN_DIGITS 32

/* containerd gives a delete 10 s, Docker's included; podman and CRI-O 240 s; a person any time. */
#define CONTAINERD_NS (8 * NSEC_PER_SEC)
#define PODMAN_NS (200 * NSEC_PER_SEC)

static int64_t caller_limit(const struct oci_state *state, const struct identity *id)
{
	if (strstr(state->bundle, "containerd") || strstr(state->bundle, "docker"))
		return CONTAINERD_NS;
	/* A create's default waiting tells the engines apart. */
	return id->wait_ns == INT64_MAX ? INT64_MAX / 2 : id->wait_ns >= PODMAN_NS ? PODMAN_NS : CONTAINERD_NS;
}

/* delete=wait, of the configuration or of a volume: as long as the caller allows. */
static int64_t time_to_wait(const struct config *c, const struct oci_state *state, struct arena *a)
{
	int64_t usual = config_duration(c->lease.delete_wait, DELETE_WAIT_NS);
	bool wait = c->lease.delete_mode != NULL;
	struct error ignored = ERROR_INIT;
	struct volume_set set = {0};
	struct identity id;
	struct spec spec;
	int64_t limit;

	if (spec_load(state->bundle, a, &spec, &ignored) < 0 || (!volume_declared(&spec) && !volume_prepared(&spec)) ||
	    identity_resolve(c, &spec, identity_kubelet_host(), a, &id, &ignored) < 0)
		return usual;
	if (!wait && !id.sandbox &&
	    volume_parse(&spec,
			 &(struct volume_context){.workspace = id.workspace,
						  .mount_prefixes = (const char *const *)c->mount_prefixes,
						  .container_name = id.container_name},
			 a, &set, &ignored) < 0)
		return usual;
	for (size_t i = 0; i < set.n_volumes; i++)
		wait |= set.volumes[i].delete_waits;
	if (id.sandbox)
		pod_forget(c->run_dir, id.pod ? id.pod : state->id);
	limit = caller_limit(state, &id);
	return wait && limit > usual ? limit : usual;
}

/* hook_precreate's. A bundle may say anything: another container's keeper has a path in its place. */
static bool is_token(const char *text)
{
	return strlen(text) == TOKEN_DIGITS && text[strspn(text, "0123456789abcdef")] == '\0';
}

/*
 * What a precreate hook took has a keeper by another name, which knows of no container: it is told that this one has
 * ended. As hook_poststop.
 */
static int poststop_prepared(const struct config *c, const char *prepared, int64_t timeout, struct arena *a, char **log)
{
	static const struct keeper_command ended = {KEEPER_ENDED};
	char *id = arena_strdup(a, prepared), *token = id ? strchr(id, ' ') : NULL;
	int64_t now = clock_boottime_ns(), until = timeout > INT64_MAX - now ? INT64_MAX : now + timeout;
	struct error ignored = ERROR_INIT;
	_cleanup_close_ int fd = -1;
	struct keeper_outcome outcome;
	char key[KEEPER_KEY_MAX];
	size_t n = 0;

	if (!token || !is_token(token + 1))
		return 0;
	*token++ = '\0';
	keeper_key(id, token, key);
	fd = keeper_socket_connect(c->run_dir, key);
	if (fd >= 0 && keeper_send(fd, &keeper_command_table, &ended, NULL, 0, &ignored) == 0 &&
	    keeper_socket_answers(fd, timeout))
		keeper_receive(fd, &keeper_outcome_table, a, &outcome, NULL, &n, &ignored);
	return keeper_socket_wait(c->run_dir, id, token, until - clock_boottime_ns(), true, log);
}

/* NULL: none. */
static const char *prepared_of(const struct oci_state *state, struct arena *a)
{
	struct error ignored = ERROR_INIT;
	struct spec spec;

	return spec_load(state->bundle, a, &spec, &ignored) == 0 ? volume_prepared(&spec) : NULL;
}

int hook_poststop(const char *config, const struct oci_state *state, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_free_ char *log = NULL;
	struct config c;
	const char *prepared;
	char *line, *rest;
	int64_t timeout;
	int r;

	r = config_load(config, &arena, &c, err);
	if (r < 0)
		return r;
	prepared = prepared_of(state, &arena);
	timeout = time_to_wait(&c, state, &arena);
	r = prepared ? poststop_prepared(&c, prepared, timeout, &arena, &log)
		     : keeper_socket_wait(c.run_dir, state->id, state->bundle, timeout, true, &log);
	for (line = log ? strtok_r(log, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
		fprintf(stderr, "warning: %s\n", line);
	if (r == -ETIMEDOUT)
		fprintf(stderr, "warning: the volumes of %s are still being synced back\n", state->id);
	return 0;
}
