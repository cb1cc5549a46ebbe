/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_report.h - what a run did to a volume: <cache>/<store>/<ws>/<vol>/last-run.json, one line for the journal,
 * and counters of the node for Prometheus (the textfile collector of its node_exporter), kept in <cache>/metrics.json
 * and written to <metrics.path>/volrun.prom.
 */
#ifndef VOLRUN_HOOKS_RUN_REPORT_H
#define VOLRUN_HOOKS_RUN_REPORT_H

#include "hooks/engine/restore.h"
#include "hooks/engine/volume.h"

struct run_report {
	const char *result; /* "committed", "unchanged", "set aside", "failed" */
	const char *container, *node;
	const char *error;	/* set aside, failed: why */
	bool unquiet;		/* somebody might have written while the commit was made (head.h) */
	uint64_t epoch, commit; /* commit: the last one, this run's or the one before */
	/* CLOCK_BOOTTIME: asked for; had the lease; the tree was there; the container had ended; committed; released.
	 * 0: never. */
	int64_t asked_ns, leased_ns, ready_ns, ended_ns, committed_ns, released_ns;
	struct transfer_report in, out; /* restore; commit */
};

/* Best effort: what a run did counts, not what is told of it. */
void run_report_write(const struct volume *v, const struct run_report *r);
/* Adds it to the node's counters; metrics_dir NULL: they are kept, but shown to nobody. */
void run_report_count(int cache_fd, const char *metrics_dir, const struct run_report *r);
/* "volume state: committed 7 for container c1: 1 added, 0 changed, 2 deleted, 5120 bytes out, ..." */
void run_report_line(const struct volume *v, const struct run_report *r, struct strbuf *out);

#endif
