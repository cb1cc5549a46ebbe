/* SPDX-License-Identifier: Apache-2.0 */
/* What `events` reads of a cgroup: every file of it has the input for its text. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/cgroup_stats_internal.h"
#include "tests/fuzz.h"

static const char *const files[] = {
    "blkio.throttle.io_service_bytes_recursive",
    "blkio.throttle.io_serviced_recursive",
    "cpu.pressure",
    "cpu.stat",
    "cpuacct.stat",
    "cpuacct.usage",
    "cpuacct.usage_percpu",
    "cpuset.cpus",
    "cpuset.cpus.effective",
    "cpuset.mems",
    "cpuset.mems.effective",
    "hugetlb.2MB.current",
    "hugetlb.2MB.usage_in_bytes",
    "io.pressure",
    "io.stat",
    "memory.current",
    "memory.events",
    "memory.limit_in_bytes",
    "memory.max",
    "memory.peak",
    "memory.pressure",
    "memory.stat",
    "memory.swap.current",
    "memory.usage_in_bytes",
    "pids.current",
    "pids.max",
};

static int data_fd = -1, dir_fd = -1;

static void set_up(void)
{
	char dir[] = "/tmp/volrun-fuzz-XXXXXX", link[40];

	data_fd = memfd_create("cgroup", 0);
	FUZZ_CHECK(data_fd >= 0 && mkdtemp(dir));
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", data_fd);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		FUZZ_CHECK(symlinkat(link, dir_fd, files[i]) == 0);
}

/* Left open: its files go with the process, but for the links. */
static void __attribute__((destructor)) tear_down(void)
{
	char link[40], path[64];
	ssize_t n;

	if (dir_fd < 0)
		return;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlinkat(dir_fd, files[i], 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n > 0) {
		path[n] = '\0';
		rmdir(path);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_strbuf_ struct strbuf v1 = STRBUF_INIT, v2 = STRBUF_INIT;
	struct cgroup_hierarchy hierarchy = {.controllers = "", .fd = -1};
	struct cgroup cg = {.mode = CGROUP_V2, .path = "/x", .hierarchies = &hierarchy, .n_hierarchies = 1};

	if (dir_fd < 0)
		set_up();
	FUZZ_CHECK(ftruncate(data_fd, 0) == 0 && pwrite(data_fd, data, size, 0) == (ssize_t)size);
	cg.dir_fd = hierarchy.fd = dir_fd;
	cgroup_stats_v2(&cg, &v2);
	hierarchy.controllers = "cpu,cpuacct,cpuset,memory,pids,blkio,hugetlb";
	cg.mode = CGROUP_V1;
	cgroup_stats_v1(&cg, &v1);
	FUZZ_CHECK(!v1.failed && !v2.failed);
	return 0;
}
