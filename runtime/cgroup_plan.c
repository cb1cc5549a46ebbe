/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/cleanup.h"

#define PERIOD_DEFAULT 100000 /* microseconds; the kernel's */
#define FIXED_WRITES 32	      /* more than one of each kind that is not a list */

/* A plan being made. A failed allocation is remembered, like strbuf's. */
struct maker {
	struct arena *arena;
	struct cgroup_plan plan;
	size_t room;
	bool failed;
};

static void add(struct maker *m, unsigned flags, const char *resource, const char *controller, const char *file,
		const char *value)
{
	if (!value || !file || m->plan.n == m->room) {
		m->failed = true;
		return;
	}
	m->plan.writes[m->plan.n++] = (struct cgroup_write){resource, controller, file, value, flags};
}

static const char *text_i64(struct maker *m, int64_t n)
{
	return arena_printf(m->arena, "%" PRId64, n);
}

static const char *text_u64(struct maker *m, uint64_t n)
{
	return arena_printf(m->arena, "%" PRIu64, n);
}

/* v2 says "max" where v1 says -1. */
static const char *text_max(struct maker *m, int64_t n)
{
	return n < 0 ? "max" : text_i64(m, n);
}

uint64_t cgroup_cpu_weight(uint64_t shares)
{
	double l;

	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	l = log2((double)shares);
	return (uint64_t)ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
}

uint64_t cgroup_io_weight(uint64_t weight)
{
	if (weight <= 10)
		return 1;
	if (weight >= 1000)
		return 10000;
	return 1 + (weight - 10) * 9999 / 990;
}

static int64_t number(const int64_t *p)
{
	return p ? *p : 0;
}

static int memory_check(const struct spec_memory *mem, struct error *err)
{
	int64_t limit = number(mem->limit), swap = number(mem->swap), reservation = number(mem->reservation);

	if (limit < -1 || swap < -1 || reservation < -1)
		return error_set(err, EINVAL, "memory: a limit below -1 makes no sense (-1: no limit)");
	if (swap > 0 && limit < 0)
		return error_set(err, EINVAL,
				 "memory.swap: needs memory.limit, since it counts memory and swap together");
	if (swap > 0 && swap < limit)
		return error_set(err, EINVAL,
				 "memory.swap: %" PRId64 " is less than memory.limit %" PRId64
				 ", but it counts memory and swap together",
				 swap, limit);
	return 0;
}

static void memory_must_fit(struct maker *m, const struct spec_memory *mem)
{
	if (mem->check_before_update && *mem->check_before_update && number(mem->limit) > 0)
		m->plan.memory_must_fit = *mem->limit;
}

static int memory_v2(struct maker *m, const struct spec_memory *mem, struct error *err)
{
	int64_t limit = number(mem->limit), swap = number(mem->swap);
	int r = memory_check(mem, err);

	if (r < 0)
		return r;
	/* On v1 there is a file for the sum; here the memory has to be known. */
	if (swap > 0 && limit == 0)
		return error_set(err, EINVAL,
				 "memory.swap: needs memory.limit, since it counts memory and swap together");
	memory_must_fit(m, mem);
	/* Without swap accounting "all" and "none" are what happens anyway. */
	if (swap < 0 || (limit < 0 && swap == 0))
		add(m, CGROUP_WRITE_OPTIONAL, "swap limit", "memory", "memory.swap.max", "max");
	else if (swap > 0)
		add(m, swap == limit ? CGROUP_WRITE_OPTIONAL : 0, "swap limit", "memory", "memory.swap.max",
		    text_i64(m, swap - limit));
	else if (mem->swap && !mem->limit) /* as crun; with a limit 0 is "not given", as in runc */
		add(m, CGROUP_WRITE_OPTIONAL, "swap limit", "memory", "memory.swap.max", "0");
	if (limit != 0)
		add(m, 0, "memory limit", "memory", "memory.max", text_max(m, limit));
	if (number(mem->reservation) != 0)
		add(m, 0, "memory reservation", "memory", "memory.low", text_max(m, *mem->reservation));
	return 0;
}

static int memory_v1(struct maker *m, const struct spec_memory *mem, struct error *err)
{
	int64_t limit = number(mem->limit), swap = number(mem->swap);
	int r = memory_check(mem, err);

	if (r < 0)
		return r;
	if (mem->swappiness && *mem->swappiness > 100)
		return error_set(err, EINVAL, "memory.swappiness: %" PRIu64 " is out of range (0 to 100)",
				 *mem->swappiness);
	memory_must_fit(m, mem);
	/* limit <= memsw must hold at any time: raising needs memsw first, lowering the limit first. */
	if (limit != 0)
		add(m, CGROUP_WRITE_RETRY, "memory limit", "memory", "memory.limit_in_bytes", text_i64(m, limit));
	if (swap < 0 || (limit < 0 && swap == 0))
		add(m, CGROUP_WRITE_OPTIONAL, "swap limit", "memory", "memory.memsw.limit_in_bytes", "-1");
	else if (swap > 0)
		add(m, 0, "swap limit", "memory", "memory.memsw.limit_in_bytes", text_i64(m, swap));
	if (number(mem->reservation) != 0)
		add(m, 0, "memory reservation", "memory", "memory.soft_limit_in_bytes", text_i64(m, *mem->reservation));
	if (number(mem->kernel_tcp) != 0)
		add(m, 0, "kernel TCP memory limit", "memory", "memory.kmem.tcp.limit_in_bytes",
		    text_i64(m, *mem->kernel_tcp));
	if (mem->swappiness)
		add(m, 0, "swappiness", "memory", "memory.swappiness", text_u64(m, *mem->swappiness));
	if (mem->disable_oom_killer && *mem->disable_oom_killer)
		add(m, 0, "OOM killer setting", "memory", "memory.oom_control", "1");
	return 0;
}

static bool cpu_is_idle(const struct spec_cpu *cpu)
{
	return number(cpu->idle) == 1;
}

static int cpu_v2(struct maker *m, const struct spec_cpu *cpu, struct error *err)
{
	int64_t quota = number(cpu->quota);
	uint64_t period = cpu->period ? *cpu->period : 0;

	if (number(cpu->realtime_runtime) != 0 || (cpu->realtime_period && *cpu->realtime_period))
		return error_set(err, EINVAL, "cpu.realtimeRuntime and cpu.realtimePeriod cannot be set on cgroup v2");
	if (cpu->idle)
		add(m, *cpu->idle == 0 ? CGROUP_WRITE_OPTIONAL : 0, "idle CPU", "cpu", "cpu.idle",
		    text_i64(m, *cpu->idle));
	/* An idle cgroup has the least weight and takes no other. */
	if (cpu->shares && *cpu->shares && !cpu_is_idle(cpu))
		add(m, 0, "CPU shares", "cpu", "cpu.weight", text_u64(m, cgroup_cpu_weight(*cpu->shares)));
	/* burst <= quota must hold at any time. */
	if (cpu->burst)
		add(m, CGROUP_WRITE_RETRY | (*cpu->burst ? 0 : CGROUP_WRITE_OPTIONAL), "CPU burst", "cpu",
		    "cpu.max.burst", text_u64(m, *cpu->burst));
	if (quota != 0 || period != 0)
		add(m, 0, "CPU quota", "cpu", "cpu.max",
		    arena_printf(m->arena, "%s %" PRIu64, quota > 0 ? text_i64(m, quota) : "max",
				 period ? period : PERIOD_DEFAULT));
	return 0;
}

static void cpu_v1(struct maker *m, const struct spec_cpu *cpu)
{
	if (cpu->idle)
		add(m, *cpu->idle == 0 ? CGROUP_WRITE_OPTIONAL : 0, "idle CPU", "cpu", "cpu.idle",
		    text_i64(m, *cpu->idle));
	if (cpu->shares && *cpu->shares && !cpu_is_idle(cpu))
		add(m, 0, "CPU shares", "cpu", "cpu.shares", text_u64(m, *cpu->shares));
	if (cpu->burst)
		add(m, CGROUP_WRITE_RETRY | (*cpu->burst ? 0 : CGROUP_WRITE_OPTIONAL), "CPU burst", "cpu",
		    "cpu.cfs_burst_us", text_u64(m, *cpu->burst));
	/* A parent's limit may allow the new period only with the new quota. */
	if (cpu->period && *cpu->period)
		add(m, CGROUP_WRITE_RETRY, "CPU period", "cpu", "cpu.cfs_period_us", text_u64(m, *cpu->period));
	if (number(cpu->quota) != 0)
		add(m, CGROUP_WRITE_RETRY, "CPU quota", "cpu", "cpu.cfs_quota_us", text_i64(m, *cpu->quota));
	if (cpu->realtime_period && *cpu->realtime_period)
		add(m, CGROUP_WRITE_RETRY, "realtime period", "cpu", "cpu.rt_period_us",
		    text_u64(m, *cpu->realtime_period));
	if (number(cpu->realtime_runtime) != 0)
		add(m, CGROUP_WRITE_RETRY, "realtime runtime", "cpu", "cpu.rt_runtime_us",
		    text_i64(m, *cpu->realtime_runtime));
}

static void cpuset(struct maker *m, const struct spec_cpu *cpu)
{
	if (cpu->cpus && cpu->cpus[0])
		add(m, 0, "cpuset", "cpuset", "cpuset.cpus", cpu->cpus);
	if (cpu->mems && cpu->mems[0])
		add(m, 0, "cpuset", "cpuset", "cpuset.mems", cpu->mems);
}

static void pids(struct maker *m, const struct spec_pids *p)
{
	/*
	 * runtime-spec 1.3: 0 is a limit, too. There is one process already; 1, as systemd knows no 0, and as runc.
	 * Before 1.3 it was none, and callers still write it for that: it needs no controller.
	 */
	if (p->limit)
		add(m, *p->limit <= 0 ? CGROUP_WRITE_OPTIONAL : 0, "pids limit", "pids", "pids.max",
		    text_max(m, *p->limit ? *p->limit : 1));
}

struct throttle {
	const struct spec_throttle_device *devices;
	size_t n;
	const char *v1_file, *v2_key;
};

static void throttles(struct maker *m, const struct spec_block_io *io, bool v2)
{
	const struct throttle kinds[] = {
	    {io->throttle_read_bps, io->n_throttle_read_bps, "blkio.throttle.read_bps_device", "rbps"},
	    {io->throttle_write_bps, io->n_throttle_write_bps, "blkio.throttle.write_bps_device", "wbps"},
	    {io->throttle_read_iops, io->n_throttle_read_iops, "blkio.throttle.read_iops_device", "riops"},
	    {io->throttle_write_iops, io->n_throttle_write_iops, "blkio.throttle.write_iops_device", "wiops"},
	};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (size_t i = 0; i < kinds[k].n; i++) {
			const struct spec_throttle_device *d = &kinds[k].devices[i];

			if (v2) /* 0 takes a limit away on v1; v2's word for that is "max" */
				add(m, 0, "I/O limit", "io", "io.max",
				    arena_printf(m->arena, "%" PRId64 ":%" PRId64 " %s=%s", d->major, d->minor,
						 kinds[k].v2_key, d->rate ? text_u64(m, d->rate) : "max"));
			else
				add(m, 0, "I/O limit", "blkio", kinds[k].v1_file,
				    arena_printf(m->arena, "%" PRId64 ":%" PRId64 " %" PRIu64, d->major, d->minor,
						 d->rate));
		}
	}
}

static const char *device_weight(struct maker *m, const struct spec_weight_device *d, uint64_t weight)
{
	return arena_printf(m->arena, "%" PRId64 ":%" PRId64 " %" PRIu64, d->major, d->minor, weight);
}

static int block_io_v2(struct maker *m, const struct spec_block_io *io, struct error *err)
{
	if (io->leaf_weight && *io->leaf_weight)
		return error_set(err, EINVAL, "blockIO.leafWeight cannot be set on cgroup v2");
	if (io->weight && *io->weight) {
		add(m, CGROUP_WRITE_ELSE_NEXT, "I/O weight", "io", "io.bfq.weight", text_u64(m, *io->weight));
		add(m, 0, "I/O weight", "io", "io.weight", text_u64(m, cgroup_io_weight(*io->weight)));
	}
	for (size_t i = 0; i < io->n_weight_device; i++) {
		const struct spec_weight_device *d = &io->weight_device[i];

		if (d->leaf_weight && *d->leaf_weight)
			return error_set(err, EINVAL, "blockIO.weightDevice[].leafWeight cannot be set on cgroup v2");
		if (!d->weight || !*d->weight)
			continue;
		add(m, CGROUP_WRITE_ELSE_NEXT, "I/O weight", "io", "io.bfq.weight", device_weight(m, d, *d->weight));
		add(m, 0, "I/O weight", "io", "io.weight", device_weight(m, d, cgroup_io_weight(*d->weight)));
	}
	throttles(m, io, true);
	return 0;
}

static void block_io_v1(struct maker *m, const struct spec_block_io *io)
{
	if (io->weight && *io->weight) {
		add(m, CGROUP_WRITE_ELSE_NEXT, "I/O weight", "blkio", "blkio.bfq.weight", text_u64(m, *io->weight));
		add(m, 0, "I/O weight", "blkio", "blkio.weight", text_u64(m, *io->weight));
	}
	if (io->leaf_weight && *io->leaf_weight)
		add(m, 0, "I/O leaf weight", "blkio", "blkio.leaf_weight", text_u64(m, *io->leaf_weight));
	for (size_t i = 0; i < io->n_weight_device; i++) {
		const struct spec_weight_device *d = &io->weight_device[i];

		if (d->weight && *d->weight) {
			const char *value = device_weight(m, d, *d->weight);

			add(m, CGROUP_WRITE_ELSE_NEXT, "I/O weight", "blkio", "blkio.bfq.weight_device", value);
			add(m, 0, "I/O weight", "blkio", "blkio.weight_device", value);
		}
		if (d->leaf_weight && *d->leaf_weight)
			add(m, 0, "I/O leaf weight", "blkio", "blkio.leaf_weight_device",
			    device_weight(m, d, *d->leaf_weight));
	}
	throttles(m, io, false);
}

/* "64KB", "2MB", "1GB": it becomes a part of a file's name. */
static bool page_size_valid(const char *s)
{
	size_t digits = s ? strspn(s, "0123456789") : 0;

	return digits > 0 && digits <= 6 && s[digits] && strchr("KMGTPE", s[digits]) &&
	       strcmp(s + digits + 1, "B") == 0;
}

static int hugepages(struct maker *m, const struct spec_resources *res, const char *suffix, struct error *err)
{
	for (size_t i = 0; i < res->n_hugepage_limits; i++) {
		const struct spec_hugepage_limit *h = &res->hugepage_limits[i];
		const char *value = text_u64(m, h->limit);

		if (!page_size_valid(h->page_size))
			return error_set(err, EINVAL, "hugepageLimits: \"%s\" is no page size (such as 64KB, 2MB, 1GB)",
					 h->page_size ? h->page_size : "");
		add(m, 0, "hugepage limit", "hugetlb", arena_printf(m->arena, "hugetlb.%s.%s", h->page_size, suffix),
		    value);
		/* Linux 5.7 */
		add(m, CGROUP_WRITE_OPTIONAL, "hugepage limit", "hugetlb",
		    arena_printf(m->arena, "hugetlb.%s.rsvd.%s", h->page_size, suffix), value);
	}
	return 0;
}

static int rdma(struct maker *m, const struct spec_resources *res, struct error *err)
{
	for (size_t i = 0; i < res->n_rdma; i++) {
		const struct spec_rdma *d = &res->rdma[i];

		if (!d->device || !d->device[0] || strpbrk(d->device, " \t\n"))
			return error_set(err, EINVAL, "rdma: \"%s\" is no device name", d->device ? d->device : "");
		if (!d->hca_handles && !d->hca_objects)
			return error_set(err, EINVAL, "rdma: %s: needs hcaHandles or hcaObjects", d->device);
		add(m, 0, "RDMA limit", "rdma", "rdma.max",
		    arena_printf(m->arena, "%s%s%s", d->device,
				 d->hca_handles ? arena_printf(m->arena, " hca_handle=%u", *d->hca_handles) : "",
				 d->hca_objects ? arena_printf(m->arena, " hca_object=%u", *d->hca_objects) : ""));
	}
	return 0;
}

static int network_v1(struct maker *m, const struct spec_network *net, struct error *err)
{
	if (net->class_id && *net->class_id)
		add(m, 0, "network class", "net_cls", "net_cls.classid", text_u64(m, *net->class_id));
	for (size_t i = 0; i < net->n_priorities; i++) {
		const struct spec_interface_priority *p = &net->priorities[i];

		if (!p->name || !p->name[0] || strpbrk(p->name, " \t\n/"))
			return error_set(err, EINVAL, "network.priorities: \"%s\" is no interface name",
					 p->name ? p->name : "");
		add(m, 0, "network priority", "net_prio", "net_prio.ifpriomap",
		    arena_printf(m->arena, "%s %u", p->name, p->priority));
	}
	return 0;
}

/* These files move, stop or kill processes or change what the runtime itself set up: no limits. */
static bool unified_is_control(const char *key)
{
	static const char *const control[] = {"cgroup.procs",  "cgroup.threads", "cgroup.kill",
					      "cgroup.freeze", "cgroup.type",	 "cgroup.subtree_control"};

	for (size_t i = 0; i < ARRAY_SIZE(control); i++) {
		if (strcmp(control[i], key) == 0)
			return true;
	}
	return false;
}

static int unified_check(const char *key, struct error *err)
{
	const char *dot = strchr(key, '.');

	if (strchr(key, '/'))
		return error_set(err, EINVAL, "unified: \"%s\": must be a file's name, without a slash", key);
	if (!dot || dot == key)
		return error_set(err, EINVAL, "unified: the specified key has not the form CONTROLLER.VALUE `%s`", key);
	if (unified_is_control(key))
		return error_set(err, EINVAL, "unified: \"%s\" is no limit", key);
	return 0;
}

/* The kernel takes one line in one write (io.max of several devices). */
static int unified(struct maker *m, const struct spec_resources *res, struct error *err)
{
	for (size_t i = 0; i < res->n_unified; i++) {
		const char *key = res->unified[i].key, *line = res->unified[i].value;
		const char *controller;
		int r = unified_check(key, err);

		if (r < 0)
			return r;
		controller = arena_strndup(m->arena, key, strcspn(key, "."));
		while (*line) {
			size_t len = strcspn(line, "\n");

			if (len)
				add(m, 0, key, controller, key, arena_strndup(m->arena, line, len));
			line += len + (line[len] == '\n');
		}
	}
	return 0;
}

static size_t unified_lines(const struct spec_resources *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_unified; i++) {
		n++;
		for (const char *p = r->unified[i].value; (p = strchr(p, '\n')); p++)
			n++;
	}
	return n;
}

static int maker_init(struct maker *m, const struct spec_resources *r, struct arena *a, struct error *err)
{
	size_t room = FIXED_WRITES + 2 * r->n_hugepage_limits + r->n_rdma + unified_lines(r);

	if (r->block_io)
		room += 3 * r->block_io->n_weight_device + r->block_io->n_throttle_read_bps +
			r->block_io->n_throttle_write_bps + r->block_io->n_throttle_read_iops +
			r->block_io->n_throttle_write_iops;
	if (r->network)
		room += r->network->n_priorities;
	*m = (struct maker){.arena = a, .room = room, .plan = {.memory_must_fit = -1}};
	m->plan.writes = arena_calloc(a, room, sizeof(*m->plan.writes));
	return m->plan.writes ? 0 : error_set(err, ENOMEM, "cgroup limits: out of memory");
}

static int maker_finish(const struct maker *m, struct cgroup_plan *ret, struct error *err)
{
	if (m->failed)
		return error_set(err, ENOMEM, "cgroup limits: out of memory");
	*ret = m->plan;
	return 0;
}

int cgroup_plan_v2(const struct spec_resources *res, struct arena *a, struct cgroup_plan *ret, struct error *err)
{
	const struct spec_resources none = {0};
	struct maker m;
	int r;

	res = res ? res : &none;
	r = maker_init(&m, res, a, err);
	if (r == 0 && res->network &&
	    ((res->network->class_id && *res->network->class_id) || res->network->n_priorities))
		r = error_set(err, EINVAL, "network.classID and network.priorities cannot be set on cgroup v2");
	if (r == 0 && res->memory)
		r = memory_v2(&m, res->memory, err);
	if (r == 0 && res->cpu)
		r = cpu_v2(&m, res->cpu, err);
	if (r < 0)
		return r;
	if (res->cpu)
		cpuset(&m, res->cpu);
	if (res->pids)
		pids(&m, res->pids);
	if (res->block_io)
		r = block_io_v2(&m, res->block_io, err);
	if (r == 0)
		r = hugepages(&m, res, "max", err);
	if (r == 0)
		r = rdma(&m, res, err);
	if (r == 0)
		r = unified(&m, res, err);
	return r < 0 ? r : maker_finish(&m, ret, err);
}

int cgroup_plan_v1(const struct spec_resources *res, struct arena *a, struct cgroup_plan *ret, struct error *err)
{
	const struct spec_resources none = {0};
	struct maker m;
	int r;

	res = res ? res : &none;
	if (res->n_unified)
		return error_set(err, EINVAL, "invalid configuration: unified: \"%s\" cannot be set on cgroup v1",
				 res->unified[0].key);
	r = maker_init(&m, res, a, err);
	if (r == 0 && res->memory)
		r = memory_v1(&m, res->memory, err);
	if (r < 0)
		return r;
	if (res->cpu) {
		cpu_v1(&m, res->cpu);
		cpuset(&m, res->cpu);
	}
	if (res->pids)
		pids(&m, res->pids);
	if (res->block_io)
		block_io_v1(&m, res->block_io);
	r = hugepages(&m, res, "limit_in_bytes", err);
	if (r == 0 && res->network)
		r = network_v1(&m, res->network, err);
	if (r == 0)
		r = rdma(&m, res, err);
	return r < 0 ? r : maker_finish(&m, ret, err);
}
