/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "runtime/cgroup_stats_internal.h"

#define CPUS_MAX 65536

uint64_t stats_number(int fd, const char *file)
{
	_cleanup_free_ char *text = NULL;
	uint64_t n;

	if (fd < 0 || cgroup_read(fd, file, &text) < 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, "max") == 0 || text[0] == '-')
		return UINT64_MAX;
	return num_parse_u64(text, UINT64_MAX, &n) == 0 ? n : 0;
}

uint64_t stats_key(int fd, const char *file, const char *key)
{
	uint64_t n = 0;

	return fd >= 0 && cgroup_read_key(fd, file, key, &n) == 0 ? n : 0;
}

void stats_comma(struct strbuf *out)
{
	char last = out->len ? out->data[out->len - 1] : '{';

	if (last != '{' && last != '[' && last != ':')
		strbuf_addc(out, ',');
}

void stats_member(struct strbuf *out, const char *name, uint64_t value)
{
	stats_comma(out);
	strbuf_addf(out, "\"%s\":%" PRIu64, name, value);
}

void stats_open(struct strbuf *out, const char *name, char bracket)
{
	stats_comma(out);
	strbuf_addf(out, "\"%s\":%c", name, bracket);
}

void stats_memory_entry(struct strbuf *out, const char *name, uint64_t limit, uint64_t usage, uint64_t max,
			uint64_t failcnt)
{
	stats_open(out, name, '{');
	stats_member(out, "limit", limit);
	stats_member(out, "usage", usage);
	if (max)
		stats_member(out, "max", max);
	stats_member(out, "failcnt", failcnt);
	strbuf_addc(out, '}');
}

void stats_raw(struct strbuf *out, int fd)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	if (fd < 0 || cgroup_read(fd, "memory.stat", &text) < 0)
		return;
	stats_open(out, "raw", '{');
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(line, ' ');
		uint64_t n;

		if (!value)
			continue;
		*value++ = '\0';
		if (num_parse_u64(value, UINT64_MAX, &n) == 0)
			stats_member(out, line, n);
	}
	strbuf_addc(out, '}');
}

void stats_cpu_list(struct strbuf *out, const char *name, int fd, const char *file)
{
	_cleanup_free_ char *text = NULL;
	const char *p;

	if (fd < 0 || cgroup_read(fd, file, &text) < 0 || text[0] < '0' || text[0] > '9')
		return;
	stats_open(out, name, '[');
	for (p = text; *p >= '0' && *p <= '9'; p += *p == ',') {
		char *end;
		unsigned long first = strtoul(p, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last && last < CPUS_MAX; first++) {
			stats_comma(out);
			strbuf_addf(out, "%lu", first);
		}
		p = end;
	}
	strbuf_addc(out, ']');
}

void stats_hugetlb(struct strbuf *out, int fd, const char *suffix,
		   void (*entry)(struct strbuf *out, int fd, const char *size))
{
	_cleanup_close_ int copy = fd < 0 ? -1 : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	stats_open(out, "hugetlb", '{');
	if (dir)
		TAKE_FD(copy);
	while (dir && (e = readdir(dir))) {
		char size[32], rest[64];

		/* hugetlb.2MB.current; those of reservations are hugetlb.2MB.rsvd.current */
		if (sscanf(e->d_name, "hugetlb.%31[0-9KMGTB].%63s", size, rest) != 2 || strcmp(rest, suffix) != 0)
			continue;
		stats_open(out, size, '{');
		entry(out, fd, size);
		strbuf_addc(out, '}');
	}
	strbuf_addc(out, '}');
}

int cgroup_stats(const struct cgroup *cg, const char *intel_rdt, struct strbuf *out, struct error *err)
{
	bool there = false;

	for (size_t i = 0; i < cg->n_hierarchies; i++)
		there |= cg->hierarchies[i].fd >= 0;
	if (!there)
		return error_set(err, ENODEV, "the container's cgroup is gone");
	strbuf_addc(out, '{');
	if (cg->mode == CGROUP_V2)
		cgroup_stats_v2(cg, out);
	else
		cgroup_stats_v1(cg, out);
	strbuf_addf(out, ",\"intel_rdt\":%s,\"network_interfaces\":null}", intel_rdt);
	return out->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

/* --- the OOM killer ------------------------------------------------------------------- */

static int oom_open_v1(int fd, int *ret_fd, struct error *err)
{
	_cleanup_close_ int control = openat(fd, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	char line[40];
	int r;

	if (control < 0 || event < 0)
		return error_errno(err, errno, "watch memory.oom_control");
	snprintf(line, sizeof(line), "%d %d", event, control);
	r = write_file_at(fd, "cgroup.event_control", line);
	if (r < 0)
		return error_errno(err, r, "watch memory.oom_control: cgroup.event_control");
	*ret_fd = TAKE_FD(event);
	return 0;
}

static int memory_fd(const struct cgroup *cg)
{
	const struct cgroup_hierarchy *h =
	    cg->mode == CGROUP_V2 ? cgroup_find_unified(cg) : cgroup_find_controller(cg, "memory");

	return h ? h->fd : -1;
}

int cgroup_oom_open(const struct cgroup *cg, int *ret_fd, struct error *err)
{
	int dir = memory_fd(cg), fd;

	if (dir >= 0 && cg->mode != CGROUP_V2)
		return oom_open_v1(dir, ret_fd, err);
	fd = dir < 0 ? -1 : openat(dir, "memory.events", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ENOTSUP,
				 "OOM events need the memory controller, which the container has not got");
	*ret_fd = fd;
	return 0;
}

int cgroup_oom_count(const struct cgroup *cg, uint64_t *ret)
{
	int fd = memory_fd(cg);
	int r = fd < 0 ? -ENODEV
		       : cgroup_read_key(fd, cg->mode == CGROUP_V2 ? "memory.events" : "memory.oom_control", "oom_kill",
					 ret);

	return r == -ENOENT ? -ENODEV : r;
}
