/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_gcs.h - Google's credential files. */
#ifndef VOLRUN_HOOKS_CREDENTIALS_GCS_H
#define VOLRUN_HOOKS_CREDENTIALS_GCS_H

#include "hooks/store/credentials_impl.h"
#include "oci/json.h"

/* What storage needs, and no more. A federated token is asked for the broad scope when it is to impersonate. */
#define GCS_SCOPE "https://www.googleapis.com/auth/devstorage.read_write"
#define GCS_SCOPE_CLOUD "https://www.googleapis.com/auth/cloud-platform"

/* Where the subject's token of an external_account is. */
struct gcs_format {
	const char *type; /* "text" (NULL) or "json" */
	const char *field;
};
struct gcs_subject {
	const char *file, *url, *environment_id, *executable;
	struct json_pair *headers;
	size_t n_headers;
	struct gcs_format *format;
};

/* A file's members; NULL: not there. Which of them count depends on `type`. */
struct gcs_file {
	const char *type;
	const char *client_email, *private_key, *private_key_id, *token_uri; /* service_account */
	const char *client_id, *client_secret, *refresh_token;		     /* authorized_user */
	const char *audience, *subject_token_type, *token_url;		     /* external_account */
	const char *impersonation_url;
	struct gcs_subject *subject;
};

/* By its `type`. */
int credentials_gcs_file(struct credential_fetch *f, const char *path, struct credentials *ret, struct error *err);
/* credentials_gcs_external.c: workload identity federation. */
int credentials_gcs_external(struct credential_fetch *f, const struct gcs_file *file, struct credentials *ret,
			     struct error *err);
/* Takes what the token endpoint gave. */
int credentials_gcs_take(const struct token_request *q, const struct token_reply *reply, struct credentials *ret,
			 struct error *err);

#endif
