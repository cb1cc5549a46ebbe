/* SPDX-License-Identifier: Apache-2.0 */
/* Before there is a container: Podman's stage precreate. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/sys.h"
#include "hooks/hook.h"
#include "hooks/keeper_scope.h"
#include "oci/json_splice.h"
#include "oci/volume.h"

#define CONFIG_MAX_SIZE (16u << 20)
/* From here to the container's mounts, when whoever asked is gone already. */
#define GRACE_NS (5 * NSEC_PER_SEC)
#define NAME_MAX_SHOWN 80
#define TOKEN_SIZE 16

struct mount {
	const char *destination, *type, *source;
	const char **options;
	size_t n_options;
};
static const struct json_field mount_fields[] = {
    JSON_FIELD(struct mount, destination, "destination", JSON_STR),
    JSON_FIELD(struct mount, type, "type", JSON_STR),
    JSON_FIELD(struct mount, source, "source", JSON_STR),
    JSON_LIST(struct mount, options, "options", JSON_ARR_STR),
    {NULL},
};
static const struct json_table mount_table = {"mount", sizeof(struct mount), mount_fields, 0};

/* --- the config.json, changed --------------------------------------------------------- */

/* Of each volume. NULL: out of memory. */
static size_t *find_places(const struct spec *spec, const struct keeper_request *q, struct arena *a)
{
	const char **destinations = hook_destinations(spec, a);
	size_t *places = arena_calloc(a, q->n_volumes, sizeof(*places));

	if (!destinations || !places)
		return NULL;
	for (size_t i = 0; i < q->n_volumes; i++)
		places[i] = volume_place(destinations, spec->n_mounts, q->volumes[i].destination);
	return places;
}

static int add_mount(struct strbuf *out, const struct keeper_request_volume *v, int tree_fd, bool before,
		     struct error *err)
{
	const char *options[] = {"bind", "rprivate", "nosuid", "nodev", v->ro ? "ro" : "rw"};
	struct mount m = {v->destination, "bind", NULL, options, 5};
	char link[FD_PATH_MAX], path[PATH_MAX];
	ssize_t n = readlink(fd_path(tree_fd, link), path, sizeof(path) - 1);

	if (n <= 0)
		return error_set(err, errno, "volume %s: its tree has no path (error %d)", v->name, errno);
	path[n] = '\0';
	m.source = path;
	if (!before)
		strbuf_addc(out, ',');
	json_write(out, &mount_table, &m, 0);
	if (before)
		strbuf_addc(out, ',');
	return 0;
}

/* The text of the mounts' array, with ours. */
static int write_mounts(struct strbuf *out, const struct spec *spec, struct json_span array,
			const struct keeper_request *q, const int *fds, struct arena *a, struct error *err)
{
	const size_t *places = find_places(spec, q, a);
	const char *done = array.from;
	struct json_span at;
	int r = places ? 0 : error_set(err, ENOMEM, "out of memory");

	for (size_t i = 0; i <= spec->n_mounts && r == 0; i++) {
		bool last = json_span_element(array, i, &at) < 0;

		if (last)
			at.from = array.to - 1;
		strbuf_add(out, done, (size_t)(at.from - done));
		done = at.from;
		for (size_t k = 0; k < q->n_volumes && r == 0; k++)
			if (places[k] == i)
				r = add_mount(out, &q->volumes[k], fds[k], !last, err);
	}
	strbuf_add(out, done, (size_t)(array.to - done));
	return r;
}

static int write_config(struct strbuf *out, const char *text, size_t len, const struct spec *spec,
			const struct keeper_request *q, const int *fds, struct arena *a, struct error *err)
{
	struct json_span all = {text, text + len}, mounts, annotations;
	_cleanup_strbuf_ struct strbuf array = STRBUF_INIT;
	bool first;
	int r;

	if (spec->n_mounts == 0 || json_span_member(all, "mounts", &mounts) < 0 ||
	    json_span_member(all, "annotations", &annotations) < 0)
		return error_set(err, EINVAL, "config.json: it has no mounts to put the volumes to");
	r = write_mounts(&array, spec, mounts, q, fds, a, err);
	if (r < 0)
		return r;
	first = mounts.from < annotations.from;
	strbuf_add(out, text, (size_t)((first ? mounts.from : annotations.from + 1) - text));
	if (first) {
		strbuf_add(out, array.data, array.len);
		strbuf_add(out, mounts.to, (size_t)(annotations.from + 1 - mounts.to));
	}
	/* There is at least the volume's own. */
	strbuf_addf(out, "\"" VOLUME_PREPARED_KEY "\":\"%s %s\",", q->id, q->bundle);
	if (!first) {
		strbuf_add(out, annotations.from + 1, (size_t)(mounts.from - annotations.from - 1));
		strbuf_add(out, array.data, array.len);
	}
	strbuf_add(out, first ? annotations.from + 1 : mounts.to,
		   (size_t)(all.to - (first ? annotations.from + 1 : mounts.to)));
	return array.failed || out->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

/* --- the request --------------------------------------------------------------------------- */

/* The engine says nothing of the container's id; its cgroup has it in its name. */
static const char *name_of(const struct spec *spec, struct arena *a)
{
	static const char prefix[] = "libpod-";
	const char *path = spec->linux_->cgroups_path, *name = path ? path_basename(path) : "";
	char *copy;

	if (strrchr(name, ':'))
		name = strrchr(name, ':') + 1;
	if (strncmp(name, prefix, strlen(prefix)) == 0)
		name += strlen(prefix);
	copy = arena_strndup(a, name, NAME_MAX_SHOWN);
	if (copy)
		copy[strspn(copy, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-")] = '\0';
	return copy && *copy ? copy : "precreate";
}

static const char *token(struct arena *a)
{
	unsigned char random[TOKEN_SIZE];
	char *text = arena_alloc(a, 2 * TOKEN_SIZE + 1);

	random_bytes(random, sizeof(random));
	for (size_t i = 0; text && i < TOKEN_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", random[i]);
	return text;
}

/* Where the trees' owners would be others in the container, who knows its namespace has to mount them. */
static int check_ids(const struct spec *spec, struct error *err)
{
	bool user = spec->linux_->n_uid_mappings > 0;

	for (size_t i = 0; i < spec->linux_->n_namespaces; i++)
		user |= spec->linux_->namespaces[i].type == SPEC_NS_USER;
	return user ? error_set(err, EINVAL,
				"a container with a user namespace gets its volumes in the stage createRuntime, not in "
				"precreate: see volrun-hook(8)")
		    : 0;
}

static int take(int keeper, const struct keeper_request *q, struct arena *a, int *fds, size_t *n, struct error *err)
{
	_cleanup_close_ int asker = sys_pidfd_open(q->pid, 0);
	struct keeper_answer answer;
	int r;

	if (asker < 0)
		return error_set(err, errno, "the engine is gone");
	r = keeper_send(keeper, &keeper_request_table, q, &asker, 1, err);
	if (r == 0)
		r = hook_receive_trees(keeper, -1, asker, a, &answer, fds, n, err);
	if (r == 0 && *n != q->n_volumes)
		r = error_set(err, EPROTO, "the keeper sent %zu trees for %zu volumes", *n, q->n_volumes);
	for (size_t i = 0; r == 0 && i < answer.n_warnings; i++)
		fprintf(stderr, "warning: %s\n", answer.warnings[i]);
	return r;
}

/* ret->n_volumes 0: the text stays as it is. */
static int prepare(const char *config, int keeper, const char *text, size_t len, struct arena *a,
		   struct keeper_request *ret, struct strbuf *out, struct error *err)
{
	int fds[IO_MAX_FDS];
	struct spec spec;
	size_t n = 0;
	int r;

	*ret = (struct keeper_request){.pid = getppid(), .config = config, .by_mounts = true, .grace_ns = GRACE_NS};
	r = spec_parse(text, len, "config.json", a, &spec, err);
	if (r < 0 || !volume_declared(&spec))
		return r;
	ret->id = name_of(&spec, a);
	ret->bundle = token(a);
	if (!ret->bundle)
		return error_set(err, ENOMEM, "out of memory");
	r = check_ids(&spec, err);
	if (r == 0)
		r = hook_fill_request(&spec, a, ret, err);
	if (r < 0 || ret->n_volumes == 0)
		return r;
	r = take(keeper, ret, a, fds, &n, err);
	if (r == 0)
		r = write_config(out, text, len, &spec, ret, fds, a, err);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	return r;
}

static int put_out(const char *text, size_t len, struct error *err)
{
	if (fwrite(text, 1, len, stdout) != len || fflush(stdout) != 0)
		return error_set(err, EIO, "config.json can't be written to stdout");
	return 0;
}

int hook_precreate(const char *config, int keeper, pid_t keeper_pid, struct error *err)
{
	static const struct keeper_answer done;
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_free_ char *text = NULL;
	struct keeper_request q;
	size_t len;
	int r = read_fd(STDIN_FILENO, CONFIG_MAX_SIZE, &text, &len);

	if (r < 0)
		return error_set(err, r, "config.json can't be read from stdin (error %d)", -r);
	r = prepare(config, keeper, text, len, &arena, &q, &out, err);
	if (r == 0)
		r = put_out(out.len ? out.data : text, out.len ? out.len : len, err);
	if (r < 0 || q.n_volumes == 0)
		return r;
	/* Not before the engine has it: without this word the keeper lets go of all at our end. */
	r = keeper_send(keeper, &keeper_answer_table, &done, NULL, 0, err);
	if (r == 0)
		keeper_scope_start(keeper_pid, q.id);
	return r;
}
