/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS's shared files: ~/.aws/credentials ("[name]") and ~/.aws/config ("[profile name]"). Of a profile: keys, a
 * role (with a web identity, or by source_profile), credential_process, a sign-in by SSO. What stands in `credentials`
 * wins.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/spawn.h"
#include "hooks/store/credentials_impl.h"

#define PROFILES_MAX 5 /* in a chain of source_profile */
#define PROCESS_NS (60 * NSEC_PER_SEC)
#define OUTPUT_MAX 65536

enum {
	KEY_ID,
	KEY_SECRET,
	KEY_TOKEN,
	KEY_PROCESS,
	KEY_ROLE,
	KEY_SOURCE,
	KEY_WEB_TOKEN,
	KEY_SESSION,
	KEY_EXTERNAL,
	KEY_REGION,
	KEY_SSO,
	KEY_SSO_URL,
	KEY_SSO_REGION,
	KEY_SSO_ACCOUNT,
	KEY_SSO_ROLE,
	KEY_FROM,
	KEYS
};
static const char *const key_names[KEYS] = {
    [KEY_ID] = "aws_access_key_id",
    [KEY_SECRET] = "aws_secret_access_key",
    [KEY_TOKEN] = "aws_session_token",
    [KEY_PROCESS] = "credential_process",
    [KEY_ROLE] = "role_arn",
    [KEY_SOURCE] = "source_profile",
    [KEY_WEB_TOKEN] = "web_identity_token_file",
    [KEY_SESSION] = "role_session_name",
    [KEY_EXTERNAL] = "external_id",
    [KEY_REGION] = "region",
    [KEY_SSO] = "sso_session",
    [KEY_SSO_URL] = "sso_start_url",
    [KEY_SSO_REGION] = "sso_region",
    [KEY_SSO_ACCOUNT] = "sso_account_id",
    [KEY_SSO_ROLE] = "sso_role_name",
    [KEY_FROM] = "credential_source",
};

/* One profile: values lie in the files' texts. */
struct profile {
	const char *name;
	const char *values[KEYS];
	bool found;
};

struct files {
	char *credentials, *config; /* texts, cut to pieces while they are read; NULL: no such file */
	const char *credentials_path, *config_path;
	size_t credentials_len, config_len;
};

static void files_free(struct files *f)
{
	if (f->credentials)
		explicit_bzero(f->credentials, f->credentials_len);
	if (f->config)
		explicit_bzero(f->config, f->config_len);
	free(f->credentials);
	free(f->config);
}

static char *trim(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	n = strlen(s);
	while (n > 0 && isspace((unsigned char)s[n - 1]))
		s[--n] = '\0';
	return s;
}

/* "[name]", or "[kind name]" where there is a kind (but "[default]" of the kind "profile"). */
static bool is_section(char *line, const char *kind, const char *name)
{
	char *end = strchr(line, ']');
	size_t n = kind ? strlen(kind) : 0;

	if (!end)
		return false;
	*end = '\0';
	line = trim(line + 1);
	if (kind && (strcmp(kind, "profile") != 0 || strcmp(line, "default") != 0)) {
		if (strncmp(line, kind, n) != 0 || !isspace((unsigned char)line[n]))
			return false;
		line = trim(line + n);
	}
	return !strcmp(line, name);
}

static void take_line(struct profile *p, char *line)
{
	char *equals = strchr(line, '=');

	if (!equals)
		return;
	*equals = '\0';
	line = trim(line);
	for (int i = 0; i < KEYS; i++)
		if (!strcasecmp(line, key_names[i]) && !p->values[i])
			p->values[i] = trim(equals + 1);
}

/* `text` is a copy that may be cut, and lives as long as the profile. */
static void read_section(char *text, const char *kind, struct profile *p)
{
	bool inside = false;
	char *next;

	for (char *line = text; line; line = next) {
		char *begin;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		begin = trim(line);
		if (!*begin || *begin == '#' || *begin == ';')
			continue;
		if (*begin == '[') {
			inside = is_section(begin, kind, p->name);
			p->found |= inside;
		} else if (inside && begin == line) { /* an indented line belongs to the one before: a nested setting */
			take_line(p, begin);
		}
	}
}

/* A file's path: the configuration's, the environment's, or below HOME. NULL: there is no HOME. */
static const char *path_of(const char *given, const char *variable, const char *below_home, struct arena *arena)
{
	const char *home = credentials_env("HOME");

	if (!given)
		given = credentials_env(variable);
	if (given && !strncmp(given, "~/", 2) && home)
		return arena_printf(arena, "%s%s", home, given + 1);
	if (given)
		return given;
	return home ? arena_printf(arena, "%s/%s", home, below_home) : NULL;
}

static int read_optional(const char *path, bool wanted, char **ret, size_t *ret_len, struct error *err)
{
	int r;

	if (!path)
		return 0;
	r = credentials_read_file(path, "the file of profiles", ret, err);
	if (r == 0)
		*ret_len = strlen(*ret);
	else if (r == -ENOENT && wanted)
		return error_set(err, EINVAL, "%s", (const char *)strdupa(err->msg));
	return r == -ENOENT ? 0 : r;
}

static int read_files(struct credential_fetch *f, struct arena *arena, struct files *ret, struct error *err)
{
	const struct credentials_config *c = &f->config->credentials;
	int r;

	ret->credentials_path = path_of(c->file, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", arena);
	ret->config_path = path_of(c->config_file, "AWS_CONFIG_FILE", ".aws/config", arena);
	r = read_optional(ret->credentials_path, c->file, &ret->credentials, &ret->credentials_len, err);
	if (r == 0)
		r = read_optional(ret->config_path, c->config_file, &ret->config, &ret->config_len, err);
	return r;
}

/* --- what a profile says ---------------------------------------------------------------- */

static int run_process(struct credential_fetch *f, const char *command, struct credentials *ret, struct error *err)
{
	const char *argv[] = {"sh", "-c", command, NULL};
	_cleanup_close_ int out = memfd_create("credentials", MFD_CLOEXEC);
	struct spawn s = {
	    .path = "/bin/sh", .argv = argv, .stdout_fd = out, .timeout_ns = PROCESS_NS, .new_group = true};
	struct error why = ERROR_INIT;
	char discarded[512];
	char *text = NULL;
	size_t len = 0;
	int r;

	if (!f->client)
		return -EAGAIN;
	if (out < 0)
		return error_set(err, errno, "credential_process: no memory for its output (error %d)", errno);
	s.stop_fd = token_client_stop_fd(f->client);
	s.stderr_buf = discarded;
	s.stderr_size = sizeof(discarded);
	r = spawn_run(&s, &why);
	if (r < 0)
		return error_set(err, EHOSTUNREACH, "credential_process did not run to its end: %.200s", why.msg);
	if (r > 0)
		return error_set(err, EACCES, "credential_process ended with status %d", r);
	if (lseek(out, 0, SEEK_SET) < 0 || read_fd(out, OUTPUT_MAX, &text, &len) < 0)
		return error_set(err, EINVAL, "credential_process wrote nothing that can be read");
	r = credentials_aws_json(text, len, "credential_process", ret, err);
	explicit_bzero(text, len);
	free(text);
	return r < 0 ? r : credentials_from(ret, "credential_process");
}

struct chain {
	struct credential_fetch *f;
	const struct files *files;
	unsigned depth;
	/* Copies of the files that were cut to pieces, two for each profile: they hold secrets. The last: for SSO. */
	char *copies[2 * PROFILES_MAX + 2];
};

/* NULL: there is no such file. */
static char *copy_text(struct chain *c, const char *text, size_t i)
{
	c->copies[i] = text ? strdup(text) : NULL;
	return c->copies[i];
}

static int follow(struct chain *c, const char *name, bool wanted, struct credentials *ret, struct error *err);

/* Keys that a role is assumed with, of the machine and no profile. */
static int from_source(struct chain *c, const struct profile *p, struct credentials *ret, struct error *err)
{
	static const struct {
		const char *name;
		int (*fetch)(struct credential_fetch *f, struct credentials *ret, struct error *err);
	} sources[] = {
	    {"Environment", credentials_aws_environment},
	    {"EcsContainer", credentials_aws_container},
	    {"Ec2InstanceMetadata", credentials_aws_instance},
	};
	const char *name = p->values[KEY_FROM];
	int r;

	if (!name)
		return error_set(err, EINVAL,
				 "profile %s: a role without source_profile, credential_source or "
				 "web_identity_token_file",
				 p->name);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		if (strcasecmp(name, sources[i].name) != 0)
			continue;
		r = sources[i].fetch(c->f, ret, err);
		return r == -ENOENT ? error_set(err, EINVAL, "profile %s: its credential_source %s has none", p->name,
						sources[i].name)
				    : r;
	}
	return error_set(err, EINVAL,
			 "profile %s: credential_source is none of Environment, EcsContainer, Ec2InstanceMetadata",
			 p->name);
}

static int assume_role(struct chain *c, const struct profile *p, struct credentials *ret, struct error *err)
{
	struct aws_role role = {.arn = p->values[KEY_ROLE],
				.session_name = p->values[KEY_SESSION],
				.external_id = p->values[KEY_EXTERNAL],
				.token_file = p->values[KEY_WEB_TOKEN],
				.region = p->values[KEY_REGION]};
	struct credentials by = {0};
	int r;

	if (role.token_file)
		return credentials_aws_assume(c->f, &role, NULL, ret, err);
	if (!p->values[KEY_SOURCE]) {
		r = from_source(c, p, &by, err);
	} else if (!strcmp(p->values[KEY_SOURCE], p->name) && p->values[KEY_ID]) {
		struct profile keys = *p;

		keys.values[KEY_ROLE] = NULL;
		r = credentials_copy(keys.values[KEY_ID], "aws_access_key_id", &by.id, err);
		if (r == 0)
			r = credentials_copy(keys.values[KEY_SECRET], "aws_secret_access_key", &by.secret, err);
	} else {
		r = follow(c, p->values[KEY_SOURCE], true, &by, err);
	}
	if (r == 0)
		r = credentials_aws_assume(c->f, &role, &by, ret, err);
	credentials_free(&by);
	return r;
}

static int keys_of(const struct profile *p, struct credentials *ret, struct error *err)
{
	int r = credentials_copy(p->values[KEY_ID], "aws_access_key_id", &ret->id, err);

	if (r == 0)
		r = credentials_copy(p->values[KEY_SECRET], "aws_secret_access_key", &ret->secret, err);
	if (r == 0 && p->values[KEY_TOKEN])
		r = credentials_copy(p->values[KEY_TOKEN], "aws_session_token", &ret->token, err);
	return r < 0 ? error_wrap(err, "profile %s", p->name) : credentials_from(ret, "profile %.200s", p->name);
}

/* Who signs in stands in the profile, or (its older way) beside where. */
static int sign_in(struct chain *c, const struct profile *p, struct credentials *ret, struct error *err)
{
	struct profile session = {.name = p->values[KEY_SSO]};
	const struct profile *place = session.name ? &session : p;
	struct aws_sso sso = {.profile = p->name,
			      .session = session.name,
			      .account = p->values[KEY_SSO_ACCOUNT],
			      .role = p->values[KEY_SSO_ROLE],
			      .config_path = c->files->config_path};
	char *text = copy_text(c, c->files->config, 2 * PROFILES_MAX + 1);

	if (session.name && text)
		read_section(text, "sso-session", &session);
	if (session.name && !session.found)
		return error_set(err, EINVAL, "profile %s: its sso-session %s is not in %s", p->name, session.name,
				 c->files->config_path ? c->files->config_path : "-");
	sso.start_url = place->values[KEY_SSO_URL];
	sso.region = place->values[KEY_SSO_REGION];
	return credentials_aws_sso(c->f, &sso, ret, err);
}

static int not_found(struct chain *c, const char *name, bool wanted, struct error *err)
{
	const char *paths[] = {c->files->credentials_path, c->files->config_path};

	if (wanted)
		return error_set(err, EINVAL, "profile %s is in neither %s nor %s", name, paths[0] ? paths[0] : "-",
				 paths[1] ? paths[1] : "-");
	return credentials_tried(c->f, "profile %s (%s)", name, paths[0] ? paths[0] : "HOME is not set");
}

/* wanted: that it has none is an error. */
static int follow(struct chain *c, const char *name, bool wanted, struct credentials *ret, struct error *err)
{
	struct profile p = {.name = name};
	char *credentials, *config;

	if (c->depth == PROFILES_MAX)
		return error_set(err, EINVAL, "profile %s: source_profile goes in a circle", name);
	credentials = copy_text(c, c->files->credentials, 2 * c->depth);
	config = copy_text(c, c->files->config, 2 * c->depth + 1);
	c->depth++;
	if (credentials)
		read_section(credentials, NULL, &p);
	if (config)
		read_section(config, "profile", &p);
	if (!p.found)
		return not_found(c, name, wanted, err);
	if (p.values[KEY_ROLE])
		return assume_role(c, &p, ret, err);
	if (p.values[KEY_ID] || p.values[KEY_SECRET])
		return keys_of(&p, ret, err);
	if (p.values[KEY_PROCESS])
		return run_process(c->f, p.values[KEY_PROCESS], ret, err);
	if (p.values[KEY_SSO] || p.values[KEY_SSO_URL])
		return sign_in(c, &p, ret, err);
	return wanted ? error_set(err, EINVAL, "profile %s has no credentials", name) : not_found(c, name, false, err);
}

static void chain_free(struct chain *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->copies); i++) {
		if (c->copies[i])
			explicit_bzero(c->copies[i], i % 2 ? c->files->config_len : c->files->credentials_len);
		free(c->copies[i]);
	}
}

int credentials_aws_profile(struct credential_fetch *f, struct credentials *ret, struct error *err)
{
	const struct credentials_config *config = &f->config->credentials;
	const char *name = config->profile ? config->profile : credentials_env("AWS_PROFILE");
	struct arena arena = ARENA_INIT;
	struct files files = {0};
	struct chain c = {.f = f, .files = &files};
	bool wanted = name || config->file || config->config_file;
	int r;

	if (config->process)
		return run_process(f, config->process, ret, err);
	r = read_files(f, &arena, &files, err);
	if (r == 0)
		r = follow(&c, name ? name : "default", wanted, ret, err);
	chain_free(&c);
	files_free(&files);
	arena_free(&arena);
	return r;
}

bool credentials_run_program(const struct store_config *config)
{
	struct credential_fetch f = {.config = config};
	struct error ignored = ERROR_INIT;
	struct arena arena = ARENA_INIT;
	struct files files = {0};
	bool found;

	if (strcmp(config->type, "s3") != 0 || config->access_key_id)
		return false;
	if (config->credentials.process)
		return true;
	read_files(&f, &arena, &files, &ignored);
	/* Whichever profile it is of: one too many costs little. */
	found = (files.credentials && strcasestr(files.credentials, key_names[KEY_PROCESS])) ||
		(files.config && strcasestr(files.config, key_names[KEY_PROCESS]));
	files_free(&files);
	arena_free(&arena);
	return found;
}
