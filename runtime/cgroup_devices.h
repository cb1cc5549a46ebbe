/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_devices.h - linux.resources.devices: which devices the container may
 * open and make. The rules stand in order, a later one overrides; what no rule
 * names is denied. After the container's own come those of the devices that
 * every container has (as in runc): mknod of any, null zero full random
 * urandom tty console ptmx pts.
 *
 *   v2: a BPF program (BPF_PROG_TYPE_CGROUP_DEVICE, Linux 4.15) attached to the cgroup
 *   v1: the lines for devices.deny and devices.allow
 */
#ifndef VOLRUN_RUNTIME_CGROUP_DEVICES_H
#define VOLRUN_RUNTIME_CGROUP_DEVICES_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "oci/spec.h"

struct device_rule {
	bool allow;
	char type;	      /* 'a': both kinds, 'b', 'c' */
	int64_t major, minor; /* -1: any */
	unsigned access;      /* BPF_DEVCG_ACC_MKNOD, _READ, _WRITE */
};

struct device_rules {
	struct device_rule *rules;
	size_t n;
};

/* The container's rules, checked, and the default ones. r may be NULL. Pure. */
int device_rules_make(const struct spec_resources *r, struct arena *a, struct device_rules *ret, struct error *err);

/*
 * The program: for each kind of access asked for (read, write, mknod) the last
 * rule that names the device and that access decides. Returns 1 when all are
 * allowed, 0 otherwise. Pure.
 */
int device_program(const struct device_rules *rules, struct arena *a, struct bpf_insn **ret, size_t *ret_n,
		   struct error *err);

/*
 * Loads the program and attaches it to the cgroup; programs that were on this
 * cgroup before (an update, an abandoned cgroup) are replaced. -EPERM without the rights: the
 * caller decides. The program lives as long as the cgroup.
 */
int device_program_attach(int cgroup_fd, const struct bpf_insn *program, size_t n, struct error *err);

/* Both kinds, any number, all accesses. */
bool device_rule_is_all(const struct device_rule *rule);

/* Room for a rule as v1 writes it: "c 136:* rwm". */
#define DEVICE_LINE_MAX 64
char *device_rule_line(const struct device_rule *rule, char buf[DEVICE_LINE_MAX]);

#endif
