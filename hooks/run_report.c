/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/run_report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "oci/json.h"

#define METRICS_MAX_SIZE 16384

static double seconds(int64_t from, int64_t to)
{
	return from > 0 && to > from ? (double)(to - from) / NSEC_PER_SEC : 0;
}

/* --- the report of one run ----------------------------------------------------------- */

struct report_file {
	const char *volume, *workspace, *store, *container, *node, *ended, *result, *error;
	bool unquiet;
	uint64_t epoch, commit, added, changed, deleted, skipped, bytes_in, bytes_out, requests;
	const char *lease_s, *restore_s, *run_s, *scan_s, *publish_s, *commit_s, *release_s;
};

#define SECONDS(member, key) JSON_FIELD(struct report_file, member, key, JSON_RAW)
#define COUNT(member, key) JSON_FIELD(struct report_file, member, key, JSON_U64, .write_empty = true)
static const struct json_field report_fields[] = {
    JSON_FIELD(struct report_file, volume, "volume", JSON_STR),
    JSON_FIELD(struct report_file, workspace, "workspace", JSON_STR),
    JSON_FIELD(struct report_file, store, "store", JSON_STR),
    JSON_FIELD(struct report_file, container, "container", JSON_STR),
    JSON_FIELD(struct report_file, node, "node", JSON_STR),
    JSON_FIELD(struct report_file, ended, "ended", JSON_STR),
    JSON_FIELD(struct report_file, result, "result", JSON_STR),
    JSON_FIELD(struct report_file, error, "error", JSON_STR),
    JSON_FIELD(struct report_file, unquiet, "unquiet", JSON_BOOL),
    COUNT(epoch, "epoch"),
    COUNT(commit, "commit"),
    COUNT(added, "files_added"),
    COUNT(changed, "files_changed"),
    COUNT(deleted, "files_deleted"),
    COUNT(skipped, "files_skipped"),
    COUNT(bytes_in, "downloaded_bytes"),
    COUNT(bytes_out, "uploaded_bytes"),
    COUNT(requests, "data_requests"),
    SECONDS(lease_s, "lease_seconds"),
    SECONDS(restore_s, "restore_seconds"),
    SECONDS(run_s, "run_seconds"),
    SECONDS(scan_s, "scan_seconds"),
    SECONDS(commit_s, "commit_seconds"),
    SECONDS(publish_s, "publish_seconds"), /* of these */
    SECONDS(release_s, "release_seconds"),
    {NULL},
};
static const struct json_table report_table = {"report", sizeof(struct report_file), report_fields, 0};

void run_report_write(const struct volume *v, const struct run_report *r)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char now[CLOCK_RFC3339_MAX];
	struct report_file f = {.volume = v->name,
				.workspace = v->workspace,
				.store = v->config->name,
				.container = r->container,
				.node = r->node,
				.ended = clock_rfc3339(NULL, now),
				.result = r->result,
				.error = r->error,
				.unquiet = r->unquiet,
				.epoch = r->epoch,
				.commit = r->commit,
				.added = r->out.files_added,
				.changed = r->out.files_changed,
				.deleted = r->out.files_deleted,
				.skipped = r->out.files_skipped,
				.bytes_in = r->in.bytes_in,
				.bytes_out = r->out.bytes_out,
				.requests = r->in.data_requests + r->out.data_requests};

	f.lease_s = arena_printf(&a, "%.3f", seconds(r->asked_ns, r->leased_ns));
	f.restore_s = arena_printf(&a, "%.3f", seconds(r->leased_ns, r->ready_ns));
	f.run_s = arena_printf(&a, "%.3f", seconds(r->ready_ns, r->ended_ns));
	f.scan_s = arena_printf(&a, "%.3f", (double)r->out.scan_ns / NSEC_PER_SEC);
	f.publish_s = arena_printf(&a, "%.3f", (double)r->out.publish_ns / NSEC_PER_SEC);
	f.commit_s = arena_printf(&a, "%.3f", seconds(r->ended_ns, r->committed_ns));
	f.release_s = arena_printf(&a, "%.3f", seconds(r->committed_ns, r->released_ns));
	json_write(&text, &report_table, &f, 2);
	strbuf_addc(&text, '\n');
	if (!text.failed)
		write_file_atomic_at(v->cache.dir_fd, "last-run.json", text.data, text.len, 0600, false);
}

void run_report_line(const struct volume *v, const struct run_report *r, struct strbuf *out)
{
	strbuf_addf(out, "volume %s: %s", v->name, r->result);
	if (r->commit)
		strbuf_addf(out, ", commit %" PRIu64 "%s", r->commit, r->unquiet ? " (unquiet)" : "");
	strbuf_addf(out,
		    " (container %s): %" PRIu64 " files added, %" PRIu64 " changed, %" PRIu64 " deleted, %" PRIu64
		    " bytes sent, %" PRIu64 " received; %.3f s to start, %.3f s to finish\n",
		    r->container, r->out.files_added, r->out.files_changed, r->out.files_deleted, r->out.bytes_out,
		    r->in.bytes_in, seconds(r->asked_ns, r->ready_ns), seconds(r->ended_ns, r->released_ns));
}

/* --- the node's counters ---------------------------------------------------------------- */

struct counters {
	uint64_t committed, unchanged, set_aside, failed;
	uint64_t added, changed, deleted, bytes_in, bytes_out;
	uint64_t lease_ms, restore_ms, commit_ms;
	uint64_t last_commit; /* seconds since the epoch */
};

#define COUNTER(member) JSON_FIELD(struct counters, member, #member, JSON_U64)
static const struct json_field counter_fields[] = {
    COUNTER(committed),	  COUNTER(unchanged),
    COUNTER(set_aside),	  COUNTER(failed),
    COUNTER(added),	  COUNTER(changed),
    COUNTER(deleted),	  COUNTER(bytes_in),
    COUNTER(bytes_out),	  COUNTER(lease_ms),
    COUNTER(restore_ms),  COUNTER(commit_ms),
    COUNTER(last_commit), {NULL},
};
static const struct json_table counters_table = {"counters", sizeof(struct counters), counter_fields, 0};

static void add(struct counters *c, const struct run_report *r)
{
	uint64_t *results[] = {&c->committed, &c->unchanged, &c->set_aside, &c->failed};
	static const char *const names[] = {"committed", "unchanged", "set aside", "failed"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		*results[i] += strcmp(r->result, names[i]) == 0;
	c->added += r->out.files_added;
	c->changed += r->out.files_changed;
	c->deleted += r->out.files_deleted;
	c->bytes_in += r->in.bytes_in;
	c->bytes_out += r->out.bytes_out;
	c->lease_ms += (uint64_t)(seconds(r->asked_ns, r->leased_ns) * 1000);
	c->restore_ms += (uint64_t)(seconds(r->leased_ns, r->ready_ns) * 1000);
	c->commit_ms += (uint64_t)(seconds(r->ended_ns, r->committed_ns) * 1000);
	if (strcmp(r->result, "committed") == 0)
		c->last_commit = (uint64_t)time(NULL);
}

static void head_of(struct strbuf *b, const char *name, const char *type, const char *help)
{
	strbuf_addf(b, "# HELP volrun_%s %s\n# TYPE volrun_%s %s\n", name, help, name, type);
}

static void one(struct strbuf *b, const char *name, const char *help, double value)
{
	head_of(b, name, "counter", help);
	strbuf_addf(b, "volrun_%s %.15g\n", name, value);
}

/* The text format of Prometheus, 0.0.4. */
static void format(const struct counters *c, struct strbuf *b)
{
	head_of(b, "runs_total", "counter", "Runs of containers with a volume, by what became of their changes.");
	strbuf_addf(b, "volrun_runs_total{result=\"committed\"} %" PRIu64 "\n", c->committed);
	strbuf_addf(b, "volrun_runs_total{result=\"unchanged\"} %" PRIu64 "\n", c->unchanged);
	strbuf_addf(b, "volrun_runs_total{result=\"set_aside\"} %" PRIu64 "\n", c->set_aside);
	strbuf_addf(b, "volrun_runs_total{result=\"failed\"} %" PRIu64 "\n", c->failed);
	head_of(b, "committed_files_total", "counter", "Files in commits, by what was done to them.");
	strbuf_addf(b, "volrun_committed_files_total{change=\"added\"} %" PRIu64 "\n", c->added);
	strbuf_addf(b, "volrun_committed_files_total{change=\"changed\"} %" PRIu64 "\n", c->changed);
	strbuf_addf(b, "volrun_committed_files_total{change=\"deleted\"} %" PRIu64 "\n", c->deleted);
	one(b, "downloaded_bytes_total", "Bytes read from stores to start.", (double)c->bytes_in);
	one(b, "uploaded_bytes_total", "Bytes written to stores by commits.", (double)c->bytes_out);
	one(b, "lease_wait_seconds_total", "Time until the lease was had.", (double)c->lease_ms / 1000);
	one(b, "restore_seconds_total", "Time to fetch volumes.", (double)c->restore_ms / 1000);
	one(b, "commit_seconds_total", "Time to commit and publish.", (double)c->commit_ms / 1000);
	head_of(b, "last_commit_timestamp_seconds", "gauge", "When the last commit was made.");
	strbuf_addf(b, "volrun_last_commit_timestamp_seconds %" PRIu64 "\n", c->last_commit);
}

void run_report_count(int cache_fd, const char *metrics_dir, const struct run_report *r)
{
	_cleanup_close_ int lock = openat(cache_fd, "metrics.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT, prom = STRBUF_INIT;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_free_ char *old = NULL;
	struct error ignored = ERROR_INIT;
	struct counters c = {0};
	size_t len;

	/* Keepers end at the same time. */
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return;
	if (read_file_at(cache_fd, "metrics.json", METRICS_MAX_SIZE, &old, &len) == 0 &&
	    json_parse(old, len, "metrics.json", &counters_table, &a, &c, &ignored) < 0)
		c = (struct counters){0};
	add(&c, r);
	json_write(&text, &counters_table, &c, 0);
	if (!text.failed)
		write_file_atomic_at(cache_fd, "metrics.json", text.data, text.len, 0600, false);
	format(&c, &prom);
	if (metrics_dir && !prom.failed) {
		_cleanup_close_ int dir = open(metrics_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (dir >= 0)
			write_file_atomic_at(dir, "volrun.prom", prom.data, prom.len, 0644, false);
	}
}
