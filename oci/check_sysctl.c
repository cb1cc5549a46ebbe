/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sysctls a container may set: only what a namespace of its own holds,
 * else the container would change the host. The list is runc's and crun's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "oci/check.h"

#define SYSCTL_NAME_MAX 255

/*
 * To the form with dots ("net.ipv4.conf.eno2/100.rp_filter"), as sysctl(8): the
 * first separator says whether a name is written with dots or with slashes.
 */
static void to_dots(const char *key, char *out)
{
	size_t first = strcspn(key, "./");
	bool slashes = key[first] == '/';

	for (; *key; key++, out++)
		*out = !slashes ? *key : *key == '/' ? '.' : *key == '.' ? '/' : *key;
	*out = '\0';
}

/* The file beneath /proc/sys is named by the segments; none may lead elsewhere. */
static bool names_a_file(const char *dots)
{
	char path[SYSCTL_NAME_MAX + 1];
	size_t len = strlen(dots);

	for (size_t i = 0; i <= len; i++)
		path[i] = dots[i] == '.' ? '/' : dots[i] == '/' ? '.' : dots[i];
	return path_is_safe_relative(path, len);
}

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static int namespace_of(const char *dots)
{
	static const char *const ipc[] = {"kernel.msgmax", "kernel.msgmnb",	     "kernel.msgmni",
					  "kernel.sem",	   "kernel.shmall",	     "kernel.shmmax",
					  "kernel.shmmni", "kernel.shm_rmid_forced", NULL};
	static const struct {
		const char *prefix;
		enum spec_ns ns;
	} rules[] = {
	    {"fs.mqueue.", SPEC_NS_IPC},
	    {"net.", SPEC_NS_NETWORK},
	    {"user.", SPEC_NS_USER},
	    {"kernel.domainname", SPEC_NS_UTS},
	};

	if (check_one_of(dots, ipc))
		return SPEC_NS_IPC;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const char *p = rules[i].prefix;

		if (p[strlen(p) - 1] == '.' ? has_prefix(dots, p) : strcmp(dots, p) == 0)
			return (int)rules[i].ns;
	}
	return -1;
}

int spec_sysctl_namespace(const char *key)
{
	char dots[SYSCTL_NAME_MAX + 1];

	if (strlen(key) > SYSCTL_NAME_MAX)
		return -1;
	to_dots(key, dots);
	return namespace_of(dots);
}

static int check_key(const struct spec *spec, const char *key, const char *value, struct error *err)
{
	int ns = namespace_of(key);

	/* As runc and crun: a field of its own sets it. */
	if (strcmp(key, "kernel.hostname") == 0)
		return error_set(err, EINVAL, "$.linux.sysctl: \"%s\" is set by $.hostname", key);
	if (strcmp(key, "kernel.domainname") == 0 && spec->domainname && strcmp(value, spec->domainname) != 0)
		return error_set(err, EINVAL, "$.linux.sysctl: \"%s\" is not what $.domainname says", key);
	if (ns < 0)
		return error_set(err, EINVAL, "$.linux.sysctl: \"%s\" is not separate for each container", key);
	if (!check_has_namespace(spec, (enum spec_ns)ns))
		return error_set(err, EINVAL, "$.linux.sysctl: \"%s\" needs a namespace of type %s", key,
				 spec_ns_names[ns]);
	return 0;
}

int check_sysctl(const struct spec *spec, struct error *err)
{
	for (size_t i = 0; i < spec->linux_->n_sysctl; i++) {
		const char *key = spec->linux_->sysctl[i].key;
		char dots[SYSCTL_NAME_MAX + 1];
		int r;

		if (strlen(key) > SYSCTL_NAME_MAX)
			return error_set(err, EINVAL, "$.linux.sysctl: a name is longer than %d bytes",
					 SYSCTL_NAME_MAX);
		to_dots(key, dots);
		if (!names_a_file(dots))
			return error_set(err, EINVAL, "$.linux.sysctl: \"%s\" is no name of a setting", key);
		r = check_key(spec, dots, spec->linux_->sysctl[i].value, err);
		if (r < 0)
			return r;
	}
	return 0;
}
