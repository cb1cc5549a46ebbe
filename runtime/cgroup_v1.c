/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_v1.c - the legacy hierarchies (Documentation/admin-guide/cgroup-v1),
 * and in hybrid the unified one beside them. The container is in all of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "runtime/cgroup_internal.h"

#define MOUNTINFO_MAX (16u << 20)
#define HIERARCHIES_MAX 32

/* Options of a cgroup mount that are not controllers (kernel/cgroup/cgroup-v1.c, fs_context.c). */
static bool is_plain_option(const char *o)
{
	static const char *const plain[] = {"rw",  "ro",   "xattr",	     "noprefix",     "clone_children",
					    "all", "none", "cpuset_v2_mode", "favordynmods", "nofavordynmods"};

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		if (strcmp(plain[i], o) == 0)
			return true;
	}
	return strchr(o, '=') && strncmp(o, "name=", 5) != 0; /* release_agent=... */
}

/* "rw,xattr,cpu,cpuacct" to "cpu,cpuacct", in place. */
static void keep_controllers(char *options)
{
	char *out = options, *save = NULL;

	for (char *o = strtok_r(options, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		size_t len = strlen(o);

		if (is_plain_option(o))
			continue;
		if (out != options)
			*out++ = ',';
		memmove(out, o, len);
		out += len;
	}
	*out = '\0';
}

struct mount_line {
	char *mount, *type, *options;
};

/* proc(5): 36 35 98:0 /root /mount rw,noatime master:1 - ext3 /dev/root rw,errors=continue */
static bool parse_line(char *line, struct mount_line *ret)
{
	char *rest = strstr(line, " - "), *save = NULL, *p = line;

	if (!rest)
		return false;
	*rest = '\0';
	for (int i = 0; i < 5; i++)
		p = strtok_r(i == 0 ? line : NULL, " ", &save);
	ret->mount = p;
	ret->type = strtok_r(rest + 3, " ", &save);
	(void)strtok_r(NULL, " ", &save); /* the source */
	ret->options = strtok_r(NULL, " ", &save);
	return ret->mount && ret->type && ret->options;
}

/* Directly beneath /sys/fs/cgroup, where the system has its hierarchies; others are some container's. */
static bool is_place(const char *mount)
{
	size_t len = strlen(CGROUP_ROOT "/");

	return strncmp(mount, CGROUP_ROOT "/", len) == 0 && mount[len] && !strpbrk(mount + len, "/\\");
}

static int v1_find(struct cgroup *cg, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	char *unified = NULL, *save = NULL;
	int r = read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL);

	if (r < 0)
		return error_errno(err, r, "cannot read /proc/self/mountinfo");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct mount_line m;

		if (!parse_line(line, &m) || !is_place(m.mount))
			continue;
		if (strcmp(m.type, "cgroup2") == 0) {
			unified = m.mount;
		} else if (strcmp(m.type, "cgroup") == 0) {
			keep_controllers(m.options);
			r = cg->n_hierarchies < HIERARCHIES_MAX ? cgroup_add_hierarchy(cg, m.mount, m.options, false)
								: -E2BIG;
		}
		if (r < 0)
			return error_errno(err, r, "cgroup hierarchies");
	}
	if (unified)
		r = cgroup_add_hierarchy(cg, unified, "", true);
	return r < 0 ? error_errno(err, r, "cgroup hierarchies") : 0;
}

/* A new cpuset is empty and takes no process: it gets its parent's. */
static int inherit(int parent_fd, int child_fd, const char *file)
{
	_cleanup_free_ char *own = NULL, *parents = NULL;
	int r = cgroup_read(child_fd, file, &own);

	if (r < 0)
		return r;
	if (own[strspn(own, " \n")])
		return 0;
	r = cgroup_read(parent_fd, file, &parents);
	return r < 0 ? r : write_file_at(child_fd, file, parents);
}

static int v1_level(const struct cgroup_hierarchy *h, int parent_fd, int child_fd)
{
	int r;

	if (!cgroup_has_controller(h, "cpuset"))
		return 0;
	r = inherit(parent_fd, child_fd, "cpuset.cpus");
	return r < 0 ? r : inherit(parent_fd, child_fd, "cpuset.mems");
}

static int write_rule(int fd, const struct device_rule *rule)
{
	const char *file = rule->allow ? "devices.allow" : "devices.deny";
	char line[DEVICE_LINE_MAX];

	return write_file_at(fd, file, device_rule_line(rule, line));
}

static int v1_devices(const struct cgroup *cg, const struct device_rules *rules, bool update, struct arena *a,
		      struct error *err)
{
	const struct cgroup_hierarchy *h = cgroup_find_controller(cg, "devices");
	int r;

	(void)a;
	/* Rewriting the list would deny everything to the running container for a moment. */
	if (!h || update)
		return 0;
	r = write_file_at(h->fd, "devices.deny", "a");
	for (size_t i = 0; r == 0 && i < rules->n; i++) {
		struct device_rule rule = rules->rules[i];

		/* The kernel reads nothing after an "a": one for both kinds but not for everything is two. */
		if (rule.type == 'a' && !device_rule_is_all(&rule)) {
			rule.type = 'b';
			r = write_rule(h->fd, &rule);
			rule.type = 'c';
		}
		if (r == 0)
			r = write_rule(h->fd, &rule);
	}
	if ((r == -EPERM || r == -EACCES) && cg->rootless)
		return 0;
	return r < 0 ? error_errno(err, r, "device rules: cannot write to %s%s", h->mount, cg->path) : 0;
}

static int v1_freeze(const struct cgroup *cg, bool freeze)
{
	const struct cgroup_hierarchy *h = cgroup_find_controller(cg, "freezer");

	if (h)
		return write_file_at(h->fd, "freezer.state", freeze ? "FROZEN" : "THAWED");
	h = cgroup_find_unified(cg);
	return h ? write_file_at(h->fd, "cgroup.freeze", freeze ? "1" : "0") : -EOPNOTSUPP;
}

static int v1_is_frozen(const struct cgroup *cg, bool *ret)
{
	const struct cgroup_hierarchy *h = cgroup_find_controller(cg, "freezer");
	_cleanup_free_ char *state = NULL;
	uint64_t frozen = 0;
	int r;

	if (!h) {
		h = cgroup_find_unified(cg);
		r = h ? cgroup_read_key(h->fd, "cgroup.events", "frozen", &frozen) : -EOPNOTSUPP;
		if (r == 0)
			*ret = frozen != 0;
		return r;
	}
	r = cgroup_read(h->fd, "freezer.state", &state);
	if (r == 0)
		*ret = strncmp(state, "FROZEN", 6) == 0;
	return r;
}

const struct cgroup_version cgroup_version_v1 = {
    .find = v1_find,
    .level = v1_level,
    .plan = cgroup_plan_v1,
    .memory_usage_file = "memory.usage_in_bytes",
    .devices = v1_devices,
    .freeze = v1_freeze,
    .is_frozen = v1_is_frozen,
};
