/* SPDX-License-Identifier: Apache-2.0 */
/* lease_internal.h - what lease.c and lease_take.c share of a lease. */
#ifndef VOLRUN_HOOKS_LEASE_INTERNAL_H
#define VOLRUN_HOOKS_LEASE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "hooks/engine/lease.h"
#include "hooks/engine/register.h"

struct lease {
	struct arena arena; /* of the key */
	struct lease_config config;
	const struct cache_volume *cache; /* what this node knows of the volume */
	uint64_t epoch;
	pthread_mutex_t mutex; /* guards reg, and with it the store, stop and what is for the next write */
	struct volume_register reg;
	pthread_cond_t wake;
	pthread_t thread;
	bool threaded, stop;
	bool looking; /* the thread is one that reads the register, once */
	bool looked;  /* it was read, and that counts for the next step */
	int look_result;
	struct error look_error;
	uint64_t settled_seq, collected; /* for the next write; 0: nothing */
	/* lease_published, also for the next write */
	uint64_t published_seq;
	char *carried;
	bool finished; /* lease_finished; of the thread that releases */
	/* What lease_valid reads: never behind a request. */
	_Atomic int64_t valid_until;
	int shown_fd; /* lease_show_validity; -1: none */
	atomic_bool lost;
	int lost_fd;
};

int lease_new(struct volume *v, const struct lease_config *config, struct lease **ret, struct error *err);
/* Brings validity and loss in line with what the register shows. */
void lease_note_shown(struct lease *l);
/* Waits for what lease_look began: the register is the caller's again. */
void lease_end_look(struct lease *l);
/* The thread that renews. */
int lease_start_thread(struct lease *l, struct error *err);

#endif
