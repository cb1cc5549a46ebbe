/* SPDX-License-Identifier: Apache-2.0 */
/* From the spec to properties of a unit (systemd.resource-control(5), org.freedesktop.systemd1(5)). Pure. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "runtime/cgroup_plan.h"
#include "runtime/systemd.h"
#include "runtime/systemd_property.h"

#define PROPERTIES_MAX 128
#define UNIT_NAME_MAX 255 /* UNIT_NAME_MAX of systemd, with the NUL */
#define ANNOTATION "org.systemd.property."

/* --- the place ------------------------------------------------------------------- */

static bool unit_name_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < UNIT_NAME_MAX &&
	       strspn(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\@") == len;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), e = strlen(end);

	return n > e && strcmp(s + n - e, end) == 0;
}

static int bad_place(const char *text, struct error *err)
{
	return error_set(err, EINVAL,
			 "linux.cgroupsPath: \"%s\" is not of the form slice:prefix:name, as --systemd-cgroup says",
			 text);
}

int systemd_place_parse(const char *cgroups_path, const char *id, bool rootless, struct arena *arena,
			struct systemd_place *ret, struct error *err)
{
	const char *fallback = rootless ? "user.slice" : "system.slice", *slice = fallback, *prefix = "volrun",
		   *name = id;

	if (cgroups_path && *cgroups_path) {
		char *copy = arena_strdup(arena, cgroups_path), *p, *n;

		if (!copy)
			return error_set(err, ENOMEM, "out of memory");
		p = strchr(copy, ':');
		n = p ? strchr(p + 1, ':') : NULL;
		name = n ? n + 1 : p ? p + 1 : "";
		if (!*name || strchr(name, ':') || strchr(copy, '/'))
			return bad_place(cgroups_path, err);
		*p++ = '\0';
		if (n)
			*n = '\0';
		slice = *copy ? copy : fallback;
		prefix = n ? p : "";
	}
	if (!ends_with(slice, ".slice") || !unit_name_valid(slice))
		return error_set(err, EINVAL, "linux.cgroupsPath: \"%s\" is not the name of a slice", slice);
	ret->slice = slice;
	ret->unit = ends_with(name, ".slice") ? name
		    : *prefix		      ? arena_printf(arena, "%s-%s.scope", prefix, name)
					      : arena_printf(arena, "%s.scope", name);
	if (!ret->unit)
		return error_set(err, ENOMEM, "out of memory");
	if (!unit_name_valid(ret->unit))
		return error_set(err, EINVAL, "linux.cgroupsPath: \"%s\" can't be the name of a unit", ret->unit);
	return 0;
}

/* --- properties -------------------------------------------------------------------- */

struct maker {
	struct arena *arena;
	struct systemd_unit *u;
	bool no_memory;
};

static void add_text(struct maker *m, const char *name, const char *type, const char *value)
{
	struct systemd_property *p = &m->u->properties[m->u->n_properties];
	const char **values = arena_calloc(m->arena, 1, sizeof(*values));

	if (!values || !value || m->u->n_properties >= PROPERTIES_MAX) {
		m->no_memory = true;
		return;
	}
	values[0] = value;
	*p = (struct systemd_property){.name = name, .type = type, .values = values, .n_values = 1};
	m->u->n_properties++;
}

static void add_number(struct maker *m, const char *name, uint64_t n)
{
	add_text(m, name, "t", arena_printf(m->arena, "%" PRIu64, n));
}

/* -1 is no limit. */
static void add_limit(struct maker *m, const char *name, const int64_t *limit)
{
	if (limit && *limit != 0)
		add_number(m, name, *limit < 0 ? UINT64_MAX : (uint64_t)*limit);
}

/* "0-3,8" as the bytes of a bit mask. */
static int add_mask(struct maker *m, const char *name, const char *list, struct error *err)
{
	unsigned char mask[128] = {0};
	char hex[2 * sizeof(mask) + 1];
	unsigned long last = 0;
	size_t bytes = 0;

	for (const char *p = list; *p; p += *p == ',') {
		char *end;
		unsigned long first = strtoul(p, &end, 10);

		last = first;
		if (end == p)
			return error_set(err, EINVAL, "linux.resources.cpu: \"%s\" is no list of numbers", list);
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if ((*end && *end != ',') || last >= 8 * sizeof(mask) || last < first)
			return error_set(err, EINVAL, "linux.resources.cpu: \"%s\" is no list of numbers", list);
		for (; first <= last; first++)
			mask[first / 8] |= (unsigned char)(1u << first % 8);
		if (bytes < last / 8 + 1)
			bytes = last / 8 + 1;
		p = end;
	}
	hex_encode(mask, bytes, hex);
	add_text(m, name, "ay", arena_strdup(m->arena, hex));
	return 0;
}

static int add_cpu(struct maker *m, const struct spec_cpu *c, bool v2, struct error *err)
{
	uint64_t period = c->period && *c->period ? *c->period : 100000;
	int r = 0;

	/* systemd's word for cpu.idle, where a weight has no meaning (systemd 252; volrun-systemd leaves it out
	 * before). */
	if (v2 && c->idle && *c->idle > 0)
		add_number(m, "CPUWeight", 0);
	else if (c->shares && *c->shares)
		add_number(m, v2 ? "CPUWeight" : "CPUShares", v2 ? cgroup_cpu_weight(*c->shares) : *c->shares);
	else if (v2 && c->idle) /* the kernel forgets the weight when it ends to be idle */
		add_number(m, "CPUWeight", UINT64_MAX);
	if (c->quota && *c->quota > 0) {
		uint64_t quota = (uint64_t)*c->quota, step = 10000;
		/* systemd rounds to 10 ms per second, and refuses less. */
		uint64_t steps =
		    quota / period * (1000000 / step) + (quota % period * (1000000 / step) + period - 1) / period;

		add_number(m, "CPUQuotaPerSecUSec", steps > UINT64_MAX / step ? UINT64_MAX : steps * step);
	} else if (c->quota && *c->quota < 0) {
		add_number(m, "CPUQuotaPerSecUSec", UINT64_MAX);
	}
	if (v2 && c->period && *c->period)
		add_number(m, "CPUQuotaPeriodUSec", period);
	if (v2 && c->cpus && *c->cpus)
		r = add_mask(m, "AllowedCPUs", c->cpus, err);
	if (r == 0 && v2 && c->mems && *c->mems)
		r = add_mask(m, "AllowedMemoryNodes", c->mems, err);
	return r;
}

static void add_memory(struct maker *m, const struct spec_memory *s, bool v2)
{
	add_limit(m, v2 ? "MemoryMax" : "MemoryLimit", s->limit);
	if (!v2)
		return;
	add_limit(m, "MemoryLow", s->reservation);
	/* The spec's swap counts memory, too. */
	if (s->swap && *s->swap < 0)
		add_number(m, "MemorySwapMax", UINT64_MAX);
	else if (s->swap && *s->swap == 0)
		add_number(m, "MemorySwapMax", 0);
	else if (s->swap && s->limit && *s->limit > 0 && *s->swap >= *s->limit)
		add_number(m, "MemorySwapMax", (uint64_t)(*s->swap - *s->limit));
}

/* The files of `unified` that systemd has a property for: else it would set its own value again on a reload. */
static int add_unified(struct maker *m, const struct json_pair *pair, struct error *err)
{
	static const struct {
		const char *file, *property;
	} numbers[] = {
	    {"memory.max", "MemoryMax"},	  {"memory.high", "MemoryHigh"}, {"memory.low", "MemoryLow"},
	    {"memory.min", "MemoryMin"},	  {"pids.max", "TasksMax"},	 {"cpu.weight", "CPUWeight"},
	    {"memory.swap.max", "MemorySwapMax"},
	};
	uint64_t n;

	if (strcmp(pair->key, "cpuset.cpus") == 0)
		return add_mask(m, "AllowedCPUs", pair->value, err);
	if (strcmp(pair->key, "cpuset.mems") == 0)
		return add_mask(m, "AllowedMemoryNodes", pair->value, err);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (strcmp(pair->key, numbers[i].file) != 0)
			continue;
		if (strcmp(pair->value, "max") == 0)
			add_number(m, numbers[i].property, UINT64_MAX);
		else if (num_parse_u64(pair->value, UINT64_MAX, &n) == 0)
			add_number(m, numbers[i].property, n);
	}
	return 0;
}

static int add_resources(struct maker *m, const struct spec_resources *r, bool v2, struct error *err)
{
	int e = 0;

	if (r->memory)
		add_memory(m, r->memory, v2);
	if (r->pids && r->pids->limit)
		add_number(m, "TasksMax",
			   *r->pids->limit < 0 ? UINT64_MAX
			   : *r->pids->limit   ? (uint64_t)*r->pids->limit
					       : 1);
	if (r->block_io && r->block_io->weight && *r->block_io->weight)
		add_number(m, v2 ? "IOWeight" : "BlockIOWeight",
			   v2 ? cgroup_io_weight(*r->block_io->weight) : *r->block_io->weight);
	if (r->cpu && (e = add_cpu(m, r->cpu, v2, err)) < 0)
		return e;
	/* Last: it counts before the others. */
	for (size_t i = 0; v2 && e == 0 && i < r->n_unified; i++)
		e = add_unified(m, &r->unified[i], err);
	return e;
}

/*
 * Annotations come from who asks for the container. What these do is done to other units or to the machine (reboot,
 * power off), or puts the container elsewhere than its engine wants it.
 */
static bool is_for_others(const char *name)
{
	static const char *const names[] = {
	    "BindsTo",		"Conflicts",
	    "ControlGroup",	"FailureAction",
	    "JobTimeoutAction", "JobTimeoutRebootArgument",
	    "OnFailure",	"OnFailureJobMode",
	    "OnSuccess",	"OnSuccessJobMode",
	    "PIDFDs",		"PIDs",
	    "PartOf",		"PropagatesStopTo",
	    "RebootArgument",	"Requires",
	    "Requisite",	"Slice",
	    "StartLimitAction", "StopPropagatedFrom",
	    "SuccessAction",	"Triggers",
	    "Upholds",		"Wants",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return strncmp(name, "Exec", strlen("Exec")) == 0;
}

static int add_annotations(struct maker *m, const struct spec *spec, struct error *err)
{
	for (size_t i = 0; i < spec->n_annotations; i++) {
		const char *key = spec->annotations[i].key;
		struct systemd_property p;
		int r;

		if (strncmp(key, ANNOTATION, strlen(ANNOTATION)) != 0)
			continue;
		if (is_for_others(key + strlen(ANNOTATION)))
			return error_set(err, EINVAL,
					 "annotation \"%s\": not for a container: it would act on other units or on "
					 "the machine",
					 key);
		r = systemd_property_parse(key + strlen(ANNOTATION), spec->annotations[i].value, m->arena, &p, err);
		if (r < 0)
			return error_wrap(err, "annotation \"%s\"", key);
		if (m->u->n_properties >= PROPERTIES_MAX)
			return error_set(err, E2BIG, "annotations: more than %d properties of the unit",
					 PROPERTIES_MAX);
		m->u->properties[m->u->n_properties++] = p;
	}
	return 0;
}

static int begin(struct maker *m, const char *unit, struct arena *arena, struct systemd_unit *u, struct error *err)
{
	*u = (struct systemd_unit){.unit = unit,
				   .properties = arena_calloc(arena, PROPERTIES_MAX, sizeof(*u->properties))};
	*m = (struct maker){.arena = arena, .u = u};
	return u->properties ? 0 : error_set(err, ENOMEM, "out of memory");
}

int systemd_plan_update(const char *unit, const struct spec_resources *resources, enum cgroup_mode mode,
			struct arena *arena, struct systemd_unit *ret, struct error *err)
{
	struct systemd_unit u;
	struct maker m;
	int r = begin(&m, unit, arena, &u, err);

	if (r == 0)
		r = add_resources(&m, resources, mode == CGROUP_V2, err);
	if (r == 0 && m.no_memory)
		r = error_set(err, ENOMEM, "out of memory");
	if (r == 0)
		*ret = u;
	return r;
}

int systemd_plan_start(const struct spec *spec, const struct systemd_place *place, const char *id, pid_t pid,
		       enum cgroup_mode mode, struct arena *arena, struct systemd_unit *ret, struct error *err)
{
	static const char *const on[] = {"CPUAccounting", "MemoryAccounting", "TasksAccounting", "Delegate"};
	bool v2 = mode == CGROUP_V2;
	struct systemd_unit u;
	struct maker m;
	int r = begin(&m, place->unit, arena, &u, err);

	if (r < 0)
		return r;
	add_text(&m, "Description", "s", arena_printf(arena, "volrun container %s", id));
	if (ends_with(place->unit, ".slice"))
		add_text(&m, "Wants", "as", place->slice);
	else
		add_text(&m, "Slice", "s", place->slice);
	add_text(&m, "PIDs", "au", arena_printf(arena, "%d", pid));
	for (size_t i = 0; i < ARRAY_SIZE(on); i++)
		add_text(&m, on[i], "b", "true");
	add_text(&m, v2 ? "IOAccounting" : "BlockIOAccounting", "b", "true");
	add_text(&m, "DefaultDependencies", "b", "false");
	if (spec->linux_->resources)
		r = add_resources(&m, spec->linux_->resources, v2, err);
	if (r == 0)
		r = add_annotations(&m, spec, err);
	if (r == 0 && m.no_memory)
		r = error_set(err, ENOMEM, "out of memory");
	if (r == 0)
		*ret = u;
	return r;
}
