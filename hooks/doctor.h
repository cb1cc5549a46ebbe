/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - `volrun doctor`: looks at all that volumes need on this machine, and says what to do where something is
 * missing. One line per finding:
 *
 *     ok|warning|problem: WHAT – WHY[ – WHAT TO DO]
 *
 * A problem keeps containers or volumes from working; a warning does not. Nothing is changed, but for small objects
 * that the check of a store writes and removes (store_check.h), and a file without a name in the cache.
 */
#ifndef VOLRUN_HOOKS_DOCTOR_H
#define VOLRUN_HOOKS_DOCTOR_H

#include <stdbool.h>

#include "hooks/config.h"

enum doctor_result { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_PROBLEM };

struct doctor {
	struct arena *arena;
	bool json;
	const char *runtime; /* volrun's own file; NULL: not known */
	const char *config_path;
	int userns_fd; /* a user namespace with other ids, for doctor_cache; -1: none could be made */
	struct doctor_finding *findings;
	size_t n_findings;
	unsigned n[3]; /* by enum doctor_result */
};

/* Says one. advice: what to do; NULL for what is ok. Control characters are taken out. */
void doctor_say(struct doctor *d, enum doctor_result r, const char *what, const char *advice, const char *why, ...)
    __attribute__((format(printf, 5, 6)));

/* Before the program gives up its rights: it makes a user namespace, and sets d->userns_fd. */
void doctor_kernel(struct doctor *d);
/* false: it can't be used. */
bool doctor_config(struct doctor *d, struct config *ret);
/* Who reads the files that the configuration names as secrets, and who may write them. */
void doctor_secrets(struct doctor *d, const struct config *c);
void doctor_stores(struct doctor *d, const struct config *c);
void doctor_cache(struct doctor *d, const struct config *c);
/* What earlier runs left in it: trees that were not committed, or were set aside. */
void doctor_leftovers(struct doctor *d, const struct config *c);
void doctor_programs(struct doctor *d);
void doctor_engines(struct doctor *d);

/* The whole command; its exit status. argv[0] is "doctor". */
int doctor_main(int argc, char **argv);

#endif
