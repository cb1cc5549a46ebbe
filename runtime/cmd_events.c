/* SPDX-License-Identifier: Apache-2.0 */
/* One JSON object per line, as runc's: {"type":"stats","id":...,"data":{...}} and {"type":"oom","id":...}. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "runtime/cgroup_stats.h"
#include "runtime/command.h"
#include "runtime/state_dir.h"

#define DEFAULT_INTERVAL_NS (5 * NSEC_PER_SEC)

struct options {
	const char *interval;
	bool stats;
};

static const struct arg_option events_options[] = {
    {"interval", 0, ARG_STR, offsetof(struct options, interval), "DURATION", "time between two reports (5s)"},
    {"stats", 0, ARG_BOOL, offsetof(struct options, stats), NULL, "one report, then end"},
    {NULL},
};

static int intel_rdt(const struct container_state *s, struct strbuf *out, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *mount;
	int r;

	if (!s->rdt.name) {
		strbuf_adds(out, "{}");
		return 0;
	}
	r = intel_rdt_find(&arena, &mount, err);
	return r == 0 ? intel_rdt_stats(mount, &s->rdt, s->id, &arena, out, err) : r;
}

static int print_stats(const struct container_state *s, const struct cgroup *cg, struct error *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT, rdt = STRBUF_INIT;
	int r = intel_rdt(s, &rdt, err);

	if (r < 0)
		return r;

	strbuf_adds(&out, "{\"type\":\"stats\",\"id\":");
	json_write_string(&out, s->id);
	strbuf_adds(&out, ",\"data\":");
	r = cgroup_stats(cg, strbuf_str(&rdt), &out, err);
	if (r < 0)
		return r;
	strbuf_adds(&out, "}\n");
	return fputs(strbuf_str(&out), stdout) < 0 || fflush(stdout) != 0 ? error_errno(err, errno, "print") : 0;
}

static void print_ooms(const char *id, uint64_t n)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

	for (; n; n--) {
		strbuf_adds(&out, "{\"type\":\"oom\",\"id\":");
		json_write_string(&out, id);
		strbuf_adds(&out, "}\n");
	}
	fputs(strbuf_str(&out), stdout);
	fflush(stdout);
}

/* Until the container's init ends. */
static int follow(const struct container *c, const struct cgroup *cg, int64_t interval, struct error *err)
{
	_cleanup_close_ int pidfd = -1, oom = -1;
	struct error no_oom = ERROR_INIT;
	int64_t next = clock_boottime_ns() + interval;
	uint64_t seen = 0, now;
	int r = container_pidfd(&c->state, &pidfd, err);

	if (r < 0)
		return r;
	/* Without the memory controller there are the reports alone. */
	cgroup_oom_open(cg, &oom, &no_oom);
	cgroup_oom_count(cg, &seen);
	while (r == 0) {
		struct pollfd p[] = {{.fd = pidfd, .events = POLLIN},
				     {.fd = oom, .events = cg->mode == CGROUP_V2 ? POLLPRI : POLLIN}};
		int64_t left = next - clock_boottime_ns();
		char sink[4096];

		if (left > 0 && poll(p, 2, (int)((left + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC)) < 0 && errno != EINTR)
			return error_errno(err, errno, "wait for events");
		if (p[1].revents) {
			/* v2: reading the file ends the exception; v1: the eventfd's count. */
			if (pread(oom, sink, sizeof(sink), 0) < 0 && read(oom, sink, sizeof(sink)) < 0)
				p[1].revents = 0;
		}
		if (cgroup_oom_count(cg, &now) == 0 && now > seen) {
			print_ooms(c->state.id, now - seen);
			seen = now;
		}
		if (p[0].revents)
			return 0;
		if (clock_boottime_ns() >= next) {
			next += interval;
			r = print_stats(&c->state, cg, err);
		}
	}
	return r;
}

static int run_events(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_container_ struct container c = CONTAINER_INIT;
	struct options o = {.interval = NULL};
	struct cgroup cg = CGROUP_INIT;
	int64_t interval = DEFAULT_INTERVAL_NS;
	struct arg_list args;
	int r = command_parse(&command_events, argc, argv, 1, 1, &o, &arena, &args, err);

	if (r <= 0)
		return r;
	if (o.interval && (duration_parse(o.interval, &interval) < 0 || interval < NSEC_PER_MSEC))
		return error_set(err, EINVAL, "--interval: \"%s\" is no duration such as 5s or 500ms, of at least 1ms",
				 o.interval);
	r = container_open(g->root, args.items[0], &arena, &c, err);
	if (r < 0)
		return r;
	if (c.status == OCI_STOPPED || c.status == OCI_CREATING)
		return error_set(err, ESRCH, "container with id %s is not running", c.state.id);
	if (!c.state.cgroup_path)
		return error_set(err, ENOTSUP, "the container has no cgroup: what it uses is not known");
	r = container_cgroup(&c.state, &cg, err);
	if (r == 0)
		r = o.stats ? print_stats(&c.state, &cg, err) : follow(&c, &cg, interval, err);
	cgroup_close(&cg);
	return r;
}

const struct command command_events = {
    "events", "[options] ID", "print what a container uses, and when memory runs out", events_options, 0, run_events, 1,
};
