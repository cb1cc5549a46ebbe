/* SPDX-License-Identifier: Apache-2.0 */
/* What events has as "intel_rdt": the members of runc's types/events.go. What the CPU has not is left out. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/json.h"
#include "runtime/cgroup_stats_internal.h"
#include "runtime/intel_rdt.h"

#define FILE_MAX (64u << 10)
#define DOMAINS_MAX 1024

static int open_sub(int dir_fd, const char *name)
{
	return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void text_member(struct strbuf *out, const char *name, const char *text)
{
	stats_comma(out);
	strbuf_addf(out, "\"%s\":", name);
	json_write_string(out, text);
}

/* The lines of a group's schemata without their indentation; NULL when it can't be read. In the arena. */
static char *schemata_of(int group, struct arena *arena)
{
	_cleanup_close_ int fd = openat(group, "schemata", O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	size_t len;

	return fd >= 0 && read_fd(fd, FILE_MAX, &text, &len) == 0 ? arena_strdup(arena, text) : NULL;
}

static void schemata(struct strbuf *out, int group, bool root, struct arena *arena)
{
	_cleanup_strbuf_ struct strbuf list = STRBUF_INIT;
	char *text = schemata_of(group, arena), *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		line += strspn(line, " ");
		if (list.len)
			strbuf_addc(&list, ',');
		json_write_string(&list, line);
		if (strncmp(line, "L3:", 3) == 0)
			text_member(out, root ? "l3_cache_schema_root" : "l3_cache_schema", line);
		if (strncmp(line, "MB:", 3) == 0)
			text_member(out, root ? "mem_bw_schema_root" : "mem_bw_schema", line);
	}
	if (!root && list.len) {
		stats_open(out, "schemata", '[');
		strbuf_adds(out, strbuf_str(&list));
		strbuf_addc(out, ']');
	}
}

static void l3_info(struct strbuf *out, int fd)
{
	_cleanup_free_ char *mask = NULL;

	stats_open(out, "l3_cache_info", '{');
	if (cgroup_read(fd, "cbm_mask", &mask) == 0) {
		mask[strcspn(mask, "\n")] = '\0';
		text_member(out, "cbm_mask", mask);
	}
	stats_member(out, "min_cbm_bits", stats_number(fd, "min_cbm_bits"));
	stats_member(out, "num_closids", stats_number(fd, "num_closids"));
	strbuf_addc(out, '}');
}

static void mb_info(struct strbuf *out, int fd)
{
	static const char *const files[] = {"bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids"};

	stats_open(out, "mem_bw_info", '{');
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		stats_member(out, files[i], stats_number(fd, files[i]));
	strbuf_addc(out, '}');
}

static int is_domain(const struct dirent *e)
{
	return strncmp(e->d_name, "mon_L3_", 7) == 0;
}

/* A list with an object for each L3 cache. */
static void monitored(struct strbuf *out, const char *name, int data, struct dirent **domains, int n,
		      const char *const *files)
{
	stats_open(out, name, '[');
	for (int i = 0; i < n && i < DOMAINS_MAX; i++) {
		_cleanup_close_ int fd = open_sub(data, domains[i]->d_name);

		stats_comma(out);
		strbuf_addc(out, '{');
		for (size_t f = 0; fd >= 0 && files[f]; f++)
			stats_member(out, files[f], stats_number(fd, files[f]));
		strbuf_addc(out, '}');
	}
	strbuf_addc(out, ']');
}

static void monitoring(struct strbuf *out, int info, int group)
{
	static const char *const bandwidth[] = {"mbm_total_bytes", "mbm_local_bytes", NULL};
	static const char *const occupancy[] = {"llc_occupancy", NULL};
	_cleanup_close_ int mon = info < 0 ? -1 : open_sub(info, "L3_MON"), data = open_sub(group, "mon_data");
	_cleanup_free_ char *features = NULL;
	struct dirent **domains = NULL;
	int n;

	if (mon < 0 || data < 0 || cgroup_read(mon, "mon_features", &features) < 0)
		return;
	n = scandirat(data, ".", &domains, is_domain, alphasort);
	if (strstr(features, "mbm_"))
		monitored(out, "mbm_stats", data, domains, n, bandwidth);
	if (strstr(features, "llc_occupancy"))
		monitored(out, "cmt_stats", data, domains, n, occupancy);
	while (n > 0)
		free(domains[--n]);
	free(domains);
}

int intel_rdt_stats(const char *mount, const struct intel_rdt_group *g, const char *id, struct arena *arena,
		    struct strbuf *out, struct error *err)
{
	_cleanup_close_ int root = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC), own = -1, l3 = -1, mb = -1;
	_cleanup_close_ int info = root < 0 ? -1 : open_sub(root, "info"), group = intel_rdt_open(mount, g->name);

	if (group < 0)
		return error_errno(err, group, "linux.intelRdt: the group \"%s\"", g->name);
	if (g->monitored && (own = open_sub(group, "mon_groups")) >= 0) {
		int fd = open_sub(own, id);

		close(own);
		own = fd;
	}
	strbuf_addc(out, '{');
	if (info >= 0 && (l3 = open_sub(info, "L3")) >= 0)
		l3_info(out, l3);
	if (info >= 0 && (mb = open_sub(info, "MB")) >= 0)
		mb_info(out, mb);
	schemata(out, root, true, arena);
	schemata(out, group, false, arena);
	monitoring(out, info, own >= 0 ? own : group);
	strbuf_addc(out, '}');
	return 0;
}
