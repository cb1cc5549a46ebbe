/* SPDX-License-Identifier: Apache-2.0 */
/* Documentation/admin-guide/cgroup-v2.rst */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "runtime/cgroup_stats_internal.h"

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" */
static void psi(struct strbuf *out, int fd, const char *file)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	/* A kernel without CONFIG_PSI, or with psi=0, has no such file or refuses to read it. */
	if (cgroup_read(fd, file, &text) < 0)
		return;
	stats_open(out, "psi", '{');
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		double avg10, avg60, avg300;
		char kind[8];
		uint64_t total;

		if (sscanf(line, "%7s avg10=%lf avg60=%lf avg300=%lf total=%" SCNu64, kind, &avg10, &avg60, &avg300,
			   &total) != 5)
			continue;
		stats_open(out, kind, '{');
		strbuf_addf(out, "\"avg10\":%g,\"avg60\":%g,\"avg300\":%g", avg10, avg60, avg300);
		stats_member(out, "total", total);
		strbuf_addc(out, '}');
	}
	strbuf_addc(out, '}');
}

static void cpu(struct strbuf *out, int fd)
{
	stats_open(out, "cpu", '{');
	stats_open(out, "usage", '{');
	stats_member(out, "total", stats_key(fd, "cpu.stat", "usage_usec") * 1000);
	stats_member(out, "kernel", stats_key(fd, "cpu.stat", "system_usec") * 1000);
	stats_member(out, "user", stats_key(fd, "cpu.stat", "user_usec") * 1000);
	strbuf_addc(out, '}');
	stats_open(out, "throttling", '{');
	stats_member(out, "periods", stats_key(fd, "cpu.stat", "nr_periods"));
	stats_member(out, "throttledPeriods", stats_key(fd, "cpu.stat", "nr_throttled"));
	stats_member(out, "throttledTime", stats_key(fd, "cpu.stat", "throttled_usec") * 1000);
	strbuf_addc(out, '}');
	psi(out, fd, "cpu.pressure");
	strbuf_addc(out, '}');
	stats_open(out, "cpuset", '{');
	stats_cpu_list(out, "cpus", fd, "cpuset.cpus.effective");
	stats_cpu_list(out, "mems", fd, "cpuset.mems.effective");
	strbuf_addc(out, '}');
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* swap counts memory and swap together, as v1 does and runc's readers expect. */
static void memory(struct strbuf *out, int fd)
{
	uint64_t usage = stats_number(fd, "memory.current"), limit = stats_number(fd, "memory.max");

	stats_open(out, "memory", '{');
	stats_member(out, "cache", stats_key(fd, "memory.stat", "file"));
	stats_memory_entry(out, "usage", limit, usage, stats_number(fd, "memory.peak"), 0);
	stats_memory_entry(out, "swap", sum(limit, stats_number(fd, "memory.swap.max")),
			   sum(usage, stats_number(fd, "memory.swap.current")), 0, 0);
	stats_memory_entry(out, "kernel", 0, stats_key(fd, "memory.stat", "kernel"), 0, 0);
	stats_memory_entry(out, "kernelTCP", 0, stats_key(fd, "memory.stat", "sock"), 0, 0);
	stats_raw(out, fd);
	psi(out, fd, "memory.pressure");
	strbuf_addc(out, '}');
}

static void io_entries(struct strbuf *out, const char *name, const char *text, const char *const fields[3])
{
	static const char *const ops[] = {"Read", "Write", "Discard"};

	stats_open(out, name, '[');
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t len = strcspn(line, "\n");
		unsigned major, minor;

		if (sscanf(line, "%u:%u ", &major, &minor) != 2)
			continue;
		for (int i = 0; i < 3; i++) {
			const char *at = strstr(line, fields[i]);
			uint64_t n;

			if (!at || at > line + len || sscanf(at + strlen(fields[i]), "%" SCNu64, &n) != 1)
				continue;
			stats_comma(out);
			strbuf_addf(out, "{\"major\":%u,\"minor\":%u,\"op\":\"%s\",\"value\":%" PRIu64 "}", major,
				    minor, ops[i], n);
		}
	}
	strbuf_addc(out, ']');
}

static void io(struct strbuf *out, int fd)
{
	static const char *const bytes[] = {" rbytes=", " wbytes=", " dbytes="}, *const ios[] = {
										     " rios=", " wios=", " dios="};
	_cleanup_free_ char *text = NULL;

	stats_open(out, "blkio", '{');
	if (cgroup_read(fd, "io.stat", &text) == 0) {
		io_entries(out, "ioServiceBytesRecursive", text, bytes);
		io_entries(out, "ioServicedRecursive", text, ios);
	}
	psi(out, fd, "io.pressure");
	strbuf_addc(out, '}');
}

static void hugetlb_entry(struct strbuf *out, int fd, const char *size)
{
	char file[64];

	snprintf(file, sizeof(file), "hugetlb.%s.current", size);
	stats_member(out, "usage", stats_number(fd, file));
	snprintf(file, sizeof(file), "hugetlb.%s.events", size);
	stats_member(out, "failcnt", stats_key(fd, file, "max"));
}

void cgroup_stats_v2(const struct cgroup *cg, struct strbuf *out)
{
	int fd = cg->dir_fd;

	cpu(out, fd);
	memory(out, fd);
	stats_open(out, "pids", '{');
	stats_member(out, "current", stats_number(fd, "pids.current"));
	stats_member(out, "limit", stats_number(fd, "pids.max"));
	strbuf_addc(out, '}');
	io(out, fd);
	stats_hugetlb(out, fd, "current", hugetlb_entry);
}
