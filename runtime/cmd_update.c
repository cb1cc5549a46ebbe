/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "runtime/command.h"
#include "runtime/state_dir.h"
#include "runtime/systemd.h"

struct options {
	const char *resources, *blkio_weight, *cpu_period, *cpu_quota, *cpu_burst, *cpu_share, *cpu_rt_period,
	    *cpu_rt_runtime, *cpuset_cpus, *cpuset_mems, *memory, *memory_reservation, *memory_swap, *pids_limit,
	    *cpu_idle, *l3_cache_schema, *mem_bw_schema;
};

#define AT(member) offsetof(struct options, member)
static const struct arg_option update_options[] = {
    {"resources", 'r', ARG_STR, AT(resources), "FILE", "JSON as linux.resources in config.json; -: stdin"},
    {"blkio-weight", 0, ARG_STR, AT(blkio_weight), "N", "weight of I/O, 10 to 1000"},
    {"cpu-period", 0, ARG_STR, AT(cpu_period), "USEC", "period of the CPU quota"},
    {"cpu-quota", 0, ARG_STR, AT(cpu_quota), "USEC", "CPU time in each period; -1: no limit"},
    {"cpu-burst", 0, ARG_STR, AT(cpu_burst), "USEC", "unused quota that may be saved up"},
    {"cpu-share", 0, ARG_STR, AT(cpu_share), "N", "relative weight of CPU time"},
    {"cpu-rt-period", 0, ARG_STR, AT(cpu_rt_period), "USEC", "period of realtime CPU time"},
    {"cpu-rt-runtime", 0, ARG_STR, AT(cpu_rt_runtime), "USEC", "realtime CPU time in each period"},
    {"cpuset-cpus", 0, ARG_STR, AT(cpuset_cpus), "LIST", "CPUs to use"},
    {"cpuset-mems", 0, ARG_STR, AT(cpuset_mems), "LIST", "memory nodes to use"},
    {"memory", 0, ARG_STR, AT(memory), "BYTES", "memory limit (512m, 1g); -1: none"},
    {"memory-reservation", 0, ARG_STR, AT(memory_reservation), "BYTES", "soft memory limit"},
    {"memory-swap", 0, ARG_STR, AT(memory_swap), "BYTES", "limit of memory and swap; -1: none"},
    {"pids-limit", 0, ARG_STR, AT(pids_limit), "N", "number of processes; -1: no limit"},
    {"cpu-idle", 0, ARG_STR, AT(cpu_idle), "0|1", "SCHED_IDLE for the cgroup"},
    {"l3-cache-schema", 0, ARG_STR, AT(l3_cache_schema), "SCHEMA", "Intel RDT's share of the cache (L3:0=ff;1=c0)"},
    {"mem-bw-schema", 0, ARG_STR, AT(mem_bw_schema), "SCHEMA", "Intel RDT's share of memory bandwidth (MB:0=20;1=70)"},
    {"kernel-memory", 0, ARG_IGNORE_VALUE, 0, "BYTES", NULL},
    {"kernel-memory-tcp", 0, ARG_IGNORE_VALUE, 0, "BYTES", NULL},
    {NULL},
};

/* A number for an optional member, in the arena; size suffixes b k m g t where `size`. */
static int parse_number(const char *text, bool size, int64_t **ret, struct arena *arena, struct error *err)
{
	static const char suffixes[] = "bkmgt";
	size_t len = text ? strlen(text) : 0;
	const char *suffix = size && len > 1 ? strchr(suffixes, text[len - 1] | 0x20) : NULL;
	char digits[32];
	int64_t n, factor = 1;

	if (!text)
		return 0;
	if (suffix && *suffix) {
		factor = INT64_C(1) << (10 * (suffix - suffixes));
		len--;
	}
	if (len >= sizeof(digits))
		return error_set(err, EINVAL, "\"%s\" is not a number", text);
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (num_parse_i64(digits, -1, INT64_MAX / factor, &n) < 0)
		return error_set(err, EINVAL, "\"%s\" is not a number%s", text, size ? " of bytes (512m, 1g, -1)" : "");
	*ret = arena_alloc(arena, sizeof(**ret));
	if (!*ret)
		return error_set(err, ENOMEM, "out of memory");
	**ret = n < 0 ? n : n * factor;
	return 0;
}

static int parse_unsigned(const char *text, uint64_t **ret, struct arena *arena, struct error *err)
{
	uint64_t n;

	if (!text)
		return 0;
	if (num_parse_u64(text, INT64_MAX, &n) < 0)
		return error_set(err, EINVAL, "\"%s\" is not a number", text);
	*ret = arena_alloc(arena, sizeof(**ret));
	if (!*ret)
		return error_set(err, ENOMEM, "out of memory");
	**ret = n;
	return 0;
}

static int cpu_from_flags(const struct options *o, struct arena *arena, struct spec_cpu *c, struct error *err)
{
	const struct {
		const char *text;
		uint64_t **member;
	} numbers[] = {
	    {o->cpu_share, &c->shares},
	    {o->cpu_burst, &c->burst},
	    {o->cpu_period, &c->period},
	    {o->cpu_rt_period, &c->realtime_period},
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(numbers) && r == 0; i++)
		r = parse_unsigned(numbers[i].text, numbers[i].member, arena, err);
	if (r == 0)
		r = parse_number(o->cpu_quota, false, &c->quota, arena, err);
	if (r == 0)
		r = parse_number(o->cpu_rt_runtime, false, &c->realtime_runtime, arena, err);
	if (r == 0)
		r = parse_number(o->cpu_idle, false, &c->idle, arena, err);
	c->cpus = o->cpuset_cpus;
	c->mems = o->cpuset_mems;
	return r;
}

static int block_io_from_flags(const struct options *o, struct arena *arena, struct spec_resources *ret,
			       struct error *err)
{
	struct spec_block_io *b = arena_alloc(arena, sizeof(*b));
	uint16_t *weight = arena_alloc(arena, sizeof(*weight));
	uint64_t n;

	if (!o->blkio_weight)
		return 0;
	if (!b || !weight)
		return error_set(err, ENOMEM, "out of memory");
	if (num_parse_u64(o->blkio_weight, 1000, &n) < 0 || n < 10)
		return error_set(err, EINVAL, "--blkio-weight: \"%s\" is not a number from 10 to 1000",
				 o->blkio_weight);
	*weight = (uint16_t)n;
	b->weight = weight;
	ret->block_io = b;
	return 0;
}

static int from_flags(const struct options *o, struct arena *arena, struct spec_resources *ret, struct error *err)
{
	struct spec_memory *m = arena_alloc(arena, sizeof(*m));
	struct spec_cpu *c = arena_alloc(arena, sizeof(*c));
	struct spec_pids *p = arena_alloc(arena, sizeof(*p));
	int r;

	if (!m || !c || !p)
		return error_set(err, ENOMEM, "out of memory");
	r = parse_number(o->memory, true, &m->limit, arena, err);
	if (r == 0)
		r = parse_number(o->memory_reservation, true, &m->reservation, arena, err);
	if (r == 0)
		r = parse_number(o->memory_swap, true, &m->swap, arena, err);
	if (r == 0)
		r = parse_number(o->pids_limit, false, &p->limit, arena, err);
	if (r == 0)
		r = cpu_from_flags(o, arena, c, err);
	if (r == 0)
		r = block_io_from_flags(o, arena, ret, err);
	ret->memory = m;
	ret->cpu = c;
	if (p->limit)
		ret->pids = p;
	return r;
}

static int from_file(const char *file, struct arena *arena, struct spec_resources *ret, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (strcmp(file, "-") != 0)
		return json_parse_file(AT_FDCWD, file, file, &spec_resources_table, arena, ret, err);
	r = read_fd(STDIN_FILENO, JSON_MAX_SIZE, &text, &len);
	if (r < 0)
		return error_errno(err, r, "read the resources from stdin");
	return json_parse(text, len, "stdin", &spec_resources_table, arena, ret, err);
}

/* v2 has quota and period in one file: the one that is not named stays as it is. */
static int complete_cpu(const struct cgroup *cg, struct spec_resources *r, struct arena *arena, struct error *err)
{
	bool quota = r->cpu && r->cpu->quota && *r->cpu->quota, period = r->cpu && r->cpu->period && *r->cpu->period;
	_cleanup_free_ char *text = NULL;
	uint64_t *old_period;
	int64_t *old_quota;

	if (quota == period || cg->mode != CGROUP_V2 || cg->dir_fd < 0 ||
	    read_file_at(cg->dir_fd, "cpu.max", 64, &text, NULL) < 0)
		return 0;
	old_period = arena_alloc(arena, sizeof(*old_period));
	old_quota = arena_alloc(arena, sizeof(*old_quota));
	if (!old_period || !old_quota)
		return error_set(err, ENOMEM, "out of memory");
	if (quota && sscanf(text, "%*s %" SCNu64, old_period) == 1)
		r->cpu->period = old_period;
	/* "max": none */
	if (period && sscanf(text, "%" SCNd64, old_quota) == 1)
		r->cpu->quota = old_quota;
	return 0;
}

/* Else systemd would set the old limits again, when it reads its units anew. */
static int set_unit(const struct container_state *s, const struct spec_resources *resources, struct arena *arena,
		    struct error *err)
{
	struct systemd_unit unit;
	int r = systemd_plan_update(s->systemd_scope, resources, (enum cgroup_mode)s->cgroup_mode, arena, &unit, err);

	return r == 0 ? systemd_set(&unit, s->rootless, err) : r;
}

static int update_rdt(const struct container_state *s, const struct options *o, struct arena *arena, struct error *err)
{
	const char *mount;
	int r;

	if (!o->l3_cache_schema && !o->mem_bw_schema)
		return 0;
	r = intel_rdt_find(arena, &mount, err);
	if (r == 0 && !s->rdt.name)
		r = error_set(err, ENOTSUP, "updating a non-existent Intel RDT configuration is not supported");
	return r == 0 ? intel_rdt_update(mount, &s->rdt, o->l3_cache_schema, o->mem_bw_schema, arena, err) : r;
}

static int update_cgroup(const struct container_state *s, struct spec_resources *resources, struct arena *arena,
			 struct error *err)
{
	struct cgroup cg = CGROUP_INIT;
	int r = container_cgroup(s, &cg, err);

	if (r == 0)
		r = complete_cpu(&cg, resources, arena, err);
	if (r == 0 && s->systemd_scope)
		r = set_unit(s, resources, arena, err);
	if (r == 0)
		r = cgroup_apply(&cg, resources, true, err);
	cgroup_close(&cg);
	return r;
}

static int run_update(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_container_ struct container c = CONTAINER_INIT;
	struct spec_resources resources = {.n_devices = 0};
	struct options o = {.resources = NULL};
	struct arg_list args;
	int r = command_parse(&command_update, argc, argv, 1, 1, &o, &arena, &args, err);

	if (r <= 0)
		return r;
	r = container_open(g->root, args.items[0], &arena, &c, err);
	if (r == 0)
		r = o.resources ? from_file(o.resources, &arena, &resources, err)
				: from_flags(&o, &arena, &resources, err);
	if (r < 0)
		return r;
	if (c.status == OCI_STOPPED)
		return error_set(err, ESRCH, "container not running: no such process");
	if (!c.state.cgroup_path)
		return error_set(err, ENOTSUP, "the container has no cgroup");
	r = update_cgroup(&c.state, &resources, &arena, err);
	return r == 0 ? update_rdt(&c.state, &o, &arena, err) : r;
}

const struct command command_update = {
    "update", "[options] ID", "change the limits of a container", update_options, 0, run_update, 1,
};
