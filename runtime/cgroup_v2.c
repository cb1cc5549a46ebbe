/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_v2.c - the unified hierarchy (Documentation/admin-guide/cgroup-v2.rst). */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "runtime/cgroup_internal.h"

static int v2_find(struct cgroup *cg, struct error *err)
{
	int r = cgroup_add_hierarchy(cg, CGROUP_ROOT, "", true);

	return r < 0 ? error_errno(err, r, "cgroup") : 0;
}

/* Is the word in the list, which is separated by spaces and may end in a newline? */
static bool has_word(const char *list, const char *word, size_t len)
{
	for (const char *p = list; (p = strstr(p, word)); p += len) {
		bool starts = p == list || p[-1] == ' ';

		if (starts && (p[len] == '\0' || p[len] == ' ' || p[len] == '\n'))
			return true;
	}
	return false;
}

/*
 * Gives the children of a cgroup the controllers that it has itself. All in one write; where that is refused, one by
 * one. What the kernel refuses (processes in a cgroup that is not the root) shows when a limit needs it.
 */
static int v2_enable_controllers(int fd)
{
	_cleanup_free_ char *available = NULL, *enabled = NULL;
	_cleanup_strbuf_ struct strbuf all = STRBUF_INIT;
	char *save = NULL, *words;
	int r = cgroup_read(fd, "cgroup.controllers", &available);

	if (r == 0)
		r = cgroup_read(fd, "cgroup.subtree_control", &enabled);
	if (r < 0)
		return r;
	for (char *word = strtok_r(available, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		if (!has_word(enabled, word, strlen(word)))
			strbuf_addf(&all, "%s+%s", all.len ? " " : "", word);
	}
	if (all.failed)
		return -ENOMEM;
	if (all.len == 0 || write_file_at(fd, "cgroup.subtree_control", strbuf_str(&all)) == 0)
		return 0;
	words = all.data;
	for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
		(void)write_file_at(fd, "cgroup.subtree_control", word);
	return 0;
}

static int v2_level(const struct cgroup_hierarchy *h, int parent_fd, int child_fd)
{
	(void)h;
	(void)child_fd;
	return v2_enable_controllers(parent_fd);
}

static int v2_devices(const struct cgroup *cg, const struct device_rules *rules, bool update, struct arena *a,
		      struct error *err)
{
	struct bpf_insn *program;
	size_t n;
	int r = device_program(rules, a, &program, &n, err);

	(void)update; /* the new program replaces the old one */
	if (r == 0)
		r = device_program_attach(cg->dir_fd, program, n, err);
	/* Who may not load BPF programs can't make device nodes either. */
	return r == -EPERM && cg->rootless ? 0 : r;
}

static int v2_freeze(const struct cgroup *cg, bool freeze)
{
	return write_file_at(cg->dir_fd, "cgroup.freeze", freeze ? "1" : "0");
}

static int v2_is_frozen(const struct cgroup *cg, bool *ret)
{
	uint64_t frozen;
	int r = cgroup_read_key(cg->dir_fd, "cgroup.events", "frozen", &frozen);

	if (r == 0)
		*ret = frozen != 0;
	return r;
}

const struct cgroup_version cgroup_version_v2 = {
    .find = v2_find,
    .level = v2_level,
    .plan = cgroup_plan_v2,
    .memory_usage_file = "memory.current",
    .devices = v2_devices,
    .freeze = v2_freeze,
    .is_frozen = v2_is_frozen,
};
