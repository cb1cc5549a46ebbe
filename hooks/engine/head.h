/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head.h - the register of a volume: lease and last commit in one small object
 * (volumes.md §3, §4). volumes/<workspace>/.volrun/<volume>/head, JSON.
 */
#ifndef VOLRUN_HOOKS_HEAD_H
#define VOLRUN_HOOKS_HEAD_H

#include "hooks/engine/format.h"
#include "hooks/store/sign.h"
#include "oci/json.h"

#define HEAD_MAX_SIZE 16384
#define HEAD_FORMAT FORMAT_KNOWN
#define NONCE_MAX 33 /* 128 bits in hex and the NUL */

enum head_state { HEAD_FREE, HEAD_HELD };

struct head_holder {
	const char *node;      /* node identity, see cache.h */
	const char *node_name; /* for people */
	const char *boot_id;
	const char *keeper;    /* pid and start time */
	const char *container; /* id */
	const char *since;     /* RFC 3339, for people */
};

/* Where a commit's record lies: a range of an immutable object. seq 0: no commit yet. */
struct head_commit {
	uint64_t seq;	    /* counts up by one, over all epochs */
	uint64_t epoch;	    /* that committed it */
	const char *object; /* key below commits/, "<epoch>-<seq>/<name>" */
	uint64_t offset, length;
	const char *sha256; /* of the record's bytes */
	bool unquiet;	    /* somebody might have written to the tree while it was made: its files may be of different
			       moments */
	bool running;	    /* the container ran on: a commit of sync=, not of a run's end */
};

struct head_stats {
	uint64_t files, bytes; /* of the last commit */
};

struct head {
	uint32_t format;
	uint64_t epoch;
	int state; /* enum head_state */
	uint64_t ttl_ms;
	struct head_holder holder; /* the last one's, when free */
	const char *nonce;
	struct head_commit commit;
	/*
	 * While `commit` is unquiet, or of a container that runs, or ran until its keeper died: the
	 * last commit of a run that came to its end. It is kept restorable: whoever
	 * collects keeps what its record needs. NULL: `commit` itself, or there is none.
	 */
	struct head_commit *finished;
	uint64_t applied_seq; /* published completely */
	/*
	 * The text of the applied table of applied_seq (applied.h), while the store has not got it: then applied_seq is
	 * the commit's. It stands in the hints, and beside it the number of the commit before: who reads over it has a
	 * commit that is not published yet, and publishes it again. NULL: the table is where it belongs.
	 */
	const char *carried;
	/*
	 * Each plain object that the publishing of this commit or of one before it
	 * wrote was listed when it was older than any request of an earlier holder
	 * can get (foreign.h): it is missing only if somebody removed it.
	 */
	uint64_t settled_seq;
	uint64_t collected; /* when garbage was looked for last: seconds since the epoch by that node's clock, a hint */
	struct head_stats stats;
	const char
	    *removed; /* RFC 3339: the volume counts as gone since then; NULL. Its commit is empty, its numbers go on */
	const char *hints; /* of the text alone (NULL here): an object. What isn't known of it is read over, and not
			      written again */
};

extern const struct json_table head_table, head_commit_table;

/* Checks what the table can't (nonce's form, object's key, seq/epoch order). -EINVAL: "register of volume X: ...";
 * -ENOTSUP: of a newer version (format.h). */
int head_parse(const char *text, size_t len, struct arena *arena, struct head *ret, struct error *err);
/* The same of a commit alone, of an epoch up to `epoch`; `what` names the document in the message. */
int head_check_commit(const struct head_commit *c, uint64_t epoch, const char *what, struct error *err);
int head_write(struct strbuf *out, const struct head *h);

#endif
