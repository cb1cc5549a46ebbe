/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - the state JSON of the OCI spec (runtime.md "State"): what `state`
 * prints and what hooks read on stdin.
 */
#ifndef VOLRUN_OCI_STATE_H
#define VOLRUN_OCI_STATE_H

#include "oci/json.h"

enum oci_status { OCI_CREATING, OCI_CREATED, OCI_RUNNING, OCI_STOPPED, OCI_PAUSED };
extern const char *const oci_status_names[]; /* "creating", "created", ... NULL */

struct oci_state {
	const char *oci_version;
	const char *id;
	int status; /* enum oci_status */
	int32_t pid;
	const char *bundle;	   /* absolute */
	const char *rootfs;	   /* runc's and crun's addition */
	const char *created;	   /* RFC 3339 with nanoseconds; likewise */
	const char *owner;	   /* likewise */
	const char *systemd_scope; /* crun's addition */
	struct json_pair *annotations;
	size_t n_annotations;
};

extern const struct json_table oci_state_table;

/* As hooks read it: the spec's members only. */
int oci_state_write(struct strbuf *out, const struct oci_state *s, int indent);
int oci_state_parse(const char *text, size_t len, struct arena *arena, struct oci_state *ret, struct error *err);

/* A container id: [A-Za-z0-9_+.-]{1,255}, not "." or "..", no leading '.' (runc, crun >= 1.28). */
int oci_id_check(const char *id, struct error *err);

#endif
