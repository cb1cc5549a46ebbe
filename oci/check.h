/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - the rules of spec_check, one file per part of the spec. Each
 * function returns 0 or -EINVAL with "<place>: <what is wrong>"; the strings of a
 * spec are never empty (they are read as absent then).
 */
#ifndef VOLRUN_OCI_CHECK_H
#define VOLRUN_OCI_CHECK_H

#include "base/error.h"
#include "oci/spec.h"

bool check_has_namespace(const struct spec *spec, enum spec_ns type);
/* Is name in the NULL-terminated list? */
bool check_one_of(const char *name, const char *const *list);
/* Absolute and shorter than PATH_MAX. */
int check_absolute(const char *place, const char *path, struct error *err);
/* A list of numbers and ranges as the kernel writes them: "0-3,7". */
bool check_number_list(const char *s);

/* check_linux.c */
int check_linux(const struct spec *spec, struct error *err);
/* mounts: sources, destinations, mappings. */
int check_mounts(const struct spec *spec, struct error *err);
/* check_resources.c */
int check_resources(const struct spec_resources *r, struct error *err);
/* check_sysctl.c */
int check_sysctl(const struct spec *spec, struct error *err);
/* A name that the kernel gives a network device (net/core/dev.c, dev_valid_name). */
bool check_net_device_name(const char *name);

#endif
