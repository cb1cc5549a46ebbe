/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_proto.h - what volrun-hook and volrun-keeper say to each other, over a
 * SOCK_SEQPACKET pair; one JSON object a message:
 *
 *     hook -> keeper   request, with one descriptor: a pidfd of the container's init
 *     keeper -> hook   answer: an error; or ready, with one directory descriptor a volume, in the request's order
 *     hook -> keeper   any message: the runtime has the mounts. The end of the
 *                      connection without it: the create failed or was killed
 *
 * Or, from another keeper or `volrun volume recover` (adoption): a request with
 * one volume and "adopt", with that volume's lock as descriptor; the answer has no descriptors,
 * and no message follows.
 *
 * After that the keeper listens at <run_dir>/<key>.sock. Who connects there and
 * says nothing is not answered: the connection ends when all is committed and
 * released. Who sends a command is answered once:
 *
 *     caller -> keeper   command: "sync", commit now; "checkpoint", the same while the caller keeps the container's
 *                      processes still, and say which commits those are; "has PID", is that its container's init?
 *                      "ended": of a hold by mounts, those that have it mounted are to be gone soon
 *     keeper -> caller   outcome: an error, or one result a volume
 *
 * <run_dir>/<key>.log holds what went wrong, one line each.
 */
#ifndef VOLRUN_HOOKS_KEEPER_PROTO_H
#define VOLRUN_HOOKS_KEEPER_PROTO_H

#include <stdbool.h>
#include <stdint.h>

#include "oci/json.h"

/* A message is at most this long; what the kernel lets through a socket by default. */
#define KEEPER_MESSAGE_MAX (128 * 1024)
#define KEEPER_KEY_MAX 33
#define KEEPER_HAS "has "
#define KEEPER_ENDED "ended"
#define KEEPER_SYNC "sync"
#define KEEPER_CHECKPOINT "checkpoint"

/* A volume's commit, as a checkpoint notes it (checkpoint_note.h). */
struct checkpoint_volume {
	const char *destination;
	uint64_t epoch, seq; /* 0: it has no commit yet */
	const char *record;  /* sha256; NULL then */
};

struct keeper_request_volume {
	const char *name, *destination;
	const char *store; /* never NULL */
	bool ro;
	uint32_t owner_uid, owner_gid;
	int64_t wait_ns;	  /* INT64_MAX: no limit */
	int64_t sync_ns;	  /* 0: no commits during the run */
	const char **mountpoints; /* see volume.h */
	size_t n_mountpoints;
	struct checkpoint_volume *checkpoint; /* a restore: what it has to find; NULL: anything */
};

struct keeper_request {
	const char *id, *bundle;
	int32_t pid;	    /* of init, in the keeper's pid namespace */
	const char *config; /* NULL: the standard list */
	const char *workspace, *user;
	const char *pod; /* whose containers share the lease; NULL: none */
	const char **groups;
	size_t n_groups;
	struct keeper_request_volume *volumes;
	size_t n_volumes;
	bool adopt;
	bool administrator; /* who works on this machine with `volrun volume` may use any volume */
	/* pid is who asks, no container's init: the hold lasts as long as pid lives, or a tree is mounted
	 * (keeper_mounted.h).
	 */
	bool by_mounts;
	const char *directory;	/* where it is mounted on this machine; copies of that, at this path, don't count. NULL:
				   nowhere */
	int64_t grace_ns;	/* and, when pid has ended, so long for somebody to mount it */
	const char *checkpoint; /* the file that the volumes' `checkpoint` stood in, for messages */
};

struct keeper_answer {
	const char *error; /* NULL: ready */
	const char **warnings;
	size_t n_warnings;
	bool chowned; /* the trees belong to the ids that the container has on the host: no mount is to map them */
};

struct keeper_command {
	const char *command;
};

/* Of one rw volume; of a checkpoint, of each. */
struct keeper_result {
	const char *name, *error; /* NULL: none */
	uint64_t commit;	  /* its number */
	bool changed;		  /* false: the tree was that commit already */
	uint64_t frozen_us, copied_bytes, reflinked_bytes;
	struct checkpoint_volume *checkpoint; /* of no other command; NULL: others write to the volume, too */
};

struct keeper_outcome {
	const char *error;
	struct keeper_result *results;
	size_t n_results;
};

extern const struct json_table checkpoint_volume_table;
extern const struct json_table keeper_request_table, keeper_answer_table, keeper_command_table, keeper_outcome_table;

/* Sends / receives one message. Received strings are in the arena. -ENODATA: the peer is gone. */
int keeper_send(int sock, const struct json_table *table, const void *message, const int *fds, size_t n_fds,
		struct error *err);
int keeper_receive(int sock, const struct json_table *table, struct arena *arena, void *ret, int *fds, size_t *n_fds,
		   struct error *err);

/* The name of a container's keeper below run_dir: a hash of id and bundle (not secret, not against forgery). */
void keeper_key(const char *id, const char *bundle, char ret[KEEPER_KEY_MAX]);

#endif
