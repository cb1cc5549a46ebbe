/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun doctor`: the configuration, and the files that it names. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "hooks/doctor.h"
#include "hooks/identity.h"

/* Who can write to a file (or directory) that root's programs believe? true: only root and we. */
static bool is_ours(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & 022);
}

/* 1: it is there. */
static bool check_file(struct doctor *d, const char *path)
{
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return false;
	if (!is_ours(&st))
		doctor_say(d, DOCTOR_PROBLEM, path,
			   arena_printf(d->arena, "chown %u %s && chmod go-w %s", (unsigned)geteuid(), path, path),
			   "others than root may write it (owner %u, mode %04o), and so choose stores and programs",
			   (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
	return true;
}

static unsigned check_dir(struct doctor *d, const char *dir)
{
	struct dirent **names = NULL;
	int n = check_file(d, dir) ? scandir(dir, &names, NULL, alphasort) : 0, i;
	unsigned found = 0;

	for (i = 0; i < n; i++) {
		size_t len = strlen(names[i]->d_name);

		if (names[i]->d_name[0] != '.' && len > 5 && strcmp(names[i]->d_name + len - 5, ".json") == 0)
			found += check_file(d, arena_printf(d->arena, "%s/%s", dir, names[i]->d_name));
		free(names[i]);
	}
	free(names);
	return found;
}

/* The same files as config_load reads. */
static unsigned check_files(struct doctor *d)
{
	const char *one = d->config_path ? d->config_path : getenv("VOLRUN_CONFIG"), *home = getenv("HOME");
	const char *base = getenv("XDG_CONFIG_HOME"), *dir = "/etc/volrun";
	unsigned n;

	if (one && *one)
		return check_file(d, one);
	n = check_file(d, "/usr/share/volrun/config.json");
	if (geteuid() != 0)
		dir = base && base[0] == '/' ? arena_printf(d->arena, "%s/volrun", base)
					     : arena_printf(d->arena, "%s/.config/volrun", home ? home : "");
	check_file(d, dir);
	n += check_file(d, arena_printf(d->arena, "%s/config.json", dir));
	return n + check_dir(d, arena_printf(d->arena, "%s/conf.d", dir));
}

bool doctor_config(struct doctor *d, struct config *ret)
{
	static const char *const engines[] = {"not set", "local", "containerd-cri", "cri-o"};
	struct error err = ERROR_INIT;
	unsigned n = check_files(d);

	if (config_load(d->config_path, d->arena, ret, &err) < 0) {
		doctor_say(d, DOCTOR_PROBLEM, "configuration",
			   "correct it; volumes are refused until then (stores and cache were not looked at)", "%s",
			   err.msg);
		return false;
	}
	doctor_say(d, DOCTOR_OK, "configuration", NULL, "%u file%s, %zu store%s, the default is %s", n,
		   n == 1 ? "" : "s", ret->n_stores, ret->n_stores == 1 ? "" : "s", ret->default_store);
	if (identity_kubelet_host() && ret->identity.engine == IDENTITY_UNSET)
		doctor_say(d, DOCTOR_PROBLEM, "identity.engine",
			   "{\"identity\": {\"engine\": \"containerd-cri\"}} (or cri-o, local) in "
			   "/etc/volrun/conf.d/engine.json",
			   "a kubelet runs on this host, and it is not said whose annotations name a pod's namespace: "
			   "every volume is refused");
	else
		doctor_say(d, DOCTOR_OK, "identity.engine", NULL, "%s", engines[ret->identity.engine]);
	return true;
}

/* --- secrets ------------------------------------------------------------------------------ */

enum kind { SECRET, TOKEN /* somebody else writes it, readable by all of a container of its own */, PUBLIC };

struct named {
	const struct store_config *store;
	const char *key, *path;
	enum kind kind;
};

static void check_named(struct doctor *d, const struct named *f)
{
	const char *what = arena_printf(d->arena, "stores.%s.%s", f->store->name, f->key);
	const char *chmod = arena_printf(d->arena, "chmod 600 %s", f->path);
	struct stat st;

	if (stat(f->path, &st) < 0) {
		doctor_say(d, DOCTOR_PROBLEM, what, "make it, or correct the configuration", "%s can't be read: %s",
			   f->path, errno == ENOENT ? "it is not there" : strerror(errno));
		return;
	}
	if (!S_ISREG(st.st_mode) || st.st_size == 0 || access(f->path, R_OK) < 0) {
		doctor_say(d, DOCTOR_PROBLEM, what, "put the value into it, in a file that this user can read",
			   "%s is %s", f->path,
			   !S_ISREG(st.st_mode) ? "no regular file"
			   : st.st_size == 0	? "empty"
						: "not readable");
		return;
	}
	if (!is_ours(&st))
		doctor_say(d, DOCTOR_PROBLEM, what, chmod,
			   "%s may be written by others than root (owner %u, mode %04o)", f->path, (unsigned)st.st_uid,
			   (unsigned)(st.st_mode & 07777));
	else if (f->kind != PUBLIC && (st.st_mode & 04))
		doctor_say(d, f->kind == SECRET ? DOCTOR_PROBLEM : DOCTOR_WARNING, what, chmod,
			   "%s is a secret that every user of this machine can read (mode %04o)", f->path,
			   (unsigned)(st.st_mode & 07777));
	else if (f->kind != PUBLIC && (st.st_mode & 040))
		doctor_say(d, DOCTOR_WARNING, what, chmod, "%s is a secret that group %u can read (mode %04o)", f->path,
			   (unsigned)st.st_gid, (unsigned)(st.st_mode & 07777));
	else
		doctor_say(d, DOCTOR_OK, what, NULL, "%s, mode %04o", f->path, (unsigned)(st.st_mode & 07777));
}

void doctor_secrets(struct doctor *d, const struct config *c)
{
	for (size_t i = 0; i < c->n_stores; i++) {
		const struct store_config *s = &c->stores[i];
		const struct named files[] = {
		    {s, "ca_file", s->ca_file, PUBLIC},
		    {s, "secret_access_key_file", s->secret_access_key_file, SECRET},
		    {s, "session_token_file", s->session_token_file, SECRET},
		    {s, "account_key_file", s->account_key_file, SECRET},
		    {s, "sas_token_file", s->sas_token_file, SECRET},
		    {s, "connection_string_file", s->connection_string_file, SECRET},
		    {s, "credentials.file", s->credentials.file, SECRET},
		    {s, "credentials.config_file", s->credentials.config_file, PUBLIC},
		    {s, "credentials.client_secret_file", s->credentials.client_secret_file, SECRET},
		    {s, "credentials.token_file", s->credentials.token_file, TOKEN},
		    {s, "credentials.container_token_file", s->credentials.container_token_file, TOKEN},
		};

		for (size_t k = 0; k < ARRAY_SIZE(files); k++)
			if (files[k].path && files[k].path[0])
				check_named(d, &files[k]);
	}
}
