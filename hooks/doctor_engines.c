/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun doctor`: our own programs, and the engines of this machine: do they know volrun, and the right one? */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "hooks/doctor.h"
#include "hooks/doctor_toml.h"
#include "hooks/program_path.h"

#define FILE_MAX (1 << 20)

/* --- our own ------------------------------------------------------------------------------- */

static bool check_program(struct doctor *d, const char *name, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || access(path, X_OK) < 0) {
		doctor_say(d, DOCTOR_PROBLEM, name, "install volrun again: its programs belong together",
			   "%s can't be executed: no volume can be used", path);
		return false;
	}
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022)) {
		doctor_say(d, DOCTOR_PROBLEM, name,
			   arena_printf(d->arena, "chown root %s && chmod go-w %s", path, path),
			   "%s may be written by others than root, and runs as root", path);
		return false;
	}
	return true;
}

static bool has_systemd(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

static void look_at_unit(struct doctor *d)
{
	static const char wanted[] = "/etc/systemd/system/multi-user.target.wants/volrun-recover.service";
	struct stat st;

	if (!has_systemd() || geteuid() != 0)
		return;
	if (lstat(wanted, &st) == 0)
		doctor_say(d, DOCTOR_OK, "volrun-recover.service", NULL, "enabled");
	else
		doctor_say(d, DOCTOR_WARNING, "volrun-recover.service", "systemctl enable --now volrun-recover",
			   "not enabled: after a crash volumes wait for their next container, and a shutdown does not "
			   "wait for uploads");
}

void doctor_programs(struct doctor *d)
{
	static const char *const names[] = {"volrun-hook", "volrun-keeper", "volrun-volume"};
	char path[PATH_MAX];
	bool all = true;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		program_path(names[i], path);
		all &= check_program(d, names[i], path);
	}
	if (d->runtime)
		all &= check_program(d, "volrun", d->runtime);
	if (all)
		doctor_say(d, DOCTOR_OK, "programs", NULL, "%s%svolrun-hook, volrun-keeper and volrun-volume",
			   d->runtime ? d->runtime : "", d->runtime ? ", " : "");
	program_path("volrun-systemd", path);
	if (has_systemd() && access(path, X_OK) < 0)
		doctor_say(d, DOCTOR_WARNING, "volrun-systemd", "build volrun where libsystemd is",
			   "not there: engines with the systemd cgroup driver can't use volrun");
	look_at_unit(d);
}

/* --- what all engines have in common ---------------------------------------------------------- */

struct engine {
	struct doctor *d;
	const char *name, *print; /* print: of `volrun install --print` */
	const char *file;	  /* being read */
	unsigned found;
};

static bool same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static bool is_volrun(const char *path)
{
	return strcmp(path_basename(path), "volrun") == 0;
}

static const char *advice(const struct engine *e)
{
	return arena_printf(e->d->arena, "volrun install --print %s", e->print);
}

/* A path, or a name that the engine looks for in its $PATH. */
static void judge(struct engine *e, const char *path)
{
	const char *runtime = e->d->runtime;

	e->found++;
	if (path[0] == '/' && access(path, X_OK) < 0)
		doctor_say(e->d, DOCTOR_PROBLEM, e->name, advice(e), "%s names %s, which can't be executed", e->file,
			   path);
	else if (path[0] == '/' && runtime && !same_file(path, runtime))
		doctor_say(e->d, DOCTOR_WARNING, e->name, advice(e), "%s names %s, which is not this volrun (%s)",
			   e->file, path, runtime);
	else
		doctor_say(e->d, DOCTOR_OK, e->name, NULL, "%s names %s", e->file, path);
}

static bool is_any(const char *const *paths)
{
	for (; *paths; paths++)
		if (access(*paths, F_OK) == 0)
			return true;
	return false;
}

/* After all its files. */
static void conclude(struct engine *e, const char *const *programs)
{
	if (e->found == 0 && is_any(programs))
		doctor_say(e->d, DOCTOR_WARNING, e->name, advice(e), "it is installed, and does not know volrun");
}

static void read_toml(struct engine *e, const char *path, toml_fn fn, void *ctx)
{
	_cleanup_free_ char *text = NULL;
	int r = read_file_at(AT_FDCWD, path, FILE_MAX, &text, NULL);

	e->file = path;
	if (r == 0)
		toml_each(text, e->d->arena, fn, ctx);
	else if (r != -ENOENT && r != -ENOTDIR)
		doctor_say(e->d, DOCTOR_WARNING, e->name, "look at it", "%s can't be read: %s", path, strerror(-r));
}

/* Those with that ending, by name. */
static void read_toml_dir(struct engine *e, const char *dir, const char *ending, toml_fn fn, void *ctx)
{
	struct dirent **names = NULL;
	int n = scandir(dir, &names, NULL, alphasort), i;

	for (i = 0; i < n; i++) {
		const char *dot = strrchr(names[i]->d_name, '.'), *path;

		path = arena_printf(e->d->arena, "%s/%s", dir, names[i]->d_name);
		if (path && names[i]->d_name[0] != '.' && (!ending[0] || (dot && strcmp(dot, ending) == 0)))
			read_toml(e, path, fn, ctx);
		free(names[i]);
	}
	free(names);
}

/* --- Docker ------------------------------------------------------------------------------------ */

struct docker_runtime {
	const char *name, *path;
};
static const struct json_field docker_runtime_fields[] = {
    JSON_FIELD(struct docker_runtime, path, "path", JSON_STR),
    {NULL},
};
static const struct json_table docker_runtime_table = {"runtime", sizeof(struct docker_runtime), docker_runtime_fields,
						       0};
struct docker {
	struct docker_runtime *runtimes;
	size_t n_runtimes;
};
static const struct json_field docker_fields[] = {
    JSON_LIST(struct docker, runtimes, "runtimes", JSON_MAP_OBJ, .table = &docker_runtime_table,
	      .key_offset = offsetof(struct docker_runtime, name)),
    {NULL},
};
static const struct json_table docker_table = {"daemon.json", sizeof(struct docker), docker_fields, 0};

static void look_at_docker(struct doctor *d)
{
	static const char *const programs[] = {"/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd", NULL};
	struct engine e = {d, "docker", "docker", "/etc/docker/daemon.json", 0};
	struct error err = ERROR_INIT;
	struct docker config = {0};

	if (access(e.file, F_OK) == 0 &&
	    json_parse_file(AT_FDCWD, e.file, e.file, &docker_table, d->arena, &config, &err) < 0) {
		doctor_say(d, DOCTOR_WARNING, e.name, "correct it: dockerd may not start with it", "%s", err.msg);
		return;
	}
	for (size_t i = 0; i < config.n_runtimes; i++)
		if (config.runtimes[i].path && is_volrun(config.runtimes[i].path))
			judge(&e, config.runtimes[i].path);
	conclude(&e, programs);
}

/* --- Podman ------------------------------------------------------------------------------------- */

static void podman_key(void *ctx, const char *table, const char *key, const char *value)
{
	(void)key;
	if (strcmp(table, "engine/runtimes") == 0 && is_volrun(value))
		judge(ctx, value);
}

static void look_at_podman(struct doctor *d)
{
	static const char *const programs[] = {"/usr/bin/podman", "/usr/local/bin/podman", NULL};
	struct engine e = {d, "podman", "podman", NULL, 0};
	const char *home = getenv("HOME"), *base = getenv("XDG_CONFIG_HOME"), *dir;

	read_toml(&e, "/usr/share/containers/containers.conf", podman_key, &e);
	read_toml(&e, "/etc/containers/containers.conf", podman_key, &e);
	read_toml_dir(&e, "/etc/containers/containers.conf.d", ".conf", podman_key, &e);
	if (geteuid() != 0) {
		dir = base && base[0] == '/' ? arena_printf(d->arena, "%s/containers", base)
					     : arena_printf(d->arena, "%s/.config/containers", home ? home : "");
		read_toml(&e, arena_printf(d->arena, "%s/containers.conf", dir), podman_key, &e);
		read_toml_dir(&e, arena_printf(d->arena, "%s/containers.conf.d", dir), ".conf", podman_key, &e);
	}
	conclude(&e, programs);
}

/* --- containerd --------------------------------------------------------------------------------- */

#define RUNTIMES_MAX 16
struct containerd {
	struct engine e;
	bool imports;
	/* Tables of runtimes that are volrun's, and whether annotations of pods reach those. */
	const char *tables[RUNTIMES_MAX];
	bool annotated[RUNTIMES_MAX];
	size_t n;
};

/* The place of a runtime's table, made where there is room; NULL: there is none. */
static bool *annotated(struct containerd *c, const char *table, size_t len)
{
	size_t i = 0;

	while (i < c->n && !(strncmp(c->tables[i], table, len) == 0 && c->tables[i][len] == '\0'))
		i++;
	if (i == RUNTIMES_MAX)
		return NULL;
	if (i == c->n) {
		c->tables[i] = arena_strndup(c->e.d->arena, table, len);
		if (!c->tables[i])
			return NULL;
		c->n++;
	}
	return &c->annotated[i];
}

static void containerd_annotations(void *ctx, const char *table, const char *key, const char *value)
{
	bool *place;

	if (strcmp(key, "pod_annotations") != 0 || strncmp(value, "dev.volrun", strlen("dev.volrun")) != 0)
		return;
	place = annotated(ctx, table, strlen(table));
	if (place)
		*place = true;
}

static void containerd_key(void *ctx, const char *table, const char *key, const char *value)
{
	static const char options[] = "/options";
	size_t len = strlen(table), tail = strlen(options);
	struct containerd *c = ctx;
	const bool *place;

	c->imports |= strcmp(key, "imports") == 0 && table[0] == '\0';
	containerd_annotations(ctx, table, key, value);
	if (strcmp(key, "BinaryName") != 0 || !is_volrun(value) || len < tail ||
	    strcmp(table + len - tail, options) != 0)
		return;
	judge(&c->e, value);
	place = annotated(c, table, len - tail);
	/* In a file as people write it, a runtime's own keys stand before its options. */
	if (place && !*place && strstr(table, "cri"))
		doctor_say(c->e.d, DOCTOR_WARNING, c->e.name, advice(&c->e),
			   "%s: this runtime has no pod_annotations = [\"dev.volrun.*\"]: a pod's volumes are not seen",
			   c->e.file);
}

static void look_at_containerd(struct doctor *d)
{
	static const char *const programs[] = {"/usr/bin/containerd", "/usr/local/bin/containerd", NULL};
	struct containerd c = {.e = {d, "containerd", "containerd", NULL, 0}};
	unsigned before;

	read_toml(&c.e, "/etc/containerd/config.toml", containerd_key, &c);
	before = c.e.found;
	read_toml_dir(&c.e, "/etc/containerd/conf.d", ".toml", containerd_key, &c);
	if (c.e.found > before && !c.imports)
		doctor_say(d, DOCTOR_WARNING, c.e.name,
			   "imports = [\"/etc/containerd/conf.d/*.toml\"] at the top of /etc/containerd/config.toml",
			   "/etc/containerd/config.toml imports nothing: what stands in conf.d is not read");
	/* Docker's own containerd needs no entry. */
	if (access("/var/lib/kubelet", F_OK) == 0)
		conclude(&c.e, programs);
}

/* --- CRI-O -------------------------------------------------------------------------------------- */

static void crio_key(void *ctx, const char *table, const char *key, const char *value)
{
	static const char runtimes[] = "crio/runtime/runtimes/";

	if (strncmp(table, runtimes, strlen(runtimes)) == 0 && strcmp(key, "runtime_path") == 0 && is_volrun(value))
		judge(ctx, value);
}

static void look_at_crio(struct doctor *d)
{
	static const char *const programs[] = {"/usr/bin/crio", "/usr/local/bin/crio", NULL};
	struct engine e = {d, "cri-o", "crio", NULL, 0};

	read_toml(&e, "/etc/crio/crio.conf", crio_key, &e);
	read_toml_dir(&e, "/etc/crio/crio.conf.d", "", crio_key, &e);
	conclude(&e, programs);
}

void doctor_engines(struct doctor *d)
{
	look_at_docker(d);
	look_at_podman(d);
	look_at_containerd(d);
	look_at_crio(d);
}
