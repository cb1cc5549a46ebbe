/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of config-linux.md#control-groups. Above all what becomes a part of
 * a file's name or of a line in a cgroup file; limits are the kernel's to judge.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/check.h"

static int check_device_rules(const struct spec_resources *r, struct error *err)
{
	static const char *const types[] = {"a", "c", "b", NULL};

	for (size_t i = 0; i < r->n_devices; i++) {
		const struct spec_device_rule *d = &r->devices[i];

		if (d->type && !check_one_of(d->type, types))
			return error_set(err, EINVAL, "$.linux.resources.devices[%zu].type: \"%s\" is none of a, c, b",
					 i, d->type);
		if (d->access && *d->access &&
		    (d->access[strspn(d->access, "rwma")] != '\0' || !d->access[strspn(d->access, "a")]))
			return error_set(err, EINVAL, "$.linux.resources.devices[%zu].access: \"%s\" is not of r, w, m",
					 i, d->access);
		/* -1 is "any", as absent. */
		if ((d->major && (*d->major < -1 || *d->major > UINT32_MAX)) ||
		    (d->minor && (*d->minor < -1 || *d->minor > UINT32_MAX)))
			return error_set(err, EINVAL, "$.linux.resources.devices[%zu]: no device has such a number", i);
	}
	return 0;
}

/* "2MB", "1GB": a part of the name hugetlb.2MB.max. */
static bool page_size_is_valid(const char *s)
{
	if (*s < '1' || *s > '9')
		return false;
	while (isdigit((unsigned char)*s))
		s++;
	return *s && strchr("KMG", *s) && strcmp(s + 1, "B") == 0;
}

static int check_hugepages(const struct spec_resources *r, struct error *err)
{
	for (size_t i = 0; i < r->n_hugepage_limits; i++)
		if (!page_size_is_valid(r->hugepage_limits[i].page_size))
			return error_set(
			    err, EINVAL,
			    "$.linux.resources.hugepageLimits[%zu].pageSize: \"%s\" is not of the form 2MB", i,
			    r->hugepage_limits[i].page_size);
	return 0;
}

static int check_names_in_lines(const struct spec_resources *r, struct error *err)
{
	const struct spec_network *n = r->network;

	for (size_t i = 0; n && i < n->n_priorities; i++)
		if (!check_net_device_name(n->priorities[i].name))
			return error_set(
			    err, EINVAL,
			    "$.linux.resources.network.priorities[%zu].name: \"%s\" is no name of a device", i,
			    n->priorities[i].name);
	for (size_t i = 0; i < r->n_rdma; i++) {
		const char *name = r->rdma[i].device;

		if (!*name || name[strcspn(name, " \t\n=/")] != '\0')
			return error_set(err, EINVAL, "$.linux.resources.rdma: \"%s\" is no name of a device", name);
	}
	return 0;
}

static int check_unified(const struct spec_resources *r, struct error *err)
{
	for (size_t i = 0; i < r->n_unified; i++) {
		const char *key = r->unified[i].key;

		if (strchr(key, '/') || !strchr(key, '.') || key[0] == '.')
			return error_set(err, EINVAL,
					 "$.linux.resources.unified: the specified key has not the form "
					 "CONTROLLER.VALUE `%s`",
					 key);
	}
	return 0;
}

int check_resources(const struct spec_resources *r, struct error *err)
{
	static int (*const checks[])(const struct spec_resources *, struct error *) = {
	    check_device_rules,
	    check_hugepages,
	    check_names_in_lines,
	    check_unified,
	};

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		int ret = checks[i](r, err);

		if (ret < 0)
			return ret;
	}
	return 0;
}
