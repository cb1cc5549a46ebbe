/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/intel_rdt.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/io.h"

#define FILE_MAX (64u << 10)

static const char default_mount[] = "/sys/fs/resctrl";

/* --- the mount -------------------------------------------------------------------- */

/* Field 5 of the line of mountinfo whose type it is; paths with blanks are not looked for. */
static const char *find_line(char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *type = strstr(line, " - resctrl "), *field, *inner = NULL;

		if (!type)
			continue;
		field = strtok_r(line, " ", &inner);
		for (int i = 1; field && i < 5; i++)
			field = strtok_r(NULL, " ", &inner);
		return field;
	}
	return NULL;
}

int intel_rdt_find(struct arena *arena, const char **ret_mount, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	const char *place = NULL;
	struct statfs fs;

	if (statfs(default_mount, &fs) == 0 && fs.f_type == RDTGROUP_SUPER_MAGIC) {
		*ret_mount = default_mount;
		return 0;
	}
	if (read_file_at(AT_FDCWD, "/proc/self/mountinfo", 16u << 20, &text, NULL) == 0)
		place = find_line(text);
	if (!place)
		return error_set(err, ENOTSUP,
				 "linux.intelRdt: Intel RDT is not enabled: no resctrl file system is mounted");
	*ret_mount = arena_strdup(arena, place);
	return *ret_mount ? 0 : error_set(err, ENOMEM, "out of memory");
}

static bool is_name(const char *name)
{
	return name && *name && strlen(name) <= 255 && !strchr(name, '/') && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

int intel_rdt_open(const char *mount, const char *name)
{
	_cleanup_close_ int root = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (root < 0)
		return -errno;
	if (strcmp(name, "/") == 0)
		return TAKE_FD(root);
	if (!is_name(name))
		return -EINVAL;
	fd = openat(root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* --- lines ---------------------------------------------------------------------------- */

static bool is_set(const char *s)
{
	return s && *s;
}

static bool has_schema(const struct spec_intel_rdt *rdt)
{
	return is_set(rdt->l3_cache_schema) || is_set(rdt->mem_bw_schema) || rdt->n_schemata;
}

static int check_lines(const struct spec_intel_rdt *rdt, struct error *err)
{
	const char *mb = rdt->mem_bw_schema;

	if (is_set(mb) && (strncmp(mb, "MB:", 3) != 0 || strchr(mb, '\n')))
		return error_set(err, EINVAL, "linux.intelRdt.memBwSchema: \"%s\" is no line that begins with MB:", mb);
	for (size_t i = 0; i < rdt->n_schemata; i++)
		if (strchr(rdt->schemata[i], '\n') || !strchr(rdt->schemata[i], ':'))
			return error_set(err, EINVAL, "linux.intelRdt.schemata[%zu]: is no line \"RESOURCE:ID=VALUE\"",
					 i);
	return 0;
}

/* The value of cache `id` in a line's list "0=ff;1=c0"; -1: it is not there. */
static long long value_of(const char *list, unsigned long id, int base)
{
	while (*list) {
		char *end;
		unsigned long n = strtoul(list, &end, 10);

		if (end != list && *end == '=' && n == id)
			return (long long)strtoull(end + 1, NULL, base);
		list = end + strcspn(end, ";");
		list += *list == ';';
	}
	return -1;
}

/* Has the group's file what the line says? Cache ids may be in any order, and have leading zeros. */
static bool line_holds(const char *line, const char *file)
{
	size_t name = strcspn(line, ":");
	int base = strncmp(line, "MB:", 3) == 0 ? 10 : 16;

	for (const char *p = file; p && *p; p = strchr(p, '\n'), p += p ? 1 : 0) {
		_cleanup_free_ char *there = NULL;

		p += strspn(p, " ");
		if (strncmp(p, line, name) != 0 || p[name] != ':')
			continue;
		there = strndup(p + name + 1, strcspn(p + name + 1, "\n"));
		for (const char *q = line + name + 1; there && *q;) {
			char *end;
			unsigned long id = strtoul(q, &end, 10);

			if (end == q || *end != '=')
				return false;
			if (value_of(there, id, base) != (long long)strtoull(end + 1, NULL, base))
				return false;
			q = end + strcspn(end, ";");
			q += *q == ';';
		}
		return there;
	}
	return false;
}

/* What the kernel has to say of the last thing that failed. */
static int rdt_error(const char *mount, int code, const char *what, const char *arg, struct error *err)
{
	_cleanup_close_ int info = -1;
	_cleanup_free_ char *text = NULL;
	int root = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root >= 0) {
		info = openat(root, "info", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(root);
	}
	if (info < 0 || read_file_at(info, "last_cmd_status", 512, &text, NULL) < 0 || strncmp(text, "ok", 2) == 0)
		return error_errno(err, code, "linux.intelRdt: %s \"%s\"", what, arg);
	text[strcspn(text, "\n")] = '\0';
	return error_errno(err, code, "linux.intelRdt: %s \"%s\" (%s)", what, arg, text);
}

/* O_CREAT and O_TRUNC mean nothing to resctrl. */
static int write_line(int group, const char *file, const char *line)
{
	_cleanup_close_ int fd = openat(group, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	_cleanup_free_ char *text = NULL;

	if (fd < 0)
		return -errno;
	return asprintf(&text, "%s\n", line) < 0 ? -ENOMEM : write_all(fd, text, strlen(text));
}

/* Line by line: the kernel takes a resource once in a write. */
static int each_line(const char *schema, bool cache, struct arena *arena, int (*what)(const char *line, void *data),
		     void *data)
{
	char *copy = is_set(schema) ? arena_strdup(arena, schema) : NULL, *save = NULL;
	int r = is_set(schema) && !copy ? -ENOMEM : 0;

	/* In the schema of the cache runc and crun leave out what is not the cache's, too. */
	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; r == 0 && line; line = strtok_r(NULL, "\n", &save))
		if (!cache || strncmp(line, "MB:", 3) != 0)
			r = what(line, data);
	return r;
}

struct write {
	const char *mount;
	int group;
	const char *there; /* the group's schemata */
	struct error *err;
};

static int write_one(const char *line, void *data)
{
	const struct write *w = data;
	int r = write_line(w->group, "schemata", line);

	return r < 0 ? rdt_error(w->mount, r, "write to schemata", line, w->err) : 0;
}

static int compare_one(const char *line, void *data)
{
	const struct write *w = data;

	return line_holds(line, w->there)
		   ? 0
		   : error_set(w->err, EBUSY,
			       "linux.intelRdt: the group of this closID is there and has another schema than \"%s\"",
			       line);
}

/* --- the group --------------------------------------------------------------------- */

int intel_rdt_plan(const char *mount, const struct spec_intel_rdt *rdt, const char *id, struct intel_rdt_group *ret,
		   struct error *err)
{
	const char *name = is_set(rdt->clos_id) ? rdt->clos_id : id;
	_cleanup_close_ int fd = -1;
	int r = check_lines(rdt, err);

	if (r < 0)
		return r;
	fd = intel_rdt_open(mount, name);
	if (fd < 0 && fd != -ENOENT)
		return error_errno(err, fd, "linux.intelRdt: the group \"%s\"", name);
	if (fd < 0 && is_set(rdt->clos_id) && !has_schema(rdt))
		return error_set(err, ENOENT,
				 "linux.intelRdt.closID: there is no group \"%s\", and no schema to make it with",
				 name);
	*ret = (struct intel_rdt_group){
	    .name = name,
	    .made = fd < 0 && !is_set(rdt->clos_id),
	    .monitored = rdt->enable_monitoring,
	};
	return 0;
}

static int join_monitoring(const char *mount, int group, const char *id, const char *pid, struct error *err)
{
	_cleanup_close_ int all = openat(group, "mon_groups", O_PATH | O_DIRECTORY | O_CLOEXEC), own = -1;
	int r = 0;

	if (all < 0)
		return error_errno(err, errno, "linux.intelRdt.enableMonitoring: this CPU or kernel can't");
	if (mkdirat(all, id, 0755) < 0 && errno != EEXIST)
		return rdt_error(mount, errno, "make the monitoring group", id, err);
	own = openat(all, id, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = own < 0 ? -errno : write_line(own, "tasks", pid);
	return r < 0 ? rdt_error(mount, r, "enter the monitoring group", id, err) : 0;
}

int intel_rdt_enter(const char *mount, const struct intel_rdt_group *g, const char *id, pid_t pid, struct error *err)
{
	_cleanup_close_ int group = intel_rdt_open(mount, g->name);
	char text[16];
	int r = group;

	snprintf(text, sizeof(text), "%d", (int)pid);
	if (r >= 0)
		r = write_line(group, "tasks", text);
	if (r < 0)
		return rdt_error(mount, r, "enter the group", g->name, err);
	return g->monitored ? join_monitoring(mount, group, id, text, err) : 0;
}

static int write_schemata(struct write *w, const struct spec_intel_rdt *rdt, bool there, struct arena *arena)
{
	_cleanup_free_ char *text = NULL;
	int r = 0;

	if (there && (is_set(rdt->l3_cache_schema) || is_set(rdt->mem_bw_schema))) {
		_cleanup_close_ int fd = openat(w->group, "schemata", O_RDONLY | O_CLOEXEC);
		size_t len;

		r = fd < 0 ? -errno : read_fd(fd, FILE_MAX, &text, &len);
		if (r < 0)
			return rdt_error(w->mount, r, "read", "schemata", w->err);
		w->there = text;
		r = each_line(rdt->l3_cache_schema, true, arena, compare_one, w);
		if (r == 0)
			r = each_line(rdt->mem_bw_schema, false, arena, compare_one, w);
	} else {
		r = each_line(rdt->l3_cache_schema, true, arena, write_one, w);
		if (r == 0)
			r = each_line(rdt->mem_bw_schema, false, arena, write_one, w);
	}
	for (size_t i = 0; r == 0 && i < rdt->n_schemata; i++)
		r = write_one(rdt->schemata[i], w);
	return r;
}

int intel_rdt_join(const char *mount, const struct spec_intel_rdt *rdt, const struct intel_rdt_group *g, const char *id,
		   pid_t pid, struct arena *arena, struct error *err)
{
	_cleanup_close_ int root = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC), group = -1;
	bool there = true;
	struct write w;
	int r = root < 0 ? -errno : 0;

	if (r == 0 && is_name(g->name)) {
		there = mkdirat(root, g->name, 0755) < 0;
		r = there && errno != EEXIST ? -errno : 0;
	}
	if (r == 0)
		r = group = intel_rdt_open(mount, g->name);
	if (r < 0)
		return rdt_error(mount, r, "make the group", g->name, err);
	w = (struct write){.mount = mount, .group = group, .err = err};
	r = write_schemata(&w, rdt, there, arena);
	return r == 0 ? intel_rdt_enter(mount, g, id, pid, err) : r;
}

int intel_rdt_update(const char *mount, const struct intel_rdt_group *g, const char *l3_cache_schema,
		     const char *mem_bw_schema, struct arena *arena, struct error *err)
{
	const struct spec_intel_rdt rdt = {
	    .l3_cache_schema = l3_cache_schema,
	    .mem_bw_schema = mem_bw_schema,
	};
	_cleanup_close_ int group = intel_rdt_open(mount, g->name);
	struct write w = {.mount = mount, .group = group, .err = err};
	int r = group < 0 ? error_errno(err, group, "linux.intelRdt: the group \"%s\"", g->name) : 0;

	if (r == 0)
		r = check_lines(&rdt, err);
	return r == 0 ? write_schemata(&w, &rdt, false, arena) : r;
}

int intel_rdt_remove(const char *mount, const struct intel_rdt_group *g, const char *id, struct error *err)
{
	_cleanup_close_ int group = -1, all = -1, root = -1;
	int r = 0;

	if (!g->name || !is_name(id))
		return 0;
	group = intel_rdt_open(mount, g->name);
	if (group < 0)
		return group == -ENOENT ? 0 : error_errno(err, group, "linux.intelRdt: the group \"%s\"", g->name);
	if (g->monitored && (all = openat(group, "mon_groups", O_PATH | O_DIRECTORY | O_CLOEXEC)) >= 0 &&
	    unlinkat(all, id, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = rdt_error(mount, errno, "remove the monitoring group", id, err);
	if (r == 0 && g->made && is_name(g->name) && (root = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC)) >= 0 &&
	    unlinkat(root, g->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = rdt_error(mount, errno, "remove the group", g->name, err);
	return r;
}
