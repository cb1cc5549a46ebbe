/* SPDX-License-Identifier: Apache-2.0 */
/* Documentation/admin-guide/cgroup-v1/ */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "runtime/cgroup_stats_internal.h"

static int fd_of(const struct cgroup *cg, const char *controller)
{
	const struct cgroup_hierarchy *h = cgroup_find_controller(cg, controller);

	return h ? h->fd : -1;
}

static void percpu(struct strbuf *out, int fd)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	if (fd < 0 || cgroup_read(fd, "cpuacct.usage_percpu", &text) < 0)
		return;
	stats_open(out, "percpu", '[');
	for (char *n = strtok_r(text, " \n", &save); n; n = strtok_r(NULL, " \n", &save)) {
		stats_comma(out);
		strbuf_adds(out, n);
	}
	strbuf_addc(out, ']');
}

static void cpu(struct strbuf *out, int acct, int fd)
{
	uint64_t tick = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);

	stats_open(out, "cpu", '{');
	stats_open(out, "usage", '{');
	stats_member(out, "total", stats_number(acct, "cpuacct.usage"));
	percpu(out, acct);
	stats_member(out, "kernel", stats_key(acct, "cpuacct.stat", "system") * tick);
	stats_member(out, "user", stats_key(acct, "cpuacct.stat", "user") * tick);
	strbuf_addc(out, '}');
	stats_open(out, "throttling", '{');
	stats_member(out, "periods", stats_key(fd, "cpu.stat", "nr_periods"));
	stats_member(out, "throttledPeriods", stats_key(fd, "cpu.stat", "nr_throttled"));
	stats_member(out, "throttledTime", stats_key(fd, "cpu.stat", "throttled_time"));
	strbuf_adds(out, "}}");
}

static void cpuset(struct strbuf *out, int fd)
{
	static const char *const flags[] = {"cpu_exclusive",   "mem_hardwall",	     "mem_exclusive",
					    "memory_migrate",  "memory_spread_page", "memory_spread_slab",
					    "memory_pressure", "sched_load_balance", NULL};
	char file[64];

	stats_open(out, "cpuset", '{');
	stats_cpu_list(out, "cpus", fd, "cpuset.cpus");
	stats_cpu_list(out, "mems", fd, "cpuset.mems");
	for (size_t i = 0; flags[i]; i++) {
		snprintf(file, sizeof(file), "cpuset.%s", flags[i]);
		stats_member(out, flags[i], stats_number(fd, file));
	}
	strbuf_addc(out, '}');
}

static void memory_entry(struct strbuf *out, const char *name, int fd, const char *prefix)
{
	static const char *const parts[] = {"limit_in_bytes", "usage_in_bytes", "max_usage_in_bytes", "failcnt"};
	uint64_t n[4];
	char file[64];

	for (int i = 0; i < 4; i++) {
		snprintf(file, sizeof(file), "memory.%s%s", prefix, parts[i]);
		n[i] = stats_number(fd, file);
	}
	stats_memory_entry(out, name, n[0], n[1], n[2], n[3]);
}

static void memory(struct strbuf *out, int fd)
{
	stats_open(out, "memory", '{');
	stats_member(out, "cache", stats_key(fd, "memory.stat", "cache"));
	memory_entry(out, "usage", fd, "");
	memory_entry(out, "swap", fd, "memsw.");
	memory_entry(out, "kernel", fd, "kmem.");
	memory_entry(out, "kernelTCP", fd, "kmem.tcp.");
	stats_raw(out, fd);
	strbuf_addc(out, '}');
}

/* "8:0 Read 4096" in each line, and a total of all devices at the end. */
static void io_entries(struct strbuf *out, const char *name, int fd, const char *file)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	if (fd < 0 || cgroup_read(fd, file, &text) < 0)
		return;
	stats_open(out, name, '[');
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned major, minor;
		char op[16];
		uint64_t n;

		if (sscanf(line, "%u:%u %15[A-Za-z] %" SCNu64, &major, &minor, op, &n) != 4)
			continue;
		stats_comma(out);
		strbuf_addf(out, "{\"major\":%u,\"minor\":%u,\"op\":\"%s\",\"value\":%" PRIu64 "}", major, minor, op,
			    n);
	}
	strbuf_addc(out, ']');
}

static void hugetlb_entry(struct strbuf *out, int fd, const char *size)
{
	static const char *const files[] = {"usage_in_bytes", "max_usage_in_bytes", "failcnt"}, *const names[] = {
												    "usage", "max",
												    "failcnt"};
	char file[64];

	for (int i = 0; i < 3; i++) {
		snprintf(file, sizeof(file), "hugetlb.%s.%s", size, files[i]);
		stats_member(out, names[i], stats_number(fd, file));
	}
}

void cgroup_stats_v1(const struct cgroup *cg, struct strbuf *out)
{
	int pids = fd_of(cg, "pids"), blkio = fd_of(cg, "blkio");

	cpu(out, fd_of(cg, "cpuacct"), fd_of(cg, "cpu"));
	cpuset(out, fd_of(cg, "cpuset"));
	memory(out, fd_of(cg, "memory"));
	stats_open(out, "pids", '{');
	stats_member(out, "current", stats_number(pids, "pids.current"));
	stats_member(out, "limit", stats_number(pids, "pids.max"));
	strbuf_addc(out, '}');
	stats_open(out, "blkio", '{');
	io_entries(out, "ioServiceBytesRecursive", blkio, "blkio.throttle.io_service_bytes_recursive");
	io_entries(out, "ioServicedRecursive", blkio, "blkio.throttle.io_serviced_recursive");
	strbuf_addc(out, '}');
	stats_hugetlb(out, fd_of(cg, "hugetlb"), "usage_in_bytes", hugetlb_entry);
}
