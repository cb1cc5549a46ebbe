/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_impl.h - what the providers of credentials share among themselves; nobody else includes it. */
#ifndef VOLRUN_HOOKS_CREDENTIALS_IMPL_H
#define VOLRUN_HOOKS_CREDENTIALS_IMPL_H

#include "base/strbuf.h"
#include "hooks/store/credentials.h"
#include "hooks/store/token.h"

/* One way through a chain. */
struct credential_fetch {
	const struct store_config *config;
	struct token_client *client; /* NULL: nothing may be sent or run; a provider that would have to says -EAGAIN */
	struct strbuf tried;	     /* what was looked for in vain: "a, b, c" */
};

struct credential_provider {
	const char *name; /* for credentials.from */
	/* Does the configuration speak of it? Then nobody else is asked. */
	bool (*configured)(const struct store_config *config);
	/* -ENOENT: it has none, and f->tried says what it looked for. Any other error ends the chain. */
	int (*fetch)(struct credential_fetch *f, struct credentials *ret, struct error *err);
};

/* They end with an entry without a name. */
extern const struct credential_provider credentials_chain_s3[], credentials_chain_gcs[], credentials_chain_azure[];

/* Notes what was looked for. Returns -ENOENT. */
int credentials_tried(struct credential_fetch *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sets where they are from. Returns 0. */
int credentials_from(struct credentials *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Not empty, visible ASCII only: what goes into a header must not end it. */
bool credentials_usable(const char *s);
/* A variable of the environment that is set and not empty; else NULL. */
const char *credentials_env(const char *name);
/* Copies. -EINVAL (naming `what`, not the text) when it can't stand in a header; -ENOMEM. */
int credentials_copy(const char *text, const char *what, char **ret, struct error *err);
/* The first line of a file, without blanks at its end. */
int credentials_read_line(const char *path, char **ret, struct error *err);
/* All of a file of at most 64 KiB. -ENOENT only when it is missing; the error is set then, too. */
int credentials_read_file(const char *path, const char *what, char **ret, struct error *err);
/* Overwrites, frees, sets NULL. */
void credentials_wipe(char **s);
#define _cleanup_wipe_ __attribute__((cleanup(credentials_wipe)))

/* --- credentials_aws_files.c, credentials_aws_roles.c, credentials_aws_hosts.c, credentials_aws_sso.c */
int credentials_aws_profile(struct credential_fetch *f, struct credentials *ret, struct error *err);
int credentials_aws_environment(struct credential_fetch *f, struct credentials *ret,
				struct error *err); /* credentials_s3.c */
int credentials_aws_container(struct credential_fetch *f, struct credentials *ret, struct error *err);
int credentials_aws_instance(struct credential_fetch *f, struct credentials *ret, struct error *err);
int credentials_aws_web_identity(struct credential_fetch *f, struct credentials *ret, struct error *err);

struct aws_role {
	const char *arn, *session_name, *external_id; /* the last two may be NULL */
	const char *token_file;			      /* of a web identity */
	const char *region;			      /* for the endpoint; NULL: the store's */
};
/* STS: AssumeRoleWithWebIdentity, or (with `by`) AssumeRole. */
int credentials_aws_assume(struct credential_fetch *f, const struct aws_role *role, const struct credentials *by,
			   struct credentials *ret, struct error *err);

struct aws_sso {
	const char *profile;
	const char *session; /* NULL: the sign-in is known by its start_url */
	const char *start_url, *region, *account, *role;
	const char *config_path; /* of the profile: what `aws sso login` leaves lies beside it */
};
/* IAM Identity Center: with the token of who signed in by `aws sso login`, until that expires. */
int credentials_aws_sso(struct credential_fetch *f, const struct aws_sso *sso, struct credentials *ret,
			struct error *err);

/*
 * Reads {"AccessKeyId", "SecretAccessKey", "Token" or "SessionToken", "Expiration"}, as container, instance and
 * credential_process give it. `who` is for messages.
 */
int credentials_aws_json(const char *text, size_t len, const char *who, struct credentials *ret, struct error *err);

#endif
